"""All stages in a row: the sample room against its true colours, what the command writes, and the choice of frames."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
import trimesh
from batch_runs import rooms
from painted_box import box, photograph, pinhole, smooth_color, texel_points, walk_around
from PIL import Image

import scenetex
from scenetex import InputError, load_scene, texture_scene
from scenetex.batch import one_scene
from scenetex.cli import main as cli
from scenetex.cli import texture as texture_command
from scenetex.files.manifest import MANIFEST
from scenetex.job.photo_stages import choose_frames, depth_size, read_photos
from scenetex.job.run import run_stages
from scenetex.synthetic import read_room
from scenetex.texture.textured_mesh import TexturedMesh

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The sample room through the command line: its folder of results, the scene, and the result in memory."""
    results = []

    def remember(*arguments, **options):
        results.append(run_stages(*arguments, **options))
        return results[-1]

    output = tmp_path_factory.mktemp("textured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_scene, "run_stages", remember)
        assert texture_command.main([str(SAMPLE), "--images", "photos", "--output", str(output), "--quiet"]) == 0
    assert {p.name for p in output.iterdir()} == {"sample_room", ".stages"}
    return output / "sample_room", load_scene(SAMPLE), results[0]


def test_the_sample_rooms_colours_are_true(sample):
    _, _, result = sample
    pixel, points = texel_points(result.mesh.mesh, result.mesh.atlas)
    seen = np.flatnonzero(np.stack(result.mesh.coverage).ravel()[pixel])
    assert len(seen) > 0.88 * len(pixel)
    some = np.random.default_rng(0).choice(seen, 60_000, replace=False)
    color = np.stack(result.mesh.textures).reshape(-1, 3)[pixel[some]].astype(float)
    psnr = 10 * np.log10(255**2 / np.mean((color - read_room(SAMPLE).true_color(points[some])) ** 2))
    print(f"sample room: {psnr:.2f} dB on seen texels, {len(seen) / len(pixel):.4f} seen")
    assert psnr >= 30


def test_everything_is_written(sample):
    folder, scene, _ = sample
    assert {p.name for p in folder.iterdir()} == {
        *(
            "textured.glb",
            "textured.obj",
            "textured.mtl",
            "textured.png",
            "views",
            "report.json",
            "preview.png",
            "sources.png",
            MANIFEST,
        )
    }
    ids = {str(frame.id) for frame in scene.frames}
    assert {p.name for p in (folder / "views").iterdir()} == {"cameras.json", *(f"{i}.png" for i in ids)}
    with Image.open(folder / "preview.png") as sheet:
        assert sheet.size[0] == 1840 and sheet.size[1] > 600
        assert np.asarray(sheet).std() > 20


def test_cameras_are_written_for_their_images(sample):
    folder, scene, _ = sample
    cameras = json.loads((folder / "views" / "cameras.json").read_text())
    assert set(cameras) == {str(frame.id) for frame in scene.frames}
    for frame in scene.frames:
        camera = cameras[str(frame.id)]
        assert set(camera) == {"width", "height", "intrinsics", "cam_to_world", "keyframe"}
        with Image.open(folder / "views" / f"{frame.id}.png") as image:
            assert image.size == (camera["width"], camera["height"]) == frame.camera.size
        assert camera["keyframe"] is True
        intrinsics, pose = np.array(camera["intrinsics"]), np.array(camera["cam_to_world"])
        assert intrinsics.shape == (3, 3) and pose.shape == (4, 4)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-5)
        # The sample's poses are exact, so refinement has nothing to do.
        np.testing.assert_allclose(intrinsics, frame.camera.intrinsics, rtol=1e-9)
        np.testing.assert_allclose(pose, frame.cam_to_world, atol=1e-9)
    some = scene.frames[7]
    np.testing.assert_array_equal(cv2.imread(str(folder / "views" / f"{some.id}.png"))[..., ::-1], some.read_color())


