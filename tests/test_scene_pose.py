"""Poses and camera matrices: what passes, what is repaired, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tiny_scan import look

from scenetex import InputError
from scenetex.scene.pose import read_extrinsic, read_intrinsics, read_pose, rigid, rigid_all


def test_poses_that_text_rounded_stay_as_they_are():
    pose = np.round(look(0.3, (1, 2, 3)), 6)
    np.testing.assert_array_equal(rigid_all(pose[None], ["a"])[0], pose)


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(2e-4, 3e-3))
def test_small_errors_become_the_nearest_rotation(seed, size):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=rng).as_matrix()
    pose[:3, 3] = rng.normal(size=3)
    rough = pose.copy()
    rough[:3, :3] += rng.uniform(-size, size, (3, 3))
    out = rigid_all(rough[None], ["a"])[0]
    error = np.abs(out[:3, :3].T @ out[:3, :3] - np.eye(3)).max()
    assert error < 1e-4 + 1e-12
    assert np.abs(out - pose).max() < 4 * size
    np.testing.assert_array_equal(out[:, 3], pose[:, 3])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m[:3, :3].__imul__(1.1),
        lambda m: m[:3, 0].__imul__(-1),
        lambda m: m.__setitem__((0, 0), 1e200),
        lambda m: m.__setitem__((3, 0), 0.1),
        lambda m: m[:3, :3].__imul__(0),
    ],
    ids=["scaled", "mirrored", "huge", "last row", "zero"],
)
def test_what_is_not_rigid_is_refused_by_name(spoil):
    good, bad = look(0.1), look(0.2)
    spoil(bad)
    with pytest.raises(InputError, match=r"^second is not a rigid transform"):
        rigid_all(np.stack([good, bad]), ["first", "second"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 numbers, not the 16"),
        ("1 " * 15, "15 numbers"),
        ("1 " * 17, "17 numbers"),
        ("1 0 0 x " * 4, "not plain numbers"),
        ("\x00\xff" * 8, "not plain numbers"),
        ("1 " * 100_000, "not plain numbers"),
    ],
)
def test_malformed_pose_files_are_named(tmp_path, text, message):
    path = tmp_path / "7.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        read_pose(path)
    assert "7.txt" in str(caught.value) and "\n" not in str(caught.value)


def test_lost_tracking_is_read_as_it_stands(tmp_path):
    path = tmp_path / "7.txt"
    path.write_text("-inf -inf -inf -inf\n" * 4)
    assert (read_pose(path) == -np.inf).all()


@given(data=st.binary(max_size=300))
def test_any_bytes_give_a_matrix_or_an_input_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.txt"
    path.write_bytes(data)
    for read in (read_pose, read_intrinsics, read_extrinsic):
        try:
            assert read(path).shape in {(4, 4), (3, 3)}
        except InputError as error:
            assert "fuzzed.txt" in str(error)


def test_intrinsics_of_either_shape(tmp_path):
    path = tmp_path / "intrinsic_color.txt"
    path.write_text("500 0 320 0\n0 510 240 0\n0 0 1 0\n0 0 0 1")
    np.testing.assert_array_equal(read_intrinsics(path), [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    path.write_text("500 0 320\n0 510 240\n0 0 1")
    np.testing.assert_array_equal(read_intrinsics(path), [[500, 0, 320], [0, 510, 240], [0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "missing; a scene needs its camera's intrinsic matrix"),
        ("500 0 320", "3 numbers, not 9 or 16"),
        ("0 0 320 0 510 240 0 0 1", "positive focal lengths"),
        ("500 0 320 0 -510 240 0 0 1", "positive focal lengths"),
        ("500 0 nan 0 510 240 0 0 1", "positive focal lengths"),
        ("500 0 320 5 510 240 0 0 1", "positive focal lengths"),
        ("500 0 320 0 510 240 0 0 0", "positive focal lengths"),
    ],
)
def test_intrinsics_that_are_none(tmp_path, text, message):
    path = tmp_path / "intrinsic_color.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_intrinsics(path)
    assert "intrinsic_color.txt" in str(caught.value)


def test_no_extrinsic_file_means_identity(tmp_path):
    np.testing.assert_array_equal(read_extrinsic(tmp_path / "extrinsic_color.txt"), np.eye(4))


@pytest.mark.filterwarnings("error")
def test_matrices_far_from_a_rotation_are_refused_without_warnings():
    for matrix in (np.zeros((4, 4)), np.full((4, 4), 1e9), np.diag([1e300, 1, 1, 1]), np.diag([1e-200, 1e-200, 1, 1])):
        with pytest.raises(InputError, match="pose is not a rigid transform"):
            rigid(matrix, "pose")
