"""How many threads a stage may use."""

import os

import pytest

from scenetex import threads


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
