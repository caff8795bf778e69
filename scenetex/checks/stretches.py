"""Does a stretch of the trajectory fit badly, while the rest fits?"""

from collections.abc import Iterator

import numpy as np

from ..scene.scene import Scene
from .agreement import Pairs
from .finding import Finding
from .sensor_depth import DepthAgreement

_FRAMES = 8  # looked at; of fewer, nothing is said
_SHORTEST = 3  # frames: views of bare walls, and odd ones, are no stretch
_POINTS = 400  # compared on either side
_REST = 0.45  # correlation of photos that agree without doubt
_WORSE = 0.5  # of that, at most, between the stretch and the rest
_AS_WELL = 0.75  # of that, at least, where they agree among themselves
_FEW = 50  # points of a frame that tell something
_MOST = 0.7  # of the frames of a stretch that have to be bad themselves
_DEPTH_REST, _DEPTH_WORSE = 0.85, 0.25  # part of a depth image's pixels near the mesh; less than that by
_LISTED = 12  # frames named one by one, at most


def check_stretch(scene: Scene, pairs: Pairs, depth: DepthAgreement | None) -> Finding | None:
    """A stretch whose photos, or depth images, disagree with the mesh, while all others clearly agree."""
    by_photos, by_depth = _of_photos(pairs), _of_depth(depth)
    if by_depth:
        return _missed_by_depth(scene, pairs, depth, by_photos, by_depth)
    return _missed_by_photos(scene, pairs, depth, by_photos) if by_photos else None


def _missed_by_photos(scene: Scene, pairs: Pairs, depth: DepthAgreement | None, ids: frozenset[int]) -> Finding | None:
    where, cure = _where(scene, pairs.ids, ids)
    near, elsewhere = _depth_of(depth, ids)
    said = f"{where}: photos disagree with the mesh there, the others agree"
    if near is None or elsewhere is None:
        return Finding(
            "fit", f"{said}; the poses there are off, as where tracking jumped or drifted; {cure} or track anew"
        )
    if elsewhere < _DEPTH_REST:
        return None  # it is the others that are off, or depth tells nothing
    if near < _DEPTH_REST:
        share = f"(as for depth, {100 * near:.0f} % of the pixels within a tenth)"
        return Finding(
            "fit", f"{said} {share}; the poses there are off: tracking jumped or drifted; {cure} or track anew"
        )
    share = f"and sensor depth agrees there, too ({100 * near:.0f} % within a tenth)"
    says = f"{said}, {share}; the photos there are not those of these poses; give each pose its own photo"
    return Finding("fit", f"{says}, or {cure}")


def _missed_by_depth(
    scene: Scene, pairs: Pairs, depth: DepthAgreement, by_photos: frozenset[int], ids: frozenset[int]
) -> Finding:
    near, _ = _depth_of(depth, ids)
    inside = np.isin(pairs.ids, list(ids))
    rest, across = _sums(pairs, ~inside, ~inside), _sums(pairs, inside, ~inside) + _sums(pairs, ~inside, inside)
    told = min(rest[3], across[3]) >= _POINTS and _correlation(rest) >= _REST
    ratio = _correlation(across) / _correlation(rest) if told else None
    if by_photos & ids or (told and ratio < _WORSE):
        where, cure = _where(scene, pairs.ids, ids | (by_photos if by_photos & ids else ids))
        said = f"{where}: photos and sensor depth disagree with the mesh there ({100 * near:.0f} % within a tenth)"
        return Finding(
            "fit",
            f"{said}, the others agree; the poses there are off: tracking jumped or drifted; {cure} or track anew",
        )
    where, cure = _where(scene, pairs.ids, ids)
    said = f"{where}: {100 * (1 - near):.0f} % of the sensor depth misses the mesh there by more than a tenth"
    if told and ratio > _AS_WELL:
        return Finding("depth", f"{said}, elsewhere it fits, and photos agree there, too; mend or delete these images")
    return Finding("depth", f"{said}, elsewhere it fits; check these depth images, or the poses there, or {cure}")


