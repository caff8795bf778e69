"""PyTorch3D's rasteriser against ray casting: the same faces and depth in every pixel that is on no edge."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import HIGH, LOW, box, look_at, pinhole, walk_around

from scenetex import InputError, load_scene, render_views
from scenetex.scene.mesh import Mesh
from scenetex.views import rasterize
from scenetex.views.viewset import cast_views

SIZE = (48, 36)
needs_pytorch3d = pytest.mark.skipif(find_spec("pytorch3d") is None, reason="needs PyTorch3D, see docs/install.md")


def both(mesh: Mesh, poses: np.ndarray, k: np.ndarray, size=SIZE):
    """Views by ray casting, and by the rasteriser."""
    k = np.broadcast_to(k, (len(poses), 3, 3))
    ids = tuple(range(len(poses)))
    return tuple(cast_views(mesh, k, poses, size, ids, backend=backend, device=device) for backend, device in CASES)


CASES = (("embree", "auto"), ("pytorch3d", "cpu"))


def on_edges(face_id: np.ndarray) -> np.ndarray:
    """Pixels (m, h, w) beside which another face is seen."""
    edge = np.zeros(face_id.shape, bool)
    for axis in (1, 2):
        step = np.diff(face_id, axis=axis) != 0
        before, after = ([(0, 0)] * 3 for _ in range(2))
        before[axis], after[axis] = (0, 1), (1, 0)
        edge |= np.pad(step, before) | np.pad(step, after)
    return edge


def assert_same(cast, rasterised, edges: float = 0.02) -> None:
    """The same but for pixels on edges, of which few differ, too; depth to 1e-5."""
    other = cast.face_id != rasterised.face_id
    assert not (other & ~on_edges(cast.face_id)).any()
    assert other.mean() <= edges
    np.testing.assert_allclose(rasterised.depth[~other], cast.depth[~other], rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(rasterised.depth > 0, rasterised.face_id >= 0)
    np.testing.assert_allclose(rasterised.normal[~other], cast.normal[~other], atol=1e-6)


@needs_pytorch3d
@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([(48, 36), (36, 48), (40, 40), (51, 17)]))
def test_inside_a_box_whose_faces_reach_behind_the_camera(seed, size):
    rng = np.random.default_rng(seed)
    eye = rng.uniform(LOW + 0.001, HIGH - 0.001)
    poses = np.stack([look_at(eye, eye + rng.normal(size=3) + [0.1, 0, 0]) for _ in range(2)])
    k = pinhole(size)
    k[:2, 2] += rng.uniform(-0.3, 0.3, 2) * size
    k[0, 1], k[1, 1] = rng.normal(), k[1, 1] * rng.uniform(0.7, 1.4)
    cast, rasterised = both(box(), poses, k, size)
    assert (rasterised.face_id >= 0).all(), "no crack in the walls"
    assert_same(cast, rasterised, 0.1)


@needs_pytorch3d
def test_pixel_centres_are_exact():
    """A plane of squares as large as pixels, each around a pixel's centre: half a pixel would show others."""
    for w, h in ((6, 4), (5, 9)):
        k = np.array([[10.0, 0, 1.3], [0, 12.0, 2.1], [0, 0, 1]])
        u, v = np.meshgrid(np.arange(w + 1) - 0.5, np.arange(h + 1) - 0.5)
        rays = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1) @ np.linalg.inv(k).T
        first = (np.arange(h)[:, None] * (w + 1) + np.arange(w)).ravel()
        # Cut from lower left to upper right, off the centres by a fifth of a pixel.
        corners = np.concatenate([2 * rays, 2 * rays + np.array([0.04, 0, 0])])
        n = len(rays)
        squares = np.stack([first, first + 1, first + w + 2, first + w + 1], 1)
        low = np.stack([squares[:, 0], squares[:, 1] + n, squares[:, 3] + n], 1)
        rest = np.stack([squares[:, 1] + n, squares[:, 2], squares[:, 3] + n], 1)
        mesh = Mesh(corners, np.stack([low, rest], 1).reshape(-1, 3).astype(np.int32))
        cast, rasterised = both(mesh, np.eye(4)[None], k, (w, h))
        np.testing.assert_array_equal(cast.face_id, rasterised.face_id)
        np.testing.assert_array_equal(rasterised.face_id.ravel(), 2 * np.arange(w * h))
        np.testing.assert_allclose(rasterised.depth, 2, atol=1e-6)


@needs_pytorch3d
def test_nothing_is_seen_through_an_edge():
    """Squares whose sides and diagonals run through the centres of pixels."""
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    corners = np.stack([x.ravel(), y.ravel(), np.ones(25)], 1)
    first = (np.arange(4)[:, None] * 5 + np.arange(4)).ravel()
    faces = np.concatenate([np.stack([first, first + 1, first + 6], 1), np.stack([first, first + 6, first + 5], 1)])
    k = np.array([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]])
    rasterised = both(Mesh(corners, faces.astype(np.int32)), np.eye(4)[None], k, (9, 9))[1]
    assert (rasterised.face_id[0, 1:-1, 1:-1] >= 0).all()
    np.testing.assert_allclose(rasterised.depth[0, 1:-1, 1:-1], 1, atol=1e-6)


