"""No module of the package needs Linux: statically, and by a run in which nothing is that Windows lacks."""

import ast
import json
import ntpath
import os
import subprocess
import sys
from pathlib import Path

import hidden_unix
import pytest

from scenetex.batch.scenes import find_scenes
from scenetex.errors import InputError
from scenetex.files.reading import lies_in
from scenetex.limits import read_paint

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "scenetex").rglob("*.py"))
UNIX = {f"os.{name}" for name in hidden_unix.OF_OS} | {f"signal.{name}" for name in hidden_unix.OF_SIGNAL}
# Where a flag that is looked up before says that it is there.
GUARDED = {
    "files/locks.py": {"os.O_CLOEXEC", "os.O_NONBLOCK", "os.O_NOFOLLOW"},
    "process/interrupt.py": {
        "signal.SIGHUP",
        "signal.SIGALRM",
        "signal.setitimer",
        "signal.ITIMER_REAL",
        "signal.pthread_sigmask",
        "signal.SIG_BLOCK",
        "signal.SIG_SETMASK",
    },
}


def imports(tree: ast.AST) -> set[str]:
    """Unix modules that are imported without an `except ImportError` around it."""
    tried = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("ImportError" in ast.dump(handler) for handler in node.handlers)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in tried:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node not in tried:
            found.add(node.module)
    return found & hidden_unix.MODULES


def unix_names(tree: ast.AST) -> set[str]:
    """Names of `os` and `signal` that only Unix has."""
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & UNIX


