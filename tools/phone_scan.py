"""Copies a scan of ScanNet's layout with photos as a phone in a walking hand would have taken them.

    python tools/phone_scan.py scenes/sample_room --output /tmp/phone_room

Meant for exact photos, as `tools/make_room.py` makes them: what a texture loses to exposure, lens, shutter, noise and
passers-by is then measured against the photos themselves.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.files.output import output_folder
from scenetex.process.console import say
from scenetex.process.interrupt import as_process
from scenetex.scene.load import load_scene
from scenetex.synthetic import Phone, phone_photos

PROGRAM = "phone_scan"
_QUALITY = 92


@dataclass(frozen=True)
class Arguments:
    """Copies a scan of ScanNet's layout with photos as a phone in a walking hand would have taken them."""

    scan: Annotated[Path, tyro.conf.Positional]
    """The scan, a folder with color, pose, ..."""
    output: Path
    """Folder to write; its name becomes the scene's."""
    phone: Phone = field(default_factory=Phone)
    """The phone."""


def main() -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        arguments = parse(Arguments, PROGRAM, None)
        write_phone_scan(arguments.scan, arguments.output, arguments.phone)
        say(f"{arguments.output}: written")
        return 0

    return guarded(PROGRAM, work)


def write_phone_scan(scan: Path, output: Path, phone: Phone) -> None:
    """The command's work. Raises `InputError` where `scan` is no extracted ScanNet scene, or `output` not free."""
    scene = load_scene(scan)
    if not (scan / "color").is_dir():
        raise InputError(f"{scan}: has no folder color; pass a scan of ScanNet's layout, as make_room writes it")
    frames = [frame for frame in scene.frames if frame.color]
    poses, intrinsics = [f.cam_to_world for f in frames], [f.camera.intrinsics for f in frames]
    taken = phone_photos([f.read_color() for f in frames], [f.id for f in frames], intrinsics, poses, phone)
    with output_folder(output, "scan") as folder:
        shutil.copytree(scan, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("color"))
        for path in folder.glob(f"{scan.resolve().name}*"):  # files that carry the scene's name
            os.rename(path, folder / path.name.replace(scan.resolve().name, output.resolve().name, 1))
        (folder / "color").mkdir()
        for frame, photo in zip(frames, taken, strict=True):
            _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            (folder / "color" / f"{frame.id}.jpg").write_bytes(data.tobytes())


if __name__ == "__main__":
    sys.exit(as_process(main))
