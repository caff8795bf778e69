"""Do photos agree along the mesh's depth as photos of one surface do?"""

from dataclasses import dataclass

import cv2
import numpy as np

from .look import Look

_PARALLAX = np.cos(np.radians(5))  # between lines of sight to a point: seen from nearly one side, any depth will do
_FARTHEST = 2.0  # times as far from one camera as from the other, at most
_BEHIND = 0.03  # share of the depth that a point may lie before or behind what the other camera sees
_CLIP = 40.0  # grey levels, as in pose refinement
_MOST = 150_000  # sightings tried
_LEAST = 400  # fewer tell nothing
_FEW = 50  # of two photos; fewer tell nothing of them
_PLENTY = 6, 2000  # pairs of photos and points that do not disagree by chance, as two photos of a mirror or lamp do


@dataclass(frozen=True, eq=False)
class Sightings:
    """Points of the surface that two photos show from different sides.

    Attributes:
        point: (n, 3) float32 about the mesh's middle, in its unit.
        first, second: (n,) positions of the two frames.
        pixel: (n, 2) float32 in the first's small photo.
        other: (n, 2) float32 in the second's.
    """

    point: np.ndarray
    first: np.ndarray
    second: np.ndarray
    pixel: np.ndarray
    other: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, eq=False)
class Pairs:
    """How every two photos agree.

    Attributes:
        ids: of the m frames, in the trajectory's order.
        sums: (4, m, m) float64: of the products of both photos' detail at the points that they share, of the squares
            of either, and the number of points; the photo that a point was taken from is the row.
    """

    ids: tuple[int, ...]
    sums: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """How photos agree.

    Attributes:
        correlation: of the photos' detail at points that two of them show, -1 to 1; 0 where nothing is compared.
        error: mean absolute difference there, grey levels, after the exposure of each pair is evened out.
        samples: points compared.
        seen: part of all rays that hit the mesh.
        pairs: pairs of photos of which enough was compared.
    """

    correlation: float
    error: float
    samples: int
    seen: float
    pairs: int = 0

    @property
    def measured(self) -> bool:
        """Whether enough was compared to tell."""
        return self.samples >= _LEAST

    @property
    def plenty(self) -> bool:
        """Whether so much was compared that photos that disagree mean something."""
        return self.pairs >= _PLENTY[0] and self.samples >= _PLENTY[1]


def agreement(look: Look, most: int = _MOST) -> Agreement:
    """Compares every two photos at the surface points that both see from sides that differ enough; `most` are tried."""
    found = sightings(look, most)
    if not len(found):
        return Agreement(0.0, 0.0, 0, look.seen)
    low, high = np.sort([found.first, found.second], axis=0)
    pairs = int((np.bincount(low * len(look) + high) >= _FEW).sum())
    return Agreement(_correlation(look, found), _error(look, found), len(found), look.seen, pairs)


def shared_agreement(look: Look, other: Look) -> tuple[float, float]:
    """How photos agree in two looks by the same photos, each at the sightings that the other has as well.

    A look that sees less may agree better only because it left out what disagreed.
    """
    one, two = sightings(look), sightings(other)
    _, first, second = np.intersect1d(_keys(look, one), _keys(look, two), True, return_indices=True)
    return _correlation(look, one, first), _correlation(other, two, second)


def _keys(look: Look, found: Sightings) -> np.ndarray:
    """(n,) int64 that tell pixels of a photo, and the other photo, apart."""
    column, row = found.pixel.astype(np.int64).T
    height, width = look.grey.shape[1:]
    return ((found.first.astype(np.int64) * len(look) + found.second) * height + row) * width + column


def _correlation(look: Look, found: Sightings, which: np.ndarray | slice = slice(None)) -> float:
    a = sample(look.detail, found.first[which], found.pixel[which])
    b = sample(look.detail, found.second[which], found.other[which])
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9))


def pair_agreement(look: Look) -> Pairs:
    """Compares photos as `agreement` does, for every two of them."""
    count, found = len(look), sightings(look)
    a, b = sample(look.detail, found.first, found.pixel), sample(look.detail, found.second, found.other)
    pair = found.first * count + found.second
    sums = [np.bincount(pair, weight, count * count) for weight in (a * b, a * a, b * b, np.ones(len(a)))]
    return Pairs(tuple(frame.id for frame in look.frames), np.reshape(sums, (4, count, count)))


