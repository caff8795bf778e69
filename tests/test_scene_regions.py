"""Regions by name: labels and objects of ScanNet's files, boxes, masks; one line for what is none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import write_extracted

import scenetex
from scenetex.errors import InputError
from scenetex.scene.regions import find_regions, regions

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


@pytest.fixture
def room(tmp_path) -> Path:
    """The tiny room of eight vertices and ten faces, with two objects."""
    folder = write_extracted(tmp_path / "room")
    write(folder, [7, 7, 7, 7, 9, 9, 3, 3], [(0, "wall", [7]), (17, "chair", [9]), (2, "chair", [3, 4])])
    return folder


def write(folder: Path, segments, groups) -> None:
    (folder / "room_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": segments}))
    listed = [{"id": n, "objectId": n, "label": label, "segments": parts} for n, label, parts in groups]
    (folder / "room.aggregation.json").write_text(json.dumps({"segGroups": listed}))


def test_faces_belong_to_what_two_of_their_corners_do(room):
    scene = scenetex.load_scene(room)
    owner = np.array([0, 0, 0, 0, 17, 17, 2, 2])[scene.mesh.faces]
    truth = [max(set(row), key=list(row).count) if len(set(row)) < 3 else -1 for row in owner.tolist()]
    found = regions(scene)
    for number in (0, 2, 17):
        assert (found[f"instance:{number}"] == (np.array(truth) == number)).all()
    assert (found["label:chair"] == (found["instance:17"] | found["instance:2"])).all()
    labels = [name for name in found if ":" in name]
    assert labels == ["label:chair", "label:wall", "instance:0", "instance:2", "instance:17"]


def test_labels_may_be_numbers(room):
    write(room, [7, 7, 7, 7, 9, 9, 3, 3], [(0, "wall", [7]), (1, "40", [9]), (2, "5", [3])])
    labels = [name for name in regions(scenetex.load_scene(room)) if ":" in name]
    assert labels == ["label:40", "label:5", "label:wall", "instance:0", "instance:1", "instance:2"]


def test_the_sample_room_knows_its_furniture():
    scene = scenetex.load_scene(SAMPLE)
    found, area = regions(scene), scene.mesh.face_areas
    assert {"floor", "walls", "ceiling", "label:sofa", "label:rug", "label:bookshelf", "instance:12"} <= set(found)
    # A rug is part of the floor for who asks by geometry.
    floor = found["label:floor"] | found["label:rug"]
    assert area[found["floor"] & floor].sum() > 0.93 * area[found["floor"] | floor].sum()
    assert area[found["walls"] & found["label:wall"]].sum() > 0.9 * area[found["label:wall"]].sum()


def test_boxes_and_masks(room):
    scene = scenetex.load_scene(room)
    centre = scene.mesh.triangles.mean(1)
    inside = find_regions(scene, ["box:0,-9,-9,9,9,9"])["box:0,-9,-9,9,9,9"]
    assert (inside == (centre[:, 0] >= 0)).all() and inside.any() and not inside.all()
    assert (find_regions(scene, ["box:9,9,9,0,-9,-9"])["box:9,9,9,0,-9,-9"] == inside).all()
    np.save(room / "mask.npy", inside)
    assert (find_regions(scene, [str(room / "mask.npy")])[str(room / "mask.npy")] == inside).all()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("label:zebra", "region 'label:zebra' is not there; choose .*label:chair.*box:"),
        ("instance:99", "region 'instance:99' is not there"),
        ("box:1,2,3", "give box:X0,Y0,Z0,X1,Y1,Z1 in metres"),
        ("box:a,b,c,d,e,f", "give box:X0"),
        ("box:nan,0,0,1,1,1", "give box:X0"),
        ("box:50,50,50,51,51,51", "has no face of room"),
        ("nowhere.npy", "nowhere.npy: cannot be read"),
    ],
)
def test_names_that_mean_nothing(room, name, says):
    with pytest.raises(InputError, match=says):
        find_regions(scenetex.load_scene(room), [name])


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones(9, bool), r"bool of shape \(9,\), but the mesh has 10 faces"),
        (np.ones((10, 1), bool), r"shape \(10, 1\)"),
        (np.ones(10), "float64 of shape"),
        (np.zeros(10, bool), "marks no face"),
        (np.array([None] * 10), "cannot be read"),
    ],
)
def test_masks_that_do_not_fit(room, mask, says):
    np.save(room / "mask.npy", mask, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        find_regions(scenetex.load_scene(room), [str(room / "mask.npy")])


@pytest.mark.parametrize(
    ("segments", "groups", "says"),
    [
        ([7] * 9, [], "segments of 9 vertices, but the mesh has 8"),
        ([7] * 7 + ["x"], [], "segIndices is no list of whole numbers"),
        ([7] * 7 + [True], [], "segIndices is no list of whole numbers"),
        ([7] * 8, [(-1, "wall", [7])], "a group has no objectId and label"),
        ([7] * 8, [(1, 5, [7])], "a group has no objectId and label"),
        ([7] * 8, [(1, "wall", "all")], "segments of object 1 is no list"),
    ],
)
def test_label_files_that_do_not_fit(room, segments, groups, says):
    write(room, segments, groups)
    with pytest.raises(InputError, match=says):
        regions(scenetex.load_scene(room))


def test_label_files_that_are_no_json_or_not_both_there(room):
    groups = room / "room.aggregation.json"
    groups.write_text("{")
    with pytest.raises(InputError, match=r"aggregation\.json: .*; download it again"):
        regions(scenetex.load_scene(room))
    groups.write_text('{"segGroups": 5}')
    with pytest.raises(InputError, match="has no list segGroups"):
        regions(scenetex.load_scene(room))
    groups.unlink()
    assert not any(":" in name for name in regions(scenetex.load_scene(room)))


def test_a_scan_of_a_name_that_globs(room, tmp_path):
    odd = tmp_path / "room[1]"
    shutil.copytree(room, odd)
    for path in odd.glob("room*"):
        path.rename(odd / path.name.replace("room", "room[1]", 1))
    assert "label:chair" in regions(scenetex.load_scene(odd))