def _of_photos(pairs: Pairs) -> frozenset[int]:
    """Ids of the frames that, one after another, agree with none, if the rest agrees with itself."""
    count, best, gap = len(pairs.ids), None, 0.0
    for inside in _stretches(count):
        rest = _sums(pairs, ~inside, ~inside)
        other = pairs.sums.sum((1, 2)) - rest
        if min(rest[3], other[3]) < _POINTS or _correlation(other) > _correlation(rest):
            continue
        contrast = _weight(rest) * _weight(other) * (_correlation(rest) - _correlation(other)) ** 2
        if contrast > gap:
            best, gap = inside, contrast
    return _ids(pairs.ids, best) if best is not None and _is_bad(pairs, best) else frozenset()


def _is_bad(pairs: Pairs, inside: np.ndarray) -> bool:
    rest, among = _sums(pairs, ~inside, ~inside), _sums(pairs, inside, inside)
    worse = _WORSE * _correlation(rest)
    if _correlation(rest) < _REST or _correlation(_sums(pairs, inside, ~inside)) > worse:
        return False
    if among[3] >= _POINTS and _correlation(among) > _AS_WELL * _correlation(rest):
        return False  # they agree with each other: a part of the room that looks otherwise from the other side
    each = pairs.sums[:, inside][:, :, ~inside].sum(2).T
    telling = [_correlation(sums) < worse for sums in each if sums[3] >= _FEW]
    return len(telling) >= _SHORTEST and float(np.mean(telling)) >= _MOST


def _of_depth(depth: DepthAgreement | None) -> frozenset[int]:
    """Ids of the frames whose depth, one after another, misses the mesh, if that of the rest does not."""
    if depth is None:
        return frozenset()
    near, best, gap = np.array(depth.each), None, 0.0
    for inside in _stretches(len(near)):
        apart = near[~inside].mean() - near[inside].mean()
        contrast = inside.sum() * (~inside).sum() * max(apart, 0.0) ** 2
        if contrast > gap:
            best, gap = inside, contrast
    if best is None:
        return frozenset()
    rest = float(np.median(near[~best]))
    bad = near[best] < rest - _DEPTH_WORSE
    found = rest >= _DEPTH_REST and bad.mean() >= _MOST and bad.sum() >= _SHORTEST
    return _ids(depth.ids, best) if found else frozenset()


def _stretches(count: int) -> Iterator[np.ndarray]:
    """Every stretch of up to half of the frames, as (count,) bool."""
    if count < _FRAMES:
        return
    for start in range(count):
        for stop in range(start + _SHORTEST, min(count, start + (count + 1) // 2) + 1):
            inside = np.zeros(count, bool)
            inside[start:stop] = True
            yield inside


def _ids(ids: tuple[int, ...], inside: np.ndarray) -> frozenset[int]:
    return frozenset(np.array(ids)[inside].tolist())


def _sums(pairs: Pairs, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return pairs.sums[:, first][:, :, second].sum((1, 2))


def _correlation(sums: np.ndarray) -> float:
    return float(sums[0] / max(_weight(sums), 1e-9))


def _weight(sums: np.ndarray) -> float:
    return float(np.sqrt(sums[1] * sums[2]))


def _depth_of(depth: DepthAgreement | None, ids: frozenset[int]) -> tuple[float | None, float | None]:
    """Middle part of the depth near the mesh in these frames, and in the others; None where too few have depth."""
    each = [] if depth is None else list(zip(depth.ids, depth.each, strict=True))
    parts = [share for i, share in each if i in ids], [share for i, share in each if i not in ids]
    there, elsewhere = (float(np.median(part)) if len(part) >= _SHORTEST else None for part in parts)
    return there, elsewhere


def _where(scene: Scene, looked: tuple[int, ...], ids: frozenset[int]) -> tuple[str, str]:
    """The frames of a stretch, up to the nearest that were looked at and are not in it, and how to leave them out."""
    order = [frame.id for frame in scene.frames]
    before, after = ([i for i in looked if i < min(ids)], [i for i in looked if i > max(ids)])
    first = order.index(before[-1]) + 1 if before else 0
    last = order.index(after[0]) if after else len(order)
    others = order[:first] + order[last:]
    named = ",".join(map(str, others)) if len(others) <= _LISTED else "with the ids of others"
    cure = f"leave these frames out (--keyframes {named})"
    return f"frames {order[first]} to {order[last - 1]} ({last - first} of {len(order)})", cure
