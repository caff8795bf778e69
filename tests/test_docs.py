"""The user guide: every command in it is run, in order, page by page; what cannot run here says why, and is parsed."""

import contextlib
import importlib.util
import io
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from doc_material import make
from doc_pages import Block, prose, read_blocks, scenetex_calls

from scenetex.cli import evaluate as evaluate_command
from scenetex.cli.app import AppOptions
from scenetex.cli.check import CheckOptions
from scenetex.cli.example import ExampleOptions
from scenetex.cli.guarded import DEBUG
from scenetex.cli.main import COMMANDS, main
from scenetex.cli.panorama import PanoramaOptions
from scenetex.cli.parsing import parse
from scenetex.cli.view import ViewOptions
from scenetex.job.options import TextureOptions
from scenetex.process.interrupt import ENDING
from scenetex.training.training_options import TrainOptions

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
OPTIONS = {
    "texture": TextureOptions,
    "train": TrainOptions,
    "panorama": PanoramaOptions,
    "evaluate": evaluate_command.Options,
    "view": ViewOptions,
    "check": CheckOptions,
    "example": ExampleOptions,
    "app": AppOptions,
}
# What a job of an array finds in its environment.
SLURM = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16", "SLURM_CPUS_PER_TASK": "8"}
names = [page.name for page in PAGES]
# What is read beside the guide; of its commands only the quick start runs, but all are ones that there are.
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
EVERY = pytest.mark.parametrize("page", [*PAGES, *TEXTS], ids=lambda page: f"{page.parent.name}-{page.name}")


