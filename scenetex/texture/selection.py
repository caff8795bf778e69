"""Per face: what every photo shows of it, which photos are wrong there, and which give the detail."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp

from ..errors import InputError
from ..process.threads import threads
from .blur import gaussian_blur
from .exposure import view_offsets
from .projection import Photo, Surface, aspect, facing, sample, sight
from .weld import face_adjacency

_GAIN_SCALE = 0.1  # log units; a difference of 10 % is more than exposure leaves unexplained
_MAX_GAIN = np.log(4)
_OUTLIER = 45.0, 2.5  # grey levels, and standard deviations of the other views on top
_FOCUS_EXPONENT = 0.5
_TEMPERATURE, _SMOOTHNESS, _ROUNDS = 4.0, 0.5, 6
_TELLING_SLOPE = 3.0  # grey levels per pixel
_FITTED_FACES = 8_000  # a few numbers per view are fitted: a sample of the faces determines them


@dataclass(frozen=True, eq=False)
class Choice:
    """What the photos are good for.

    Attributes:
        gain: (m, 3) float32, factor on each photo's sRGB values that brings all to one exposure.
        trust: (f, m) float32 in [0, 1]: 0 where a photo shows something else than the others (moved, misregistered).
        misregistration: typical distance, pixels, by which photos miss each other on the surface.
        detail: (f, m) float32, rows sum to 1 where seen: share of each photo in the detail, smooth over the surface.
    """

    gain: np.ndarray
    trust: np.ndarray
    misregistration: float
    detail: np.ndarray


def base_weight(cosine: np.ndarray, resolution: np.ndarray) -> np.ndarray:
    """How much a sighting counts for the overall colour: nearer and more frontal is better."""
    return resolution * cosine


def border_weight(clearance: np.ndarray, ramp: float) -> np.ndarray:
    """Factor on a weight that lets it fade over `ramp` pixels towards image borders and depth steps."""
    return np.sqrt(np.sqrt(np.clip(clearance * np.float32(1 / ramp), np.float32(0.02), 1)))


def choose(surface: Surface, shots: list[Photo], blur: float, ramp: float) -> Choice:
    """Looks at every face in every photo and decides gains, trust and detail.

    Args:
        surface: of a welded mesh whose faces are small, in the photos' frame.
        shots: the m photos.
        blur: sigma, pixels, at which photos are compared: below it misregistration dominates.
        ramp: pixels over which weights grow from image borders and depth steps.

    Raises:
        InputError: no photo sees the front of any face.
    """
    count, m = len(surface.faces), len(shots)

    def look(photo: Photo):
        front = facing(surface, photo)
        at = aspect(surface, photo)
        fields = np.concatenate([at.pixel, np.stack([at.slack, base_weight(at.cosine, at.resolution)], 1)], 1)
        a, b, c = surface.faces[front].T
        fields = (fields[a] + fields[b] + fields[c]) * np.float32(1 / 3)
        s = sight(photo, fields[:, :3], fields[:, 3])
        smooth = gaussian_blur(photo.image, blur)
        slope = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
        slope = np.hypot(*(cv2.Sobel(slope, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (0, 1)))
        grey = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        detail = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
        energy = gaussian_blur(detail * detail, 2 * blur)
        return (
            front[s.index].astype(np.int32),
            fields[s.index, 4] * border_weight(s.clearance, ramp),
            sample(smooth, s.u, s.v),
            sample(energy, s.u, s.v)[:, 0],
            sample(slope, s.u, s.v)[:, 0],
        )

    with ThreadPoolExecutor(threads()) as pool:
        looks = list(pool.map(look, shots))
    face = np.concatenate([x[0] for x in looks])
    view = np.repeat(np.arange(m, dtype=np.int32), [len(x[0]) for x in looks])
    weight, color, energy, slope = (np.concatenate([x[i] for x in looks]) for i in range(1, 5))
    del looks
    if not len(face):
        raise InputError(
            "bake: the views see only the backs of the mesh's faces; turn the faces around in the mesh file"
        )

    # In the order of a CSR matrix: by face, then by view.
    part = np.flatnonzero(np.isin(face, np.random.default_rng(0).permutation(count)[:_FITTED_FACES]))
    part = part[np.argsort(face[part], kind="stable")]
    sightings = sp.csr_matrix((weight[part], (face[part], view[part])), (count, m))
    gain = _gains(sightings, color[part].astype(np.float32))
    color = [channel * gain[view, c] for c, channel in enumerate(color.T)]
    graph = _neighbours(surface.faces)
    trust = _trust(face, view, weight, color, m, count, graph)
    weight *= trust[face, view]
    missed = _misregistration(face, weight, color, slope, count)

    focus = -view_offsets(np.log(energy[part] + 1.0), sightings, 0.7)
    weight *= np.exp(_FOCUS_EXPONENT * (focus - focus.max())).astype(np.float32)[view]
    return Choice(gain, trust, missed, _smooth_choice(face, view, weight, m, count, graph))


def _gains(sightings: sp.csr_matrix, color: np.ndarray) -> np.ndarray:
    """(m, 3) gains from the sightings that are neither under- nor overexposed."""
    usable = sightings.copy()
    usable.data = np.where(((color > 8) & (color < 247)).all(1), usable.data, 1e-6 * usable.data)
    gain = np.stack([view_offsets(np.log(np.maximum(c, 1.0)), usable, _GAIN_SCALE) for c in color.T], 1)
    return np.exp(np.clip(gain, -_MAX_GAIN, _MAX_GAIN)).astype(np.float32)


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
    seen = best > 0
    best /= np.maximum(best.max(1, keepdims=True), 1e-20)
    share = best
    for _ in range(_ROUNDS):
        share = graph @ share
        share *= _SMOOTHNESS
        share += best
        share *= _TEMPERATURE
        np.exp(share, out=share)
        share *= seen
        share /= np.maximum(share.sum(1, keepdims=True), 1e-20)
    return share
