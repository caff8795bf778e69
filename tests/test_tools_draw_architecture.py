"""The picture of the architecture is that of the code."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))

import draw_architecture as drawing  # noqa: E402


def test_the_picture_fits_the_imports():
    assert drawing.PICTURE.read_text() == drawing.draw(), "run python tools/draw_architecture.py"


def test_a_package_more_or_less_is_another_picture(monkeypatch):
    edges, before = drawing.imports(), drawing.draw()
    monkeypatch.setattr(drawing, "imports", lambda: edges | {"scene": edges["scene"] | {"texture"}})
    assert 'stroke="red"' in drawing.draw() != before


def test_imports_are_found_wherever_they_stand(tmp_path, monkeypatch):
    folder = tmp_path / "scenetex" / "upper"
    folder.mkdir(parents=True)
    code = "import scenetex.one\nfrom ..two import a\nfrom .. import three\ndef f():\n    from scenetex import four\n"
    (folder / "module.py").write_text(code + "from .own import b\nimport os\n")
    monkeypatch.setattr(drawing, "ROOT", tmp_path)
    assert drawing.targets(folder / "module.py") == {"one", "two", "three", "four", "upper"}


def test_arrows_that_follow_from_others_are_left_out():
    edges = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"a", "c"}}
    assert drawing.needed(edges) == [("a", "b"), ("b", "c"), ("d", "a")]
    assert drawing.levels(edges) == {"a": 2, "b": 1, "c": 0, "d": 3}
    assert drawing.circles(edges | {"c": {"a"}}) == {("c", "a")}