def test_the_report_says_what_was_done(sample):
    folder, scene, result = sample
    report = json.loads((folder / "report.json").read_text())
    assert report["scene"] == "sample_room" and report["images"] == report["frames"] == len(scene.frames)
    assert report["faces"] == len(scene.mesh.faces) and report["vertices"] == len(scene.mesh.vertices)
    assert report["faces_without_area"] == int((result.mesh.atlas.page < 0).sum())
    assert report["texture_size"] == 2048 and report["texture_pages"] == 1
    covered = sum(int(mask.sum()) for mask in result.mesh.coverage)
    assert report["coverage"] == pytest.approx(covered / report["texels"], abs=1e-4)
    assert report["texels"] == len(texel_points(result.mesh.mesh, result.mesh.atlas)[0])
    assert report["pose_refinement"]["accepted"] is False and report["pose_refinement"]["error_before"] < 5
    assert report["texels_seen"] == report["coverage"]
    filled = report["texels"] - covered
    assert report["texels_by_source"] == {"photo": covered, "generated": 0, "filled": filled}
    assert report["settings"]["texels_per_metre"] == report["texels_per_metre"] > 0
    assert report["faces_textured"] == report["faces"] - report["faces_without_area"]
    assert report["seconds"]["total_with_reused"] == report["seconds"]["total"]
    seconds = report["seconds"]
    assert {"load", "keyframes", "photos", "refine", "unwrap", "render", "export", "preview", "total"} <= set(seconds)
    assert all(value >= 0 for value in seconds.values()) and seconds["total"] >= max(seconds.values())
    assert {"hash", "check", "paint"} <= set(seconds) and report["reused"] == report["notes"] == []
    assert 100 < report["peak_memory_mb"] < 8000
    assert report["versions"]["scenetex"] == scenetex.__version__ and "numpy" in report["versions"]
    assert report["settings"]["keyframes"] == "auto" and report["settings"]["refine_poses"] is True


def test_the_obj_is_the_scans_mesh_with_a_texture(sample):
    folder, scene, result = sample
    text = (folder / "textured.obj").read_text()
    vertices = np.array([line.split()[1:4] for line in text.splitlines() if line.startswith("v ")], float)
    np.testing.assert_array_equal(vertices, scene.mesh.vertices)
    faces = np.array(re.findall(r"^f (\d+)/\d+ (\d+)/\d+ (\d+)/\d+$", text, re.MULTILINE), int) - 1
    np.testing.assert_array_equal(faces, scene.mesh.faces[result.mesh.atlas.page >= 0])

    loaded = trimesh.load(folder / "textured.obj", process=False)
    assert isinstance(loaded, trimesh.Trimesh) and len(loaded.faces) == len(faces)
    image = np.asarray(loaded.visual.material.image.convert("RGB"))
    np.testing.assert_array_equal(image, result.mesh.textures[0])
    assert loaded.visual.uv.min() >= 0 and loaded.visual.uv.max() <= 1
    np.testing.assert_array_equal(loaded.triangles, scene.mesh.triangles[result.mesh.atlas.page >= 0])


