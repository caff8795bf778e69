"""Pictures inside a room: paintings, rugs, and what lies outside a window. All (h, w, 3) float32, gamma space 0..1."""

import cv2
import numpy as np

from .value_noise import fractal_noise, value_noise


def _rgb(color) -> np.ndarray:
    return np.asarray(color, np.float32) / 255


def _noise(rng, shape, cells, octaves=3):
    """Fractal noise for any image size."""
    side = 1 << (max(shape) - 1).bit_length()
    scale = side / max(shape)
    field = fractal_noise(rng, (side, side), (int(cells[0] * scale) or 1, int(cells[1] * scale) or 1), octaves)
    return field[: shape[0], : shape[1]]


def _ridge(rng: np.random.Generator, width: int, waves: int) -> np.ndarray:
    """A wavering line (width,) of deviation about 1, with from `waves` to 16 times as many waves across."""
    x = np.linspace(0, 2 * np.pi, width, dtype=np.float32)
    return sum(
        np.sin(waves * 2**k * rng.uniform(0.7, 1.3) * x + rng.uniform(0, 6.3)) * np.float32(0.6**k) for k in range(5)
    )


def landscape(rng: np.random.Generator, shape: tuple[int, int], colors) -> np.ndarray:
    """Hills behind hills under a pale sky."""
    h, w = shape
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    base = [_rgb(c) for c in colors]
    sky_top, sky_low = _rgb((178, 200, 214)), _rgb((240, 228, 206))
    image = np.broadcast_to(sky_top * (1 - y) + sky_low * y, (h, w, 3)).copy()
    sun = rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.35)
    cv2.circle(image, (int(sun[0] * w), int(sun[1] * h)), int(0.07 * w), (0.98, 0.90, 0.74), -1, cv2.LINE_AA)
    for i, level in enumerate(np.linspace(0.45, 0.85, 4)):
        ridge = level + 0.06 * _ridge(rng, w, 1)
        color = base[i % len(base)] * (1 - 0.12 * i) * 0.7 + sky_low * max(0.35 - 0.12 * i, 0)
        cover = np.clip((y[..., 0] - ridge[None]) * h / 2, 0, 1)[..., None]
        image = image * (1 - cover) + color * cover
    return np.clip(image * (1 + 0.03 * _noise(rng, shape, (16, 16)))[..., None], 0, 1).astype(np.float32)


def abstract(rng: np.random.Generator, shape: tuple[int, int], colors) -> np.ndarray:
    """Soft overlapping shapes on a light ground."""
    h, w = shape
    image = np.broadcast_to(_rgb((232, 224, 208)), (h, w, 3)).copy()
    for _ in range(int(rng.integers(4, 8))):
        color = _rgb(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.8, 1.1)
        center = int(rng.uniform(0.1, 0.9) * w), int(rng.uniform(0.1, 0.9) * h)
        axes = int(rng.uniform(0.12, 0.4) * w), int(rng.uniform(0.12, 0.4) * h)
        layer = image.copy()
        color = tuple(float(c) for c in np.clip(color, 0, 1))
        if rng.random() < 0.6:
            cv2.ellipse(layer, center, axes, rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        else:
            corner = center[0] + axes[0], center[1] + axes[1]
            cv2.rectangle(layer, (center[0] - axes[0], center[1] - axes[1]), corner, color, -1)
        image = 0.15 * image + 0.85 * layer
    return np.clip(image * (1 + 0.02 * _noise(rng, shape, (24, 24)))[..., None], 0, 1).astype(np.float32)


def rug(rng: np.random.Generator, shape: tuple[int, int], colors) -> np.ndarray:
    """A woven rug: plain with a border, striped, or with a diamond lattice."""
    h, w = shape
    ground, second, third = (_rgb(colors[i % len(colors)]) for i in range(3))
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w) * w / h, indexing="ij")
    edge = np.minimum(1 - np.abs(y), w / h - np.abs(x))
    image = np.broadcast_to(ground, (h, w, 3)).copy()
    kind = rng.integers(3)
    if kind == 0:
        image[(edge > 0.16) & (edge < 0.28)] = second
        image[(edge > 0.2) & (edge < 0.24)] = third
    elif kind == 1:
        stripe = np.floor((x + 10) * 4.0).astype(int) % 4
        image[stripe == 1] = second
        image[stripe == 3] = third * 0.5 + ground * 0.5
    else:
        diamond = (np.abs(np.mod(x * 2.2, 1) - 0.5) + np.abs(np.mod(y * 2.2, 1) - 0.5)) - 0.5
        image[(np.abs(diamond) < 0.10) & (edge > 0.2)] = second
        image[(edge > 0.1) & (edge < 0.18)] = third
    side = 1 << (max(shape) - 1).bit_length()
    tuft = value_noise(rng, (side, side), (side // 3, side // 3))[:h, :w]
    return np.clip(image * (1 + 0.02 * tuft + 0.025 * _noise(rng, shape, (4, 4)))[..., None], 0, 1).astype(np.float32)


def outside(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A bright, hazy view from a window: sky, trees, a hedge or a lawn."""
    h, w = shape
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    sky = _rgb((176, 206, 238)) * (1 - y) + _rgb((240, 244, 246)) * y
    cloud = np.clip(_noise(rng, shape, (3, 2), 4) * 0.5 + 0.15, 0, 1)[..., None]
    image = np.broadcast_to(sky, (h, w, 3)) * (1 - 0.7 * cloud) + 0.7 * cloud
    horizon = rng.uniform(0.55, 0.7)
    for depth, green in ((0.0, (172, 190, 168)), (0.07, (140, 164, 122)), (0.16, (120, 148, 96))):
        ridge = horizon + depth + (0.06 - 0.15 * depth) * _ridge(rng, w, 2)
        cover = np.clip((y[..., 0] - ridge[None]) * h / 4, 0, 1)[..., None]
        leaves = (1 + 0.10 * _noise(rng, shape, (20, 20), 2))[..., None]
        image = image * (1 - cover) + _rgb(green) * leaves * cover
    lawn = np.clip((y - horizon - 0.24) * 12, 0, 1)
    image = image * (1 - lawn) + _rgb((164, 182, 122)) * lawn
    return np.clip(0.8 * image + 0.2, 0, 1).astype(np.float32)
