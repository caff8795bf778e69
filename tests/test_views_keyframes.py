"""Keyframes of trajectories whose views are known exactly."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from tiny_scan import ROOM_FACES, ROOM_VERTICES, look
from walked_wall import CAMERA, DEPTH, along, wall

from scenetex import Camera, Frame, InputError, Mesh, Scene, load_scene, select_keyframes
from scenetex.scene.image_source import ImageSource
from scenetex.views.keyframes import _thinned
from scenetex.views.sightings import Sightings, camera_motion


@pytest.mark.parametrize("cells", [1, 40])
@pytest.mark.parametrize("overlap", [0.3, 0.6, 0.8])
def test_neighbours_along_a_wall_overlap_as_asked(overlap, cells):
    positions = np.arange(0, 8, 0.04)
    keys = select_keyframes(along(positions, wall(cells)), overlap=overlap)
    steps = np.diff(positions[keys])
    # The first keyframe is the first frame, and a step of s metres leaves 1 - s / 2 of the view. The last one may be
    # added for the rest of the wall.
    assert keys[0] == 0
    np.testing.assert_allclose(1 - steps[:-1] / 2, overlap, atol=0.03)
    assert positions[-1] - positions[keys[-1]] <= 2 * (1 - overlap) + 0.06


def test_the_overlap_is_that_of_the_views():
    scene = along([0, 0.5, 2.5])
    turned = replace(scene.frames[0], id=3, cam_to_world=look(np.pi))
    sightings = Sightings(replace(scene, frames=(*scene.frames, turned)))
    np.testing.assert_allclose(sightings.overlap(0, 0), 1)
    np.testing.assert_allclose(sightings.overlap(0, 1), 0.75, atol=0.02)
    np.testing.assert_allclose(sightings.overlap(1, 0), 0.75, atol=0.02)
    assert sightings.overlap(0, 2) == sightings.overlap(0, 3) == sightings.overlap(3, 0) == 0


def test_what_stands_in_the_way_is_not_overlap():
    """A board halfway to the wall hides the left half of it from one camera, and not from the other."""
    board = np.array([[1, 0, -4], [1, 20, -4], [1, 20, 4], [1, 0, 4]], float)
    bare = wall()
    mesh = Mesh(
        np.concatenate([bare.vertices, board]),
        np.concatenate([bare.faces, np.array([[4, 5, 6], [4, 6, 7]], np.int32)]),
    )
    behind_board = replace(along([0]).frames[0], id=1, cam_to_world=look(0, (1.5, 0, 0)))
    scene = replace(along([0]), mesh=mesh, frames=(along([0]).frames[0], behind_board))
    # From 0.5 m the second camera sees 0.5 m of wall; the first sees its right half only.
    np.testing.assert_allclose(Sightings(scene).overlap(0, 1), 0.5, atol=0.03)


def test_motion_is_in_image_widths():
    scene = along([0, 1, 3])
    turned = replace(scene.frames[2], id=3, cam_to_world=look(2 * np.arctan(0.5), (0, 3, 0)))
    scene = replace(scene, frames=(*scene.frames, turned))
    np.testing.assert_allclose(camera_motion(scene, Sightings(scene)), [0, 0.5, 1.5, 2.5], rtol=1e-3)


def test_long_trajectories_are_thinned_by_motion_not_by_time():
    # 3,000 frames, 2,600 of them without moving.
    positions = np.concatenate([np.arange(200) * 0.02, np.full(2600, 3.98), 3.98 + np.arange(200) * 0.02])
    scene = along(positions)
    looks = _thinned(camera_motion(scene, Sightings(scene)))
    assert len(looks) <= 400
    assert np.diff(positions[looks]).max() <= 0.0401
    keys = select_keyframes(scene)
    np.testing.assert_allclose(np.diff(positions[keys])[:-1], 0.8, atol=0.06)


def test_a_look_aside_is_added_for_what_only_it_sees():
    positions = np.arange(0, 3, 0.1)
    scene = along(positions)
    back = Mesh(wall().vertices * [-1, 1, 1], wall().faces)
    mesh = Mesh(np.concatenate([wall().vertices, back.vertices]), np.concatenate([wall().faces, back.faces + 4]))
    # Frame 3 looks behind; the walk passes over it, since its neighbours carry on along the wall.
    frames = list(scene.frames)
    frames[3] = replace(frames[3], cam_to_world=look(np.pi, (0, 0.3, 0)))
    assert 3 in select_keyframes(replace(scene, mesh=mesh, frames=tuple(frames)))


def test_count_covers_all_sides_of_a_room():
    wide = Camera(np.array([[32.0, 0, 31.5], [0, 32.0, 23.5], [0, 0, 1]]), 64, 48)
    yaws = [*np.linspace(-0.05, 0.05, 40), np.pi / 2, np.pi, 3 * np.pi / 2]
    frames = tuple(Frame(10 * k, look(yaw), wide) for k, yaw in enumerate(yaws))
    scene = Scene("room", Mesh(ROOM_VERTICES, ROOM_FACES.astype(np.int32)), frames)
    keys = select_keyframes(scene, 4)
    assert keys[1:] == [400, 410, 420] and keys[0] < 400


def test_both_sides_of_a_paper_thin_wall():
    front = [look(0.0, (0, y, 0)) for y in (0, 0.01, 0.02)]
    behind = [look(np.pi, (2 * DEPTH, y, 0)) for y in (0, 0.01, 0.02)]
    frames = tuple(Frame(k, pose, CAMERA) for k, pose in enumerate(front + behind))
    keys = select_keyframes(Scene("wall", wall(), frames), 2)
    assert keys[0] < 3 <= keys[1]


@pytest.mark.parametrize("count", [1, 2, 7, 24, 25, 99])
def test_count_is_kept_exactly(count):
    scene = along(np.arange(25) * 0.1, first_id=100)
    keys = select_keyframes(scene, count)
    assert len(keys) == len(set(keys)) == min(count, 25)
    assert keys == sorted(keys) and set(keys) <= {frame.id for frame in scene.frames}


def test_count_is_kept_where_some_frames_see_nothing_and_others_stand_still():
    lost = tuple(Frame(2000 + k, look(np.pi), CAMERA) for k in range(5))
    scene = along(np.zeros(2000))
    scene = replace(scene, frames=scene.frames + lost)
    for count in (30, 2000, 2002):
        keys = select_keyframes(scene, count)
        # Those that see nothing come last.
        assert len(keys) == count and sum(key >= 2000 for key in keys) == max(0, count - 2000)


def test_count_leaves_neighbours_overlapping_where_it_can():
    keys = select_keyframes(along(np.arange(0, 4, 0.05)), 8)
    steps = np.diff(np.arange(0, 4, 0.05)[keys])
    assert (1 - steps / 2).min() > 0.4


def test_frames_that_look_away_are_never_chosen():
    scene = along(np.arange(0, 5, 0.05))
    wanted = select_keyframes(scene)
    frames = [replace(f, cam_to_world=look(np.pi)) if f.id in wanted else f for f in scene.frames]
    for count in (None, 6):
        assert not set(select_keyframes(replace(scene, frames=tuple(frames)), count)) & set(wanted)


def photographed(tmp_path, scene: Scene, blurred: set[int]) -> Scene:
    """The scene with photos of one noisy poster; those in `blurred` are out of focus."""
    poster = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "sharp.png"), poster)
    cv2.imwrite(str(tmp_path / "blurred.png"), cv2.GaussianBlur(poster, (0, 0), 2))
    source = {name: ImageSource(tmp_path / f"{name}.png") for name in ("sharp", "blurred")}
    frames = (replace(f, color=source["blurred" if f.id in blurred else "sharp"]) for f in scene.frames)
    return replace(scene, frames=tuple(frames))


@pytest.mark.parametrize("count", [None, 6])
def test_sharp_photos_are_preferred_to_blurred_ones_beside_them(tmp_path, count):
    step = 0.03  # less than a pixel of a glance: a photo stands in for its neighbour without leaving surface out
    plain = along(np.arange(0, 5, step))
    wanted = select_keyframes(plain, count)
    scene = photographed(tmp_path, plain, set(wanted))
    assert select_keyframes(scene, count, sharpness=False) == wanted
    keys = select_keyframes(scene, count)
    # The ends of the wall are seen from both ends of the trajectory only, and equal steps see them.
    assert not set(keys) & set(wanted) - ({0, len(plain.frames) - 1} if count else set())
    if count is None:  # the walk goes on from the sharper photo, and still overlaps about as asked
        np.testing.assert_allclose(1 - np.diff(keys)[:-1] * step / 2, 0.6, atol=0.11)


def test_all_photos_alike_leave_the_choice_to_the_views(tmp_path):
    plain = along(np.arange(0, 5, 0.05))
    wanted = select_keyframes(plain)
    assert select_keyframes(photographed(tmp_path, plain, set())) == wanted
    assert select_keyframes(photographed(tmp_path, plain, set(range(100)))) == wanted


def test_blurred_photos_are_taken_where_nothing_else_sees_the_surface(tmp_path):
    scene = along([0, 5, 10, -5])
    assert select_keyframes(photographed(tmp_path, scene, {1}), 4) == [0, 1, 2, 3]
    assert 1 not in select_keyframes(photographed(tmp_path, scene, {1}), 3)


def test_explicit_and_every():
    scene = along(np.arange(10) * 0.1, first_id=20)
    assert select_keyframes(scene, ids=[25, 22, np.int64(25)]) == [22, 25]
    assert select_keyframes(scene, every=4) == [20, 24, 28]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 3, "every": 2}, "exclude each other"),
        ({"count": 3, "ids": [1]}, "exclude each other"),
        ({"count": 3, "looks": 2}, "exclude each other"),
        ({"looks": 0}, "looks 0 is not a whole number of 1 or more"),
        ({"every": 3, "ids": [1]}, "exclude each other"),
        ({"count": 0}, "count 0 is not a whole number of 1 or more"),
        ({"count": 2.5}, "count 2.5 is not a whole number"),
        ({"every": 0}, "every 0 is not a whole number of 1 or more"),
        ({"ids": []}, "ids is empty"),
        ({"ids": [7]}, "no frame 7"),
        ({"ids": ["a"]}, "ids 'a' is not a whole number"),
        ({"overlap": 0.0}, "overlap 0.0 is not between 0 and 1"),
        ({"overlap": 1.0}, "overlap 1.0 is not between 0 and 1"),
        ({"overlap": float("nan")}, "overlap nan is not between 0 and 1"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message) as caught:
        select_keyframes(along([0, 1]), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [None, 1, 99])
def test_a_trajectory_that_sees_nothing(count):
    with pytest.raises(InputError, match="wall: no frame sees anything of the mesh"):
        select_keyframes(along([0, 1], yaw=np.pi), count)


def test_a_scene_without_frames():
    with pytest.raises(InputError, match="wall: has no frames to choose from"):
        select_keyframes(along([]))


def test_an_unreadable_photo_is_named(tmp_path):
    scene = photographed(tmp_path, along(np.arange(0, 5, 0.05)), set())
    (tmp_path / "sharp.png").write_bytes(b"no photo")
    with pytest.raises(InputError, match=r"sharp\.png: not a readable image"):
        select_keyframes(scene)
    assert len(select_keyframes(scene, sharpness=False)) > 3


@pytest.mark.parametrize("frames", [150, 1200])
@pytest.mark.parametrize("looks", [1, 2, 4])
def test_each_place_is_looked_at_so_many_times_however_many_frames_there_are(looks, frames):
    positions = np.linspace(0, 8, frames)
    keys = positions[select_keyframes(along(positions), looks=looks)]
    # A frame shows 2 m of the wall; what only its ends show asks for a few more.
    seen = (np.abs(np.linspace(0.5, 7.5, 50)[:, None] - keys) < 1).sum(1)
    assert looks <= np.median(seen) <= 2 * looks + 1 and seen.min() >= max(1, looks - 1)
    assert 4 * looks <= len(keys) <= 8 * looks + 4


def test_those_are_looked_at_first_that_are_near():
    far = along(np.linspace(0, 8, 100))
    near = [replace(f, id=100 + f.id, cam_to_world=f.cam_to_world + _forward(f, 0.5 * DEPTH)) for f in far.frames]
    keys = np.array(select_keyframes(replace(far, frames=(*far.frames, *near)), looks=2))
    places = np.linspace(0, 8, 100)[keys[keys >= 100] - 100]
    # From half as far a frame shows 1 m of the wall, at twice the resolution; the others show more of its height.
    seen = (np.abs(np.linspace(0.5, 7.5, 50)[:, None] - places) < 0.5).sum(1)
    assert seen.min() >= 1 and np.median(seen) >= 2


def _forward(frame: Frame, metres: float) -> np.ndarray:
    step = np.zeros((4, 4))
    step[:3, 3] = metres * frame.cam_to_world[:3, 2]
    return step


def test_a_place_that_one_frame_sees_is_seen():
    scene = along(np.linspace(0, 3, 200))
    aside = replace(scene.frames[0], id=200, cam_to_world=look(0, (0, 7, 0)))
    assert 200 in select_keyframes(replace(scene, frames=(*scene.frames, aside)), looks=1)


@pytest.mark.parametrize("name", ["redkitchen", "livingroom"])
def test_real_scans(shared_data, name):
    scene = load_scene(shared_data / name)
    keys = select_keyframes(scene)
    assert 6 <= len(keys) <= 35
    sightings = Sightings(scene)
    at = {frame.id: i for i, frame in enumerate(scene.frames)}
    overlaps = [sightings.overlap(at[a], at[b]) for a, b in pairwise(keys)]
    assert min(overlaps) > 0.4 and np.median(overlaps) > 0.55
