"""The written scan: ScanNet's layout and conventions, whole or not at all, and its recipe."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_rooms import QUICK, psnr, quick_room

import scenetex
from scenetex import InputError
from scenetex.files.manifest import MANIFEST
from scenetex.synthetic import ScanNoise, ScanSettings, read_room, write_scan

TINY = ScanSettings(
    frames=5,
    step=10,
    color_size=(120, 90),
    depth_size=(60, 44),
    samples=2,
    quality=95,
    noise=ScanNoise(spacing=0.15, wall_spacing=0.25, holes=2, floaters=1),
)
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans") / "study_07"
    return folder, write_scan(quick_room(3), folder, TINY)


def matrix(path: Path) -> np.ndarray:
    """Read as ScanNet's own tools do: numbers between blanks, one row a line."""
    return np.array([[float(x) for x in line.split()] for line in path.read_text().splitlines()])


def info(folder: Path) -> dict[str, str]:
    return dict(line.split(" = ") for line in (folder / f"{folder.name}.txt").read_text().splitlines())


def test_the_folder_has_scannets_layout(written):
    folder, _ = written
    assert sorted(p.name for p in folder.iterdir()) == [
        *(MANIFEST, "color", "depth", "intrinsic", "pose", "room.json", "study_07.aggregation.json", "study_07.txt"),
        *("study_07_vh_clean_2.0.010000.segs.json", "study_07_vh_clean_2.ply"),
    ]
    ids = [0, 10, 20, 30, 40]
    for sub, suffix in (("color", "jpg"), ("depth", "png"), ("pose", "txt")):
        assert {p.name for p in (folder / sub).iterdir()} == {f"{i}.{suffix}" for i in ids}
    assert {p.name for p in (folder / "intrinsic").iterdir()} == {
        f"{what}_{kind}.txt" for what in ("intrinsic", "extrinsic") for kind in ("color", "depth")
    }
    fields = info(folder)
    assert (fields["colorWidth"], fields["colorHeight"], fields["numColorFrames"]) == ("120", "90", "5")
    assert float(fields["fx_color"]) == matrix(folder / "intrinsic" / "intrinsic_color.txt")[0, 0]
    assert matrix(folder / "pose" / "0.txt").shape == (4, 4)


def test_the_world_is_the_first_cameras_and_axis_alignment_leads_back(written):
    folder, room = written
    np.testing.assert_allclose(matrix(folder / "pose" / "0.txt"), np.eye(4), atol=1e-6)
    alignment = np.array(info(folder)["axisAlignment"].split(), float).reshape(4, 4)
    np.testing.assert_allclose(alignment @ room.world_from_room, np.eye(4), atol=1e-5)
    assert np.abs(alignment[2, :3] - (0, 0, 1)).max() > 0.5, "the world is not aligned by itself"
    mesh = scenetex.load_scene(folder).mesh
    aligned = mesh.vertices @ alignment[:3, :3].T + alignment[:3, 3]
    low, high = np.array(room.plan.corners).min(0), np.array(room.plan.corners).max(0)
    assert (aligned[:, :2] > low - 0.3).all() and (aligned[:, :2] < high + 0.3).all()
    assert -0.02 < aligned[:, 2].min() and aligned[:, 2].max() < room.plan.height + 0.02


