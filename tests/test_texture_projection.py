"""Projection into photos: pixel-exact places, visibility by depth, slack, back faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import HIGH, LOW, box, look_at, pinhole, views_of, walk_around

from scenetex.scene.mesh import Mesh
from scenetex.texture.projection import Surface, aspect, facing, photos, sample, sight
from scenetex.texture.subdivide import patches
from scenetex.texture.working_frame import WorkingFrame

SIZE = (64, 48)


def wall(x: float, low=(-1.0, -1.0), high=(1.0, 1.0), towards: int = -1) -> Mesh:
    """A square across x whose front looks towards negative or positive x."""
    y, z = (
        np.array([low[i], high[i], high[i], low[i]]) if i else np.array([low[0], low[0], high[0], high[0]])
        for i in (0, 1)
    )
    vertices = np.stack([np.full(4, x), y, z], 1)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    mesh = Mesh(vertices, faces)
    return mesh if np.sign(mesh.face_normals[0, 0]) == towards else Mesh(vertices, faces[:, ::-1])


def shoot(mesh: Mesh, pose: np.ndarray, size=SIZE, image_size=None, focal=0.6, seed: int = 0):
    """A photo of noise."""
    rng = np.random.default_rng(seed)
    width, height = image_size or size
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return photos(views_of(mesh, pose[None], pinhole(size, focal), size), [image], WorkingFrame(np.zeros(3), 1.0))[0]


def project(photo, points):
    """Homogeneous pixels of points by the definition."""
    local = points @ photo.world_to_cam[:3, :3].T + photo.world_to_cam[:3, 3]
    return (local @ photo.intrinsics.T).astype(np.float32)


def on_pixel(photo, u, v, depth):
    """World points (n, 3) that project to pixels u, v at a camera z."""
    ray = np.stack([u, v, np.ones(len(u))], 1) @ np.linalg.inv(photo.intrinsics).T
    return np.c_[ray * depth, np.ones(len(u))] @ np.linalg.inv(photo.world_to_cam)[:3].T


def test_a_point_on_a_pixel_centre_gets_that_pixel():
    photo = shoot(wall(0.0), look_at([-2.0, 0.3, 0.2], [0, 0.3, 0.2]))
    v, u = np.nonzero(photo.depth > 0)
    points = on_pixel(photo, u, v, 2.0)
    np.testing.assert_allclose(points[:, 0], 0, atol=1e-6)
    s = sight(photo, project(photo, points), np.full(len(points), 0.01, np.float32))
    np.testing.assert_array_equal(s.index, np.arange(len(points)))
    np.testing.assert_allclose(s.u, u, atol=1e-3)
    np.testing.assert_allclose(s.v, v, atol=1e-3)
    np.testing.assert_array_equal(sample(photo.image, np.rint(s.u), np.rint(s.v)), photo.image[v, u])


@pytest.mark.parametrize("image_size", [(192, 144), (32, 24), (100, 75)])
def test_images_of_another_size_are_met_at_the_same_place(image_size):
    mesh, pose = wall(0.0), look_at([-2.0, 0.1, 0.2], [0, 0, 0])
    photo, own = (shoot(mesh, pose, image_size=s) for s in (image_size, None))
    points = np.random.default_rng(0).uniform([0, -0.5, -0.4], [0, 0.5, 0.4], (50, 3))
    pixel, plain = ((p := project(x, points))[:, :2] / p[:, 2:] for x in (photo, own))
    # Edges of pixels meet edges: (u + 0.5) / width is the same place in both.
    np.testing.assert_allclose((pixel + 0.5) / image_size, (plain + 0.5) / SIZE, atol=1e-5)
    surface = Surface.of(mesh)
    np.testing.assert_allclose(aspect(surface, photo).pixel, project(photo, mesh.vertices), rtol=1e-4, atol=1e-3)
    s = sight(photo, project(photo, points), np.full(50, 0.05, np.float32))
    assert len(s.index) == 50


def test_what_stands_behind_something_is_not_seen():
    near, far = wall(-1.0, (-0.3, -0.3), (0.3, 0.3)), wall(0.0)
    mesh = Mesh(np.concatenate([near.vertices, far.vertices]), np.concatenate([near.faces, far.faces + 4]))
    photo = shoot(mesh, look_at([-2.0, 0, 0], [0, 0, 0]), (320, 240))
    y, z = np.meshgrid(np.linspace(-0.95, 0.95, 39), np.linspace(-0.7, 0.7, 29))
    points = np.stack([0 * y.ravel(), y.ravel(), z.ravel()], 1)
    s = sight(photo, project(photo, points), np.full(len(points), 0.02, np.float32))
    seen = np.zeros(len(points), bool)
    seen[s.index] = True
    # The square at half the way hides twice its size.
    inside = np.abs(points[:, 1:]).max(1)
    hidden, clear = inside < 0.59, inside > 0.61
    assert not seen[hidden].any() and seen[clear].all()
    # Slack is for surface whose depth changes within a pixel: what is behind the plane seen is hidden for all that.
    wide = sight(photo, project(photo, points), np.full(len(points), 1.01, np.float32))
    np.testing.assert_array_equal(wide.index, s.index)
    # Clearance: pixels to the square's outline, where that is nearest.
    beside = (np.abs(points[s.index, 2]) < 0.3) & (np.abs(points[s.index, 1]) < 0.8)
    gap = 320 * 0.6 / 2 * (np.abs(points[s.index, 1]) - 0.6)
    assert beside.sum() > 20
    np.testing.assert_allclose(s.clearance[beside], gap[beside], atol=2.5)


def test_a_thin_rug_hides_the_floor_under_it():
    """Seen at a slant, where a pixel spans more depth than the rug is high."""
    floor, rug = wall(0.0), wall(-0.01, (-0.5, -0.5), (0.5, 0.5))
    mesh = Mesh(np.concatenate([floor.vertices, rug.vertices]), np.concatenate([floor.faces, rug.faces + 4]))
    photo = shoot(mesh, look_at([-0.4, -2.0, 0.1], [0, 0, 0]), (320, 240))
    points = np.random.default_rng(0).uniform([0, -0.9, -0.9], [0, 0.9, 0.9], (4000, 3))
    points[:, 0] = np.where(np.arange(4000) % 2, 0, -0.01)  # on the floor, on the rug
    pixel = project(photo, points)
    seen = np.zeros(len(points), bool)
    seen[sight(photo, pixel, np.full(len(points), 0.2, np.float32)).index] = True
    on_floor, across = points[:, 0] == 0, np.abs(points[:, 1:]).max(1)
    place = pixel[:, :2] / pixel[:, 2:]
    framed = ((place > 1) & (place < (318, 238))).all(1)
    assert not seen[on_floor & (across < 0.4)].any()
    assert seen[on_floor & framed & (across > 0.65)].all() and seen[~on_floor & framed & (across < 0.48)].all()


def test_points_beside_or_behind_the_camera_are_not_seen():
    photo = shoot(box(), look_at([0.0, 0, 1.2], [2, 0, 1.2]))
    points = np.array([[2.0, 0, 1.2], [-2, 0, 1.2], [0, 1.5, 1.2], [0, 0, 0], [0, 0, 1.2], [0.01, 0, 1.2]])
    s = sight(photo, project(photo, points), np.full(6, 0.05, np.float32))
    np.testing.assert_array_equal(s.index, [0])
    assert np.isfinite(s.u).all()


def test_clearance_counts_pixels_of_the_image():
    photo = shoot(wall(2.0, (-9, -9), (9, 9)), look_at([0.0, 0, 1.2], [2, 0, 1.2]), SIZE, (192, 144))
    u, v = np.array([96.0, 10, 96, 185]), np.array([72.0, 72, 5, 72])
    points = on_pixel(photo, u, v, 2.0)
    s = sight(photo, project(photo, points), np.full(4, 5.0, np.float32))
    np.testing.assert_array_equal(s.index, np.arange(4))
    # To the border; the chamfer distance is right to a few per cent, on a depth map of a third of the size.
    np.testing.assert_allclose(s.clearance, [72, 10, 5, 7], rtol=0.06, atol=5)


def test_only_fronts_within_reach_of_the_image_are_considered():
    mesh = box()
    small = patches(mesh, 0.4).mesh
    surface = Surface.of(small)
    for pose in walk_around(4):
        photo = shoot(small, pose)
        front = set(facing(surface, photo).tolist())
        views = views_of(small, pose[None], pinhole(SIZE), SIZE)
        assert set(np.unique(views.face_id[views.face_id >= 0])) <= front, "every face in the picture"
        behind = small.triangles.mean(1) @ photo.world_to_cam[2, :3] + photo.world_to_cam[2, 3] < -0.6
        assert not front & set(np.flatnonzero(behind))
        assert len(front) < 0.8 * len(small.faces)
    outside = shoot(small, look_at([-6.0, 0.1, 1.2], [0, 0, 1.2]))
    normals = small.face_normals[facing(surface, outside)]
    assert len(normals) and (normals[:, 0] < 0.5).all(), "the near wall turns its back to a camera outside"


def test_slack_grows_with_depth_and_slant():
    camera = look_at([-3.0, 0, 0], [0, 0, 0])
    plate = Mesh(np.array([[0, 0, 0], [0, 0.1, 0], [0, 0, 0.1]]) * 1.0, np.array([[0, 2, 1]], np.int32))
    photo = shoot(wall(0.0), camera)

    def slack(tilt: float, x: float) -> float:
        turn = np.array([[np.cos(tilt), np.sin(tilt), 0], [-np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
        vertices = plate.vertices @ turn.T + [x, 0, 0]
        at = aspect(Surface.of(Mesh(vertices, plate.faces)), photo)
        assert at.cosine[0] == pytest.approx(np.cos(tilt), abs=0.02)
        return float(at.slack[0])

    flat = [slack(0.0, x) for x in (-1.5, 0.0, 2.0)]
    assert 0 < flat[0] < flat[1] < flat[2] < 0.05
    tilted = [slack(tilt, 0.0) for tilt in (0.0, 0.5, 1.0, 1.3)]
    assert tilted == sorted(tilted) and tilted[-1] > tilted[0] + 0.02


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_room_without_furniture_hides_nothing(seed):
    """From inside a box every point that no corner of the room is near is seen with the slack that aspect gives."""
    rng = np.random.default_rng(seed)
    eye = rng.uniform(LOW + 0.3, HIGH - 0.3)
    mesh = box()
    small = patches(mesh, 0.2).mesh
    photo = shoot(small, look_at(eye, eye + rng.normal(size=3) + [0.1, 0, 0]))
    surface = Surface.of(small)
    front = facing(surface, photo)
    at = aspect(surface, photo)
    fields = np.c_[at.pixel, at.slack][small.faces[front]].mean(1)
    uv = fields[:, :2] / fields[:, 2:3]
    inside = (fields[:, 2] > 0.05) & (uv >= 0).all(1) & (uv <= np.array(SIZE) - 1).all(1)
    s = sight(photo, fields[:, :3], fields[:, 3])
    centers = surface.centers[front]
    to_walls = np.sort(np.concatenate([centers - LOW, HIGH - centers], 1), axis=1)
    # Three pixels wide of corners, and not so flat that a pixel is longer than that.
    pixel_width = fields[:, 2] / photo.intrinsics[0, 0]
    away = eye - centers
    cosine = np.einsum("ij,ij->i", away, surface.normals[front]) / np.linalg.norm(away, axis=1)
    plain = inside & (to_walls[:, 1] > 3 * pixel_width / cosine) & (cosine > 0.15)
    missed = np.setdiff1d(np.flatnonzero(plain), s.index)
    # Camera z may change quickly along a wall that the ray meets head-on, in the picture's outer parts: see the margin.
    assert plain.any() and len(missed) <= 0.3 * plain.sum()


def test_sampling_is_bilinear():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.float32)
    u, v = rng.uniform(0, 29, 5000).astype(np.float32), rng.uniform(0, 19, 5000).astype(np.float32)
    got = sample(image, u, v)
    x, y = np.minimum(u.astype(int), 28), np.minimum(v.astype(int), 18)
    fx, fy = (u - x)[:, None], (v - y)[:, None]
    top = image[y, x] * (1 - fx) + image[y, x + 1] * fx
    below = image[y + 1, x] * (1 - fx) + image[y + 1, x + 1] * fx
    # OpenCV rounds weights to 1 / 32.
    np.testing.assert_allclose(got, top * (1 - fy) + below * fy, atol=255 * 2 / 32)
    assert np.abs(got - (top * (1 - fy) + below * fy)).mean() < 2
    assert sample(image, np.zeros(0, np.float32), np.zeros(0, np.float32)).shape == (0, 3)
    assert sample(image[..., 0], u[:7], v[:7]).shape == (7, 1)
