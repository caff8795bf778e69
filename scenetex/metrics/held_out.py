"""A textured mesh against photos that it was not made of: how near, how sharp, how much of it is there."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import cv2
import numpy as np

from ..scene.extent import extent_of
from ..scene.mesh import Mesh
from ..texture.lookup import sample_pages
from ..texture.textured_mesh import TexturedMesh
from ..views.raycast import RayCaster
from ..views.viewset import pixel_rays

_APART = 0.03  # metres between the scan and what is drawn in its place
_WINDOW, _SIGMA = 11, 1.5  # of structural similarity
_BLOCK, _SHIFT = 32, 3  # pixels: of blocks that are aligned by themselves, and by how far
_STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class HeldOut:
    """How a textured mesh meets photos: means over those in which it draws anything.

    Attributes:
        psnr: dB, at pixels that are drawn, after one gain for each photo and channel, which forgives its exposure.
        psnr_aligned: the same after each block of 32 pixels took its best shift of whole pixels, 3 at most, which
            forgives errors of poses and shape that otherwise reward blur.
        gradient_ratio: mean size of the gradient over the photo's: below 1 blurred, above it noise or seams.
        ssim: structural similarity (Wang et al. 2004), Gaussian windows of 11 pixels that are drawn in full.
        drawn: part of the pixels that show the scan in which the textured mesh has a colour, of all photos together.
    """

    psnr: float
    psnr_aligned: float
    gradient_ratio: float
    ssim: float
    drawn: float


def score_held_out(
    textured: TexturedMesh,
    scan: Mesh,
    photos: Sequence[np.ndarray],
    intrinsics: Sequence[np.ndarray],
    cam_to_world: Sequence[np.ndarray],
) -> HeldOut:
    """Renders the mesh as the photos' cameras see it, without light, and compares.

    A pixel is drawn where its ray meets a face with texture within 3 cm of where it meets the scan.

    Args:
        textured: the mesh, in the scan's frame; it may lack faces of it.
        scan: the mesh that tells which pixels count.
        photos: m photos (h, w, 3) uint8.
        intrinsics: m matrices (3, 3), pixel centres at whole numbers.
        cam_to_world: m poses (4, 4), OpenCV axes, metres.

    Returns:
        NaN, but for `drawn`, where no photo shows any of it.
    """
    middle = extent_of(scan.triangles).middle
    casters = [RayCaster(mesh.vertices - middle, mesh.faces) for mesh in (scan, textured.mesh)]
    rows, drawn, there = [], 0, 0
    for photo, k, pose in zip(photos, intrinsics, cam_to_world, strict=True):
        pose = np.array(pose, np.float64)
        pose[:3, 3] -= middle
        image, covered, hit = _render(textured, *casters, k, pose, (photo.shape[1], photo.shape[0]))
        drawn, there = drawn + int(covered.sum()), there + hit
        if covered.any():
            rows.append(_compare(image, photo.astype(np.float32), covered))
    means = np.nanmean(rows, 0).tolist() if rows else [np.nan] * (len(fields(HeldOut)) - 1)
    return HeldOut(*means, drawn / max(there, 1))


def figures(score: HeldOut) -> dict[str, float | None]:
    """The score as JSON has it."""
    values = zip(fields(score), astuple(score), strict=True)
    return {field.name: round(value, 4) if np.isfinite(value) else None for field, value in values}


def _render(
    textured: TexturedMesh, scan: RayCaster, own: RayCaster, k: np.ndarray, pose: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, int]:
    """(h, w, 3) float32 0..255, 0 where nothing is drawn; (h, w) bool where; how many pixels show the scan."""
    origin, direction = pixel_rays(k, pose, size)
    origins = np.broadcast_to(origin, direction.shape)
    true, hit = scan.cast(origins, direction), own.cast(origins, direction)
    seen = true["face"] >= 0
    there = seen & (hit["face"] >= 0)
    near = np.zeros(len(there), bool)
    # Distances are in lengths of the ray's direction, whose part along the camera's axis is 1.
    near[there] = np.abs(hit["distance"][there] - true["distance"][there]) <= _APART
    near[near] = textured.atlas.page[hit["face"][near]] >= 0
    image = np.zeros((len(near), 3), np.float32)
    at = np.flatnonzero(near)
    image[at] = sample_pages(textured.atlas, textured.textures, hit["face"][at], hit["u"][at], hit["v"][at])
    shape = size[1], size[0]
    return image.reshape(*shape, 3), near.reshape(shape), int(seen.sum())


def _compare(image: np.ndarray, photo: np.ndarray, covered: np.ndarray) -> tuple[float, float, float, float]:
    """The first four figures of one photo."""
    ours, theirs = image[covered].astype(np.float64), photo[covered]
    gain = (ours * theirs).sum(0) / np.maximum((ours * ours).sum(0), 1e-6)
    lit = np.clip(image * gain.astype(np.float32), 0, 255)
    masked = np.where(covered[..., None], photo, 0)
    inner = cv2.erode(
        covered.astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    squares = np.square(lit - masked, dtype=np.float64)[covered].mean()
    ratio = alike = np.nan
    if inner.any():
        ratio = _gradient(lit)[inner].mean() / max(_gradient(masked)[inner].mean(), 1e-6)
        alike = _similarity(image, masked)[inner].mean()
    return _decibels(squares), _decibels(_aligned_squares(lit, photo, covered)), float(ratio), float(alike)


def _decibels(squares: float) -> float:
    return float(10 * np.log10(255**2 / max(squares, 1e-9)))


def _gradient(image: np.ndarray) -> np.ndarray:
    grey = image.mean(2)
    return np.hypot(np.diff(grey, axis=1, append=0), np.diff(grey, axis=0, append=0))


def _aligned_squares(image: np.ndarray, photo: np.ndarray, covered: np.ndarray) -> float:
    """Mean squared error of pixels whose shifted partners all lie in the photo, each block at its best shift."""
    kept = np.zeros_like(covered)
    kept[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT] = covered[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    if not kept.any():
        return float("nan")
    height, width = (-(-side // _BLOCK) * _BLOCK for side in covered.shape)
    best = None
    for down in range(-_SHIFT, _SHIFT + 1):
        for across in range(-_SHIFT, _SHIFT + 1):
            error = np.zeros((height, width), np.float32)
            moved = np.roll(photo, (down, across), (0, 1))
            error[: kept.shape[0], : kept.shape[1]] = np.square(image - moved).sum(2) * kept
            blocks = error.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum((1, 3), dtype=np.float64)
            best = blocks if best is None else np.minimum(best, blocks)
    return float(best.sum() / 3 / kept.sum())


def _similarity(image: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(h, w) structural similarity at each pixel, mean over the channels."""
    one, other = image.astype(np.float64), photo.astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA)

    a, b = mean(one), mean(other)
    spread = mean(one * one) - a * a + mean(other * other) - b * b + _STABLE[1]
    alike = (2 * a * b + _STABLE[0]) * (2 * (mean(one * other) - a * b) + _STABLE[1])
    return (alike / ((a * a + b * b + _STABLE[0]) * spread)).mean(2)
