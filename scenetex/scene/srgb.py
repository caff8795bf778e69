"""sRGB's transfer curve (IEC 61966-2-1): light in proportion to what fell on the sensor, and back to stored values."""

import numpy as np

_KNEE, _SLOPE, _OFFSET, _GAMMA = 0.0031308, 12.92, 0.055, 2.4


def to_light(srgb: np.ndarray) -> np.ndarray:
    """Light of stored values: 0..255, uint8 or float, to 0..1 float32, of the same shape."""
    if srgb.dtype == np.uint8:
        return _TABLE[srgb]
    value = srgb * np.float32(1 / 255)
    return np.where(value <= _KNEE * _SLOPE, value / _SLOPE, ((value + _OFFSET) / (1 + _OFFSET)) ** _GAMMA).astype(
        np.float32
    )


def from_light(light: np.ndarray) -> np.ndarray:
    """Stored values of light: 0..1 to 0..255 float32, of the same shape; not clipped, light below 0 counts as 0."""
    light = np.maximum(light, 0)
    curve = (1 + _OFFSET) * light ** np.float32(1 / _GAMMA) - _OFFSET
    return (255 * np.where(light <= _KNEE, _SLOPE * light, curve)).astype(np.float32)


_TABLE = to_light(np.arange(256, dtype=np.float32))
