"""From the colours that a profile (ICC) describes to sRGB, by LittleCMS, relative to white (colorimetric)."""

import io
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

from ..errors import shown
from .matrix_profile import read_matrix_profile
from .srgb import from_light

_STRIP = 1 << 20  # pixels that are converted at a time
_SAME = 1  # of 255: colours that sRGB's differ from by no more are sRGB's
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # what Pillow calls pixels of these spaces
_FULL = 65535


class UnreadableProfile(ValueError):
    """A profile that is damaged, or not for the pixels it stands beside."""


def check_profile(profile: bytes, space: str) -> None:
    """Raises UnreadableProfile for a profile that is damaged, or not for pixels of a `space`: "RGB", "GRAY", "CMYK"."""
    _conversion(profile, space)


def to_srgb(image: np.ndarray, profile: bytes, space: str) -> np.ndarray:
    """Pixels as sRGB, (h, w, 3) uint8.

    Args:
        image: of "RGB", (h, w, 3) uint8, or uint16 from 0 to 65535; of "GRAY" the same, with three equal channels; of
            "CMYK" (h, w, 4) uint8.
        profile: what says their colours.
        space: which of the three.

    Raises:
        UnreadableProfile: as `check_profile`.
    """
    found = _conversion(profile, space)
    if found is None:
        return to_8_bits(image)
    mode, transform = found
    linear = read_matrix_profile(profile) if image.dtype == np.uint16 else None
    out = np.empty((*image.shape[:2], 3), np.uint8)
    for rows in _strips(image):
        if linear is not None:
            out[rows] = _from_16_bits(image[rows], *linear)
        else:
            out[rows] = _applied(transform, to_8_bits(image[rows]), mode)
    return out


def lab_to_srgb(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 sRGB of CIE L*a*b* under D50 as Pillow has it, (h, w, 3) uint8."""
    transform = _lab_transform()
    out = np.empty(image.shape, np.uint8)
    for rows in _strips(image):
        out[rows] = _applied(transform, image[rows], "LAB")
    return out


def to_8_bits(image: np.ndarray) -> np.ndarray:
    """Pixels of 16 bits to the nearest of 255 steps; those of 8 as they are."""
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=255 / _FULL)


def _strips(image: np.ndarray) -> list[slice]:
    step = max(1, _STRIP // image.shape[1])
    return [slice(at, at + step) for at in range(0, image.shape[0], step)]


def _applied(transform, image: np.ndarray, mode: str) -> np.ndarray:
    if mode == "L":
        values = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        return np.asarray(transform.apply(values))[0][image[..., 0]]
    height, width = image.shape[:2]
    return np.asarray(transform.apply(Image.frombuffer(mode, (width, height), np.ascontiguousarray(image), "raw")))


@lru_cache(maxsize=32)
def _conversion(profile: bytes, pixels: str):
    """Pillow's mode of the pixels, and what converts them; None where nothing has to be. Photos of one camera share
    it."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        # Grey pixels under a profile of colours are colours whose channels are one.
        fits = space == pixels or (pixels == "GRAY" and space == "RGB")
        if not fits:
            raise UnreadableProfile(f"is for {shown(space, 8) or 'no colours'}, the pixels are {pixels}")
        mode = _MODES[space]
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        # Of one channel 256 values are all: they may take the slow way, which is exact.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags(0)
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", intent, flags)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError, ImportError) as error:
        raise error if isinstance(error, UnreadableProfile) else UnreadableProfile("cannot be read") from None
    return None if mode != "CMYK" and _changes_nothing(transform, mode) else (mode, transform)


def _changes_nothing(transform, mode: str) -> bool:
    colors = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    if mode == "RGB":
        steps = np.arange(0, 256, 17, dtype=np.uint8)
        colors = np.concatenate([colors, np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)], 1)
    return bool(np.abs(_applied(transform, colors, mode).astype(int) - colors).max() <= _SAME)


@lru_cache(maxsize=1)
def _srgb():
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


@lru_cache(maxsize=1)
def _lab_transform():
    from PIL import ImageCms

    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB", intent)


def _from_16_bits(image: np.ndarray, curves: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    light = np.stack([curves[k][image[..., k]] for k in range(3)], -1)
    light = np.clip(cv2.transform(light, matrix), 0, 1)
    return _stored()[np.rint(light * _FULL).astype(np.uint16)]


@lru_cache(maxsize=1)
def _stored() -> np.ndarray:
    """(65536,) uint8 sRGB of light, in steps of 1 / 65535."""
    return np.rint(from_light(np.linspace(0, 1, _FULL + 1, dtype=np.float32))).astype(np.uint8)
