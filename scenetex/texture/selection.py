"""Per face: what every photo shows of it, which photos are wrong there, and which give the detail."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np
import scipy.sparse as sp

from ..errors import InputError
from ..process.threads import threads
from .blur import gaussian_blur
from .exposure import Exposure, fit_exposure, squared_radius, usable, usable_top, view_offsets
from .projection import Photo, Surface, aspect, facing, sample, sight
from .weld import face_adjacency

_OUTLIER = 45.0, 2.5  # grey levels, and standard deviations of the other views on top
_FOCUS_EXPONENT = 0.5
_TEMPERATURE, _SMOOTHNESS, _ROUNDS = 4.0, 0.5, 6
_TELLING_SLOPE = 3.0  # grey levels per pixel
_ROWS, _SIGHTINGS = 1 << 13, 1 << 16  # that a thread works on at a time: they stay in its core's cache
_FITTED_FACES = 8_000  # a few numbers per view are fitted: a sample of the faces determines them


@dataclass(frozen=True, eq=False)
class Choice:
    """What the photos are good for.

    Attributes:
        exposure: what brings all photos to one exposure.
        trust: (f, m) float32 in [0, 1]: 0 where a photo shows something else than the others (moved, misregistered).
        misregistration: typical distance, pixels of the widest photo, by which photos miss each other on the surface.
        detail: (f, m) float32, rows sum to 1 where seen: share of each photo in the detail, smooth over the surface.
    """

    exposure: Exposure
    trust: np.ndarray
    misregistration: float
    detail: np.ndarray


def base_weight(cosine: np.ndarray, resolution: np.ndarray) -> np.ndarray:
    """How much a sighting counts for the overall colour: nearer and more frontal is better."""
    return resolution * cosine


def border_weight(clearance: np.ndarray, ramp: float) -> np.ndarray:
    """Factor on a weight that lets it fade over `ramp` pixels towards image borders and depth steps."""
    return np.sqrt(np.sqrt(np.clip(clearance * np.float32(1 / ramp), np.float32(0.02), 1)))


@dataclass(frozen=True, eq=False)
class Sightings:
    """Every face in every photo that shows it.

    Attributes:
        faces, views: how many there are of either.
        face, view: (k,) int32.
        weight: (k,) float32, how much the sighting counts by its place and angle.
        color: (k, 3) uint8 sRGB of the blurred photo.
        energy: (k,) float32, squared grey levels of fine detail about it.
        slope: (k,) float32, grey levels per pixel of the widest photo.
        radius: (k,) float32 squared distance from the picture's middle, 1 in its corners.
    """

    faces: int
    views: int
    face: np.ndarray
    view: np.ndarray
    weight: np.ndarray
    color: np.ndarray
    energy: np.ndarray
    slope: np.ndarray
    radius: np.ndarray

    @cached_property
    def sample(self) -> tuple[np.ndarray, sp.csr_matrix]:
        """Positions of the sightings of some of the faces, by face, then by view, and their weights (faces, views)."""
        chosen = np.zeros(self.faces, bool)
        chosen[_some(self.faces)] = True
        part = np.flatnonzero(chosen[self.face])
        part = part[np.argsort(self.face[part], kind="stable")]
        at = self.face[part], self.view[part]
        return part, sp.csr_matrix((self.weight[part], at), (self.faces, self.views))


def _some(faces: int) -> np.ndarray:
    """Numbers of the faces to fit to, of so many."""
    return np.sort(np.random.default_rng(0).permutation(faces)[:_FITTED_FACES])


def look_around(surface: Surface, shots: list[Photo], blur: float, ramp: float) -> Sightings:
    """Looks at every face in every photo.

    Args:
        surface: of a welded mesh whose faces are small, in the photos' frame.
        shots: the m photos.
        blur: sigma, pixels of the widest photo, at which photos are compared: below it misregistration dominates.
        ramp: pixels of the widest photo over which weights grow from image borders and depth steps.

    Raises:
        InputError: no photo sees the front of any face.
    """

    def look(photo: Photo):
        front = facing(surface, photo)
        part = surface.of_faces(front)
        at = aspect(part, photo)
        fields = np.concatenate([at.pixel, np.stack([at.slack, base_weight(at.cosine, at.resolution)], 1)], 1)
        first, *others = part.faces.T
        mean = fields.take(first, 0)
        for corner in others:
            mean += fields.take(corner, 0)
        fields = np.multiply(mean, np.float32(1 / 3), out=mean)
        s = sight(photo, fields[:, :3], fields[:, 3])
        image, sigma = photo.image, blur * photo.scale
        smooth = gaussian_blur(image, sigma)
        slope = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
        slope = np.hypot(*(cv2.Sobel(slope, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (0, 1)))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        detail = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
        energy = gaussian_blur(detail * detail, 2 * sigma)
        return (
            front[s.index].astype(np.int32),
            fields[s.index, 4] * border_weight(s.clearance, ramp * photo.scale),
            sample(smooth, s.u, s.v),
            sample(energy, s.u, s.v)[:, 0],
            sample(slope, s.u, s.v)[:, 0] * np.float32(photo.scale),
            squared_radius(s.u, s.v, photo.size),
        )

    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        looks = list(pool.map(look, shots))
    view = np.repeat(np.arange(len(shots), dtype=np.int32), [len(x[0]) for x in looks])
    if not len(view):
        raise InputError(
            "bake: the views see only the backs of the mesh's faces; turn the faces around in the mesh file"
        )
    face, *fields = (np.concatenate([x[i] for x in looks]) for i in range(6))
    return Sightings(len(surface.faces), len(shots), face, view, *fields)


def find_exposure(surface: Surface, shots: list[Photo], blur: float, ramp: float) -> Exposure:
    """What brings the photos to one exposure, without a look at more faces than that takes; arguments and errors as in
    `look_around`."""
    try:
        seen = look_around(surface.of_faces(_some(len(surface.faces))), shots, blur, ramp)
    except InputError:  # a small part of a large mesh is seen, none of these
        seen = look_around(surface, shots, blur, ramp)
    return _common_exposure(seen)


def _common_exposure(seen: Sightings) -> Exposure:
    part, weights = seen.sample
    return fit_exposure(seen.color[part], seen.radius[part], weights)


def choose(surface: Surface, shots: list[Photo], blur: float, ramp: float) -> Choice:
    """Looks at every face in every photo and decides exposure, trust and detail; arguments as in `look_around`."""
    seen = look_around(surface, shots, blur, ramp)
    count, m, face, view, weight = seen.faces, seen.views, seen.face, seen.view, seen.weight
    exposure = _common_exposure(seen)
    part, weights = seen.sample
    color = _of_sightings(lambda *some: exposure.level_samples(*some).T, seen.color, view, seen.radius)
    told, exposure = _told(seen, color, exposure)
    weight = weight * told
    graph = _neighbours(surface.faces)
    trust = _trust(face, view, weight, color, m, count, graph)
    weight *= trust[face, view]
    trust[face, view] *= np.sqrt(told)
    missed = _misregistration(face, weight, color, seen.slope, count)

    focus = -view_offsets(np.log(seen.energy[part] + 1.0), weights, 0.7)[0]
    weight *= np.exp(_FOCUS_EXPONENT * (focus - focus.max())).astype(np.float32)[view]
    return Choice(exposure, trust, missed, _smooth_choice(face, view, weight, m, count, graph))


def _of_sightings(find: Callable[..., np.ndarray], *fields: np.ndarray) -> np.ndarray:
    """(..., k) of all sightings what `find` gives for some, (..., some), of whose fields (k, ...) it is given theirs.

    Threads do a part at a time, which stays in a core's cache.
    """
    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        found = pool.map(lambda part: find(*(field[part] for field in fields)), _parts(len(fields[0]), _SIGHTINGS))
        return np.concatenate(list(found), -1)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _told(seen: Sightings, color: np.ndarray, exposure: Exposure) -> tuple[np.ndarray, Exposure]:
    """How much each sighting tells of its face, and the exposure in which most of the surface is within white.

    Counted by what the face should look like in the photo: by its own pixels, chance would favour the darker ones.
    """
    weight = seen.weight * usable(seen.color)
    total = np.maximum(np.bincount(seen.face, weight, seen.faces), 1e-12)
    surface = np.stack([np.bincount(seen.face, weight * channel, seen.faces) / total for channel in color], 1)
    bright = partial(exposure.brightest, surface.astype(np.float32))
    told = _of_sightings(lambda *some: usable_top(bright(*some)), seen.face, seen.view, seen.radius)
    known = np.zeros(seen.faces, bool)
    known[seen.face[told > 0.5]] = True  # what is clipped in all photos may be anything above white
    return told, exposure.within_white(surface[known].max(1))


def _neighbours(faces: np.ndarray) -> sp.csr_matrix:
    """(f, f) row-normalised adjacency of faces."""
    count = len(faces)
    pairs = face_adjacency(faces)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    graph = sp.csr_matrix((np.ones(len(both), np.float32), (both[:, 0], both[:, 1])), (count, count))
    degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1)
    return (sp.diags((1 / degree).astype(np.float32)) @ graph).tocsr()


def _of_others(face: np.ndarray, share: np.ndarray, count: int) -> np.ndarray:
    """(k,) float32 per sighting: the sum of `share` (k,) over all other sightings of its face."""
    return np.bincount(face, share, count).astype(np.float32)[face] - share


def _trust(face, view, weight, color, m, count, graph) -> np.ndarray:
    """Compares each sighting with the others of its face; an outlier's neighbours in that photo are doubtful too."""
    rest = _of_others(face, weight, count)
    safe = np.maximum(rest, 1e-9)
    difference, spread = np.zeros((2, len(face)), np.float32)
    for channel in color:
        share = weight * channel
        mean = _of_others(face, share, count) / safe
        share *= channel
        square = _of_others(face, share, count) / safe
        np.maximum(difference, np.abs(channel - mean), out=difference)
        np.maximum(spread, square - mean * mean, out=spread)
    wrong = (difference > _OUTLIER[0] + _OUTLIER[1] * np.sqrt(spread)) & (rest > 1.5 * weight)
    flags = sp.csr_matrix((np.ones(int(wrong.sum()), np.float32), (face[wrong], view[wrong])), (count, m))
    trust = np.ones((count, m), np.float32)
    doubt = (2 * (graph @ flags) + flags).tocoo()
    trust[doubt.row, doubt.col] -= np.minimum(doubt.data, 1)
    return trust


