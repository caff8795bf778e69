"""The package as a whole: light until used, consistent with what its project files promise."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import fields, is_dataclass
from inspect import Parameter, signature
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


def test_import_is_light():
    loaded = modules_after("import scenetex")
    assert "scenetex" in loaded and not HEAVY & loaded


@pytest.mark.parametrize("folder", ["scene", "views", "texture", "checks", "synthetic"])
def test_photos_to_texture_needs_no_diffusion(folder):
    modules = modules_in(folder)
    assert modules
    assert not DIFFUSION & modules_after(
        "import " + ", ".join([*modules, "scenetex.report.preview", "scenetex.files.output"])
    )


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


def test_modules_of_public_names_are_type_checked():
    files = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    wanted = {f"scenetex/{home.replace('.', '/')}.py" for home in scenetex._HOME.values()}
    assert {*files} == {"scenetex/__init__.py", *wanted} and len(files) == len({*files})


def generation_and_stages() -> dict[str, object]:
    """The defaults of all options that `texture_scene` passes on."""
    stages = signature(scenetex.run_stages).parameters
    inside = {"scene", "generation", "repainting", "regions", "stages", "model"}
    asked = {"prompt": None, "images": "auto", "only": (), "keep": (), "paint": None}  # of which those are made
    found = {name: p.default for name, p in stages.items() if name not in inside}
    return found | flat(scenetex.Generation) | asked


def flat(kind: type) -> dict[str, object]:
    """The defaults of a dataclass's fields, those of dataclasses within it beside them."""
    found = {}
    for field in fields(kind):
        inner = field.default_factory
        found |= flat(inner) if is_dataclass(inner) else {field.name: field.default}
    return found


def test_texture_scene_names_all_options():
    given = dict(signature(scenetex.texture_scene).parameters)
    assert given.pop("scene").default is Parameter.empty
    assert {name: p.default for name, p in given.items()} == generation_and_stages()
    assert all(p.kind is Parameter.KEYWORD_ONLY and p.annotation is not Parameter.empty for p in given.values())
    described = re.findall(r"^        (\w+): ", scenetex.texture_scene.__doc__.split("Args:")[1], re.MULTILINE)
    assert described[1:-1] == [*given] and described[-1] == "InputError"


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


# Calls that open a file to read, or take text for JSON; and those of libraries that open a file by themselves.
OPENING = {"open", "read_bytes", "read_text", "imread", "fromfile", "loadtxt", "genfromtxt", "memmap", "loads"}
OPENING |= {"load_file", "safe_open", "torch.load", "np.load", "json.load", "from_pretrained", "load_config"}
# Where these stand for something else: files of the package itself and of the system, what a run wrote just now, or
# what was looked at by `files.check_regular` or `check_folder` before a library opens it.
KNOWN = {
    "report/html.py read_text",
    "scene/regions.py np.load",
    "job/source_hash.py read_bytes",
    "job/stage_cache.py np.load",
    "process/memory.py read_text",
    "process/threads.py read_text",
    "metrics/feature_scores.py torch.load",
    "metrics/feature_scores.py from_pretrained",
    "models/block_folder.py load_file",
    "models/mvdiffusion_weights.py load_file",
    "models/mvdiffusion_weights.py torch.load",
    "pipelines/backbones.py from_pretrained",
    "pipelines/image_prompts.py from_pretrained",
    "pipelines/loading.py from_pretrained",
    "pipelines/loading.py load_config",
    "pipelines/multiview.py from_pretrained",
    "pipelines/multiview.py load_config",
    "pipelines/mvdiffusion_panorama.py from_pretrained",
    "pipelines/whole_model.py safe_open",
    "job/load_model.py from_pretrained",
    "training/checkpoint.py load_file",
    "training/checkpoint.py torch.load",
    "training/encoded_cache.py safe_open",
    "models/image_features.py from_pretrained",
    "data/sample_cache.py safe_open",
    "training/model_folder.py from_pretrained",
    "training/model_folder.py load_config",
    "cli/view.py open",
    "cli/app.py open",
    "app/archive.py open",
}


def calls_of(tree: ast.AST) -> set[str]:
    """Calls that open something, without those of our own openers, of lock files, and of files that are written."""
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.level
        and (node.module or "").split(".")[-1] in ("reading", "json_file")
        for alias in node.names
    }
    found = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        whole = ast.unparse(call.func)
        name = whole if whole in OPENING else whole.rpartition(".")[2]
        writes = name == "open" and any(isinstance(a, ast.Constant) and a.value == "wb" for a in call.args)
        if name in OPENING and whole not in ours | {"os.open", "Image.open"} and not writes:
            found.add(name)
    return found


def test_inputs_are_opened_in_one_place():
    """A reader that is added later opens regular files within the scene's folder, and reads JSON, as all others do."""
    folder = ROOT / "scenetex"
    files = [path for path in folder.rglob("*.py") if path.name not in ("reading.py", "json_file.py")]
    found = {f"{path.relative_to(folder)} {name}" for path in files for name in calls_of(ast.parse(path.read_text()))}
    assert found == KNOWN
    assert calls_of(ast.parse("json.loads(p.read_text()); open(p)")) == {"loads", "read_text", "open"}


def test_extras_are_named_as_a_clone_installs_them():
    """The package is in no registry: by its name alone pip finds nothing."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set()
    for path in [
        *ROOT.glob("scenetex/**/*.py"),
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("scenetex/**/*.md"),
    ]:
        assert "scenetex[" not in path.read_text(), path
        if path.suffix == ".py":
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            named |= {
                call.args[0].value for call in calls if isinstance(call.func, ast.Name) and call.func.id == "extra"
            }
    assert named and named <= set(known)


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.stem)
def test_tools_end_as_commands_do(tool):
    """Signals, lost readers and errors: `as_process` is how each tool begins that reads options by `parse`."""
    text = tool.read_text(encoding="utf-8")
    if "scenetex.cli.parsing" in text or "import tyro" in text:
        assert "sys.exit(as_process(main))" in text
