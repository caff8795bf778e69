"""Prompt obedience: whether the baked floor and walls have the colour that was asked for."""

import cv2
import numpy as np

from ..scene.mesh import Mesh
from ..texture.render import sample_texture
from ..texture.textured_mesh import TexturedMesh

_LEVEL, _UPRIGHT = 0.95, 0.1  # |z| of the normals of floors, of walls
_BIN = 0.05  # metres, within which a floor is level
_WALL_FROM = 1.3  # metres above the floor, where little furniture hides or looks like the walls


def floor_faces(mesh: Mesh) -> np.ndarray:
    """(f,) bool: level faces at the height where, in the lower half of the room, most level surface lies."""
    level, height, area = _gravity(mesh, lambda z: np.abs(z) > _LEVEL)
    if not level.any():
        return level
    floor = _floor_height(level, height, area)
    return level & (np.abs(height - floor) <= _BIN)


def wall_faces(mesh: Mesh) -> np.ndarray:
    """(f,) bool: upright faces whose middle is at least 1.3 m above the floor."""
    level, height, area = _gravity(mesh, lambda z: np.abs(z) > _LEVEL)
    upright = _gravity(mesh, lambda z: np.abs(z) < _UPRIGHT)[0]
    floor = _floor_height(level, height, area) if level.any() else (height[area > 0].min() if area.any() else 0.0)
    return upright & (height >= floor + _WALL_FROM)


def mean_color(textured: TexturedMesh, faces: np.ndarray, samples: int = 20_000, seed: int = 0) -> np.ndarray:
    """Mean texture colour over the area of some faces that carry texture.

    Args:
        textured: the mesh.
        faces: (f,) bool.
        samples: points drawn evenly over the area; the mean is exact to about its spread / sqrt(samples).

    Returns:
        (3,) float64 sRGB 0..255; NaN if none of the faces carries texture.
    """
    chosen = np.flatnonzero(np.asarray(faces) & (textured.atlas.page >= 0))
    if not len(chosen):
        return np.full(3, np.nan)
    rng = np.random.default_rng(seed)
    ends = np.cumsum(textured.mesh.face_areas[chosen])
    # Evenly spaced along the summed area: large faces get their share exactly, not by luck.
    at = (np.arange(samples) + rng.random(samples)) / samples * ends[-1]
    face = chosen[np.minimum(np.searchsorted(ends, at, side="right"), len(chosen) - 1)]
    u, v = rng.random((2, samples))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    return sample_texture(textured, face, u, v).mean(0, dtype=np.float64)


def nearest_color(color: np.ndarray, references: np.ndarray) -> int:
    """Which of the reference colours (n, 3) is nearest to `color` (3,), sRGB 0..255, in CIELAB; -1 for NaN."""
    if not np.isfinite(color).all():
        return -1
    lab = _lab(np.vstack([np.asarray(color)[None], references]))
    return int(np.linalg.norm(lab[1:] - lab[0], axis=1).argmin())


def _lab(colors: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.clip(colors, 0, 255).astype(np.float32)[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0]


def _gravity(mesh: Mesh, chosen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which faces' normal z is `chosen`, all faces' heights and areas, in the gravity frame; bad faces count not."""
    up = mesh.axis_alignment[2]
    area = np.nan_to_num(mesh.face_areas)
    height = np.nan_to_num(mesh.triangles.mean(1) @ up[:3] + up[3])
    z = np.nan_to_num(mesh.face_normals @ up[:3], nan=0.5)
    return chosen(z) & (area > 0), height, area


def _floor_height(level: np.ndarray, height: np.ndarray, area: np.ndarray) -> float:
    """Height, metres, at which most level surface of the lower half lies."""
    all_heights = height[area > 0]
    low, middle = all_heights.min(), 0.5 * (all_heights.min() + all_heights.max())
    below = level & (height <= middle)
    below = below if below.any() else level
    bins = np.floor((height[below] - low) / _BIN).astype(np.int64)
    best = np.bincount(bins, area[below]).argmax()
    near = np.abs(bins - best) <= 1  # a floor at a bin's edge falls into two
    return float(np.average(height[below][near], weights=area[below][near]))
