"""`.sens` streams: what a writer put in comes out, and what is cut or mutated is refused cheaply."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scan import INTRINSICS, deflated, jpeg, look, peak_bytes, sens_bytes, write_ply

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene.sens import read_sens_index

RNG = np.random.default_rng(0)
# Smooth, so that JPEG keeps them: a ramp each, of a colour of its own.
RAMP = np.linspace(0, 1, 64)[:, None] * np.ones((48, 1, 1))
PHOTOS = [(RAMP * RNG.integers(50, 255, 3)).astype(np.uint8) for _ in range(3)]
DEPTHS = [RNG.integers(0, 9000, (24, 32), np.uint16) for _ in range(3)]
LOST = np.full((4, 4), -np.inf)
POSES = [look(0.1), LOST, look(0.3, (0.5, 0, 0))]
FRAMES = [(pose, jpeg(p), deflated(d)) for pose, p, d in zip(POSES, PHOTOS, DEPTHS, strict=True)]


@pytest.fixture
def release(tmp_path):
    """Writer of a ScanNet release folder around `.sens` bytes."""

    def write(data: bytes, info: str = ""):
        folder = tmp_path / "scene0000_00"
        folder.mkdir()
        (folder / "scene0000_00.sens").write_bytes(data)
        (folder / "scene0000_00.txt").write_text(info)
        write_ply(folder / "scene0000_00_vh_clean_2.ply")
        return folder

    return write


def test_a_release_folder(release):
    folder = release(sens_bytes(FRAMES, shift=2000.0), "axisAlignment = 1 0 0 5 0 1 0 0 0 0 1 0 0 0 0 1\n")
    for scene in (load_scene(folder), load_scene(folder / "scene0000_00.sens")):
        assert scene.name == "scene0000_00"
        assert [frame.id for frame in scene.frames] == [0, 2] and scene.skipped == (1,)
        assert scene.axis_alignment[0, 3] == 5
        for frame in scene.frames:
            np.testing.assert_allclose(frame.cam_to_world, POSES[frame.id], atol=1e-6)
            np.testing.assert_allclose(frame.camera.intrinsics, INTRINSICS)
            assert (frame.camera.size, frame.depth_camera.size) == ((64, 48), (32, 24))
            np.testing.assert_allclose(frame.read_color().astype(int), PHOTOS[frame.id], atol=12)
            np.testing.assert_allclose(frame.read_depth(), DEPTHS[frame.id] / 2000, rtol=1e-6)


@pytest.mark.parametrize("depth_kind", [0, 1])
def test_raw_streams_are_exact(release, depth_kind):
    encode = deflated if depth_kind else (lambda depth: depth.astype("<u2").tobytes())
    frames = [(POSES[0], photo.tobytes(), encode(depth)) for photo, depth in zip(PHOTOS, DEPTHS, strict=True)]
    scene = load_scene(release(sens_bytes(frames, color_kind=0, depth_kind=depth_kind)))
    for frame in scene.frames:
        np.testing.assert_array_equal(frame.read_color(), PHOTOS[frame.id])
        np.testing.assert_allclose(frame.read_depth(), DEPTHS[frame.id] / 1000, rtol=1e-6)


def test_the_colour_camera_sits_on_the_rig(release):
    on_rig = look(0.05, (0.1, 0.2, 0))
    scene = load_scene(release(sens_bytes(FRAMES, extrinsic_color=on_rig)))
    np.testing.assert_allclose(scene.frames[1].cam_to_world, POSES[2] @ on_rig, atol=1e-6)
    np.testing.assert_allclose(scene.frames[1].depth_cam_to_world, POSES[2], atol=1e-6)


def test_photos_of_another_size_than_the_header_says(release):
    scene = load_scene(release(sens_bytes(FRAMES, color_size=(128, 96))))
    assert scene.frames[0].camera.size == (64, 48)
    np.testing.assert_allclose(scene.frames[0].camera.intrinsics[0, 0], 20)


def test_frames_without_photo_or_depth(release):
    frames = [(look(0), b"", b""), FRAMES[0], (look(1), FRAMES[0][1], b"")]
    scene = load_scene(release(sens_bytes(frames)))
    assert [(frame.id, frame.depth is not None) for frame in scene.frames] == [(1, True), (2, False)]


def test_depth_only_streams(release):
    scene = load_scene(release(sens_bytes([(pose, b"", depth) for pose, _, depth in FRAMES])))
    assert scene.frames[0].color is None and scene.frames[0].camera.size == (64, 48)
    assert scene.frames[0].read_depth().shape == (24, 32)


def test_occipital_depth_loads_but_says_that_it_cannot_be_read(release):
    scene = load_scene(release(sens_bytes(FRAMES, depth_kind=2)))
    assert scene.frames[0].read_color().shape == (48, 64, 3)
    with pytest.raises(InputError, match=r"\.sens: frame 0: depth is stored as occi_ushort"):
        scene.frames[0].read_depth()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"depth_kind": 9},
        {"shift": 0.0},
        {"shift": 1e-37},
        {"depth_size": (0, 0)},
    ],
)
@pytest.mark.filterwarnings("ignore::scenetex.errors.InputWarning")
def test_depth_that_nobody_can_read_does_not_keep_photos_from_being_read(release, spoilt):
    scene = load_scene(release(sens_bytes(FRAMES, **spoilt)))
    np.testing.assert_allclose(scene.frames[0].read_color().astype(int), PHOTOS[0], atol=12)
    with pytest.raises(InputError, match=r"frame 0: (has no depth image|depth is stored as number 9)"):
        scene.frames[0].read_depth()


def test_a_depth_unit_that_makes_no_sense_is_named(release):
    folder = release(sens_bytes(FRAMES, shift=0.0))
    with pytest.warns(InputWarning, match=r"\.sens: size or unit of depth .* \(goes on without depth images"):
        load_scene(folder)
    (folder / "scene0000_00_vh_clean_2.ply").unlink()  # now depth is needed
    with pytest.raises(InputError, match="size or unit of depth in its header makes no sense"):
        load_scene(folder)


def test_a_damaged_photo_is_named_with_its_frame(release):
    damaged = FRAMES[2][1][:200] + b"\0" * 500
    scene = load_scene(release(sens_bytes([FRAMES[0], (look(0), damaged, FRAMES[2][2])])))
    with pytest.raises(InputError, match=r"scene0000_00\.sens: frame 1: "):
        scene.frames[1].read_color()


def test_the_index_costs_no_memory_for_the_data(tmp_path):
    path = tmp_path / "big.sens"
    path.write_bytes(sens_bytes([(look(0), bytes(5_000_000), b"")] * 4))
    assert peak_bytes(lambda: read_sens_index(path)) < 200_000


WHOLE = sens_bytes(FRAMES)
HEADER = 12 + 12 + 4 * 64 + 2 * 4 + 4 * 4 + 4 + 8  # bytes before the first frame


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short within a header"),
        (WHOLE[:100], "cut short within a header"),
        (WHOLE[: HEADER + 50], "cut short: it announces 3 frames"),
        (WHOLE[: HEADER + 700], "cut short within frame 0: it announces 3 frames"),
        (WHOLE[:-100], "cut short within frame 2: it announces 3 frames"),
        (b"\x03" + WHOLE[1:], "not a .sens file of version 4"),
        (WHOLE[:4] + b"\xff" * 8 + WHOLE[12:], "not a .sens file of version 4"),
        (sens_bytes([]), "holds no frames"),
        (sens_bytes(FRAMES, color_kind=9), "in a way that is not known"),
        (sens_bytes(FRAMES, color_size=(0, 48)), "image size in its header makes no sense"),
        (sens_bytes([(LOST, *FRAMES[0][1:])] * 2), "tracking was lost in all 2 frames"),
        (sens_bytes([(np.diag([1, 1, -1, 1]), *FRAMES[0][1:])]), "pose of frame 0 is not a rigid transform"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(release, data, message):
    folder = release(data)
    with pytest.raises(InputError, match=message) as caught:
        load_scene(folder)
    assert "scene0000_00.sens" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [HEADER + 80, HEADER + 88, HEADER - 8])
def test_sizes_of_exabytes_are_refused_before_allocating(tmp_path, at):
    path = tmp_path / "big.sens"
    path.write_bytes(WHOLE[:at] + b"\xff" * 8 + WHOLE[at + 8 :])

    def refused():
        with pytest.raises(InputError, match="cut short"):
            read_sens_index(path)

    assert peak_bytes(refused) < 200_000


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kinds=st.tuples(st.just(0), st.sampled_from([0, 1])),
)
def test_round_trip(tmp_path_factory, seed, count, size, kinds):
    rng = np.random.default_rng(seed)
    poses = [look(*rng.normal(size=1), rng.normal(size=3)) for _ in range(count)]
    photos = rng.integers(0, 255, (count, size[1], size[0], 3), np.uint8)
    depths = rng.integers(0, 65535, (count, size[1], size[0]), np.uint16)
    encode = deflated if kinds[1] else (lambda depth: depth.astype("<u2").tobytes())
    frames = [(p, c.tobytes(), encode(d)) for p, c, d in zip(poses, photos, depths, strict=True)]
    folder = tmp_path_factory.getbasetemp() / "round_trip"
    folder.mkdir(exist_ok=True)
    (folder / "a.sens").write_bytes(sens_bytes(frames, *kinds, color_size=size, depth_size=size, shift=4000.0))
    write_ply(folder / "mesh.ply")
    scene = load_scene(folder)
    assert len(scene.frames) == count
    for frame, pose, photo, depth in zip(scene.frames, poses, photos, depths, strict=True):
        np.testing.assert_allclose(frame.cam_to_world, pose, atol=1e-6)
        np.testing.assert_array_equal(frame.read_color(), photo)
        np.testing.assert_allclose(frame.read_depth(), depth / 4000, rtol=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, HEADER + 300), st.integers(0, 255)), min_size=1, max_size=6),
    far=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 200),
)
def test_mutated_streams_give_a_scene_or_an_input_error(tmp_path_factory, edits, far, cut):
    data = bytearray(WHOLE)
    for at, value in edits + far:
        data[at] = value
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    (folder / "fuzzed.sens").write_bytes(data[: len(data) - cut])
    write_ply(folder / "mesh.ply")

    def read():
        try:
            for frame in load_scene(folder).frames:
                frame.read_color()
                if frame.depth is not None:
                    frame.read_depth()
        except InputError as error:
            assert "fuzzed" in str(error) and "\n" not in str(error)

    assert peak_bytes(read) < 20_000_000


def test_motion_behind_the_frames_is_passed_over(release, recwarn):
    data = sens_bytes(FRAMES) + (1).to_bytes(8, "little") + bytes(15 * 8 + 8)  # IMU frames, as ScanNet appends them
    assert [frame.id for frame in load_scene(release(data)).frames] == [0, 2] and not recwarn.list
