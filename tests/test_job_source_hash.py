"""Of the package's code counts what it does, and where its imports lead; not how it is laid out or explained."""

import ast

import pytest
from test_imports import imported, modules

from scenetex.job import source_hash

CODE = '''
"""What it is for."""

from .other import one


class Size:
    """How large."""

    width: int = 3
    """Pixels."""


def double(value: int) -> int:
    """Twice as much."""
    return one(value * 2, "text")  # for ever
'''


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """The hash of a module with a code, in a package with another module."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "other.py").write_text("def one(*parts): ...\n")
    monkeypatch.setattr(source_hash, "PACKAGE", tmp_path)

    def of(code: str) -> str:
        (tmp_path / "part" / "code.py").write_text(code)
        source_hash._module.cache_clear()
        return source_hash.source_hash(("part.code",))

    yield of
    source_hash._module.cache_clear()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n\n\nclass", "\n\n\n\n\nclass"),
        ("  # for ever", ""),
        ("class Size", "# How large things are.\nclass Size"),
        ('"""What it is for."""', '"""What it was for."""'),
        ('"""What it is for."""\n', ""),
        ('    """How large."""\n', ""),
        ('    """Pixels."""\n', '    """Pixels, as a rule."""\n'),
        ('    """Twice as much."""\n', ""),
        ('one(value * 2, "text")', 'one(\n        value * 2,\n        "text",\n    )'),
    ],
)
def test_layout_and_explanations_change_nothing(digest, before, after):
    assert before in CODE
    assert digest(CODE) == digest(CODE.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("= 3", "= 4"),
        ("* 2", "* 3"),
        ("* 2", "*2.0"),
        ('"text"', '"Text"'),
        ("    return one", "    one"),
        ("width", "breadth"),
        ("def double(value: int)", "def double(value: int = 1)"),
    ],
)
def test_what_it_does_counts(digest, before, after):
    assert before in CODE
    assert digest(CODE) != digest(CODE.replace(before, after))


def test_what_it_imports_counts_and_what_that_does(digest, tmp_path):
    first = digest(CODE)
    (tmp_path / "part" / "other.py").write_text("def one(*parts):\n    from .. import third\n")
    second = digest(CODE)
    (tmp_path / "third.py").write_text("A = 1\n")
    third = digest(CODE)
    (tmp_path / "third.py").write_text("A = 2\n")
    assert len({first, second, third, digest(CODE)}) == 4
    (tmp_path / "fourth.py").write_text("A = 1\n")
    assert digest(CODE) == digest(CODE), "nobody imports that"


def test_modules_that_come_alone_bring_nobody(digest, tmp_path):
    def alone() -> str:
        source_hash._module.cache_clear()
        return source_hash.source_hash((), alone=("part.code",))

    digest(CODE)
    before = alone()
    (tmp_path / "part" / "other.py").write_text("def one(): ...\n")
    assert alone() == before
    (tmp_path / "part" / "code.py").write_text(CODE.replace("* 2", "* 3"))
    assert alone() != before


def test_other_files_count_byte_by_byte(digest, tmp_path):
    (tmp_path / "a.js").write_text("let a = 1")
    before = source_hash.source_hash((), files=("a.js",))
    (tmp_path / "a.js").write_text("let a = 1\n")
    assert source_hash.source_hash((), files=("a.js",)) != before


def test_imports_are_read_as_they_are():
    """Quicker than by looking at everything, and with the same answer, for every module of the package."""
    known = modules()
    for name, path in ((name, path) for name, path in known.items() if name):
        tree = ast.parse(path.read_text("utf-8"))
        found = set(source_hash._imports(tree, name, path.stem == "__init__"))
        assert found == set(imported(name, path, known)), name
