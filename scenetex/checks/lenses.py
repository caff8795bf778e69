"""Which lens would make photos agree whose poses and mesh are right: focal length, pixels, centre, distortion."""

from dataclasses import dataclass, replace

import numpy as np

from ..scene.scene import Scene
from .agreement import Sightings, sample, sightings
from .finding import COLMAP, TRANSFORMS, focal_names, intrinsics_place, layout
from .look import Look

_TRIED = 20_000  # sightings
_LEFT = 0.6  # of them that have to lie in the photos still
# What may be off, one at a time, as directions of `Lens.numbers`; how far is tried, and in which steps.
_WAYS = (
    (np.array([1.0, 0, 0, 0, 0]), 0.7, 0.087),  # both focal lengths
    (np.array([0, 1.0, 0, 0, 0]), 0.44, 0.087),  # the second
    (np.array([1.0, -1.0, 0, 0, 0]), 0.44, 0.087),  # the first
    (np.array([0, 0, 1.0, 0, 0]), 0.18, 0.03),
    (np.array([0, 0, 0, 1.0, 0]), 0.24, 0.04),
    (np.array([0, 0, 0, 0, 1.0]), 0.48, 0.08),
)
_MOST_WAYS = 3  # that are off together
_HALVINGS = 4
_NEEDED = 0.03  # by which another one has to make photos agree better
_FOUND = np.array([0.03, 0.03, 0.015, 0.015, 0.06])  # smaller changes are no cause


@dataclass(frozen=True, eq=False)
class Lens:
    """A lens that photos may have been taken with.

    Attributes:
        numbers: (5,) float64: the logarithm of the factor on both focal lengths, that on the second alone, the shift
            of the centre in parts of the photo's width and height, and the first radial coefficient.
        correlation: of the photos with it; `before`: at the same points as it is.
    """

    numbers: np.ndarray
    correlation: float
    before: float


def find_lens(look: Look, needed: float, gain: float) -> Lens | None:
    """The lens with which photos agree better than `needed`, and by `gain` better than as it is, if there is one.

    Poses and mesh are taken for right: the points that two photos share stay the same then, and only where they lie
    in the photos differs.
    """
    found = sightings(look)
    some = _thinned(found, _TRIED)
    now = score = _score(look, some, np.zeros(5))
    numbers, used = np.zeros(5), []
    for _ in range(_MOST_WAYS):
        tried = [(*_along(look, some, numbers, used, way), way) for way in range(len(_WAYS)) if way not in used]
        best, place, way = max(tried, key=lambda one: one[0])
        if best < score + _NEEDED:
            break
        score, numbers, used = best, place, [*used, way]
    if score <= max(needed - 0.05, now + gain / 2) or (np.abs(numbers) < _FOUND).all():
        return None
    then, before = _correlations(look, found, numbers)
    return Lens(numbers, then, before) if then > needed and then - before > gain else None


def _along(look: Look, some: Sightings, start: np.ndarray, used: list[int], way: int) -> tuple[float, np.ndarray]:
    """The best score with one more number off, and all that are searched once more; and where."""
    direction, reach, step = _WAYS[way]
    far = np.arange(-round(reach / step), round(reach / step) + 1) * step
    first = max((start + by * direction for by in far), key=lambda numbers: _score(look, some, numbers))
    return _climb(look, some, first, [*used, way])


