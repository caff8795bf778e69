"""Folders of other programs: each named, with the command that converts it."""

import re

import pytest
from tiny_scan import write_ply

from scenetex import InputError, load_scene
from scenetex.scene.unread_layouts import describe_foreign

FOLDERS = {
    "scene.r3d": r"Record3D: unpack it \(unzip .*scene\.r3d -d OUT\)",
    "dslr/": r"ScanNet\+\+: give it as scannetpp:ROOT#hall, ROOT being the folder above data/",
    "41069021_3dod_mesh.ply": "ARKitScenes: give it as arkitscenes:ROOT#hall",
    "lowres_wide/": "ARKitScenes: give it as arkitscenes:ROOT#hall",
    "undistorted_camera_parameters/": "Matterport3D: give it as matterport3d:ROOT#hall",
    "mesh.refined.v2.obj": "3RScan: give it as 3rscan:ROOT#hall",
    "_detail/": "Hypersim: write its poses",
    "habitat/": "Replica: write its poses",
    "traj.txt": "Replica: write its poses",
    "odometry.csv": "Stray Scanner: write its poses",
    "data.jsonl": "Spectacular AI: run sai-cli process .*hall OUT",
    "a.vrs": "Aria: run ns-process-data aria --vrs-file .*a.vrs",
    "odm_report/": "OpenDroneMap: run ns-process-data odm --data .*hall --output-dir OUT",
    "p.psx": "Metashape: export its cameras as XML .* run ns-process-data metashape --data PHOTOS --xml",
    "cameras.xml": "Metashape: run ns-process-data metashape --data PHOTOS --xml .*cameras.xml --output-dir OUT",
    "p.rcproj": "RealityCapture or RealityScan: export .* ns-process-data realitycapture --data PHOTOS --csv",
    "p.rsproj": "RealityScan: export",
    "IMG_1.xmp": "RealityScan: export",
    "cameras.csv": "RealityCapture: run ns-process-data realitycapture --data PHOTOS --csv .*cameras.csv",
    "sfm_data.json": "openMVG: run openMVG_main_openMVG2Colmap -i .*sfm_data.json -o OUT/sparse/0",
    "transforms_train.json": "NeRF: give that file itself",
    "raw.zip": "an archive: unpack it",
    "walk.MOV": "a video: run ns-process-data video --data .*walk.MOV",
    "images/": "photos without poses: run ns-process-data images --data .*images",
    "IMG_0001.HEIC": "photos without poses: run ns-process-data images --data .*hall ",
    "Scaniverse 2024.usdz": "a model without cameras, as Scaniverse, Luma, .*Polycam's raw data",
    "luma.glb": "a model without cameras",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(tmp_path, name):
    folder = tmp_path / "hall"
    folder.mkdir()
    (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    with pytest.raises(
        InputError, match=f"hall: no scene in a known layout; it looks like .*{FOLDERS[name]}"
    ) as caught:
        load_scene(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scene.r3d", "cameras.xml", "cameras.csv", "raw.zip", "walk.MOV", "a.vrs"])
def test_files(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"{re.escape(name)}: not a scene; it looks like .*: ") as caught:
        load_scene(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_names_come_as_a_shell_takes_them(tmp_path):
    folder = tmp_path / "my {scan}"
    folder.mkdir()
    (folder / "a b.r3d").touch()
    with pytest.raises(InputError) as caught:
        load_scene(folder)
    said = str(caught.value)
    assert "unzip '/" in said and "a b.r3d'" in said and "{scan}" in said


def test_nothing_known(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert describe_foreign(tmp_path) is None
    with pytest.raises(InputError, match="no scene in a known layout; it needs pose/"):
        load_scene(tmp_path)


def test_a_known_layout_is_read_whatever_lies_beside_it(scan):
    for name in FOLDERS:
        if not name.endswith("/"):
            (scan / name).touch()
    write_ply(scan / "mesh.ply")
    (scan / "mesh.refined.v2.obj").unlink()
    (scan / "frame_00000.json").touch()
    assert len(load_scene(scan).frames) == 3