def texts_without_encoding(tree: ast.AST) -> list[int]:
    """Lines in which text is read or written in whatever encoding the system prefers."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        modes = [part.value for part in [*call.args[:2], given.get("mode")] if isinstance(part, ast.Constant)]
        own = name == "read_text" and isinstance(call.func, ast.Name)  # files.reading
        binary = any(isinstance(mode, str) and "b" in mode for mode in modes) or ast.unparse(call.func) == "os.open"
        text = name in ("read_text", "write_text") and not own
        if name == "open" and isinstance(call.func, ast.Name):
            text = not binary
        if name in ("run", "Popen") and ({"text", "universal_newlines"} & set(given)):
            text = True
        if text and "encoding" not in given:
            found.append(call.lineno)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "scenetex").as_posix())
def test_no_module_needs_unix(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imports(tree), "import it where ImportError is caught"
    assert unix_names(tree) == GUARDED.get(path.relative_to(ROOT / "scenetex").as_posix(), set())
    assert not texts_without_encoding(tree), "say encoding='utf-8'"


def test_what_is_looked_for_is_found():
    tree = ast.parse(
        "import fcntl\ntry:\n    import resource\nexcept ImportError:\n    resource = None\nfrom pwd import getpwuid\n"
        "os.fork()\nopen('a')\nopen('a', 'rb')\np.write_text('x')\nread_text(p)\nsubprocess.run(['a'], text=True)\n"
    )
    assert imports(tree) == {"fcntl", "pwd"} and unix_names(tree) == {"os.fork"}
    assert texts_without_encoding(tree) == [8, 10, 12]


def without_unix(*arguments: str, **more) -> subprocess.CompletedProcess:
    words = [sys.executable, str(ROOT / "tests" / "hidden_unix.py"), *arguments]
    # A console that knows ASCII alone, and a locale that is not UTF-8.
    plain = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    return subprocess.run(
        words, capture_output=True, encoding="utf-8", env=os.environ | plain | {"OMP_NUM_THREADS": "1"}, **more
    )


SMALL = ("--texture-size", "256", "--no-preview", "--quiet", "--formats", "glb,obj")
GENERATED = ("--prompt", "a red room", "--steps", "1", "--image-size", "64x48", "--between", "0", "--device", "cpu")


@pytest.mark.parametrize("more", [("--no-refine-poses",), GENERATED, ("--workers", "1", "--no-refine-poses")])
def test_a_scene_is_textured_without_it(tmp_path, more):
    command = ["texture", str(ROOT / "scenes" / "sample_room"), "--keyframes", "2", *SMALL, *more]
    command += ["--output", str(tmp_path / "out")]
    first = without_unix(*command)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "out" / "sample_room"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (folder / "textured.glb").is_file() and report["peak_memory_mb"] > 50
    if "--workers" not in more:
        assert "already there" in without_unix(*command).stdout
        other = without_unix(*command, "--texture-format", "png")
        assert other.returncode == 0 and "replaced" not in other.stderr, other.stderr
    assert not list(tmp_path.rglob("*.partial")) and not list(tmp_path.rglob(".scenetex-previous"))


def test_a_lock_is_held_without_it(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hidden_unix; hidden_unix.hide()\n"
        "from pathlib import Path\n"
        "from scenetex.files.locks import Busy, hold, seize\n"
        "path = Path(sys.argv[2])\n"
        "release = hold(path / 'lock')\n"
        "try:\n    hold(path / 'lock')\nexcept Busy:\n    print('busy')\n"
        "release()\nhold(path / 'lock')()\n"
        "(path / 'new').mkdir()\n"
        "try:\n    seize(path / 'new')\nexcept Busy:\n    print('busy')\n"
        "import os; os.utime(path / 'new', (0, 0)); seize(path / 'new')(); print('left')\n"
    )
    words = [sys.executable, "-W", "ignore", "-c", program, str(ROOT / "tests"), str(tmp_path)]
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(words, capture_output=True, encoding="utf-8", env=os.environ | path)
    assert done.stdout == "busy\nbusy\nleft\n", done.stderr


def test_an_interruption_is_heard_without_it(tmp_path):
    """By a timer in a thread, where there is no alarm: what comes in an import ends it at the next module."""
    (tmp_path / "first.py").write_text(
        "import __main__\n__main__.press()\nprint('first')\nimport second\nprint('no')\n"
    )
    (tmp_path / "second.py").write_text("print('no')\n")
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import hidden_unix; hidden_unix.hide()\n"
        "import os, signal, time\n"
        "from scenetex.cli.guarded import guarded\n"
        "from scenetex.process.interrupt import as_process\n"
        "def press():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "class Thing:\n    def __del__(self):\n        press()\n"
        "def swallowed():\n    thing = Thing()\n    del thing\n    for _ in range(200):\n        time.sleep(0.05)\n"
        "def imported():\n    import first\n"
        "sys.exit(as_process(lambda: guarded('test', globals()[sys.argv[3]])))\n"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    for work, said in (("swallowed", ""), ("imported", "first\n")):
        words = [sys.executable, "-c", program, str(ROOT / "tests"), str(tmp_path), work]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", env=os.environ | path, timeout=60)
        assert (done.returncode, done.stdout) == (130, said), done.stderr
        assert done.stderr == "test: interrupted; nothing half-written was left\n"


def test_drives_and_their_letters():
    assert lies_in(r"C:\scans\room\a.jpg", r"C:\scans\room", ntpath) and not lies_in(r"D:\a", r"C:\scans", ntpath)
    assert lies_in(r"C:\a", "C:\\", ntpath) and not lies_in(r"C:\scans2", r"C:\scans", ntpath)
    assert read_paint(r"C:\masks\floor.npy: oak", "paint") == (r"C:\masks\floor.npy", "oak")
    assert read_paint("label:chair: red", "paint") == ("label:chair", "red")
    assert read_paint("box:0,0,0,1,1,1:red", "paint") == ("box:0,0,0,1,1,1", "red")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_lists_as_windows_writes_them(tmp_path, encoding):
    listed = tmp_path / "list.txt"
    listed.write_bytes("k\u00fcche # one\r\n\r\nbad\r\n".encode(encoding))
    found = find_scenes((), listed, tmp_path, None, tmp_path / "out")
    assert [path.name for path in found] == ["k\u00fcche", "bad"]


def test_lists_of_other_bytes_are_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes("k\u00fcche".encode("latin-1"))
    with pytest.raises(InputError, match="no text in UTF-8"):
        find_scenes((), tmp_path / "list.txt", tmp_path, None, tmp_path / "out")
