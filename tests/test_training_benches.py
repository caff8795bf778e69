"""The benchmarks of training run and say what they measured."""

import importlib.util
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def tool(name: str):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench_training():
    bench = tool("bench_training")
    bench._TEXT |= {"num_hidden_layers": 1, "vocab_size": 100, "intermediate_size": 64}
    return bench


def test_bench_stream_counts_views(capsys):
    bench = tool("bench_stream")
    small = ["--rooms", "1", "--workers", "1", "--room-views", "2", "--image-size", "64", "48"]
    assert bench.main(small) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "views/s from 1 processes (64 x 48 pixels, 1 rooms of 2 views)" in lines[0]
    assert lines[1].endswith("views for a second of one core") and float(lines[1].split()[0]) > 0
    assert [line.split()[0] for line in lines[2:]] == ["build", "walk", "render"]


def test_bench_stream_renders_what_the_stream_renders(monkeypatch):
    """Its parts are those of the stream: same cameras, as many views."""
    bench, seen = tool("bench_stream"), []
    stream = bench.RoomStream(0, 2, (64, 48))
    monkeypatch.setattr(bench, "render_room", lambda room, camera, poses: seen.append((camera, len(poses))))
    bench.parts(stream, 1)
    ((camera, count),) = seen
    assert count == 2 and camera.size == (64, 48)


def test_bench_training_measures_memory_and_seconds(bench_training, capsys):
    small = ["--width", "0.1", "--image-size", "64", "64", "--views", "2", "--device", "cpu"]
    assert bench_training.main(small) == 0
    out = capsys.readouterr().out
    assert "M trained" in out and "s for a step of 2 views on cpu" in out and "GB of memory at the most" in out


@pytest.mark.parametrize("name", ["bench_stream", "bench_training"])
def test_mistakes_are_one_line(name, capsys):
    flag = "--rooms" if name == "bench_stream" else "--steps"
    assert tool(name).main([flag, "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name}.py: ") and ("at least 1" in line or "choose 1 to" in line)


@pytest.mark.parametrize(
    "given", [("--width", "nan"), ("--width", "0"), ("--views", "0"), ("--image-size", "0", "0")], ids=" ".join
)
def test_what_cannot_be_measured_is_refused_before_any_work(given, capsys):
    assert tool("bench_training").main([*given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"bench_training.py: {given[0]} ") and "choose" in line
