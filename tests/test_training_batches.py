"""Batches: decided by seed and step alone, however a step is shared out, each sample once a round; and made ahead."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_training_items import encoded, tokenize

from scenetex import InputError
from scenetex.training.batches import Schedule, Shard, _in_background, collate, nth_part
from scenetex.training.items import single_view_items


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@given(st.integers(0, 9), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_every_sample_is_seen_once_before_any_is_seen_again(seed, rooms, samples):
    schedule = Schedule(seed, samples, rooms)
    seen = [index for step in range(3 * rooms) for _, index in schedule.slots(step)]
    for start in range(0, len(seen) - rooms + 1, rooms):
        assert sorted(seen[start : start + rooms]) == list(range(rooms))
    numbers = [number for step in range(4) for number, _ in schedule.slots(step)]
    assert numbers == list(range(4 * samples))


def test_rounds_and_seeds_differ_and_streams_never_repeat():
    order = [
        [i for s in range(r, r + 8) for _, i in Schedule(seed, 1, 8).slots(s)] for seed, r in ((0, 0), (0, 8), (1, 0))
    ]
    assert order[0] != order[1] and order[0] != order[2]
    assert Schedule(3, 2, None).slots(5) == [(10, 10), (11, 11)]


@given(st.integers(0, 5), st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 3), (4, 1), (3, 4)]))
@settings(max_examples=30, deadline=None)
def test_processes_and_parts_share_a_step_without_changing_it(step, split):
    world, accumulation = split
    schedule = Schedule(0, 12, 5)
    make = lambda number: single_view_items(encoded(), schedule.rng(number), tokenize, 1000)  # noqa: E731
    whole = collate([item for number, _ in schedule.slots(step) for item in make(number)])
    parts = []
    for rank in range(world):
        part = Shard(rank, world, accumulation)
        slots = next(part.slots(schedule, step))
        parts += part.collated([make(number) for number, _ in slots])
    assert len(parts) == world * accumulation
    assert len({len(part["noise"]) for part in parts}) == 1, "means of equal parts are the mean"
    assert same(whole, {name: torch.cat([part[name] for part in parts]) for name in whole})


def test_shares_are_equal_and_in_order():
    assert [nth_part(list("abcdef"), i, 3) for i in range(3)] == [["a", "b"], ["c", "d"], ["e", "f"]]


def test_background_batches_stop_when_closed_and_hand_on_errors():
    def endless():
        number = 0
        while True:
            yield [number]
            number += 1

    before = threading.active_count()
    batches = _in_background(endless())
    assert [next(batches) for _ in range(7)] == [[i] for i in range(7)]
    batches.close()
    assert threading.active_count() == before

    def broken():
        yield [0]
        raise InputError("scene 1: is no good")

    batches = _in_background(broken())
    assert next(batches) == [0]
    with pytest.raises(InputError, match="scene 1: is no good"):
        next(batches)
    assert threading.active_count() == before
