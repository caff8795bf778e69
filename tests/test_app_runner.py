"""The page's process: real runs of tiny scans, what it tells, how it is stopped, and that its death is one line."""

import os
import signal
import threading
from pathlib import Path

import pytest
from batch_runs import left, partial, rooms

from scenetex import InputError
from scenetex.app.runner import Runner, Stopped
from scenetex.job.options import TextureOptions


@pytest.fixture(scope="module")
def runner():
    runner = Runner()
    yield runner
    runner.close()
    assert runner._process is None


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    return rooms(tmp_path_factory.mktemp("scans"), "room")[0]


def options(output: Path, **more) -> TextureOptions:
    quick = {"texture_size": 64, "keyframes": "2", "preview": False, "formats": "glb,obj"}
    return TextureOptions(output=output, **quick | more)


def test_a_run_makes_what_the_command_makes_and_tells_of_it(runner, room, tmp_path):
    told = []
    outcome = runner.run(room, options(tmp_path / "out"), lambda *message: told.append(message))
    assert outcome.state == "done" and (tmp_path / "out" / "room" / "textured.glb").is_file()
    assert told[0] == ("starting", 0, None)
    assert {"load", "check", "photos", "unwrap", "paint", "export"} <= {stage for stage, _, _ in told}
    assert all(steps is None or 0 <= done <= steps for _, done, steps in told)
    assert runner.run(room, options(tmp_path / "out"), lambda *_: None).state == "kept", "by the same process"


def test_denoising_is_told_step_by_step(runner, room, tmp_path):
    told = []
    more = {"prompt": "a red room", "steps": 3, "image_size": "64x48", "between": 0, "device": "cpu"}
    runner.run(room, options(tmp_path / "out", **more), lambda *message: told.append(message))
    steps = [(done, total) for stage, done, total in told if stage == "generate" and total]
    assert steps[0] == (0, 3) and max(steps) == (3, 3)


def test_bad_input_is_one_line_and_the_process_goes_on(runner, room, tmp_path):
    process = runner._process
    with pytest.raises(InputError, match="nowhere: no such file or folder") as error:
        runner.run(tmp_path / "nowhere", options(tmp_path / "out"), lambda *_: None)
    assert "\n" not in str(error.value)
    assert runner.run(room, options(tmp_path / "out"), lambda *_: None).state == "done"
    assert runner._process is process


def test_a_run_can_be_stopped_by_whose_it_is_and_the_next_one_works(runner, room, tmp_path):
    runner.run(room, options(tmp_path / "out"), lambda *_: None, "me")
    before = left(tmp_path / "out")
    assert not runner.stop("me"), "nothing is running"
    heard = []

    def stop(stage: str, done: int, steps: int | None) -> None:
        if stage == "generate" and not heard:
            heard.extend([runner.stop("somebody else"), runner.stop("me")])

    more = {"prompt": "a red room", "steps": 500, "device": "cpu"}
    with pytest.raises(Stopped, match="stopped; what was there before is still there"):
        runner.run(room, options(tmp_path / "out", **more), stop, "me")
    assert heard == [False, True]
    assert left(tmp_path / "out") == before and not partial(tmp_path / "out")
    assert runner.run(room, options(tmp_path / "out"), lambda *_: None, "me").state == "kept"


def test_a_process_that_dies_is_one_line(runner, room, tmp_path):
    def kill(stage: str, done: int, steps: int | None) -> None:
        if stage == "photos":
            os.kill(runner._process.pid, signal.SIGKILL)

    with pytest.raises(InputError, match=r"ended by itself, with code -9; if memory was short"):
        runner.run(room, options(tmp_path / "out"), kill)
    assert runner.run(room, options(tmp_path / "out"), lambda *_: None).state == "done"


def test_runs_of_several_threads_follow_each_other(runner, room, tmp_path):
    states = []

    def work(name: str) -> None:
        states.append(runner.run(room, options(tmp_path / name), lambda *_: None, name).state)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert states == ["done", "done"]