def test_the_scene_loads_and_its_photos_show_the_true_colours(written):
    folder, room = written
    scene = scenetex.load_scene(folder)
    assert scene.name == "study_07" and [f.id for f in scene.frames] == [0, 10, 20, 30, 40]
    for frame in scene.frames:
        photo, depth = frame.read_color(), frame.read_depth()
        assert photo.shape == (90, 120, 3) and depth.shape == (44, 60)
        k, pose = frame.depth_camera.intrinsics, frame.cam_to_world
        v, u = np.nonzero(depth)
        z = depth[v, u].astype(float)
        world = (
            np.stack([(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z], 1) @ pose[:3, :3].T + pose[:3, 3]
        )
        local = (world - pose[:3, 3]) @ pose[:3, :3] @ frame.camera.intrinsics.T
        at = (local[:, :2] / local[:, 2:]).astype(np.float32)
        inside = (at > 1).all(1) & (at < (118, 88)).all(1)
        seen = cv2.remap(photo, at[inside][None], None, cv2.INTER_LINEAR)[0]
        # Photos average over pixels and go through JPEG, so edges differ; the middle of the errors does not.
        apart = np.abs(seen - room.true_color(world[inside])).max(1)
        assert np.median(apart) < 4 and np.quantile(apart, 0.8) < 16


def test_depth_is_in_millimetres_and_glass_returns_none(written):
    folder, room = written
    from scenetex.synthetic import render_room

    camera = TINY.depth_camera()
    window = room.parts.index("window")
    glass_seen = 0
    for i in (0, 20, 40):
        pose = np.linalg.inv(room.world_from_room) @ matrix(folder / "pose" / f"{i}.txt")
        _, depth, face = render_room(room, camera, pose)
        stored = cv2.imread(str(folder / "depth" / f"{i}.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        solid = stored > 0
        assert np.quantile(np.abs(stored[solid] - 1000 * depth[0][solid]), 0.995) <= 1.5
        assert set(room.face_part[face[0][~solid]]) <= {window}
        glass_seen += (~solid).sum()
    assert glass_seen > 0


def test_the_recipe_rebuilds_the_room(written):
    folder, room = written
    recipe = json.loads((folder / "room.json").read_text())
    assert recipe["seed"] == 3 and recipe["settings"] == asdict(QUICK) and recipe["description"] == room.description
    again = read_room(folder)
    np.testing.assert_array_equal(again.mesh.vertices, room.mesh.vertices)
    np.testing.assert_array_equal(again.world_from_room, room.world_from_room)
    np.testing.assert_array_equal(again.light, room.light)


def test_the_same_room_writes_the_same_bytes(written, tmp_path):
    folder, _ = written
    write_scan(quick_room(3), tmp_path / "study_07", TINY)
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "study_07" / path.relative_to(folder)).read_bytes(), path.name


def test_exposure_jitter_brightens_and_darkens_photos(written, tmp_path):
    folder, _ = written
    write_scan(quick_room(3), tmp_path / "study_07", replace(TINY, exposure_jitter=0.2))
    gains = []
    for i in (0, 10, 20, 30, 40):
        one, other = (cv2.imread(str(f / "color" / f"{i}.jpg")).astype(float) for f in (folder, tmp_path / "study_07"))
        dark = one.max(2) < 170
        gains.append(other[dark].mean() / one[dark].mean())
    assert np.std(np.log(gains)) > 0.05


def test_an_earlier_scan_is_replaced_and_anything_else_refused(tmp_path):
    target = tmp_path / "room"
    quick = replace(TINY, frames=1, color_size=(16, 12), depth_size=(8, 6))
    write_scan(quick_room(3), target, quick)
    write_scan(quick_room(3), target, replace(quick, frames=2))
    assert len(list((target / "color").iterdir())) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(InputError, match=r"mine: .*choose another output folder"):
        write_scan(quick_room(3), tmp_path / "mine", quick)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "room"]


def test_a_failure_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("stop")

    monkeypatch.setattr("scenetex.synthetic.scan_writer._scene_text", fail)
    with pytest.raises(RuntimeError, match="stop"):
        write_scan(quick_room(3), tmp_path / "room", replace(TINY, frames=1, color_size=(16, 12)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(TINY, frames=0), "frames 0 must be greater than 0"),
        (replace(TINY, color_size=(0, 12)), "color_size 0 must be greater than 0"),
        (replace(TINY, quality=101), "quality 101 must lie between 1 and 100"),
        (replace(TINY, noise=ScanNoise(spacing=0)), "spacing 0 must be greater than 0"),
        (replace(TINY, noise=ScanNoise(holes=-1)), "holes -1 must not be negative"),
    ],
)
def test_bad_scan_settings_are_one_line(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        write_scan(quick_room(3), tmp_path / "room", settings)
    assert list(tmp_path.iterdir()) == []


def test_bad_recipes_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"room\.json: cannot be read"):
        read_room(tmp_path)
    for text in ("{", "[]", '{"seed": 1}', '{"seed": 1, "settings": {"x": 1}, "world_from_room": []}'):
        (tmp_path / "room.json").write_text(text)
        with pytest.raises(InputError, match=r"room\.json: is no recipe of a room") as error:
            read_room(tmp_path)
        assert "\n" not in str(error.value)


def test_the_tool_reports_bad_input_in_one_line_with_exit_code_2(tmp_path):
    command = [sys.executable, str(REPOSITORY / "tools" / "make_room.py"), "--output", str(tmp_path / "room")]
    done = subprocess.run([*command, "--room.kind", "stable"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("make_room: ") and "choose from" in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_sample_room_is_small_and_its_recipe_still_makes_it():
    folder = REPOSITORY / "scenes" / "sample_room"
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 5_000_000
    scene, room = scenetex.load_scene(folder), read_room(folder)
    assert len(scene.frames) >= 24 and 50_000 < len(scene.mesh.faces) < 100_000
    # A change of the generator that makes another room of the seed must come with a new sample.
    from scenetex.synthetic import render_room

    frame = scene.frames[len(scene.frames) // 2]
    small = frame.camera.resized((160, 120))
    pose = np.linalg.inv(room.world_from_room) @ frame.cam_to_world
    photo = cv2.resize(frame.read_color(), (160, 120), interpolation=cv2.INTER_AREA)
    assert psnr(photo, render_room(room, small, pose, samples=4)[0][0]) > 33
    points = scene.mesh.triangles[:: len(scene.mesh.faces) // 2000].mean(1)
    room_from_world = np.linalg.inv(room.world_from_room)
    distance = room.closest(points @ room_from_world[:3, :3].T + room_from_world[:3, 3])[2]
    assert np.median(distance) < 0.002 and np.quantile(distance, 0.98) < 0.02
