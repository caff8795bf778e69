"""Fixtures shared by all tests."""

import os
import shutil
from pathlib import Path

import pytest
import tiny_scan
from hypothesis import settings

# The same examples every time: a change is judged by what it changed. `HYPOTHESIS_PROFILE=explore` looks for new
# ones. What takes longer than usual was made on a machine that had other work to do.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
# Without a GPU, kernels run in Triton's interpreter, which has to be asked for before anything imports Triton.
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")
_SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real scans that lie beside the repository; the test skips where they are absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("needs the scans in ../shared/data, which are not part of the repository")
    return _SHARED_DATA


@pytest.fixture
def scan(tmp_path) -> Path:
    """A tiny scan in an extracted ScanNet folder, `room`, with frames 2, 10 and 100."""
    return tiny_scan.write_extracted(tmp_path / "room")


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> Path:
    """Folder with the tiny model of `tiny_training`, and what trainings have encoded with it so far."""
    from tiny_training import write_models

    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def quickly_taught(monkeypatch) -> None:
    """The recogniser learns from few rooms: it names little right, but the same each time."""
    from scenetex.metrics import recognition

    teach = recognition.taught
    monkeypatch.setattr(recognition, "_FEW", 3)
    monkeypatch.setattr(recognition, "taught", lambda: teach(6))
