"""Every public name has an example in its docstring, and every example gives what it says."""

import doctest
import inspect
import warnings
from pathlib import Path

import pytest

import scenetex

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in scenetex.__all__ if name != "__version__"]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", NAMES)
def test_the_example_gives_what_it_says(name, tmp_path, monkeypatch):
    (tmp_path / "scenes").symlink_to(ROOT / "scenes")
    monkeypatch.chdir(tmp_path)
    thing = getattr(scenetex, name)
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(thing.__doc__), {}, name, None, 0)
    assert test.examples, f"scenetex.{name} has no example in its docstring"
    said = []
    with warnings.catch_warnings():
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert not said, "".join(said)


def test_examples_that_give_something_else_are_noticed():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    said = []
    assert doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append).failed == 1 and said
