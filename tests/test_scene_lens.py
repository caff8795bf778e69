"""Photos through a fisheye become those of a pinhole; OpenCV's other model: test_scene_image_source.py."""

import cv2
import numpy as np
import pytest

from scenetex.scene.camera import Camera
from scenetex.scene.frame import Frame
from scenetex.scene.image_source import ImageSource

SIZE = 160, 120
MATRIX = np.array([[70.0, 0, 79.5], [0, 72.0, 58.0], [0, 0, 1]])


def rays_of(distortion) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 2) directions x / z, y / z of a fisheye's pixels and a pinhole's: theta' = theta (1 + k1 theta^2 ...)."""
    v, u = np.mgrid[: SIZE[1], : SIZE[0]].astype(float)
    straight = (np.stack([u, v], -1) - MATRIX[:2, 2]) / MATRIX[[0, 1], [0, 1]]
    bent = np.linalg.norm(straight, axis=-1)
    theta = bent.copy()
    for _ in range(50):  # Newton
        powers = [theta ** (2 * k + 2) for k in range(4)]
        value = theta * (1 + sum(k * p for k, p in zip(distortion, powers, strict=True))) - bent
        slope = 1 + sum((2 * i + 3) * k * p for i, (k, p) in enumerate(zip(distortion, powers, strict=True)))
        theta -= value / slope
    return straight * (np.tan(theta) / np.maximum(bent, 1e-12))[..., None], straight


def colors(rays: np.ndarray) -> np.ndarray:
    x, y = rays[..., 0], rays[..., 1]
    return np.rint(128 + 90 * np.stack([np.sin(2 * x), np.cos(3 * y), np.sin(x + y)], -1)).astype(np.uint8)


@pytest.mark.parametrize("distortion", [(0.0, 0.0, 0.0, 0.0), (0.05, -0.01, 0.004, -0.002)])
def test_fisheyes_are_straightened(tmp_path, distortion):
    seen, straight = rays_of(distortion)
    photo, expected = colors(seen), colors(straight).astype(int)
    cv2.imwrite(str(tmp_path / "photo.png"), photo[..., ::-1])
    cv2.imwrite(str(tmp_path / "depth.png"), np.rint(1000 + 300 * np.sin(seen[..., 0])).astype(np.uint16))
    color, depth = (
        ImageSource(tmp_path / f"{name}.png", distortion=distortion, fisheye=True) for name in ("photo", "depth")
    )
    camera = Camera(MATRIX, *SIZE)
    frame = Frame(0, np.eye(4), camera, color, depth, camera, np.eye(4))
    assert np.abs(frame.read_color() - expected)[3:-3, 3:-3].max() <= 3
    assert np.abs(frame.read_depth() - (1 + 0.3 * np.sin(straight[..., 0])))[3:-3, 3:-3].max() < 0.01
    assert np.abs(photo - expected).max() > 60  # taken for a pinhole's, it would be far off