class Reader:
    """Does what a page says, as its reader would, in a folder of its own.

    Attributes:
        said: what the last block that was run has printed.
    """

    def __init__(self, page: Path):
        self.page, self.said = page, ""
        self._added: dict[str, list[str]] = {}
        self._names: dict[str, object] = {}

    def follow(self, block: Block) -> None:
        """Runs, or checks, a block."""
        where = f"{self.page.name}:{block.line}"
        if block.language == "text":
            for line in block.code.strip().splitlines():
                like = ".*".join(re.escape(part) for part in line.strip().split("..."))
                assert re.search(rf"^\s*{like}\s*$", self.said, re.MULTILINE), f"{where}: {line}\nnot in\n{self.said}"
            return
        for word, rest in block.notes:
            if word == "make":
                kind, path = rest.split()
                make(kind, Path(path))
            elif word == "sh":
                self._shell(rest, io.StringIO())
            elif word == "add":
                command, _, options = rest.partition(" ")
                self._added[command] = shlex.split(options)
        needs = block.note("needs")
        if block.language == "python":
            self._python(block)
        elif block.note("not") is not None or (needs and importlib.util.find_spec(needs) is None):
            assert block.note("not") is None or re.match(r"run: \w.{8}", block.note("not")), f"{where}: give a reason"
            for command in block.commands():
                check(command, where)
        else:
            self._commands(block, where)

    def _commands(self, block: Block, where: str) -> None:
        said, code, expected = io.StringIO(), 0, int(block.note("exit") or 0)
        commands = block.commands()
        assert commands, f"{where}: no command"
        for i, command in enumerate(commands):
            if expected != 2:
                check(command, where)
            code = self._serve(command, block.note("until"), said) if block.note("until") else self._run(command, said)
            wanted = expected if i == len(commands) - 1 else 0
            assert code == wanted, f"{where}: {command}\nexit code {code}, not {wanted}\n{said.getvalue()}"
            assert "Traceback" not in said.getvalue(), said.getvalue()
        self.said = said.getvalue().replace("\r", "\n")

    def _run(self, command: str, said: io.StringIO) -> int:
        words = shlex.split(command, comments=True)
        if not re.search(r"[|<>;&$]", re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", command)):
            if words[0] == "scenetex":
                return self._inside(lambda: main(self._more(words[1:])), said)
            if words[0] == "python" and words[1] == "tools/texture_scene.py":
                return self._inside(lambda: _script(words[1], self._more(["texture", *words[2:]])[1:]), said)
            if words[0] == "python" and words[1].startswith("tools/"):
                return self._inside(lambda: _script(words[1], words[2:]), said)
        return self._shell(command, said)

    def _more(self, words: list[str]) -> list[str]:
        return words if "--help" in words else [*words, *self._added.get(words[0], [])]

    def _inside(self, call, said: io.StringIO) -> int:
        """Exit code of a call in this process, where the libraries are loaded."""
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                return call()
            except SystemExit as stop:
                return stop.code or 0

    def _shell(self, command: str, said: io.StringIO) -> int:
        """Exit code of a command in a shell that finds this Python and this package."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        there = os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=there)
        said.write(done.stdout + done.stderr)
        return done.returncode

    def _serve(self, command: str, until: str, said: io.StringIO) -> int:
        """Exit code of a command that is interrupted once it has said something."""
        words = [sys.executable, "-m", *shlex.split(command, comments=True), "--no-open", "--port", str(_free_port())]
        there = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=there) as run:
            try:
                for line in run.stdout:
                    said.write(line)
                    if until in line:
                        os.kill(run.pid, signal.SIGINT)
                return run.wait(60)
            finally:
                run.kill()

    def _python(self, block: Block) -> None:
        # Blank lines before it: tracebacks name the page's own lines.
        code = "\n" * (block.line - 1) + block.code
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, str(self.page), "exec"), self._names)
        self.said = said.getvalue()


def _script(path: str, arguments: list[str]) -> int:
    before = sys.argv, list(sys.path)
    heard = {number: signal.getsignal(number) for number in ENDING}
    sys.argv = [path, *arguments]
    try:
        runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before
        # At its end a command hears none of them, and what is ignored is so in all processes that follow.
        for number, handler in heard.items():
            signal.signal(number, handler)
    return 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def check(command: str, where: str) -> None:
    """Options of all calls of scenetex in a shell command are ones that it takes; extras to install are there."""
    for call in scenetex_calls(command):
        call = [re.sub(r"\$\{?(\w+)\}?", lambda m: SLURM.get(m[1], m[0]), word) for word in call]
        if call[0] in ("-h", "--help"):
            continue
        assert call[0] in OPTIONS, f"{where}: {command}"
        if "--help" not in call:
            parse(OPTIONS[call[0]], call[0], call[1:])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for asked in re.findall(r"(?:scenetex|\.)\[([\w,]+)\]", command):
        assert set(asked.split(",")) <= set(extras), f"{where}: {command}"


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder that looks like a copy of the repository."""
    for name in ("scenes", "tools", "scenetex", "constraints.txt", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_every_block_runs(page, desk):
    reader = Reader(page)
    for block in read_blocks(page):
        reader.follow(block)


def test_every_command_is_there():
    shown = [c for page in PAGES for b in read_blocks(page) if b.language == "sh" for c in b.commands()]
    used = {call[0] for command in shown for call in scenetex_calls(command)}
    assert used >= set(COMMANDS) == set(OPTIONS)


@EVERY
def test_options_in_the_text_exist(page):
    kinds = [OPTIONS[name] for name in OPTIONS if name != "evaluate"] + [*_union(evaluate_command.Options)]
    known = {f"--{f.name.replace('_', '-')}" for kind in kinds for f in fields(kind)} | {"--help", "--version", DEBUG}
    known |= {f"--no-{name[2:]}" for name in known}
    given = {word for span in re.findall(r"`(--[^`]+)`", prose(page)) for word in re.findall(r"--[a-z][\w-]*", span)}
    assert given - known - {"--array"} == set()


def _union(kind) -> list[type]:
    """The dataclasses of a union of annotated ones."""
    found = []
    for part in get_args(kind):
        found += [part] if isinstance(part, type) else _union(part)
    return [part for part in found if hasattr(part, "__dataclass_fields__")]


def readme_blocks(page: Path = ROOT / "README.md") -> list[Block]:
    return [b for b in read_blocks(page, ("bash", "python", "")) if b.language == "bash"]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_quick_start_works_in_a_terminal_that_has_only_that(tmp_path):
    """As it stands, but for the repository's name; cloning and installing are stood in for, see `doc_installation`."""
    script = readme_blocks()[0].code
    assert script.startswith("git clone <this repository> scenetex && cd scenetex\n")
    (tmp_path / "bin").mkdir()
    git, installation = tmp_path / "bin" / "git", ROOT / "tests" / "doc_installation.py"
    git.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{installation}" "{os.pathsep.join(sys.path)}" "$@"\n')
    git.chmod(0o755)
    # No folder that has a scenetex, as that of this environment.
    without = [p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / "scenetex").exists()]
    done = subprocess.run(
        ["bash", "-e", "-c", script.replace("<this repository>", str(ROOT)) + "command -v python scenetex\n"],
        cwd=tmp_path,
        env={"PATH": os.pathsep.join([str(git.parent), *without]), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    clone = tmp_path / "scenetex"
    assert done.stdout.splitlines()[-2:] == [str(clone / ".venv" / "bin" / name) for name in ("python", "scenetex")]
    assert said.count("output/sample_room: ") == 2, said
    report = json.loads((clone / "output" / "sample_room" / "report.json").read_text())
    assert f'--prompt "{report["prompt"]}"' in script
    # What it says to look at.
    paths = re.findall(r"`(output/[^`]+)`", prose(ROOT / "README.md").split("## Quick start")[1].split("\n## ")[0])
    assert len(paths) >= 2 and all((clone / path).is_file() for path in paths), paths


@EVERY
def test_tools_and_their_options_are_there(page):
    blocks = read_blocks(page, ("bash", "sh", "python", "text", ""))
    for command in (c for b in blocks if b.language in ("bash", "sh") for c in b.commands()):
        for tool, given in re.findall(r"python (tools/\S+)([^#]*)", command):
            code = (ROOT / tool).read_text()
            for option in set(re.findall(r"--([a-z][\w-]*)", given)) - {"help"} if "texture_scene" not in tool else ():
                assert re.search(rf"\b{option.replace('-', '_')}: ", code), f"{page.name}: {tool} --{option}"


def test_a_result_holds_the_files_that_are_named(desk):
    assert main(["texture", "scenes/sample_room", "--output=output", "--keyframes=3", "--texture-size=1024"]) == 0
    text = (ROOT / "docs" / "first-room.md").read_text()
    rows = re.search(r"^\| in `output/sample_room/.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)[1]
    named = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in rows.splitlines()))
    assert len(named) >= 6
    for name in named:
        pattern = re.sub(r"<[^>]+>", "*", name if not re.fullmatch(r"\.[a-z]+", name) else f"textured{name}")
        assert list(Path("output/sample_room").glob(pattern)), name


def test_commands_of_the_readme_parse():
    commands = [command for block in readme_blocks() for command in block.commands()]
    assert sum(len(scenetex_calls(command)) for command in commands) >= 5
    for command in commands:
        check(command, "README.md")


@EVERY
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        other = page if not file else page.parent / file
        assert other.exists(), f"{page.name}: {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", prose(other), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_the_index_lists_every_page():
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == set(names) - {"README.md"}


def test_commands_of_the_models_card_parse():
    calls = [c for b in readme_blocks(ROOT / "scenetex" / "weights" / "mini" / "README.md") for c in b.commands()]
    assert calls and sum(len(scenetex_calls(command)) for command in calls) >= 1
    launched = {}
    for command in calls:
        launched |= {name: text for name, text in re.findall(r'^(\w+)="(.*)"$', command)}
        for name, text in launched.items():
            command = command.replace(f"${name}", text)
        check(command, "mini's card")
