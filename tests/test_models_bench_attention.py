"""The benchmark of the attention runs and says what it measured."""

import importlib.util
from pathlib import Path

import pytest
import torch

from scenetex import InputError


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).resolve().parents[1] / "tools" / "bench_attention.py"
    spec = importlib.util.spec_from_file_location("bench_attention", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("convention", ["visible", "mvdiffusion"])
def test_bench_prints_ratio_and_memory(bench, capsys, convention):
    threads = torch.get_num_threads()
    bench.measure(bench.Config(4, (64, 128), (32, 32), convention, threads=threads, rounds=1))
    out = capsys.readouterr().out
    assert "identical at zero initialisation: True" in out
    assert "ratio: " in out and "peak memory" in out and "partners a view" in out


def test_bench_of_super_resolution(bench, capsys):
    threads = torch.get_num_threads()
    bench.measure(bench.Config(3, (32, 64), (32, 32), threads=threads, rounds=1, module="super-resolution"))
    out = capsys.readouterr().out
    assert "identical at zero initialisation: True" in out and "small images, once" in out and "ratio: " in out


@pytest.mark.parametrize("convention", ["visible", "mvdiffusion"])
def test_bench_of_a_panorama(bench, capsys, convention):
    threads = torch.get_num_threads()
    bench.measure(bench.Config(12, (32, 64), (32, 64), convention, threads=threads, rounds=1, module="panorama"))
    out = capsys.readouterr().out
    assert "2.0 partners a view" in out and "identical at zero initialisation: True" in out and "ratio: " in out


def test_walk_is_a_true_room(bench):
    """Every surface point lies on a wall of the room, and neighbouring views see each other's."""
    depth, intrinsics, poses = bench.walk(6, (24, 32))
    correspondence = bench.from_depth(depth[None], intrinsics[None], poses[None])
    assert (depth > 0).all() and all([i, i + 1] in correspondence.pairs.tolist() for i in range(5))
    for group in correspondence.at((24, 32), torch.float64).groups:
        assert group.keys.cue.mean() < 0.04


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no CUDA device")
def test_absent_cuda_is_named(bench):
    with pytest.raises(InputError, match="no CUDA device"):
        bench.measure(bench.Config(device="cuda"))
