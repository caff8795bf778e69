"""Rendering agrees with plain ray casting, with the surface's own colours and with the camera's conventions."""

import numpy as np
import pytest
from synthetic_rooms import psnr, quick_room, small_camera

from scenetex.synthetic import render_room, walk
from scenetex.views.viewset import cast_views


@pytest.fixture(scope="module")
def views():
    room, camera = quick_room(3), small_camera()
    poses = walk(room, 4, np.random.default_rng(0), camera)
    return room, camera, poses, render_room(room, camera, poses)


def test_depth_and_faces_are_those_of_ray_casting_the_mesh(views):
    room, camera, poses, (color, depth, face) = views
    other = cast_views(room.mesh, np.repeat(camera.intrinsics[None], 4, 0), poses, camera.size, (0, 1, 2, 3))
    assert color.shape == (4, 48, 64, 3) and color.dtype == np.uint8
    assert depth.shape == (4, 48, 64) and depth.dtype == np.float32 and face.dtype == np.int32
    # Rays through the edge between two faces may fall to either.
    assert (np.abs(depth - other.depth) < 1e-3).mean() > 0.999
    assert (face == other.face_id).mean() > 0.99
    assert (face >= 0).all()


def unprojected(camera, pose, depth):
    """(h, w, 3) room points of a depth image, written out by the convention of pixel centres at whole numbers."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(float)
    k = camera.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0] * depth, (v - k[1, 2]) / k[1, 1] * depth, depth], -1)
    return local @ pose[:3, :3].T + pose[:3, 3]


def test_pixels_show_the_surface_colour_of_the_point_behind_them(views):
    room, camera, poses, (_, depth, face) = views
    sharp = render_room(room, camera, poses, filtered=False)[0]
    for i in range(4):
        points = unprojected(camera, poses[i], depth[i].astype(float))
        exact = room.surface_color(points.reshape(-1, 3), face[i].ravel()).reshape(sharp[i].shape)
        assert np.quantile(np.abs(exact - sharp[i]), 0.99) <= 1.0


def test_points_lie_on_the_face_that_is_reported(views):
    room, camera, poses, (_, depth, face) = views
    points = unprojected(camera, poses[0], depth[0].astype(float)).reshape(-1, 3)
    corners = room.mesh.triangles[face[0].ravel()]
    off = np.einsum("ni,ni->n", points - corners[:, 0], room.mesh.face_normals[face[0].ravel()])
    assert np.abs(off).max() < 1e-4


def test_a_sphere_of_samples_is_the_mean_of_shifted_pictures(views):
    room, camera, poses, _ = views
    shifted = []
    for dy in (-0.25, 0.25):
        for dx in (-0.25, 0.25):
            moved = camera.intrinsics.copy()
            moved[:2, 2] -= dx, dy
            shifted.append(render_room(room, type(camera)(moved, *camera.size), poses[0], filtered=False)[0][0])
    twice = render_room(room, camera, poses[0], samples=2)[0][0]
    assert np.abs(np.mean(shifted, 0) - twice).max() <= 1.5


def test_filtering_takes_out_what_a_pixel_cannot_show(views):
    room, camera, poses, (filtered, _, _) = views
    sharp, fine = (render_room(room, camera, poses, samples=n, filtered=False)[0] for n in (1, 6))
    assert psnr(filtered, fine) >= psnr(sharp, fine) - 0.05


def test_one_pose_and_many_give_the_same(views):
    room, camera, poses, (color, _, _) = views
    np.testing.assert_array_equal(render_room(room, camera, poses[2])[0][0], color[2])


def test_the_same_point_has_one_colour_from_everywhere(views):
    room, camera, poses, (_, depth, face) = views
    points = unprojected(camera, poses[1], depth[1].astype(float)).reshape(-1, 3)
    colors = room.surface_color(points, face[1].ravel())
    # Seen again by a camera that looks straight at one of them:
    i = len(points) // 2 + 11
    pixel = np.array([camera.intrinsics[0, 2], camera.intrinsics[1, 2]])
    centred = type(camera)(
        camera.intrinsics - np.array([[0, 0, pixel[0] - 10], [0, 0, pixel[1] - 20], [0, 0, 0]]), 64, 48
    )
    z = points[i] - poses[1][:3, 3]
    z /= np.linalg.norm(z)
    x = np.cross(z, [0, 0, 1.0])
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([x, np.cross(z, x), z], 1), points[i] - 0.7 * (points[i] - poses[1][:3, 3])
    color, again, _ = render_room(room, centred, pose, filtered=False)
    assert np.abs(color[0, 20, 10] - colors[i]).max() <= 2
    assert again[0, 20, 10] == pytest.approx(0.7 * np.linalg.norm(points[i] - poses[1][:3, 3]), abs=1e-3)
