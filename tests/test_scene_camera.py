"""Resizing a camera keeps what it sees."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenetex.scene.camera import Camera, resize_intrinsics

sides = st.integers(1, 4000)


@given(
    old=st.tuples(sides, sides),
    new=st.tuples(sides, sides),
    focal=st.tuples(st.floats(1, 5000), st.floats(1, 5000)),
    centre=st.tuples(st.floats(-100, 4000), st.floats(-100, 4000)),
    point=st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 50)),
)
def test_a_point_lands_where_its_pixel_went(old, new, focal, centre, point):
    intrinsics = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    before = intrinsics @ point
    after = resize_intrinsics(intrinsics, old, new) @ point
    pixel, moved = before[:2] / before[2], after[:2] / after[2]
    scale = np.array(new) / old
    np.testing.assert_allclose(moved, (pixel + 0.5) * scale - 0.5, rtol=1e-9, atol=1e-6)


def test_resizing_keeps_the_field_of_view():
    camera = Camera(np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), 640, 480)
    half = camera.resized((320, 240))
    assert half.size == (320, 240)
    # The image's corners are half a pixel outside the corner pixels' centres, before and after.
    for corner in ((-0.5, -0.5), (639.5, 479.5)):
        ray = np.linalg.solve(camera.intrinsics, [*corner, 1])
        np.testing.assert_allclose((half.intrinsics @ ray)[:2], (np.array(corner) + 0.5) / 2 - 0.5, atol=1e-12)


def test_resize_takes_stacks_and_leaves_its_input_alone():
    stack = np.stack([np.diag([2.0, 3, 1]), np.diag([4.0, 5, 1])])
    kept = stack.copy()
    out = resize_intrinsics(stack, (10, 10), (20, 5))
    np.testing.assert_array_equal(stack, kept)
    np.testing.assert_allclose(out[:, 0, 0], [4, 8])
    np.testing.assert_allclose(out[:, 1, 1], [1.5, 2.5])
