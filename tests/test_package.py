"""The package as a whole: quick to import, light until used, consistent with what its project files promise."""

import ast
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import scenetex

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "diffusers", "transformers", "cv2", "trimesh", "scipy", "PIL"}
DIFFUSION = {"torch", "diffusers", "transformers"}


def modules_after(statement: str) -> set[str]:
    """Top-level modules that are loaded once a fresh interpreter has run the statement."""
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def modules_in(folder: str) -> list[str]:
    paths = sorted((ROOT / "scenetex" / folder).glob("*.py"))
    return [f"scenetex.{folder}.{p.stem}" for p in paths if p.stem != "__init__"]


def test_import_is_quick_and_light():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        loaded = modules_after("import scenetex")
        seconds.append(time.perf_counter() - start)
    assert not HEAVY & loaded
    assert min(seconds) < 1.0


@pytest.mark.parametrize("folder", ["scene", "views", "texture", "synthetic"])
def test_photos_to_texture_needs_no_diffusion(folder):
    modules = modules_in(folder)
    assert modules
    assert not DIFFUSION & modules_after("import " + ", ".join([*modules, "scenetex.preview", "scenetex.output"]))


@pytest.mark.parametrize("name", scenetex.__all__)
def test_public_names_are_there(name):
    assert getattr(scenetex, name) is not None
    assert name in dir(scenetex)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        scenetex.paint  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "scenetex" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == scenetex._HOME


def test_project_file_and_package_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == scenetex.__version__
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            pins[canonicalize_name(pin.name)] = pin.specifier
    for wanted in map(Requirement, project["dependencies"] + project["optional-dependencies"]["test"]):
        (pin,) = pins[canonicalize_name(wanted.name)]
        assert pin.operator == "==" and wanted.specifier.contains(pin.version), f"{wanted} against pin {pin}"


def test_files_stay_readable():
    for path in [*ROOT.glob("scenetex/**/*.py"), *ROOT.glob("tests/*.py"), *ROOT.glob("tools/*.py")]:
        assert len(path.read_text().splitlines()) <= 330, f"{path.relative_to(ROOT)}: split it by ideas"
