"""The quick blur against OpenCV's."""

import cv2
import numpy as np
import pytest

from scenetex.texture.blur import gaussian_blur, small_blur


@pytest.mark.parametrize("sigma", [0.6, 8.0, 12.0])
def test_narrow_ones_are_opencvs(sigma):
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    np.testing.assert_array_equal(gaussian_blur(image, sigma), cv2.GaussianBlur(image, (0, 0), sigma))


@pytest.mark.parametrize("sigma", [12.5, 18.75, 37.5, 90.0])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_wide_ones_come_near_it(sigma, kind, channels):
    """Noise of all sizes, an edge, and a border that is not a multiple of anything."""
    rng = np.random.default_rng(1)
    image = sum(
        cv2.resize(rng.uniform(0, 60, (h, h + 3)), (701, 523), interpolation=cv2.INTER_CUBIC) for h in (4, 40, 300)
    )
    image[:, 350:] += 90
    image = np.clip(image, 0, 255).astype(kind)
    image = np.stack([image] * 3, 2) if channels else image
    found, expected = gaussian_blur(image, sigma), cv2.GaussianBlur(image, (0, 0), sigma)
    assert found.dtype == kind and found.shape == image.shape
    off = np.abs(found.astype(float) - expected)
    assert off.max() < 2.5 and off.mean() < 0.6


@pytest.mark.parametrize("sigma", [1.5, 3.0, 8.0])
def test_small_ones_read_between_pixels_are_blurred_as_much(sigma):
    rng = np.random.default_rng(2)
    image = cv2.resize(rng.uniform(0, 255, (150, 210)).astype(np.float32), (630, 451), interpolation=cv2.INTER_CUBIC)
    small = small_blur(image, sigma, 2.0)
    assert max(np.abs(np.array(small.shape) * max(sigma / 2, 1) - image.shape)) < max(sigma / 2, 1)
    found = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    off = np.abs(found - cv2.GaussianBlur(image, (0, 0), sigma))
    assert off.mean() < 0.4
    inner = off[int(3 * sigma) : -int(3 * sigma), int(3 * sigma) : -int(3 * sigma)]  # borders are mirrored by cells
    assert inner.max() < 2
