"""What is installed is all that is needed: from source archive to wheel, into an environment of its own, in an empty
folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MOST_BYTES = 60 << 20
BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def environment() -> dict[str, str]:
    """Without what would lead to the checkout."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP"))}
    return given | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(*command, cwd: Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, encoding="utf-8", env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """As `python -m build` makes it: of the source archive's contents alone."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "scenetex", source / "scenetex", ignore=shutil.ignore_patterns("__pycache__"))
    archive = run(sys.executable, "-c", BUILD, "build_sdist", folder, cwd=source).splitlines()[-1]
    with tarfile.open(folder / archive) as tar:
        tar.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return folder / run(sys.executable, "-c", BUILD, "build_wheel", folder, cwd=unpacked).splitlines()[-1]


def test_it_holds_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if not name.split("/")[0].endswith(".dist-info")}
        (about,) = [name for name in file.namelist() if name.endswith("/METADATA")]
        told = file.read(about).decode()
    there = [path for path in (ROOT / "scenetex").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert held == {path.relative_to(ROOT).as_posix() for path in there}
    assert "scenetex/py.typed" in held and "scenetex/weights/mini/model_index.json" in held
    assert wheel.stat().st_size < MOST_BYTES and wheel.name.endswith("-py3-none-any.whl")
    assert "Classifier: Operating System :: OS Independent" in told and "Requires-Dist: filelock" in told


def test_it_is_used_from_an_empty_folder(wheel, tmp_path):
    home, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = next(home.glob("[Bb]in/python*"), None) or home / "Scripts" / "python.exe"
    # The libraries are those of the tests' environment, whose own scenetex is not looked for: its .pth is not read.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=empty).strip())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--disable-pip-version-check", "--no-compile", wheel, cwd=empty)
    where = run(python, "-c", "import scenetex; print(scenetex.__file__)", cwd=empty).strip()
    assert Path(where).is_relative_to(home)

    scenetex = python.parent / "scenetex"
    assert run(scenetex, "--version", cwd=empty) == f"scenetex {PROJECT['project']['version']}\n"
    assert run(scenetex, "example", "--quiet", cwd=empty).startswith("sample_room: ")
    small = ["--steps", "1", "--image-size", "64x48", "--keyframes", "2", "--texture-size", "256", "--device", "cpu"]
    command = [scenetex, "texture", "sample_room", "--output", "output", "--prompt", "a room with blue walls", *small]
    assert run(*command, "--quiet", "--report", cwd=empty).startswith("output")
    assert (empty / "output" / "sample_room" / "textured.glb").stat().st_size > 10_000
    assert {path.name for path in empty.iterdir()} == {"sample_room", "output"}
