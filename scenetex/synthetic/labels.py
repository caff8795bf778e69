"""What a scan's vertices belong to, in the two files that ScanNet gives beside a mesh."""

import json
from pathlib import Path

import numpy as np

from .palette import COLORS, WOODS
from .room import Room

_NEAR = 0.05  # metres; what lies farther from every surface is debris, which belongs to nothing
_FIRST = (*sorted({*COLORS, *WOODS}, key=len, reverse=True), "round", "single", "double", "leather", "wood")


def write_labels(room: Room, points: np.ndarray, folder: Path, name: str) -> None:
    """Writes ``<name>_vh_clean_2.0.010000.segs.json`` and ``<name>.aggregation.json``.

    Every patch of the exact surface is a segment, every piece of furniture an object of its own.

    Args:
        room: the room.
        points: (n, 3) the scanned mesh's vertices in the room's frame, metres.
        folder: the scan's.
        name: the scan's.
    """
    _, face, far = room.closest(points)
    # Patch 0 has a segment number, too: what is near nothing gets the one after the last.
    segment = np.where(far < _NEAR, room.surface.face_patch[face], len(room.surface.part))
    groups = []
    for part, said in enumerate(room.parts):
        segments = np.unique(segment[(segment < len(room.surface.part))])
        segments = segments[room.surface.part[segments] == part]
        if said and len(segments):
            groups.append({"id": part, "objectId": part, "segments": segments.tolist(), "label": label_of(said)})
    mesh = f"{name}_vh_clean_2.0.010000.segs.json"
    about = {"params": {"segMinVerts": "1"}, "sceneId": name, "segIndices": segment.tolist()}
    (folder / mesh).write_text(json.dumps(about, separators=(",", ":")) + "\n", encoding="utf-8")
    listed = {"sceneId": name, "appId": "scenetex", "segGroups": groups, "segmentsFile": mesh}
    (folder / f"{name}.aggregation.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def label_of(part: str) -> str:
    """What a part of a room is called without its colour, wood or shape: "sofa" for "grey sofa"."""
    said = part
    while first := next((word for word in _FIRST if said.startswith(f"{word} ")), None):
        said = said.removeprefix(f"{first} ")
    return {"walls": "wall", "chairs": "chair"}.get(said, said)
