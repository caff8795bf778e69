"""Scans to train on: frames, depth, photos and prompts of a scene in ScanNet layout."""

import shutil

import cv2
import numpy as np
import pytest
import tiny_scan
from synthetic_rooms import psnr, quick_room

from scenetex import InputError
from scenetex.data.scans import ScanFolder
from scenetex.synthetic.scan_noise import ScanNoise
from scenetex.synthetic.scan_writer import ScanSettings, write_scan

SIZE = (64, 48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two scans: a room of seven frames, ids 0, 8, ..., 48, with a prompt for some, and a bare one of three frames."""
    folder = tmp_path_factory.mktemp("scans")
    settings = ScanSettings(
        frames=7,
        step=8,
        color_size=(128, 96),
        depth_size=(96, 72),
        samples=1,
        noise=ScanNoise(spacing=0.2, wall_spacing=0.4, noise=0.0, holes=0, floaters=0, duplicates=0.0, unseen=True),
    )
    write_scan(quick_room(3), folder / "furnished", settings)
    (folder / "furnished" / "prompt").mkdir()
    (folder / "furnished" / "prompt" / "000016.txt").write_text("frame sixteen\n\n  the other words \n")
    (folder / "furnished" / "prompt.txt").write_text("a room\n")
    bare = tiny_scan.write_extracted(folder / "bare")
    (bare / "prompt.txt").write_text("a bare box\n")
    (folder / ".hidden").mkdir()
    (folder / "notes.txt").write_text("not a scene")
    return folder


def test_scenes_take_turns(folder):
    scans = ScanFolder(str(folder), SIZE, views=3)
    assert [path.name for path in scans.scenes] == ["bare", "furnished"]
    samples = [scans.sample(i) for i in range(4)]
    assert [sample.prompts[0][0] for sample in samples[::2]] == ["a bare box"] * 2
    for sample in samples:
        assert sample.images.shape == (3, 48, 64, 3) and sample.views.size == SIZE
    again = ScanFolder(str(folder), SIZE, views=3).sample(3)
    assert np.array_equal(again.images, samples[3].images) and again.views.frame_ids == samples[3].views.frame_ids


def test_frames_are_about_twenty_apart(folder):
    runs = {ScanFolder(str(folder), SIZE, views=3, seed=seed).sample(1).views.frame_ids for seed in range(12)}
    # Ids are 8 apart: every second frame is nearest to 20, wherever the run starts.
    assert runs == {(start, start + 16, start + 32) for start in (0, 8, 16)}
    assert ScanFolder(str(folder), SIZE, views=9).sample(1).views.frame_ids == (0, 16, 32, 48)


def test_prompts_are_the_frames_own_or_the_scenes(folder):
    sample = ScanFolder(str(folder), SIZE, views=9).sample(1)
    own = ("frame sixteen", "the other words")
    assert sample.prompts == (("a room",), own, ("a room",), ("a room",))
    words = ScanFolder(str(folder), SIZE).words()
    assert words == {"a", "room", "bare", "box", "frame", "sixteen", "the", "other", "words"}


def test_images_are_the_photos_and_depth_that_of_the_mesh(folder):
    sample = ScanFolder(str(folder), SIZE, views=9).sample(1)
    for frame, image in zip(sample.views.frame_ids, sample.images, strict=True):
        photo = cv2.imread(str(folder / "furnished" / "color" / f"{frame}.jpg"))[..., ::-1]
        assert psnr(image, photo.reshape(48, 2, 64, 2, 3).mean((1, 3))) > 45
    assert np.abs(np.linalg.norm(sample.views.normal[sample.views.face_id >= 0], axis=-1) - 1).max() < 1e-5


def test_sensor_depth_is_seen_from_the_colour_camera(folder):
    rendered, sensor = (
        ScanFolder(str(folder), SIZE, depth, views=9).sample(1).views for depth in ("rendered", "sensor")
    )
    both = (rendered.depth > 0) & (sensor.depth > 0)
    assert both.mean() > 0.6
    apart = np.abs(rendered.depth - sensor.depth)[both] / rendered.depth[both]
    # The mesh is coarse, and at edges either surface may come first.
    assert np.median(apart) < 0.01 and (apart < 0.05).mean() > 0.9
    # The depth camera sees less than the colour camera: the rest is unknown.
    assert (sensor.depth[:, 0] == 0).mean() > (rendered.depth[:, 0] == 0).mean()


def test_sensor_depth_at_a_size_finer_than_its_own_has_no_holes(folder):
    views = ScanFolder(str(folder), (256, 192), "sensor", views=9).sample(1).views
    middle = views.depth[:, 60:130, 80:180]
    assert views.depth.shape[1:] == (192, 256) and (middle > 0).mean() > 0.95


def test_frames_without_depth_are_left_out(tmp_path):
    up = np.eye(4)
    up[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    poses = {0: tiny_scan.look(0.0), 20: tiny_scan.look(0.5) @ up, 40: tiny_scan.look(1.0)}
    scene = tiny_scan.write_extracted(tmp_path / "room", poses=poses)
    (scene / "prompt.txt").write_text("a box without a lid")
    assert ScanFolder(str(tmp_path), SIZE, views=3).sample(0).views.frame_ids == (0, 40)
    with pytest.raises(InputError, match="2 of the frames 0 to 40 have rendered depth, but a step takes 3"):
        ScanFolder(str(tmp_path), SIZE, views=3, least=3).sample(0)
    for path in (scene / "depth").iterdir():
        cv2.imwrite(str(path), np.zeros((48, 64), np.uint16))
    with pytest.raises(InputError, match=r"room: 0 of the frames 0 to 40 have sensor depth"):
        ScanFolder(str(tmp_path), SIZE, "sensor", views=3).sample(0)


def test_how_many_views_a_run_needs_does_not_change_what_is_kept(folder):
    assert repr(ScanFolder(str(folder), least=3)) == repr(ScanFolder(str(folder), least=2))


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({}, "room: has no prompts; write prompt.txt"),
        ({"prompt.txt": "\n \n"}, "prompt.txt: is empty"),
        ({"prompt.txt": "a room\n" + "red " * 250_000}, "prompt.txt: sentence 2 has 999,999 characters; choose 4,000"),
        ({"prompt.txt": "ein grüner Raum".encode("latin-1")}, "prompt.txt: is no text in UTF-8"),
        ({"prompt/2.txt": "one frame only"}, "frame 10 has no prompt; add prompt/10.txt or prompt.txt"),
    ],
)
def test_prompts_that_are_missing_are_named(scan, prompts, words):
    (scan / "prompt").mkdir()
    for name, text in prompts.items():
        (scan / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=words) as error:
        ScanFolder(str(scan.parent), SIZE).sample(0)
    assert len(str(error.value)) < 300 and "\n" not in str(error.value)


def test_scenes_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        ScanFolder(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="holds no scenes"):
        ScanFolder(str(tmp_path))
    (tmp_path / "data" / "junk").mkdir(parents=True)
    (tmp_path / "data" / "junk" / "prompt.txt").write_text("a room")
    with pytest.raises(InputError, match="junk"):
        ScanFolder(str(tmp_path / "data"), SIZE).sample(0)


def test_a_rendered_scan_can_be_trained_on(shared_data, tmp_path):
    (tmp_path / "livingroom").mkdir()
    for path in (shared_data / "livingroom").iterdir():
        (tmp_path / "livingroom" / path.name).symlink_to(path)
    (tmp_path / "livingroom" / "prompt.txt").write_text("a living room with a sofa")
    for depth in ("rendered", "sensor"):
        sample = ScanFolder(str(tmp_path), (128, 96), depth, views=4, allow_outside=True).sample(0)
        assert len(sample) == 4 and (sample.views.depth > 0).mean() > 0.8
        assert sample.images.std() > 20
    shutil.rmtree(tmp_path / "livingroom")
