"""What differs between photos of one surface: exposure, white balance and vignetting, solved as in HDR."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from ..scene.srgb import from_light, to_light

_ROUNDS = 6
_GAMMA = 2.2
_GAIN_SCALE = 0.1  # log units; a difference of 10 % is more than exposure leaves unexplained
_MAX_GAIN = np.log(6)
_MOST_FALLOFF = np.log(3)  # log units in the corners
# sRGB values of the brightest channel below and above which a photo tells less and less, and what weight it keeps.
_DARK, _BRIGHT, _UNUSABLE = (4.0, 20.0), (250.0, 255.0), 0.05
_SHOULDER = 0.75  # of the brightest value: what lies above is compressed where the surface is brighter than that
_HIGHLIGHTS = 0.002  # share of the surface that may be lost in the shoulder's end

# Working values are 255 * light ** (1 / 2.2): as even to the eye as sRGB's, and a gain is the same factor everywhere.
_TABLE = (255 * to_light(np.arange(256, dtype=np.uint8)) ** (1 / _GAMMA)).astype(np.float32)
# The other way round, for so many steps of each working value.
_PER_WORKING = 64
_BACK = np.interp(np.arange(255 * _PER_WORKING + 1) / _PER_WORKING, _TABLE, np.arange(256)).astype(np.float32)
_DARKEST = 2 ** (-0.5 / _GAMMA)  # factor on working values: half a stop for the sake of highlights
_FINE = 8  # steps a working value on the way back


@dataclass(frozen=True, eq=False)
class Exposure:
    """What brings m photos to one exposure.

    Attributes:
        gain: (m, 3) float32 factor on each photo's working values, by channel.
        falloff: (2,) float64, vignetting: log of the working value's loss, as factors of the squared distance from the
            picture's middle, which is 1 in its corners, and of its square; one curve for all photos.
        highest: working value of the brightest surface, at least 255.
    """

    gain: np.ndarray
    falloff: np.ndarray
    highest: float = 255.0

    def within_white(self, top: np.ndarray) -> "Exposure":
        """A little darker if some of the surface is brighter than white, given its brightest channel's values (k,)."""
        highest = float(np.quantile(top, 1 - _HIGHLIGHTS)) if len(top) else 0.0
        darker = float(np.clip(255 / max(highest, 1.0), _DARKEST, 1))
        return replace(self, gain=self.gain * np.float32(darker), highest=max(highest * darker, 255.0))

    def level(self, image: np.ndarray, photo: int) -> np.ndarray:
        """Working values (h, w, 3) float32 of a photo (h, w, 3) uint8 sRGB, above 255 where it was exposed less."""
        out = _TABLE[image]
        out *= self.gain[photo]
        if self.falloff.any():
            height, width = image.shape[:2]
            v, u = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
            out *= self._lift(squared_radius(u, v, (width, height)))[..., None]
        return out

    def level_samples(self, color: np.ndarray, photo: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """The same for single values (k, 3) of several photos (k,), at squared radii (k,)."""
        out = working(color)
        out *= self.gain[photo]
        out *= self._lift(radius)[:, None]
        return out

    def brightest(self, surface: np.ndarray, face: np.ndarray, photo: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """(k,) brightest channel, sRGB, of what photos should show of faces (k,) whose working values are (f, 3)."""
        top = np.zeros(len(face), np.float32)
        for channel, gain in zip(surface.T, self.gain.T, strict=True):
            np.maximum(top, channel[face] / gain[photo], out=top)
        top /= self._lift(radius)
        steps = top * _PER_WORKING + np.float32(0.5)
        return _BACK[np.clip(steps, 0, len(_BACK) - 1, out=steps).astype(np.int16)]

    def _lift(self, radius: np.ndarray) -> np.ndarray:
        first, second = self.falloff.astype(np.float32)
        return np.exp((first + second * radius) * radius)


def squared_radius(u: np.ndarray, v: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squared distance of pixels u, v from the middle of a picture (width, height); 1 in its corners."""
    across, down = u - np.float32((size[0] - 1) / 2), v - np.float32((size[1] - 1) / 2)
    return (across * across + down * down) * np.float32(4 / (size[0] ** 2 + size[1] ** 2))


def working(color: np.ndarray) -> np.ndarray:
    """Working values, float32, of sRGB values 0..255, uint8 or float between them."""
    return _TABLE[color] if color.dtype == np.uint8 else np.interp(color, np.arange(256), _TABLE).astype(np.float32)


def usable(color: np.ndarray) -> np.ndarray:
    """How much a photo tells of its sRGB values (..., 3): (...) float32, little where it is clipped or nearly black."""
    red, green, blue = np.moveaxis(color, -1, 0)
    return usable_top(np.maximum(np.maximum(red, green), blue).astype(np.float32))


def usable_top(top: np.ndarray) -> np.ndarray:
    """The same for values of the brightest channel, float32."""
    rise = (top - _DARK[0]) * np.float32(1 / (_DARK[1] - _DARK[0]))
    fall = (_BRIGHT[1] - top) * np.float32(1 / (_BRIGHT[1] - _BRIGHT[0]))
    return np.clip(np.minimum(rise, fall), np.float32(_UNUSABLE), 1)


def fit_exposure(color: np.ndarray, radius: np.ndarray, weights: sp.csr_matrix) -> Exposure:
    """Gains and vignetting from sightings of faces.

    Args:
        color: (nnz, 3) float sRGB 0..255, of each stored entry of `weights`, in its order.
        radius: (nnz,) squared distance from the picture's middle, as `squared_radius`.
        weights: (f, m) CSR, how much each sighting counts.
    """
    told = weights.copy()
    told.data = weights.data * usable(color)
    value = np.log(np.maximum(working(color), 1.0))
    curve = np.stack([radius, radius * radius], 1)
    _, falloff = view_offsets(value.mean(1), told, _GAIN_SCALE, curve)
    falloff *= min(1.0, _MOST_FALLOFF / max(abs(falloff.sum()), 1e-9))
    value += (curve @ falloff)[:, None]
    gain = np.stack([view_offsets(channel, told, _GAIN_SCALE)[0] for channel in value.T], 1)
    gain -= np.median(gain, 0)  # the middle exposure
    return Exposure(np.exp(np.clip(gain, -_MAX_GAIN, _MAX_GAIN)).astype(np.float32), falloff)


def view_offsets(
    values: np.ndarray, weights: sp.csr_matrix, scale: float, curves: np.ndarray | None = None, prior: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Fits values[f, v] = surface[f] - offset[v] - curves[f, v] @ shape robustly, jointly over all faces and views.

    Eliminating the surface leaves one small linear system (of offsets alone, a weighted graph Laplacian); iteratively
    reweighted with Huber's weights, so that highlights and moving things count little.

    Args:
        values: (nnz,) one value per stored entry of `weights`, in its order.
        weights: (f, v) CSR, how much each sighting of a face counts; > 0.
        scale: residual beyond which a sighting counts as an outlier, in the values' unit.
        curves: (nnz, c) what all views have in common beside the surface; default none.
        prior: pull towards zero, as a share of a view's own weight: keeps views without overlap where they are.

    Returns:
        (v,) float64 offsets to add to the values; their weighted mean is zero. (c,) float64 shape of the curves.
    """
    faces, count = weights.shape
    rows = np.repeat(np.arange(faces), np.diff(weights.indptr))
    columns = weights.indices
    curves = np.zeros((len(values), 0)) if curves is None else curves

    def of_faces(x: np.ndarray) -> np.ndarray:
        return np.bincount(rows, x, faces)

    def of_views(x: np.ndarray) -> np.ndarray:
        return np.bincount(columns, x, count)

    def of_curves(sums: Callable[[np.ndarray], np.ndarray], x: np.ndarray, length: int) -> np.ndarray:
        """(length, c) sums of each column of x (nnz, c); there may be none."""
        return np.reshape([sums(column) for column in x.T], (x.shape[1], length)).T

    current = weights.data.astype(np.float64)
    for _ in range(_ROUNDS):
        inverse = 1 / np.maximum(of_faces(current), 1e-12)
        mean = of_faces(current * values) * inverse
        missed = current * (values - mean[rows])
        bent = current[:, None] * curves
        # The unknowns are each view's offset, and the curves' shape.
        own = np.r_[of_views(current), (bent * curves).sum(0)]
        # Each sighting over the root of all that its face has: the product below eliminates the surface.
        shared = sp.csr_matrix((current * np.sqrt(inverse)[rows], columns, weights.indptr), (faces, count))
        bent_faces = of_curves(of_faces, bent, faces) * np.sqrt(inverse)[:, None]
        across = of_curves(of_views, bent, count) - shared.T @ bent_faces
        offsets = np.diag(own[:count]) - (shared.T @ shared).toarray()
        system = np.block([[offsets, across], [across.T, curves.T @ bent - bent_faces.T @ bent_faces]])
        system += np.diag(own * prior + 1e-9)
        side = np.r_[of_views(missed), curves.T @ missed]
        unknown = -np.linalg.solve(system, side)
        unknown[:count] -= np.average(unknown[:count], weights=own[:count] + 1e-12)
        shifted = values + unknown[columns] + curves @ unknown[count:]
        surface = of_faces(current * shifted) * inverse
        current = weights.data / np.maximum(np.abs(shifted - surface[rows]) / scale, 1)
    return unknown[:count], unknown[count:]


def developed(color: np.ndarray, highest: float) -> np.ndarray:
    """sRGB 0..255 (n, 3) float32 of working values (n, 3); what is brighter than white passes through a shoulder.

    Values below the shoulder stay, and all do where nothing is brighter than white.
    """
    steps = np.arange(0, max(highest, 255) * _FINE + 1) / _FINE
    start = 255 * _SHOULDER
    part = np.clip((steps - start) / (highest - start), 0, 1)
    bent = start + (255 - start) * (1 - (1 - part) ** ((highest - start) / (255 - start)))
    curve = np.clip(from_light((np.where(steps > start, bent, steps) / 255) ** _GAMMA), 0, 255)
    return curve[np.clip(color * _FINE + 0.5, 0, len(steps) - 1).astype(np.int32)]
