"""One room with a fine pattern and exact photos of it, for the readers of other people's layouts to be held against."""

from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from painted_box import box, photograph, pinhole, views_of, walk_around
from scipy.spatial.transform import Rotation
from tiny_scan import write_ply

SIZE = 160, 120
MESH = box()
K = pinhole(SIZE)
POSES = walk_around(4)


def needed(extra: str, *modules: str):
    """The first of the modules that an extra brings; the test is skipped, visibly, where one of them does not load."""
    try:
        first, *_ = [import_module(name) for name in modules]
        return first
    except (ImportError, OSError) as error:
        pytest.skip(f"needs {' and '.join(modules)}: the extra {extra} ({error})")


def stripes(points: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB 0..255: half a pixel beside, it is another colour."""
    return 127 + 100 * np.sin(25 * np.asarray(points, float))


def photos(k: np.ndarray = K, poses: np.ndarray = POSES, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Exact photos, (h, w, 3) uint8."""
    return photograph(MESH, poses, k, size, stripes)


def depths(k: np.ndarray = K, poses: np.ndarray = POSES, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Exact depth, (m, h, w) float32, metres."""
    return views_of(MESH, poses, k, size).depth


def write_image(path: Path, image: np.ndarray) -> None:
    """A photo, RGB, or a depth image, without loss whatever the name's suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image)[1].tobytes())


def write_mesh(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ply(path, MESH.vertices, MESH.faces)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(4,) x y z w, by SciPy."""
    return Rotation.from_matrix(rotation).as_quat()


def assert_photos_fit(scene) -> None:
    """Every pixel of every photo has the colour of the point of the mesh that its camera sees there."""
    for frame in scene.frames:
        k, size = frame.camera.intrinsics, frame.camera.size
        expected = photograph(scene.mesh, [frame.cam_to_world], k, size, stripes)[0]
        off = np.abs(frame.read_color().astype(int) - expected)
        # Beside an edge of the room, rounding decides which side a ray meets.
        assert np.quantile(off, 0.995) <= 1
        # The measure is fine enough to see a quarter of a pixel.
        beside = k + np.array([[0, 0, 0.25], [0, 0, 0], [0, 0, 0]])
        shifted = photograph(scene.mesh, [frame.cam_to_world], beside, size, stripes)[0]
        assert np.quantile(np.abs(shifted.astype(int) - expected), 0.9) > 3


def assert_depth_fits(scene, step: float) -> None:
    """Every depth image has the depth of the mesh from its camera, to half a `step` of its unit, metres."""
    for frame in scene.frames:
        camera = frame.depth_camera
        expected = views_of(scene.mesh, [frame.depth_cam_to_world], camera.intrinsics, camera.size).depth[0]
        assert np.quantile(np.abs(frame.read_depth() - expected), 0.995) <= 0.5 * step + 2e-5
