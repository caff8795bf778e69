"""Drift that photos share, and what of it chance alone would leave."""

import numpy as np

from scenetex.texture.drift import Moved, common_drift, motion, tangents

RNG = np.random.default_rng(3)
POINTS, PHOTOS = 400, 6


def moves(pixel) -> list[Moved]:
    """Of photos that show all points, 500 to 700 pixels per metre, each moved by `pixel` (n, 2)."""
    out = []
    for i in range(PHOTOS):
        by_tangent = np.eye(2) * 100 * (5 + i % 3) + RNG.normal(0, 20, (POINTS, 2, 2))
        out.append(Moved(np.arange(POINTS), by_tangent, pixel(by_tangent)))
    return out


def test_what_all_share_is_found():
    common = RNG.normal(0, 0.004, (POINTS, 2))
    found = common_drift(POINTS, moves(lambda by: (by @ common[..., None])[..., 0] + RNG.normal(0, 0.1, (POINTS, 2))))
    np.testing.assert_allclose(found.metres, common, atol=6e-4)
    assert (found.photos == PHOTOS).all() and found.chance < 0.02


def test_independent_moves_are_told_to_be_chance():
    found = common_drift(POINTS, moves(lambda by: RNG.normal(0, 2, (POINTS, 2))))
    assert 0.85 < found.chance <= 1


def test_a_point_that_nobody_shows_has_no_drift():
    half = [Moved(m.index[::2], m.by_tangent[::2], m.pixel[::2]) for m in moves(lambda by: np.ones((POINTS, 2)))]
    found = common_drift(POINTS, half)
    assert not found.metres[1::2].any() and not found.photos[1::2].any()


def test_motion_is_the_derivative_of_projection():
    local = RNG.uniform([-1, -1, 1], [1, 1, 4], (50, 3))
    velocity = RNG.normal(size=(50, 3))
    k = np.array([[500, 0, 320], [0, 480, 240], [0, 0, 1.0]])

    def pixel(points):
        return (points @ k.T)[:, :2] / points[:, 2:]

    small = 1e-6
    expected = (pixel(local + small * velocity) - pixel(local - small * velocity)) / (2 * small)
    np.testing.assert_allclose(motion(local, velocity, k), expected, rtol=1e-4, atol=1e-3)


def test_tangents_lie_in_the_surface():
    normals = RNG.normal(size=(100, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first, second = tangents(normals)
    for pair in ((first, normals), (second, normals), (first, second)):
        assert np.abs(np.einsum("ij,ij->i", *pair)).max() < 1e-9
    np.testing.assert_allclose(np.linalg.norm([first, second], axis=2), 1)
