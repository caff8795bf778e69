"""The benchmark of batches runs and says whether all ways come to the same."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

BENCH = Path(__file__).resolve().parents[1] / "tools" / "bench_batch.py"


def test_ways_that_come_to_the_same_are_told_from_those_that_do_not(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("bench_batch", BENCH)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    monkeypatch.setattr(bench, "_memory", lambda output: None)

    def texture(text):
        def run(root, output, *way):
            (output / "scene").mkdir(parents=True)
            (output / "scene/mesh.obj").write_text(text(way))
            return SimpleNamespace(wait=lambda: 0)

        return run

    options = bench.Options(work=tmp_path, scenes=1, ray=False)
    for text, same in ((lambda way: "v 0 0 0", True), (" ".join, False)):
        monkeypatch.setattr(bench, "texture", texture(text))
        assert bench._throughput(tmp_path, options) is same
    assert "all ways come to the same" in capsys.readouterr().out
