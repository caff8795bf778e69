"""Samples made ahead: the same from any number of processes, and one line for what goes wrong in them.

Processes load this file: it imports little.
"""

import os

import numpy as np
import pytest

from scenetex import InputError
from scenetex.data.prefetch import prefetch
from scenetex.data.rooms import RoomStream
from scenetex.data.sample import Sample

STREAM = RoomStream(seed=4, views=3, size=(64, 48))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [STREAM.sample(i) for i in range(3)]


def assert_same(one: Sample, other: Sample) -> None:
    assert np.array_equal(one.images, other.images) and one.prompts == other.prompts
    for name in ("depth", "face_id", "intrinsics", "cam_to_world", "face_normals"):
        assert np.array_equal(getattr(one.views, name), getattr(other.views, name)), name


def test_any_number_of_workers_gives_the_same_rooms(samples):
    for workers in (0, 2):
        made = prefetch(STREAM, iter([1, 0, 2]), workers)
        for expected, got in zip((1, 0, 2), made, strict=True):
            assert_same(samples[expected], got)


class _Broken:
    """A source that fails at its second sample."""

    size = (8, 8)

    def sample(self, index: int) -> Sample:
        if index:
            raise InputError("scene 1: is no good")
        return STREAM.sample(0)

    def words(self) -> set[str]:
        return set()


class _Deadly(_Broken):
    """A source whose process dies."""

    def sample(self, index: int) -> Sample:
        os._exit(1)


def test_what_a_worker_raises_comes_out_here(samples):
    made = prefetch(_Broken(), iter(range(9)), 1)
    assert_same(next(made), samples[0])
    with pytest.raises(InputError, match="scene 1: is no good"):
        next(made)


def test_a_worker_that_dies_is_named():
    with pytest.raises(InputError, match="a process that makes samples was killed"):
        next(prefetch(_Deadly(), iter(range(9)), 1))
