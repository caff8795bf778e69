"""Out of memory: how it is recognised, and what is refused before it is taken."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
import torch
from batch_runs import rooms, texture

from scenetex import InputError, load_scene
from scenetex.job.photo_stages import read_photos
from scenetex.process.memory import OutOfMemory, fits, is_out_of_memory, need, ran_out
from scenetex.scene.camera import small_size
from scenetex.views.viewset import render_views


def test_every_library_is_understood():
    with pytest.raises(MemoryError) as numpy_error:
        np.empty(1 << 60, np.uint8)
    with pytest.raises(RuntimeError) as torch_error:
        torch.empty(1 << 60, dtype=torch.uint8)
    with pytest.raises(cv2.error) as cv_error:
        cv2.resize(np.zeros((8, 8), np.uint8), (1 << 30, 1 << 30))
    errors = [numpy_error.value, torch_error.value, cv_error.value, torch.OutOfMemoryError("CUDA out of memory. ...")]
    assert all(map(is_out_of_memory, errors)), [error for error in errors if not is_out_of_memory(error)]
    assert not any(map(is_out_of_memory, [RuntimeError("shape mismatch"), InputError("x"), KeyboardInterrupt()]))


def limited(program: str, megabytes: int, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the program in a process that may have so many megabytes more than it has when it says `limit()`."""
    head = (
        "import resource, sys\n"
        "def limit():\n"
        "    held = int(next(l for l in open('/proc/self/status') if l.startswith('VmSize')).split()[1]) * 1024\n"
        f"    resource.setrlimit(resource.RLIMIT_AS, (held + ({megabytes} << 20), resource.RLIM_INFINITY))\n"
    )
    given = [sys.executable, "-c", head + program, *arguments]
    return subprocess.run(given, capture_output=True, text=True, cwd=Path(__file__).parents[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's count of the address space")
@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_photo_that_memory_is_short_for_is_not_called_damaged(tmp_path, kind):
    photo = tmp_path / f"large{kind}"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8))
    program = (
        "from pathlib import Path\n"
        "from scenetex.scene.image_source import ImageSource, decode_color\n"
        "import numpy, cv2\n"
        "limit()\n"
        "try:\n"
        "    print(decode_color(ImageSource(Path(sys.argv[1])), (2000, 1500), 'the photo').shape)\n"
        "except MemoryError as error:\n"
        "    print('memory:', error)\n"
    )
    assert limited(program, 4000, str(photo)).stdout == "(1500, 2000, 3)\n"
    for megabytes in (1, 9, 10, 17):  # ten is enough for the photo's header, not for what tells how much is left
        assert limited(program, megabytes, str(photo)).stdout.startswith("memory: ")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's count of the address space")
def test_a_command_that_memory_is_short_for_says_so_in_a_line(tmp_path):
    (scan,) = rooms(tmp_path / "scans", "room")
    program = (
        "from scenetex.job import run\n"
        "from scenetex.cli.texture import main\n"
        "import numpy, cv2, embreex.rtcore_scene, uvunwrap\n"
        "limit()\n"
        "sys.exit(main([sys.argv[1], '--output', sys.argv[2], '--images', 'photos', '--quiet']))\n"
    )
    run = limited(program, 60, str(scan), str(tmp_path / "out"))
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "out of memory in stage" in run.stderr, run.stderr
    assert not list(tmp_path.rglob("*.partial")) and not (tmp_path / "out" / "room").exists()


def test_what_nobody_has_is_refused_before_it_is_taken(tmp_path):
    with pytest.raises(OutOfMemory, match=r"9 views: needs about [\d,]+ MB of memory, more than there is"):
        need(1 << 60, "9 views:")
    need(1 << 20, "a little")
    assert is_out_of_memory(OutOfMemory()) and not fits(float("inf")) and fits(0)
    assert ran_out(MemoryError(), 1 << 60) and not ran_out(MemoryError(), 1 << 10), "the latter is damage"
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room"))
    with pytest.raises(OutOfMemory, match=r"3 views of 3000000 x 3000000 pixels"):
        render_views(scene, size=(3_000_000, 3_000_000))


def test_photos_that_are_more_than_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room"))
    monkeypatch.setattr("scenetex.process.memory._available", lambda: 3 * 64 * 48 * 3 - 1)
    monkeypatch.setattr("scenetex.scene.frame.decode_color", lambda *_: pytest.fail("read"))
    with pytest.raises(OutOfMemory, match="3 photos"):
        read_photos(scene, [2, 10, 100])


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ((640, 480), (160, 120)),
        ((480, 640), (160, 213)),
        ((1, 2000), (1, 640)),
        ((2000, 1), (160, 1)),
        ((3, 4000), (1, 640)),
    ],
)
def test_the_depth_maps_of_a_strip_are_no_larger_than_those_of_a_photo(photo, expected):
    assert small_size(photo, 160) == expected


def test_a_scan_of_strips_takes_no_more_memory_than_others(tmp_path, capsys):
    scan = tiny_scan.write_extracted(tmp_path / "room", depth=False, size=(1, 2000))
    tiny_scan.write_ply(scan / "room_vh_clean_2.ply", faces=tiny_scan.ROOM_FACES[:, ::-1])
    assert tiny_scan.peak_bytes(lambda: texture([scan], tmp_path / "out")) < 200 << 20
