"""Stages are timed and shown, and know where something went wrong."""

from contextlib import contextmanager

import pytest

from scenetex.stages import Stages, bars


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