@needs_pytorch3d
def test_large_meshes_and_cameras_at_the_wall():
    mesh = box()
    vertices, faces = mesh.vertices, mesh.faces
    while len(faces) < 160_000:
        corners = vertices[faces]
        middles = (corners + np.roll(corners, -1, 1)) / 2
        a, b, c = (corners[:, i] for i in range(3))
        ab, bc, ca = (middles[:, i] for i in range(3))
        triangles = np.stack([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))], 1)
        vertices = triangles.reshape(-1, 3)
        faces = np.arange(len(vertices)).reshape(-1, 3)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=vertices.shape)
    vertices, place = np.unique(vertices.round(9), axis=0, return_inverse=True)
    dense = Mesh(vertices + noise[: len(vertices)], place.reshape(-1)[faces].astype(np.int32))
    assert len(dense.faces) > 160_000
    poses = np.concatenate([walk_around(1), look_at(LOW + 0.02, (LOW + HIGH) / 2)[None]])
    cast, rasterised = both(dense, poses, pinhole((32, 24)), (32, 24))
    # Here neighbouring pixels all see different faces; what differs must be an edge between the two, at one depth.
    other = cast.face_id != rasterised.face_id
    assert other.mean() < 0.01 and (rasterised.face_id >= 0).all()
    np.testing.assert_allclose(rasterised.depth, cast.depth, rtol=1e-3)


@needs_pytorch3d
def test_nothing_there_and_what_is_not_finite():
    mesh = box()
    dirty = Mesh(np.concatenate([mesh.vertices, [[np.nan] * 3]]), np.concatenate([mesh.faces, [[0, 1, 8]]]))
    poses = np.concatenate([walk_around(1), look_at(HIGH + 1, HIGH + 2)[None]])
    cast, rasterised = both(dirty, poses, pinhole(SIZE))
    assert_same(cast, rasterised)
    assert (rasterised.face_id[1] == -1).all() and not rasterised.depth[1].any()


@needs_pytorch3d
def test_far_from_the_origin_and_many_views_at_once(monkeypatch):
    shift = np.array([5e5, -5e5, 300.0])
    mesh, poses = box(LOW + shift, HIGH + shift), walk_around(5)
    poses[:, :3, 3] += shift
    cast, rasterised = both(mesh, poses, pinhole(SIZE))
    assert_same(cast, rasterised)
    monkeypatch.setattr(rasterize, "_MEMORY", 1)  # one after the other
    one_by_one = both(mesh, poses, pinhole(SIZE))[1]
    np.testing.assert_array_equal(one_by_one.face_id, rasterised.face_id)
    np.testing.assert_array_equal(one_by_one.depth, rasterised.depth)


@needs_pytorch3d
def test_views_of_a_scene(scan):
    calls = []
    scene = load_scene(scan)
    seen = render_views(scene, [100, 2], (32, 24), lambda: calls.append(1), backend="pytorch3d", device="cpu")
    assert_same(render_views(scene, [100, 2], (32, 24)), seen)
    assert seen.frame_ids == (100, 2) and len(calls) == 2


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_faces_are_cut_to_what_may_be_seen(seed):
    """Random points of faces: those in the image and before the camera are in a part of their face, others may be."""
    rng = np.random.default_rng(seed)
    corners = torch.from_numpy(rng.normal(size=(6, 3, 3)))
    image, owner = rasterize._visible(corners, SIZE)
    assert (image[..., 2] >= 0).all() and (image[..., :2].abs() <= 1.2 * max(SIZE) / min(SIZE)).all()
    weight = rng.dirichlet(np.ones(3), (6, 50))
    points = np.einsum("fpc,fcx->fpx", weight, corners.numpy())
    for face in range(6):
        parts = image[owner == face].numpy()
        x, y, z = points[face].T
        seen = (z > 1e-3) & (np.abs(x) < z * SIZE[0] / SIZE[1]) & (np.abs(y) < z)
        for point in np.stack([x[seen] / z[seen], y[seen] / z[seen]], 1):
            step = np.roll(parts, -1, 1)[..., :2] - parts[..., :2]
            off = point - parts[..., :2]
            side = (step[..., 0] * off[..., 1] - step[..., 1] * off[..., 0]) / np.linalg.norm(step, axis=-1)
            assert ((side >= -1e-9).all(1) | (side <= 1e-9).all(1)).any()


def test_an_unknown_backend_and_one_that_is_missing_are_one_line(scan, monkeypatch):
    scene = load_scene(scan)
    with pytest.raises(InputError, match="backend 'paint' is not one of embree, pytorch3d"):
        render_views(scene, [2], (8, 6), backend="paint")
    monkeypatch.setattr(rasterize, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"PyTorch3D is not installed; docs/install\.md"):
        render_views(scene, [2], (8, 6), backend="pytorch3d")
    monkeypatch.setattr(rasterize, "find_spec", lambda _: object())
    with pytest.raises(InputError, match="device 'tpu' is not known"):
        render_views(scene, [2], (8, 6), backend="pytorch3d", device="tpu")
