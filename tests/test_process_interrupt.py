"""Ctrl-C at any moment: exit code 130, at most one line, from the process and those it has started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCENE = ROOT / "scenes" / "sample_room"
# As typed in a terminal: the whole group of processes gets the signal, and nobody ignores it.
TERMINAL = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
PROGRAM = """
import os, signal, sys
from scenetex.cli import guarded
from scenetex.process.interrupt import as_process

def press():
    os.kill(os.getpid(), signal.SIGINT)

{body}

sys.exit(as_process(lambda: guarded("test", work)))
"""


STARTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
print("started", flush=True)
from scenetex.__main__ import main
sys.exit(main())
"""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}


def interrupted(command: list[str], after: float, number: int = signal.SIGINT) -> tuple[int, str]:
    """Exit code, and what stderr got, of a command that gets a signal so many seconds after Python has started up."""
    # While Python itself starts, nothing of this package's can be in the way of its tracebacks.
    words = [sys.executable, "-c", STARTED, *command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), **TERMINAL) as run:
        try:
            assert run.stdout.readline() == b"started\n"
            time.sleep(after)
            if run.poll() is None:
                os.killpg(run.pid, number)
            _, said = run.communicate(timeout=100)
        finally:
            run.kill()
    return run.returncode, said.decode()


def run(body: str, *modules: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": os.pathsep.join([*map(str, modules), str(ROOT), *sys.path])},
        timeout=60,
        **TERMINAL,
    )


@pytest.mark.parametrize("after", [0.02, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.1, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_a_command_ends_quietly(after, more, tmp_path):
    command = ["texture", str(SCENE), "--output", str(tmp_path / "out"), "--quiet", "--no-preview"]
    code, said = interrupted([*command, *more], after)
    assert code in (0, 130) or (code, said) == (-signal.SIGINT, ""), said  # it may have been done, or hardly begun
    assert said.count("\n") <= 1 and "Traceback" not in said, said
    assert code != 130 or "interrupted" in said
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("after", [0.5, 1.5, 3.0, 5.0])
def test_so_does_one_that_loads_a_model(after, tmp_path):
    command = ["texture", str(SCENE), "--output", str(tmp_path / "out"), "--prompt", "a red room", "--quiet"]
    code, said = interrupted(command, after)
    assert code == 130 and said.count("\n") == 1 and "interrupted" in said, said
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("after", [0.05, 0.4, 1.0, 2.5])
@pytest.mark.parametrize("command", ["texture", "evaluate", "train"])
def test_a_scheduler_ends_it_as_quietly(after, command, tmp_path):
    given = {
        "texture": [str(SCENE), "--output", str(tmp_path / "out"), "--prompt", "a red room", "--quiet"],
        "evaluate": ["model", "mini", "--rooms", "1", "--quiet"],
        "train": ["autoencoder", "--output", str(tmp_path / "out"), "--image-size", "64", "48", "--quiet"],
    }
    code, said = interrupted([command, *given[command]], after, signal.SIGTERM)
    assert code == 143 or (code, said) == (-signal.SIGTERM, ""), said  # hardly begun
    assert said.count("\n") <= 2 and "Traceback" not in said and "rror" not in said, said
    assert not list(tmp_path.rglob("*.partial")) and not list(tmp_path.rglob("failed.json"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def test_other_signals_do_not_disturb_an_import_either(number, ctrl_c, tmp_path):
    """In the background of a script, where Ctrl-C is not heard, as well."""
    (tmp_path / "first.py").write_text(
        f"import os\nos.kill(os.getpid(), {number:d})\nprint('first')\nimport second\nprint('no')\n"
    )
    (tmp_path / "second.py").write_text("print('no')\n")
    words = [sys.executable, "-c", PROGRAM.format(body="def work():\n    import first\n    return 0")]
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), *sys.path])}
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, ctrl_c)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment() | path, timeout=60, **heard)
    assert (done.returncode, done.stdout) == (128 + number, "first\n"), done.stderr
    assert done.stderr == "test: interrupted; nothing half-written was left\n"


