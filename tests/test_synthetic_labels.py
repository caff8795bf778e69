"""Labels of a scanned room are those of the exact surface."""

import json

import numpy as np
import pytest
from synthetic_rooms import quick_room

from scenetex.synthetic.labels import label_of, write_labels


@pytest.mark.parametrize(
    ("part", "label"),
    [
        ("walls", "wall"),
        ("grey sofa", "sofa"),
        ("round white wood coffee table", "coffee table"),
        ("dark oak chest of drawers", "chest of drawers"),
        ("light blue leather armchair", "armchair"),
        ("chairs", "chair"),
        ("TV bench", "TV bench"),
    ],
)
def test_labels_are_without_colour_and_wood(part, label):
    assert label_of(part) == label


def test_points_on_the_surface_belong_to_their_part_and_debris_to_none(tmp_path):
    room = quick_room()
    faces = np.flatnonzero(~room.hidden[room.surface.face_patch])[::7]
    points = room.mesh.triangles[faces].mean(1)
    write_labels(room, np.concatenate([points, [[0, 0, 50.0]]]), tmp_path, "room")
    segments = json.loads((tmp_path / "room_vh_clean_2.0.010000.segs.json").read_text())["segIndices"]
    groups = json.loads((tmp_path / "room.aggregation.json").read_text())["segGroups"]
    owner = {segment: group["label"] for group in groups for segment in group["segments"]}
    assert segments[-1] not in owner
    truth = [label_of(room.parts[part]) for part in room.face_part[faces]]
    same = [owner.get(segment, "") == label for segment, label in zip(segments, truth, strict=False)]
    assert np.mean(same) > 0.98
