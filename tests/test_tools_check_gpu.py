"""The GPU check, on a CPU and tiny: all its parts run; what takes too long or fails costs that part alone."""

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

check_gpu = import_module("check_gpu")
gpu_parts = import_module("gpu_parts")


def run(folder: Path, *options: str) -> tuple[int, dict, str]:
    """Exit code, gpu.json and gpu.md."""
    given = ["--output", str(folder), "--device", "cpu", "--tiny", *options]
    code = check_gpu.main(given)
    return code, json.loads((folder / "gpu.json").read_text()), (folder / "gpu.md").read_text()


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """The tool has a process of its own; here another training may have come before."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def test_every_part_runs_on_a_cpu(tmp_path):
    code, found, page = run(tmp_path / "gpu")
    assert code == 0 and found["device"] == "cpu" and found["machine"]["torch"] == torch.__version__
    parts = {part["name"]: part for part in found["parts"]}
    assert list(parts) == list(gpu_parts.PARTS) and {part["status"] for part in parts.values()} == {"ok"}
    assert all(part["figures"] and f"## {name}: ok" in page for name, part in parts.items())
    made = [row["what"] for row in parts["generate"]["figures"]]
    assert made == ["generate", "without fusion", "interpolate", "generate in windows"]
    assert {row["views"] for row in parts["generate"]["figures"]} == {3, 5}
    assert all(row["finite"] for name in ("generate", "controlnets", "transformer") for row in parts[name]["figures"])
    # Twice on one device gives the same texture.
    assert parts["texture"]["figures"][-1] == {"device": "difference", "largest": 0, "mean": 0.0}
    assert parts["training"]["figures"][0]["parameters trained"] > 0
    assert sum(part.budget for part in gpu_parts.PARTS.values()) <= 240


def slow(_):
    """Takes too long."""
    yield {"seconds": 1}
    time.sleep(60)


def broken(_):
    """Fails."""
    yield {"seconds": 2}
    raise RuntimeError("CUDA error: | an illegal\nmemory access")


def good(_):
    """Goes on."""
    yield {"seconds": 3}


@pytest.fixture
def parts(monkeypatch):
    made = {"slow": gpu_parts.Part(slow, 1), "broken": gpu_parts.Part(broken, 5), "good": gpu_parts.Part(good, 5)}
    monkeypatch.setattr(check_gpu, "PARTS", made)


def test_what_is_slow_or_fails_is_written_down_and_the_rest_goes_on(parts, tmp_path):
    code, found, page = run(tmp_path, "--parts", "slow", "broken", "good")
    assert code == 1
    assert [part["status"] for part in found["parts"]] == ["out of time", "failed", "ok"]
    assert [row["seconds"] for part in found["parts"] for row in part["figures"]] == [1, 2, 3]
    assert "## slow: out of time (its 1 s were used up)" in page and found["parts"][0]["seconds"] < 30
    assert "## broken: failed (RuntimeError: CUDA error: | an illegal)" in page and "## good: ok" in page


def test_a_gpu_that_no_longer_answers_costs_what_follows_alone(parts, tmp_path, monkeypatch):
    """As after an illegal memory access: everything that a process asks of the GPU fails from then on."""
    answers = iter([True, False])
    monkeypatch.setattr(check_gpu.Setup, "free", lambda _: next(answers))
    code, found, page = run(tmp_path, "--parts", "good", "broken", "slow")
    assert code == 1
    assert [part["status"] for part in found["parts"]] == ["ok", "failed", "skipped"]
    assert "## slow: skipped (the GPU no longer answers, since broken)" in page


def test_what_never_comes_back_ends_the_check(tmp_path):
    """Where no signal gets through, as in a kernel that does not end; what was measured before is there."""
    code = f"""
import sys, time
sys.path.insert(0, {str(TOOLS)!r})
import check_gpu, gpu_parts
def hung(_):
    "Never ends."
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
    yield {{}}
def good(_):
    "Goes well."
    yield {{"seconds": 1}}
check_gpu.PARTS.clear()
check_gpu.PARTS.update(good=gpu_parts.Part(good, 5), hung=gpu_parts.Part(hung, 1))
check_gpu._LAST = 1.0
given = ["--output", {str(tmp_path)!r}, "--device", "cpu", "--seconds", "10", "--parts", "good", "hung"]
sys.exit(check_gpu.main(given))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300, check=False)
    assert ended.returncode == 1
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [part["status"] for part in found["parts"]] == ["ok", "skipped"]
    assert "## hung: skipped (it did not come back)" in (tmp_path / "gpu.md").read_text()


def test_parts_beyond_the_time_for_all_are_skipped(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(check_gpu, "_LAST", 10.0)
    code, found, page = run(tmp_path, "--parts", "slow", "good", "--seconds", "10.5")
    assert code == 0 and [part["status"] for part in found["parts"]] == ["skipped", "skipped"]
    assert page.count("skipped (the time for all was used up)") == 2 and "Nothing was measured." in page


@pytest.mark.parametrize(
    ("given", "said"), [(("--parts", "nothing"), "there is no such part"), (("--seconds", "1"), "choose 10 to 3600")]
)
def test_mistakes_are_one_line_and_nothing_is_written(given, said, tmp_path, capsys):
    assert check_gpu.main(["--output", str(tmp_path / "gpu"), "--device", "cpu", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and not (tmp_path / "gpu").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no CUDA device")
def test_an_absent_gpu_is_one_line(tmp_path, capsys):
    assert check_gpu.main(["--output", str(tmp_path / "gpu")]) == 2
    assert "torch finds no CUDA GPU" in capsys.readouterr().err and not (tmp_path / "gpu").exists()
