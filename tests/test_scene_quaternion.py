"""Quaternions against SciPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from scenetex.scene.quaternion import rotation_matrices, slerp

part = st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-6)
quaternions = st.tuples(part, part, part, part).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(quaternions, st.floats(0.1, 10))
def test_matrices(q, length):
    q = np.array(q)
    np.testing.assert_allclose(rotation_matrices(length * q), Rotation.from_quat(q).as_matrix(), atol=1e-14)


@given(quaternions, quaternions, st.floats(0, 1))
def test_slerp_takes_the_shorter_way(start, end, share):
    start, end = np.array(start), np.array(end)
    if abs(start @ end) / (np.linalg.norm(start) * np.linalg.norm(end)) < 1e-3:
        return  # half a turn apart, both ways are equally short
    expected = Slerp([0, 1], Rotation.from_quat([start, end]))([share]).as_matrix()
    got = rotation_matrices(slerp(start[None], end[None], np.array([share])))
    np.testing.assert_allclose(got, expected, atol=1e-9)
    same = rotation_matrices(slerp(start[None], -start[None], np.array([share])))
    np.testing.assert_allclose(same[0], Rotation.from_quat(start).as_matrix(), atol=1e-14)
