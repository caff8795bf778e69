"""How many threads a stage may use."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from scenetex.process import threads


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.setattr(threads._Limit, "threads", None)


@pytest.mark.parametrize(
    ("asked", "count"), [("1", 1), ("6", 6), ("4,2", 4), ("", None), ("0", None), ("-3", None), ("many", None)]
)
def test_as_many_as_for_other_libraries(monkeypatch, asked, count):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads.threads() == count


def test_halved_down_to_one(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert [(threads.halve(), threads.threads()) for _ in range(4)] == [(True, 2), (True, 1), (False, 1), (False, 1)]


def test_halved_from_all_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert threads.threads() is None
    assert threads.halve() and threads.threads() == 4


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["a", "--threads", "4"], 4),
        (["--threads=2"], 2),
        (["--threads", "4", "--threads", "2", "b"], 2),
        (["--threads"], None),
        (["--threads", "many"], None),
        (["--threads", "0"], None),
        (["--threads", "9999"], None),
        (["a--threads", "3"], None),
        ([], None),
    ],
    ids=str,
)
def test_what_a_command_line_asks_for(arguments, count):
    assert threads.asked_for(arguments) == count


def test_libraries_that_are_loaded_are_told_and_told_again():
    before = torch.get_num_threads(), cv2.getNumThreads(), dict(os.environ)
    with pytest.raises(ZeroDivisionError), threads.limited(3):
        assert (torch.get_num_threads(), cv2.getNumThreads(), threads.threads()) == (3, 3, 3)
        raise ZeroDivisionError
    assert before == (torch.get_num_threads(), cv2.getNumThreads(), dict(os.environ))
    with threads.limited(None):
        assert before == (torch.get_num_threads(), cv2.getNumThreads(), dict(os.environ))


def test_libraries_that_are_loaded_later_are_told():
    # What OpenBLAS took is seen from the threads that the process has.
    program = """
import os
from scenetex.process.threads import limited
with limited(1):
    import cv2, numpy, torch
    numpy.ones((500, 500)) @ numpy.ones((500, 500))
    print(torch.get_num_threads(), cv2.getNumThreads(), len(os.listdir("/proc/self/task")))
"""
    free = {name: value for name, value in os.environ.items() if name not in threads.VARIABLES}
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=free | {"PYTHONPATH": root}, check=True
    )
    assert done.stdout.split() == ["1", "1", "1"]


def test_blas_gets_one_thread_and_its_own_number_back():
    found = threads._blas_threads()
    if not found:
        pytest.skip("NumPy and SciPy bring no OpenBLAS here")
    before = [tell() for tell, _ in found]
    for wanted in (2, 3):
        found[0][1](wanted)
        with pytest.raises(ZeroDivisionError), threads.one_blas_thread():
            assert [tell() for tell, _ in found] == [1] * len(found)
            raise ZeroDivisionError
        assert found[0][0]() == wanted
    for (_, give), count in zip(found, before, strict=True):
        give(count)
