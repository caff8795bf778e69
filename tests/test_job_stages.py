"""Stages are timed and shown, and know where something went wrong."""

import time
from contextlib import contextmanager

import pytest

from scenetex.job.stages import Stages, bars


def test_stages_are_shown_and_timed():
    seen = []

    @contextmanager
    def watch(name, steps):
        seen.append((name, steps))
        yield lambda: seen.append(name)
        seen.append("end")

    stages = Stages(watch)
    with stages.stage("paint", 2) as done:
        done()
    assert seen == [("paint", 2), "paint", "end"] and set(stages.seconds) == {"paint"} and stages.failed is None


def test_the_innermost_stage_failed():
    stages = Stages()
    with pytest.raises(ValueError), stages.stage("total"):
        with stages.stage("load"):
            pass
        with stages.stage("paint"):
            raise ValueError
    assert stages.failed == "paint" and set(stages.seconds) == {"total", "load", "paint"}


def test_without_a_store_nothing_is_kept():
    stages = Stages()
    stages.keep("unwrap", uv=[1.0])
    assert stages.recall("unwrap") is None and not stages.has("unwrap") and stages.reused == []


def test_short_stages_have_no_bar(capsys):
    for steps in (3, 0, None):
        with bars("paint", steps) as done:
            done()
    assert capsys.readouterr().err == ""


class Shelf(dict):
    """A store in memory."""

    has, read, write = dict.__contains__, dict.get, dict.__setitem__


def test_what_a_stage_took_is_known_to_those_who_reuse_it(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    first = Stages(cache=Shelf())
    with first.stage("generate"):
        clock[0] += 100
        first.keep("generate", images=[1])
    with first.stage("interpolate"):
        clock[0] += 20
    first.keep("images", ("generate", "interpolate"), images=[1, 2])
    with first.stage("paint"):
        clock[0] += 3
        first.keep("paint", texels=7)
        clock[0] += 1
    later = Stages(cache=first.cache)
    assert later.recall("images").keys() == {"images"} and later.recall("paint") == {"texels": 7}
    assert later.earlier == {"images": 120, "paint": 3}
    # Of one that was killed in between, and went on with half of it.
    third = Stages(cache=first.cache)
    with third.stage("generate"):
        third.recall("generate")
        clock[0] += 2
    with third.stage("interpolate"):
        clock[0] += 30
        assert third.so_far() == {"generate": 2, "interpolate": 30}
    third.keep("images", ("generate", "interpolate"), images=[1, 2])
    third.recall("images")
    assert third.earlier["images"] == 130


def test_a_stage_that_is_tried_again_has_taken_both_times(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    stages = Stages()
    with pytest.raises(MemoryError), stages.stage("paint"):
        clock[0] += 5
        raise MemoryError
    with stages.stage("paint"):
        clock[0] += 2
        assert stages.so_far() == {"paint": 7}
    assert stages.seconds == {"paint": 7}


def test_what_is_said_again_is_noted_once():
    stages = Stages()
    for said in ("a", "b", "a"):
        stages.note(said)
    assert stages.notes == ["a", "b"]
