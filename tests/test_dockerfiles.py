"""The Dockerfiles, which nobody has built yet: their build is what README says, and nothing in them is careless."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from doc_pages import read_blocks
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
FILES = pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
_KNOWN = {"FROM", "ARG", "RUN", "USER", "SHELL", "WORKDIR", "COPY", "ENV", "ENTRYPOINT", "CMD"}


def instructions(name: str) -> list[tuple[str, str]]:
    """Each instruction and what follows it, in one line."""
    lines = (ROOT / name).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def of(name: str, kind: str) -> list[str]:
    return [rest for word, rest in instructions(name) if word == kind]


def commands(name: str) -> list[str]:
    """What is run while it is built."""
    return [command.strip() for line in of(name, "RUN") for command in line.split("&&")]


def quick_start() -> list[str]:
    """README's commands up to the first that makes something of one's own, without the clone."""
    block = next(b for b in read_blocks(ROOT / "README.md", ("bash", "python", "")) if b.language == "bash")
    clone, *rest = (line.partition(" #")[0].strip() for line in block.code.strip().splitlines())
    assert clone.startswith("git clone") and rest[-1].startswith("scenetex texture")
    return rest[:-1]


@FILES
def test_the_build_is_the_two_commands_of_the_readme(name):
    two = quick_start()
    assert two == ["make demo", "source .venv/bin/activate"]
    assert [command for command in commands(name) if command in two] == two
    # The second needs bash, and lasts no longer than its own RUN.
    assert json.loads(of(name, "SHELL")[0])[0] == "/bin/bash"
    home = of(name, "WORKDIR")[0]
    assert any(f"{home}/.venv/bin:$PATH" in line for line in of(name, "ENV"))


@FILES
def test_it_says_that_nobody_has_built_it(name):
    assert "Not built yet" in (ROOT / name).read_text().splitlines()[0]


@FILES
def test_it_runs_as_nobody_special_and_starts_scenetex(name):
    words = [word for word, _ in instructions(name)]
    assert set(words) <= _KNOWN and words[0] == "FROM"
    assert of(name, "USER") == ["scenetex"] and words.index("USER") < words.index("COPY")
    assert any(command.startswith("useradd ") and command.endswith(" scenetex") for command in commands(name))
    assert json.loads(of(name, "ENTRYPOINT")[0]) == ["scenetex"] and json.loads(of(name, "CMD")[0]) == ["--help"]
    assert all(copied.startswith("--chown=scenetex ") for copied in of(name, "COPY"))
    assert all(place.startswith("/") for place in of(name, "WORKDIR"))


@FILES
def test_its_python_is_one_that_the_package_takes_and_no_moving_target(name):
    image, _, tag = of(name, "FROM")[0].partition(":")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert image == "python" and SpecifierSet(project["requires-python"]).contains(tag.partition("-")[0])


@FILES
def test_packages_are_pinned_and_leave_no_litter(name):
    for line in of(name, "RUN"):
        if "apt-get install" in line:
            assert "apt-get update" in line and "--no-install-recommends" in line and "--yes" in line
            assert line.endswith("rm -rf /var/lib/apt/lists/*")
    for command in commands(name):
        if "pip install" in command:
            assert "--no-cache-dir" in command and "constraints.txt" in command
        assert not command.startswith(("cd ", "sudo ")) and "curl" not in command


def test_extras_that_it_installs_are_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        name
        for file in ("Dockerfile", "Dockerfile.cuda")
        for c in commands(file)
        for name in re.findall(r"\.\[(\w+)\]", c)
    }
    assert named and named <= set(extras)


def is_copied(path: str) -> bool:
    """Whether .dockerignore lets a file through: the last line that says something of it counts."""
    copied = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            whole = [path, *(str(parent) for parent in Path(path).parents)]
            if any(fnmatch(part, pattern) for part in (whole if "**" not in line else Path(path).parts)):
                copied = line.startswith("!")
    return copied


def test_what_is_copied_is_what_is_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [project["readme"], *project["license-files"], "pyproject.toml", "constraints.txt", "Makefile"]
    needed += ["scenetex/report/style.css", "scenetex/weights/mini/model_index.json", "scenes/sample_room/room.json"]
    assert all(map(is_copied, needed)) and all((ROOT / path).exists() for path in needed)
    left = (
        ".git/config",
        ".venv/bin/python",
        "output/x.glb",
        "tests/test_mini.py",
        "scenetex/__pycache__/x.pyc",
        ".env",
    )
    assert not any(map(is_copied, left))
