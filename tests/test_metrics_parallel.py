"""Rooms shared out over processes: the same measurements in the same order, and one line for what goes wrong."""

import os
from functools import partial
from pathlib import Path

import pytest

from scenetex import InputError
from scenetex.metrics.parallel import measure_in_parallel


def load(loads: Path) -> str:
    (loads / str(os.getpid())).touch()
    return "pipe"


def measure(pipe: str, settings: dict, i: int) -> tuple:
    if i == settings.get("bad"):
        raise InputError(f"room {i} is bad")
    if i == settings.get("deadly"):
        os._exit(1)
    return pipe, settings["seed"] + i, os.environ["OMP_NUM_THREADS"], os.getpid()


def test_all_are_measured_in_order_by_models_loaded_once(tmp_path):
    done = []
    found = measure_in_parallel(partial(load, tmp_path), measure, {"seed": 5}, 6, 2, lambda: done.append(1))
    assert [row[:2] for row in found] == [("pipe", 5 + i) for i in range(6)] and len(done) == 6
    processes = {row[3] for row in found}
    assert {int(path.name) for path in tmp_path.iterdir()} >= processes and os.getpid() not in processes
    assert len(list(tmp_path.iterdir())) <= 2
    assert {row[2] for row in found} == {str(max(1, os.cpu_count() // 2))}


def test_a_mistake_is_the_callers_to_hear(tmp_path):
    with pytest.raises(InputError, match="room 1 is bad"):
        measure_in_parallel(partial(load, tmp_path), measure, {"seed": 0, "bad": 1}, 3, 2, lambda: None)


def test_a_worker_that_dies_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a worker was killed.*fewer --workers"):
        measure_in_parallel(partial(load, tmp_path), measure, {"seed": 0, "deadly": 1}, 3, 2, lambda: None)