def _error(look: Look, found: Sightings) -> float:
    one, two = sample(look.grey, found.first, found.pixel), sample(look.grey, found.second, found.other)
    pair = found.first * len(look) + found.second
    # A few grey levels on top keep black from deciding on the gain.
    ratio = np.log((two + 4) / (one + 4))
    count = np.maximum(np.bincount(pair), 1)
    half = np.exp(0.5 * np.bincount(pair, ratio) / count)[pair]
    return float(np.minimum(np.abs(one * half - two / half), _CLIP).mean())


def sightings(look: Look, most: int = _MOST) -> Sightings:
    """The points that every two photos show, on a grid that is the coarser the more photos there are."""
    depth = look.compared
    shows = np.flatnonzero(look.shows)
    rays = depth.shape[1] * depth.shape[2] * max(len(shows) * (len(shows) - 1), 1)
    stride = next((s for s in (1, 2, 3, 4) if rays <= s * s * most), 5)
    frame, row, column = np.nonzero((depth[:, ::stride, ::stride] > 0) & look.shows[:, None, None])
    pixel = look.step * stride * np.stack([column, row], 1).astype(np.float64)
    z = depth[frame, row * stride, column * stride]
    direction = np.einsum("nij,nj->ni", np.linalg.inv(look.intrinsics)[frame], np.c_[pixel, np.ones(len(pixel))])
    start = look.cam_to_world[:, :3, 3] - look.middle
    point = np.einsum("nij,nj->ni", look.cam_to_world[frame, :3, :3], direction * z[:, None]) + start[frame]
    # Every point with every other photo.
    index = np.repeat(np.arange(len(point)), len(shows))
    second = np.tile(shows, len(point))
    other_one = second != frame[index]
    index, second = index[other_one], second[other_one]
    point, pixel = point.astype(np.float32), pixel.astype(np.float32)
    uv, distance = project(look, point[index], second)
    inside = (distance > 0) & (uv > 1).all(1) & (uv < look.sizes[second] - 2).all(1)
    index, second, uv, distance = index[inside], second[inside], uv[inside], distance[inside]
    cell = np.minimum((uv[:, ::-1] / look.step + 0.5).astype(int), np.array(depth.shape[1:]) - 1)
    there = depth[second, *cell.T]
    first, eyes = frame[index], start.astype(np.float32)
    way, back = point[index] - eyes[first], point[index] - eyes[second]
    near, far = np.linalg.norm(way, axis=1), np.linalg.norm(back, axis=1)
    cosine = np.einsum("ij,ij->i", way, back) / np.maximum(near * far, 1e-20)
    good = (np.abs(distance - there) < _BEHIND * distance) & (cosine < _PARALLAX)
    good &= (near < _FARTHEST * far) & (far < _FARTHEST * near)
    index = index[good]
    return Sightings(point[index], frame[index], second[good], pixel[index], uv[good])


def project(look: Look, point: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) and camera z (n,), float32, of points (n, 3) about the mesh's middle in photos `frame` (n,)."""
    world_to_cam = np.linalg.inv(look.cam_to_world)
    shift = world_to_cam[:, :3, 3] + world_to_cam[:, :3, :3] @ look.middle
    matrix = (look.intrinsics @ np.concatenate([world_to_cam[:, :3, :3], shift[:, :, None]], 2)).astype(np.float32)
    rows = matrix[frame]
    out = np.einsum("nij,nj->ni", rows[:, :, :3], point) + rows[:, :, 3]
    z = out[:, 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        uv = np.nan_to_num(out[:, :2] / z[:, None], nan=-1.0)
    return uv, z


def sample(layers: np.ndarray, frame: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Values (n,) of layers (m, h, w) at pixels (n, 2), linearly between."""
    m, height, width = layers.shape
    out = np.empty(len(frame), np.float32)
    for start in range(0, len(frame), 32_000):  # as long as OpenCV takes rows
        part = slice(start, start + 32_000)
        u, v = pixel[part, 0], np.clip(pixel[part, 1], 0, height - 1) + (frame[part] * height).astype(np.float32)
        tall = layers.reshape(m * height, width)
        out[part] = cv2.remap(tall, u[None].astype(np.float32), v[None].astype(np.float32), cv2.INTER_LINEAR).ravel()
    return out
