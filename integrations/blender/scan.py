"""The open scene as a scan: nerfstudio's `transforms.json` beside an OBJ file."""

import json
import re
from pathlib import Path

from .cameras import View
from .surface import Piece, label_texts, obj_text


def scan_name(name: str) -> str:
    """A scene's name as a folder's."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:80] or "scene"


def write_scan(folder: Path, pieces: list[Piece], views: list[View]) -> None:
    """Writes what `scenetex.load_scene` reads. The same scene gives the same bytes: nothing is worked out twice.

    Args:
        folder: where to; it is made. Files of an earlier scan there are replaced.
        pieces: the surface; world frame, z up, metres.
        views: the cameras; those that have photos get them beside the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = [view.entry() for view in views]
    for i, view in enumerate(views):
        if view.photo is not None:
            frames[i]["file_path"] = f"photos/{i:05d}{view.photo.suffix}"
            _write(folder / frames[i]["file_path"], view.photo.data)
    _write(folder / "scene.obj", obj_text(pieces).encode())
    for name, text in label_texts(pieces):
        _write(folder / name, text.encode())
    about = {"camera_model": "PINHOLE", "mesh": "scene.obj", "frames": frames}
    _write(folder / "transforms.json", json.dumps(about, indent=1).encode())


def _write(path: Path, data: bytes) -> None:
    """A file that holds these bytes already is left alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def image_size(view: View) -> str:
    """Size of generated images, WIDTHxHEIGHT: about as many pixels as scenetex makes by itself, in the camera's shape,
    sides that every model can work at."""
    width, height = view.size
    side = (256 * 192 * width / height) ** 0.5
    return f"{max(64, 16 * round(side / 16))}x{max(64, 16 * round(side * height / width / 16))}"