def _misregistration(face, weight, color, slope, count) -> float:
    """Pixels: median of difference over slope, where a photo has slope enough to tell a shift from noise."""
    grey = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    rest = _of_others(face, weight, count)
    others = _of_others(face, weight * grey, count) / np.maximum(rest, 1e-9)
    telling = (slope > _TELLING_SLOPE) & (rest > weight)
    if not telling.any():
        return 0.0
    return float(np.median(np.abs(grey - others)[telling] / slope[telling]))


def _smooth_choice(face, view, score, m, count, graph) -> np.ndarray:
    """Soft choice of photos per face that its neighbours share: mean field of a Potts-like random field."""
    best = np.zeros((count, m), np.float32)
    best[face, view] = score
    best /= np.maximum(best.max(1, keepdims=True), 1e-20)
    share, new = best.copy(), np.empty_like(best)

    def turn(rows: slice) -> None:
        out = graph[rows] @ share
        out *= _SMOOTHNESS
        out += best[rows]
        out *= _TEMPERATURE
        np.exp(out, out=out)
        out *= best[rows] > 0
        np.divide(out, np.maximum(out.sum(1, keepdims=True), 1e-20), out=new[rows])

    with ThreadPoolExecutor(threads() or os.cpu_count()) as pool:
        for _ in range(_ROUNDS):
            list(pool.map(turn, _parts(count, _ROWS)))
            share, new = new, share
    return share