def _thinned(found: Sightings, most: int) -> Sightings:
    step = -(-len(found) // most) or 1
    names = "point", "first", "second", "pixel", "other"
    return replace(found, **{name: getattr(found, name)[::step] for name in names})


def _climb(look: Look, some: Sightings, start: np.ndarray, ways: list[int]) -> tuple[float, np.ndarray]:
    """The best score near `start` along these ways, and where."""
    best, at = _score(look, some, start), start
    for halving in range(1, _HALVINGS + 1):
        moved = True
        while moved:
            moved = False
            for direction, _, step in (_WAYS[way] for way in ways):
                for by in (step / 2**halving, -step / 2**halving):
                    score = _score(look, some, at + by * direction)
                    if score > best + 1e-4:
                        best, at, moved = score, at + by * direction, True
    return best, at


def _score(look: Look, some: Sightings, numbers: np.ndarray) -> float:
    return _correlations(look, some, numbers)[0]


def _correlations(look: Look, found: Sightings, numbers: np.ndarray) -> tuple[float, float]:
    """How photos agree with a lens, and as it is, at the points that lie in both photos with either."""
    one, first = _bent(look, found.first, found.pixel, numbers)
    two, second = _bent(look, found.second, found.other, numbers)
    inside = first & second
    if inside.sum() < max(_LEFT * len(found), 200):
        return 0.0, 0.0
    frames = found.first[inside], found.second[inside]
    with_lens = _correlation(sample(look.detail, frames[0], one[inside]), sample(look.detail, frames[1], two[inside]))
    if not numbers.any():
        return with_lens, with_lens
    plain = found.pixel[inside], found.other[inside]
    return with_lens, _correlation(*(sample(look.detail, f, p) for f, p in zip(frames, plain, strict=True)))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9))


def _bent(look: Look, frame: np.ndarray, pixel: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where such a lens shows what is at these pixels (n, 2): float32 (n, 2), and whether that lies in the photo."""
    k = look.intrinsics
    focal, centre = np.stack([k[:, 0, 0], k[:, 1, 1]], 1), k[:, :2, 2]
    ray = (pixel - centre[frame]) / focal[frame]
    ray = ray * (1 + numbers[4] * (ray**2).sum(1, keepdims=True))
    focal = focal * np.exp([numbers[0], numbers[0] + numbers[1]])
    centre = centre + numbers[2:4] * look.sizes
    bent = (ray * focal[frame] + centre[frame]).astype(np.float32)
    return bent, (bent > 1).all(1) & (bent < look.sizes[frame] - 2).all(1)


def lens_cure(scene: Scene, lens: Lens) -> str:
    """What is wrong if photos were taken with such a lens."""
    size, aspect, across, down, bend = lens.numbers
    camera = scene.frames[0].camera
    fx, fy = camera.intrinsics[0, 0] * np.exp(size), camera.intrinsics[1, 1] * np.exp(size + aspect)
    cx, cy = camera.intrinsics[:2, 2] + lens.numbers[2:4] * camera.size
    place, (first, second) = intrinsics_place(scene), focal_names(scene)
    if bend and scene.frames[0].color is not None and scene.frames[0].color.distortion is not None:
        said = f"the photos look bent the other way round once their distortion is undone (k1 off by {bend:.2f}); they"
        return f"{said} may be undistorted already: leave the coefficients out, or check them"
    says = []
    if bend:
        where = {TRANSFORMS: "k1 ... in transforms.json", COLMAP: "OPENCV in the model's cameras file"}
        kind = "barrel" if bend < 0 else "pincushion"
        says.append(
            f"the photos look distorted ({kind}, k1 about {bend:.2f}); add the lens's coefficients "
            f"({where.get(layout(scene), 'where the layout has them')}), or undistort the photos"
        )
    if aspect:
        square = abs(np.log(fx / fy)) < 0.03
        fx, fy = (fx if abs(size) < 0.01 else np.sqrt(fx * fy),) * 2 if square else (fx, fy)
        says.append(
            f"the focal lengths {first} {camera.intrinsics[0, 0]:.0f} and {second} {camera.intrinsics[1, 1]:.0f} do "
            f"not suit the photos{': their pixels look square' if square else ', which look squashed or stretched'}; "
            f"give {first} about {fx:.0f}, {second} about {fy:.0f}, cx {cx:.0f}, cy {cy:.0f}{place} (where photos were "
            "cropped, both focal lengths scale alike, and the centre moves by what was cut off)"
        )
    elif size:
        factor = float(np.exp(-size))
        times = f"{factor:.4g} times too large" if factor > 1 else f"{1 / factor:.4g} times too small"
        check = f"check {first} and {second}" if layout(scene) == TRANSFORMS else "check it"
        says.append(f"the focal length is about {times}; {check}{place}")
    if (across or down) and not aspect:
        says.append(
            f"the principal point is off, as where photos were cropped; give cx about {cx:.0f} and cy about {cy:.0f}"
            f"{place}"
        )
    return "; and ".join(says)
