"""The benchmark of views: it says what it measured, and in one line what is missing."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from scenetex import load_scene, render_views
from scenetex.views import rasterize

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
bench_views = import_module("bench_views")


@pytest.mark.skipif(find_spec("pytorch3d") is None, reason="needs PyTorch3D, see docs/install.md")
def test_it_compares(scan, capsys):
    given = [str(scan), "--size", "32", "24", "--rounds", "1", "--device", "cpu"]
    assert bench_views.main(given) == 0
    out = capsys.readouterr().out
    assert "3 views of 32 x 24, 10 faces" in out and "ratio: " in out
    assert float(re.search(r"face in ([\d.]+) %", out)[1]) > 97


def test_differences_are_counted(scan):
    views = render_views(load_scene(scan), size=(8, 6))
    assert "the same face in 100.00 % of pixels, there depth to 0.0e+00" in bench_views.difference(views, views)
    assert "the same face in 100.00 %" not in bench_views.difference(views, views.at([1, 0, 2]))


def test_a_missing_pytorch3d_and_mistakes_are_one_line(scan, capsys, monkeypatch):
    monkeypatch.setattr(rasterize, "find_spec", lambda _: None)
    for given, said in (([], "PyTorch3D is not installed"), (["--views", "0"], "choose 1 to")):
        assert bench_views.main([str(scan), *given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("bench_views: ") and said in line