def test_the_glb_is_the_same_room_with_y_up(sample):
    folder, scene, result = sample
    loaded = trimesh.load(folder / "textured.glb", force="mesh", process=False)
    aligned = scene.aligned().mesh.vertices
    expected = np.stack([aligned[:, 0], aligned[:, 2], -aligned[:, 1]], 1)
    used = np.unique(scene.mesh.faces[result.mesh.atlas.page >= 0])
    np.testing.assert_allclose(loaded.bounds[1] - loaded.bounds[0], np.ptp(expected[used], axis=0), atol=1e-3)
    assert loaded.bounds[0][1] == pytest.approx(expected[used, 1].min(), abs=1e-3), "the floor is at the bottom"
    image = np.asarray(loaded.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert image.shape == (2048, 2048, 3)
    assert np.abs(image - result.mesh.textures[0]).mean() < 4, "a JPEG of the page"
    np.testing.assert_allclose(loaded.area, scene.mesh.face_areas[result.mesh.atlas.page >= 0].sum(), rtol=1e-4)


def painted_scan(folder: Path, shift: float = 0.0, size=(320, 240)) -> Path:
    """The painted box as an extracted scan; its written poses are off by `shift` metres and as many degrees x 50."""
    mesh, poses = box(), walk_around(12)
    rng = np.random.default_rng(4)

    def pattern(points):
        waves = np.sin(points @ (rng_directions * 18).T).sum(1)
        return smooth_color(points) + 14 * waves[:, None]

    rng_directions = rng.normal(size=(5, 3))
    rng_directions /= np.linalg.norm(rng_directions, axis=1, keepdims=True)
    photos = photograph(mesh, poses, pinhole(size), size, pattern)
    wrong = {}
    for i, pose in enumerate(poses):
        axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
        wrong[i * 5] = pose.copy()
        wrong[i * 5][:3, :3] = pose[:3, :3] @ cv2.Rodrigues(np.radians(50 * shift) * axis)[0]
        wrong[i * 5][:3, 3] += shift * way
    tiny_scan.write_extracted(folder, wrong, depth=False, size=size)
    tiny_scan.write_ply(next(folder.glob("*.ply")), mesh.vertices, mesh.faces)
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", pinhole(size))
    for i, photo in enumerate(photos):
        cv2.imwrite(str(folder / "color" / f"{i * 5}.jpg"), photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    return folder


def test_wrong_poses_are_refined_unless_told_not_to(tmp_path):
    scene = load_scene(painted_scan(tmp_path / "room", shift=0.02))
    on = run_stages(scene, texture_size=256)
    off = run_stages(scene, texture_size=256, refine_poses=False)
    assert on.refinement.accepted and on.refinement.error_after < 0.5 * on.refinement.error_before
    assert off.refinement is None
    given = np.stack([frame.cam_to_world for frame in scene.frames])
    np.testing.assert_array_equal(off.views.cam_to_world, given)
    assert np.abs(on.views.cam_to_world - given).max() > 0.004
    truth = walk_around(12)[:, :3, :3]
    angle = {k: np.abs(v.views.cam_to_world[:, :3, :3] - truth).mean() for k, v in (("on", on), ("off", off))}
    assert angle["on"] < 0.75 * angle["off"]
    # Depth maps are coarser than the photos; fields of view agree.
    width, height = on.views.size
    assert on.images[0].shape == (240, 320, 3) and width / height == pytest.approx(320 / 240, rel=0.02)


def test_a_scene_in_a_textured_mesh_out(tmp_path):
    scene = load_scene(painted_scan(tmp_path / "room"))
    textured = texture_scene(scene, texture_size=128, keyframes="6")
    assert isinstance(textured, TexturedMesh) and textured.mesh is scene.mesh
    assert textured.atlas.size == 128 and np.mean(textured.coverage) > 0.3
    with pytest.raises(TypeError, match="colour"):
        texture_scene(scene, colour="red")


def test_photos_of_other_sizes_than_their_cameras_are_refused(scan):
    cv2.imwrite(str(scan / "color" / "10.jpg"), np.full((96, 128, 3), (40, 90, 10), np.uint8))
    with pytest.raises(InputError, match=r"10\.jpg: image is 128x96, its camera 64x48; resize it"):
        read_photos(load_scene(scan), [2, 10, 100])


def test_photos_of_other_cameras_are_brought_to_the_size_of_the_first(scan):
    scene = load_scene(scan)
    cv2.imwrite(str(scan / "color" / "10.jpg"), np.full((96, 128, 3), (40, 90, 10), np.uint8))
    frames = tuple(replace(f, camera=f.camera.resized((128, 96))) if f.id == 10 else f for f in scene.frames)
    scene = replace(scene, frames=frames)
    photos = read_photos(scene, [2, 10, 100])
    assert {p.shape for p in photos} == {(48, 64, 3)}
    np.testing.assert_allclose(photos[1].mean((0, 1)), [10, 90, 40], atol=3)
    assert {p.shape for p in read_photos(scene, [10, 2])} == {(96, 128, 3)}


def test_photos_come_in_the_order_of_the_ids(scan):
    calls = []
    photos = read_photos(load_scene(scan), [100, 2], lambda: calls.append(1))
    assert [round(p[..., 0].mean()) for p in photos] == pytest.approx([100, 2], abs=2) and len(calls) == 2


@pytest.mark.parametrize(
    ("keyframes", "ids"),
    [
        *[("auto", [2, 10, 100]), ("all", [2, 10, 100]), ("every:2", [2, 100]), ("3", [2, 10, 100])],
        *[("100,2", [2, 100]), ("10,", [10]), (" 10 , 2 ", [2, 10])],
    ],
)
def test_frames_are_chosen_as_asked(scan, keyframes, ids):
    assert choose_frames(load_scene(scan), keyframes) == ids


def test_long_trajectories_are_thinned_out(tmp_path, monkeypatch):
    monkeypatch.setattr("scenetex.job.photo_stages.ALL_PHOTOS", 8)
    monkeypatch.setattr("scenetex.job.photo_stages.LOOKS", 1)
    poses = {i: tiny_scan.look(0.1 * i) for i in range(60)}
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room", poses, depth=False))
    chosen = choose_frames(scene, "auto")
    assert 2 < len(chosen) < 40 and chosen == sorted(set(chosen))
    assert len(choose_frames(scene, "all")) == 60


@pytest.mark.parametrize("keyframes", ["", "some", "1.5", "every:", "every:-2", "2;10", "0", "2,x", "2,3"])
def test_bad_choices_of_frames_are_one_line(scan, keyframes):
    with pytest.raises(InputError) as error:
        choose_frames(load_scene(scan), keyframes)
    assert "\n" not in str(error.value) and (re.search(r"keyframes|frame 3|every|count", str(error.value)))


def test_a_scene_without_photos_is_an_input_error(tmp_path):
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room", color=False))
    with pytest.raises(InputError, match="has no photo; add one"):
        run_stages(scene, texture_size=128)


@pytest.mark.parametrize(
    ("photo", "depth_map"),
    [((640, 480), (320, 240)), ((5, 1), (2, 1)), ((12_000, 9000), (2400, 1800)), ((30_000, 100), (15_000, 50))],
)
def test_depth_maps_of_very_large_photos_leave_off(photo, depth_map):
    assert depth_size(photo) == depth_map
    assert photo[1] < 100 or abs(photo[0] / photo[1] / (depth_map[0] / depth_map[1]) - 1) < 0.01


def test_frames_that_are_asked_for_but_not_there_are_said(tmp_path, capsys):
    (scan,) = rooms(tmp_path / "scans", "room")
    options = ["--output", str(tmp_path / "out"), "--texture-size", "64", "--no-preview", "--formats", "obj"]
    for count, says in (("5000", "5000 keyframes asked for, but there are 3 frames; 3 were taken"), ("3", "")):
        assert texture_command.main([str(scan), *options, "--keyframes", count]) == 0
        said = capsys.readouterr().err
        assert (f"{scan.name}: {says}\n" in said) if says else "asked for" not in said
        notes = json.loads((tmp_path / "out" / scan.name / "report.json").read_text())["notes"]
        assert [note for note in notes if "asked for" in note] == [says] * bool(says)
    assert cli.main(["evaluate", "photos", str(scan), "--keyframes", "7"]) == 0
    assert "7 keyframes asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("texture_size", 0),
        ("texture_size", 2048.5),
        ("texels_per_metre", float("inf")),
        ("packer", "cut"),
        ("keyframes", 5),
    ],
)
def test_options_from_python_are_checked_before_any_work(scan, option, value, monkeypatch):
    monkeypatch.setattr("scenetex.job.photo_stages.choose_frames", lambda *_: pytest.fail("work has begun"))
    with pytest.raises(InputError, match=f"^{option} "):
        texture_scene(load_scene(scan), **{option: value})
