"""Rendered views: depth, faces and normals exact to the pixel, at any size, anywhere in the world."""

import numpy as np
import pytest
import tiny_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import HIGH, LOW, box, look_at, pinhole, views_of, walk_around

from scenetex import InputError, load_scene, render_views
from scenetex.scene.mesh import Mesh
from scenetex.views.viewset import cast_views, pixel_rays

SIZE = (48, 36)


def world_points(views, i: int) -> np.ndarray:
    """(h * w, 3) where view i's pixels lie by its depth."""
    u, v = np.meshgrid(np.arange(views.size[0]), np.arange(views.size[1]))
    rays = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1) @ np.linalg.inv(views.intrinsics[i]).T
    local = rays * views.depth[i].reshape(-1, 1)
    return local @ views.cam_to_world[i, :3, :3].T + views.cam_to_world[i, :3, 3]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_depth_leads_to_the_surface(seed):
    rng = np.random.default_rng(seed)
    eye = rng.uniform(LOW + 0.2, HIGH - 0.2)
    pose = look_at(eye, eye + rng.normal(size=3) + [0.1, 0, 0])
    views = views_of(box(), pose[None], pinhole(SIZE), SIZE)
    assert (views.face_id >= 0).all() and (views.depth > 0).all()
    points = world_points(views, 0)
    # In a box the first wall along a ray is where it leaves the box.
    direction = points - eye
    with np.errstate(divide="ignore"):
        leave = np.where(direction > 0, HIGH - eye, LOW - eye) / direction
    np.testing.assert_allclose(leave.min(1), 1, atol=2e-5)
    # The face id is the wall that the point lies on.
    normals = views.face_normals[views.face_id[0].ravel()]
    axis = np.abs(normals).argmax(1)
    wall = np.where(np.take_along_axis(normals, axis[:, None], 1)[:, 0] > 0, LOW[axis], HIGH[axis])
    np.testing.assert_allclose(np.take_along_axis(points, axis[:, None], 1)[:, 0], wall, atol=1e-4)


def test_normals_are_unit_and_look_at_the_camera():
    mesh = box()
    turned = Mesh(mesh.vertices, np.concatenate([mesh.faces[::2], mesh.faces[1::2, ::-1]]))
    views = views_of(turned, walk_around(3), pinhole(SIZE), SIZE)
    for i in range(3):
        normal = views.normal[i].reshape(-1, 3)
        np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-6)
        assert (np.einsum("ij,ij->i", normal, world_points(views, i) - views.cam_to_world[i, :3, 3]) < 0).all()


def test_nothing_there():
    mesh = Mesh(np.array([[0.0, -1, -1], [0, 1, -1], [0, 0, 1]]), np.array([[0, 1, 2]], np.int32))
    poses = np.stack([look_at([-2, 0, 0], [0, 0, 0]), look_at([-2, 0, 0], [-4, 0, 0])])
    views = views_of(mesh, poses, pinhole(SIZE), SIZE)
    assert (views.face_id[0] == 0).any() and (views.face_id[0] == -1).any()
    np.testing.assert_array_equal(views.depth > 0, views.face_id >= 0)
    assert (views.face_id[1] == -1).all() and not views.normal[1].any()
    assert not views.normal[0][views.face_id[0] < 0].any()


def test_the_world_may_be_far_away():
    shift = np.array([5e5, -5e5, 300.0])
    near = views_of(box(), walk_around(4), pinhole(SIZE), SIZE)
    poses = walk_around(4)
    poses[:, :3, 3] += shift
    far = views_of(box(LOW + shift, HIGH + shift), poses, pinhole(SIZE), SIZE)
    np.testing.assert_allclose(far.depth, near.depth, atol=1e-5)
    assert (far.face_id == near.face_id).mean() > 0.999
    np.testing.assert_allclose(far.normal, near.normal, atol=1e-5)