def test_what_fails_because_of_a_signal_is_no_failure_of_the_scene(tmp_path):
    """Libraries make errors of their own of it."""
    done = run(f"""
from pathlib import Path
from scenetex.batch import process
from scenetex.job.stages import Stages, silent
from scenetex.job.options import TextureOptions

def failing(*args, **options):
    try:
        press()
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

process.load_scene = failing

def work():
    process.attempt(Path("room"), TextureOptions(output=Path({str(tmp_path / "out")!r})), silent)
    print("no")
""")
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert not list(tmp_path.rglob("failed.json"))


def test_what_was_begun_is_tidied_up():
    done = run("""
def work():
    try:
        press()
        print("not reached")
    finally:
        print("tidied up")
""")
    assert (done.returncode, done.stdout) == (130, "tidied up\n")
    assert done.stderr == "test: interrupted; nothing half-written was left\n"


def test_one_that_is_swallowed_comes_again():
    done = run("""
class Thing:
    def __del__(self):
        press()

def work():
    thing = Thing()
    del thing
    import time
    time.sleep(20)
    return 0
""")
    assert done.returncode == 130 and done.stderr.count("\n") == 1, done.stderr


def test_an_import_is_not_disturbed_but_ended(tmp_path):
    (tmp_path / "first.py").write_text(
        "import __main__\n__main__.press()\nprint('first')\nimport second\nprint('no')\n"
    )
    (tmp_path / "second.py").write_text("print('no')\n")
    done = run("def work():\n    import first\n    return 0", tmp_path)
    assert (done.returncode, done.stdout) == (130, "first\n"), done.stderr


def test_an_import_that_is_only_tried_does_not_hide_it(tmp_path):
    (tmp_path / "first.py").write_text(
        "import __main__, time\n__main__.press()\ntry:\n    import second\nexcept BaseException:\n    pass\n"
        "time.sleep(0.5)\ntry:\n    import second\nfinally:\n    print('ended')\nprint('no')\n"
    )
    (tmp_path / "second.py").write_text("print('no')\n")
    done = run("def work():\n    import first\n    return 0", tmp_path)
    assert (done.returncode, done.stdout) == (130, "ended\n"), done.stderr


def test_a_library_that_makes_another_error_of_it():
    done = run("""
def work():
    try:
        press()
    except KeyboardInterrupt:
        raise RuntimeError("initialization failed") from None
""")
    assert done.returncode == 130 and done.stderr.count("\n") == 1, done.stderr


def test_several_at_once_are_one_and_a_late_one_ends_it_at_once():
    body = """
import time
def work():
    try:
        press()
    finally:
        press()
        print("tidied up", flush=True)
        time.sleep({seconds})
        press()
        print("still there")
"""
    assert run(body.format(seconds=0)).stdout == "tidied up\nstill there\n"
    late = run(body.format(seconds=1.2))
    assert (late.returncode, late.stdout) == (130, "tidied up\n")


def test_a_thread_that_cannot_be_stopped_does_not_keep_the_process():
    done = run("""
import threading, time
def work():
    threading.Thread(target=time.sleep, args=(50,)).start()
    press()
""")
    assert done.returncode == 130


def test_where_it_is_ignored_it_stays_ignored():
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    words = [sys.executable, "-c", PROGRAM.format(body="def work():\n    press()\n    return 7")]
    assert subprocess.run(words, env=environment(), **ignoring).returncode == 7


def test_in_a_python_program_signals_are_left_alone():
    from scenetex.cli.main import main

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM), sys.unraisablehook, list(sys.meta_path)
    assert main(["texture", "no/such/scene", "--output", "x"]) == 2
    assert before == (
        *(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)),
        *(sys.unraisablehook, list(sys.meta_path)),
    )
