"""Does a stretch of the trajectory fit badly, while the rest fits?"""

from collections.abc import Iterator

import numpy as np

from ..scene.scene import Scene
from .agreement import Pairs
from .depth import DepthAgreement
from .finding import Finding

_FRAMES = 8  # looked at; of fewer, nothing is said
_SHORTEST = 3  # frames: views of bare walls, and odd ones, are no stretch
_LONGEST = 0.6  # of the frames; of a worse trajectory, the whole is to be looked at
_POINTS = 400  # compared on either side
_REST = 0.45  # correlation of photos that agree without doubt
_WORSE = 0.5  # of that, at most, between the stretch and the rest
_FEW = 50  # points of a frame that tell something
_MOST = 0.7  # of the frames of a stretch that have to be bad themselves
_DEPTH_REST, _DEPTH_WORSE = 0.85, 0.25  # part of a depth image's pixels near the mesh; less than that by
_DEPTH_FITS = 0.85
_LISTED = 12  # frames named one by one, at most


def check_stretch(scene: Scene, pairs: Pairs, depth: DepthAgreement | None) -> Finding | None:
    """A stretch whose photos, or depth images, disagree with the mesh, while all others clearly agree."""
    found = _of_photos(pairs)
    if found is not None:
        where, cure = _where(scene, pairs.ids, found)
        near = _depth_there(depth, {pairs.ids[i] for i in found})
        said = f"{where}: photos disagree with the mesh there, the others agree"
        if near is None:
            return Finding("fit", f"{said}; the poses there are off, as where tracking jumped or drifted; {cure}")
        share = f"{100 * near:.0f} % of the sensor depth within a tenth"
        if near > _DEPTH_FITS:
            says = f"{said}, and depth does ({share}); the photos there are not those of these poses; "
            return Finding("fit", f"{says}give each pose its own photo, or {cure}")
        return Finding("fit", f"{said} ({share}); the poses there are off: tracking jumped or drifted; {cure}")
    found = None if depth is None else _of_depth(depth)
    if found is None:
        return None
    where, cure = _where(scene, depth.ids, found)
    off = 100 * (1 - np.median([depth.each[i] for i in found]))
    said = f"{where}: {off:.0f} % of the sensor depth misses the mesh there by more than a tenth, elsewhere it fits"
    return Finding("depth", f"{said}; check those depth images, or the poses there, or {cure}")


def _of_photos(pairs: Pairs) -> range | None:
    """Positions of the frames that, one after another, agree with none, if the rest agrees with itself."""
    count = len(pairs.ids)
    whole, best, gap = pairs.sums, None, 0.0
    for stretch in _stretches(count):
        inside = np.zeros(count, bool)
        inside[stretch.start : stretch.stop] = True
        rest = whole[:, ~inside][:, :, ~inside].sum((1, 2))
        any_of_it = whole.sum((1, 2)) - rest
        contrast = _weight(rest) * _weight(any_of_it) * (_correlation(rest) - _correlation(any_of_it)) ** 2
        enough = min(rest[3], any_of_it[3]) >= _POINTS
        if enough and contrast > gap and _correlation(any_of_it) < _correlation(rest):
            best, gap = stretch, contrast
    return best if best is not None and _is_bad(pairs, best) else None


def _is_bad(pairs: Pairs, stretch: range) -> bool:
    inside = np.isin(np.arange(len(pairs.ids)), stretch)
    to_rest = pairs.sums[:, :, ~inside].sum(2)  # of every frame with the rest
    rest = _correlation(to_rest[:, ~inside].sum(1))
    if rest < _REST or _correlation(to_rest[:, inside].sum(1)) > _WORSE * rest:
        return False
    among = pairs.sums[:, inside][:, :, inside].sum((1, 2))
    if among[3] >= _POINTS and _correlation(among) > 0.5 * (1 + _WORSE) * rest:
        return False  # they agree with each other: a part of the room that looks otherwise from the other side
    telling = [_correlation(to_rest[:, i]) for i in stretch if to_rest[3, i] >= _FEW]
    return len(telling) >= _SHORTEST and float(np.mean(np.array(telling) < _WORSE * rest)) >= _MOST


def _of_depth(depth: DepthAgreement) -> range | None:
    """Positions of the depth images that, one after another, miss the mesh."""
    near, best, gap = np.array(depth.each), None, 0.0
    for stretch in _stretches(len(near)):
        inside = np.isin(np.arange(len(near)), stretch)
        contrast = inside.sum() * (~inside).sum() * (near[~inside].mean() - near[inside].mean())
        if contrast > gap:
            best, gap = stretch, contrast
    if best is None:
        return None
    inside = np.isin(np.arange(len(near)), best)
    rest = float(np.median(near[~inside]))
    bad = near[inside] < rest - _DEPTH_WORSE
    return best if rest >= _DEPTH_REST and bad.mean() >= _MOST and bad.sum() >= _SHORTEST else None


def _stretches(count: int) -> Iterator[range]:
    if count < _FRAMES:
        return
    for start in range(count):
        for stop in range(start + _SHORTEST, min(count, start + int(_LONGEST * count)) + 1):
            yield range(start, stop)


def _correlation(sums: np.ndarray) -> float:
    return float(sums[0] / max(_weight(sums), 1e-9))


def _weight(sums: np.ndarray) -> float:
    return float(np.sqrt(sums[1] * sums[2]))


def _depth_there(depth: DepthAgreement | None, ids: set[int]) -> float | None:
    near = [] if depth is None else [share for i, share in zip(depth.ids, depth.each, strict=True) if i in ids]
    return float(np.median(near)) if len(near) >= _SHORTEST else None


def _where(scene: Scene, ids: tuple[int, ...], stretch: range) -> tuple[str, str]:
    """The frames of a stretch, as far as the frames around it that were looked at, and how to leave them out."""
    order = [frame.id for frame in scene.frames]
    first = order.index(ids[stretch.start - 1]) + 1 if stretch.start else 0
    last = order.index(ids[stretch.stop]) if stretch.stop < len(ids) else len(order)
    others = order[:first] + order[last:]
    named = ",".join(map(str, others)) if len(others) <= _LISTED else "with the ids of others"
    cure = f"leave these frames out (--keyframes {named}) or track anew"
    return f"frames {order[first]} to {order[last - 1]} ({last - first} of {len(order)})", cure