def test_nan_vertices_do_no_harm():
    mesh = box()
    dirty = Mesh(np.concatenate([mesh.vertices, [[np.nan] * 3]]), np.concatenate([mesh.faces, [[0, 1, 8]]]))
    clean, seen = (views_of(m, walk_around(2), pinhole(SIZE), SIZE) for m in (mesh, dirty))
    np.testing.assert_array_equal(seen.face_id, clean.face_id)
    np.testing.assert_allclose(seen.depth, clean.depth, atol=1e-6)
    assert np.isfinite(seen.normal).all()


def test_rays_pass_through_pixel_centres():
    k, pose = pinhole(SIZE), look_at([1, 2, 0.5], [0, 0, 1])
    origin, direction = pixel_rays(k, pose, SIZE)
    np.testing.assert_array_equal(origin, pose[:3, 3])
    local = direction @ pose[:3, :3]
    np.testing.assert_allclose(local[:, 2], 1, atol=1e-6)
    pixel = local @ k.T
    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    np.testing.assert_allclose(pixel[:, :2], np.stack([u.ravel(), v.ravel()], 1), atol=1e-4)


def test_views_of_a_scene_keep_the_order_of_the_ids(scan):
    scene = load_scene(scan)
    calls = []
    views = render_views(scene, [100, 2], (32, 24), done=lambda: calls.append(1))
    assert views.frame_ids == (100, 2) and len(views) == 2 and views.size == (32, 24) and len(calls) == 2
    np.testing.assert_array_equal(views.cam_to_world[0], scene.frame(100).cam_to_world)
    # Half the size: f' = f / 2, c' = (c + 0.5) / 2 - 0.5.
    np.testing.assert_allclose(views.intrinsics[0], [[20, 0, 15.5], [0, 20, 11.5], [0, 0, 1]])
    whole = render_views(scene)
    assert whole.frame_ids == (2, 10, 100) and whole.size == (64, 48)
    np.testing.assert_allclose(whole.intrinsics[0], tiny_scan.INTRINSICS)
    # Both sizes show the same field of view: the middle of 2 x 2 pixels is one pixel's centre.
    fine = whole.depth[0].reshape(24, 2, 32, 2)
    flat = (np.ptp(fine, axis=(1, 3)) < 0.1) & (fine.min((1, 3)) > 0)
    inverse = (1 / np.where(fine > 0, fine, 1)).mean((1, 3))  # affine over a plane's pixels
    np.testing.assert_allclose(1 / inverse[flat], views.depth[1][flat], rtol=1e-4)


def test_the_scenes_alignment_goes_along(tmp_path):
    alignment = "axisAlignment = 0 -1 0 1 1 0 0 2 0 0 1 3 0 0 0 1\n"
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room", info=alignment))
    np.testing.assert_array_equal(render_views(scene, [2], (8, 6)).axis_alignment, scene.axis_alignment)
    assert scene.axis_alignment[0, 3] == 1


@pytest.mark.parametrize(
    ("ids", "size", "message"),
    [
        ([], None, "no frames to render"),
        ([3], None, "no frame 3; ids run from 2 to 100"),
        ([2], (0, 24), "not a .width, height. of positive numbers"),
        ([2], (32,), "not a .width, height. of positive numbers"),
    ],
)
def test_bad_requests_are_one_line(scan, ids, size, message):
    with pytest.raises(InputError, match=message) as error:
        render_views(load_scene(scan), ids, size)
    assert "\n" not in str(error.value)


def test_cameras_may_differ_in_focal_length():
    poses = np.repeat(walk_around(1), 2, 0)
    k = np.stack([pinhole(SIZE, 0.6), pinhole(SIZE, 1.2)])
    views = cast_views(box(), k, poses, SIZE, (7, 9))
    assert views.frame_ids == (7, 9)
    # The longer lens sees the wide one's middle.
    wide, tele = views.depth
    column, row = k[1, 0, 2], k[1, 1, 2]
    for du, dv in ((-10, -8), (6, 9), (12, -4)):
        u, v = round(column + du), round(row + dv)
        inside = (np.array([u, v]) - k[1, :2, 2]) / 2 + k[0, :2, 2]
        a = inside.astype(int)
        block = wide[a[1] : a[1] + 2, a[0] : a[0] + 2]
        assert block.min() - 1e-3 <= tele[v, u] <= block.max() + 1e-3
