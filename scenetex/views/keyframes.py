"""Choose the frames to paint from: by what they see, on request by number, by step or by name."""

import bisect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from .coverage import Chooser, measure_coverage
from .sharpness import Sharpness
from .sightings import Sightings, camera_motion

_MOST_CANDIDATES = 600  # looked at one by one; more frames than that are thinned by camera motion first
_SLACK = 0.1  # a neighbour's overlap may miss its target by this much for the sake of a sharper photo
_NEAR = 0.1  # image widths of camera motion within which one photo can stand in for another
_WINDOW = 8  # photos compared for sharpness at one place
_COMPANY = 0.1  # worth of surface that is seen already, over surface that is new
_LINK = 0.2  # worth of an overlap between neighbours, as a fraction of what a frame sees
_BLURRED = 0.25  # least worth of a photo for being blurred: surface no other frame sees is still taken
_DETOUR = 0.2  # loss of sharpness taken to stay in place rather than go `_SLACK` or `_NEAR` away from it
_WORTH_A_KEYFRAME = 0.03  # unseen surface that justifies one more, as a fraction of what a frame sees


def select_keyframes(
    scene: Scene,
    count: int | None = None,
    *,
    overlap: float = 0.6,
    every: int | None = None,
    ids: list[int] | None = None,
    sharpness: bool = True,
) -> list[int]:
    """Chooses keyframes of a scene's trajectory.

    By default the trajectory is walked so that each keyframe's view overlaps with the one before by about `overlap`;
    frames are then added for surface that no keyframe sees well. With a `count`, that many frames are chosen to cover
    the surface, with the overlap of neighbours in view. Blurred photos give way to sharper ones of much the same view.

    Args:
        scene: the scene.
        count: how many keyframes; all frames where there are fewer.
        overlap: wanted fraction of a keyframe's pixels that the keyframe before it sees too, between 0 and 1.
        every: take every n-th frame instead.
        ids: take these frames instead.
        sharpness: whether to look at the photos; scenes without photos go without.

    Returns:
        Frame ids in trajectory order, no id twice.

    Raises:
        InputError: more than one of `count`, `every` and `ids`; a value out of its range; an id that the scene does not
            have; a trajectory that sees nothing of the mesh; a photo that cannot be read.
    """
    if sum(option is not None for option in (count, every, ids)) > 1:
        raise InputError("select_keyframes: count, every and ids exclude each other; give one of them")
    if ids is not None:
        if len(ids) == 0:
            raise InputError("select_keyframes: ids is empty; name at least one frame")
        return sorted({scene.frame(_whole(i, "ids", 0)).id for i in ids})
    if every is not None:
        return [frame.id for frame in scene.frames[:: _whole(every, "every", 1)]]
    if not 0 < overlap < 1:
        raise InputError(f"select_keyframes: overlap {overlap} is not between 0 and 1; 0.6 is a good value")
    count = None if count is None else _whole(count, "count", 1)
    return [scene.frames[i].id for i in _by_sight(scene, count, overlap, sharpness)]


def _whole(value, name: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"select_keyframes: {name} {value!r} is not a whole number of {least} or more; choose one")
    return number


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """What a choice goes by. Frames are named by their position in the trajectory.

    Attributes:
        sightings: what frames see.
        travelled: (n,) float64, camera motion up to each frame, image widths.
        candidates: ascending positions of the frames that were looked at and see enough of the mesh.
        usable: (n,) bool, frames that may be chosen, since they see enough.
        photos: sharpness of the photos, or None to leave it out.
    """

    sightings: Sightings
    travelled: np.ndarray
    candidates: list[int]
    usable: np.ndarray
    photos: Sharpness | None


def _by_sight(scene: Scene, count: int | None, overlap: float, sharpness: bool) -> list[int]:
    """Positions of the chosen frames, ascending."""
    if not scene.frames:
        raise InputError(f"{scene.path or scene.name}: has no frames to choose from; add posed frames")
    sightings = Sightings(scene)
    travelled = camera_motion(scene, sightings)
    looks = _thinned(travelled)
    hits = np.array([len(glance.points) for glance in sightings.all_at(looks)])
    if not hits.any():
        raise InputError(
            f"{scene.path or scene.name}: no frame sees anything of the mesh; poses and mesh have to share one frame"
        )
    # A view past the mesh's edge, with a few pixels of it in a corner, is no place to paint from.
    enough = hits >= 0.05 * hits.max()
    # Frames not looked at see about what the one looked at before them sees.
    usable = np.repeat(enough, np.diff([*looks, len(travelled)]))
    photos = Sharpness(scene.frames) if sharpness and any(frame.color for frame in scene.frames) else None
    trajectory = _Trajectory(sightings, travelled, np.array(looks)[enough].tolist(), usable, photos)
    if count is None:
        return _fill_gaps(trajectory, _walk(trajectory, overlap), overlap)
    if count >= len(scene.frames):
        return list(range(len(scene.frames)))
    return _cover(trajectory, count, overlap)


def _thinned(travelled: np.ndarray) -> list[int]:
    """Positions of at most `_MOST_CANDIDATES` frames at equal steps of camera motion."""
    if len(travelled) <= _MOST_CANDIDATES:
        return list(range(len(travelled)))
    step = max(travelled[-1] / (_MOST_CANDIDATES - 1), 1e-9)
    return np.unique(np.floor(travelled / step), return_index=True)[1].tolist()


def _walk(trajectory: _Trajectory, overlap: float) -> list[int]:
    """Positions along the trajectory, each view overlapping with the one before by about `overlap`."""
    candidates = trajectory.candidates
    walked = [_first(trajectory)]
    while True:
        here = walked[-1]
        places, overlaps = [here], [1.0]
        for candidate in candidates[bisect.bisect(candidates, here) :]:
            places.append(candidate)
            overlaps.append(trajectory.sightings.overlap(here, candidate))
            if overlaps[-1] < overlap - _SLACK:
                break
        if overlaps[-1] > overlap + _SLACK:  # the trajectory ends in view of this keyframe
            return walked
        miss = np.abs(np.array(overlaps) - overlap)
        if (miss[1:] > _SLACK).all():  # the view jumps
            walked.append(places[1 + int(np.argmin(miss[1:]))])
            continue
        between = here + 1 + np.flatnonzero(trajectory.usable[here + 1 : places[-1] + 1])
        miss = np.abs(np.interp(between, places, overlaps) - overlap)
        near = miss <= _SLACK
        walked.append(_sharpest(between[near], miss[near] / _SLACK, trajectory.photos))


def _fill_gaps(trajectory: _Trajectory, walked: list[int], overlap: float) -> list[int]:
    """The walk's positions and more, where a frame sees surface that none of them sees well."""
    places = sorted({*trajectory.candidates, *walked})
    coverage = measure_coverage(trajectory.sightings.all_at(places))
    chooser = Chooser(coverage, overlap)
    for place in walked:
        chooser.add(places.index(place))
    chosen = set(walked)
    spare = np.array([place not in chosen for place in places])
    worth = _WORTH_A_KEYFRAME * coverage.typical_sight
    for candidate, news in _greedy(chooser.news, np.zeros(len(places)), spare, places, trajectory.photos):
        if news < worth:
            break
        chooser.add(candidate)
        chosen.add(_stand_in(places[candidate], trajectory, chosen))
    return sorted(chosen)


def _cover(trajectory: _Trajectory, count: int, overlap: float) -> list[int]:
    """`count` positions that cover the surface, with the overlap of neighbours in view."""
    candidates = trajectory.candidates
    coverage = measure_coverage(trajectory.sightings.all_at(candidates))
    chooser = Chooser(coverage, overlap)
    worth_of_link = _LINK * coverage.typical_sight
    links = np.zeros(len(candidates))
    spare = np.ones(len(candidates), bool)

    def gain(candidate: int) -> float:
        return chooser.news(candidate) + _COMPANY * chooser.company(candidate)

    chosen: set[int] = set()
    for candidate, _ in _greedy(gain, links, spare, candidates, trajectory.photos):
        chooser.add(candidate)
        chosen.add(_stand_in(candidates[candidate], trajectory, chosen))
        if len(chosen) == count:
            return sorted(chosen)
        # Only candidates between the new one's neighbours hang together differently now.
        at = bisect.bisect(chooser.chosen, candidate)
        first = chooser.chosen[at - 2] + 1 if at > 1 else 0
        last = chooser.chosen[at] if at < len(chooser.chosen) else len(candidates)
        links[first:last] = [worth_of_link * chooser.links(i) for i in range(first, last)]
    # More are asked for than were looked at: the rest come from between, evenly, those that see nothing last.
    for pool in (trajectory.usable, ~trajectory.usable):
        rest = [i for i in np.flatnonzero(pool).tolist() if i not in chosen]
        wanted = min(count - len(chosen), len(rest))
        chosen.update(rest[i] for i in np.linspace(0, len(rest) - 1, wanted).round().astype(int))
    return sorted(chosen)


def _greedy(
    gain: Callable[[int], float], links: np.ndarray, spare: np.ndarray, places: list[int], photos: Sharpness | None
) -> Iterator[tuple[int, float]]:
    """Candidates by falling worth, each with its gain; the caller takes each one in before it asks for the next.

    Worth is `gain` times the photo's sharpness among its neighbours in time, plus `links`, which the caller keeps up
    to date. `gain` must never rise (coverage is submodular): an old gain then bounds the new one, and with sharpness at
    most 1 only the few candidates are looked at whose bound is the highest.
    """
    bound = np.array([gain(i) for i in range(len(places))])
    keen = np.ones(len(places))
    measured = np.full(len(places), photos is None)
    spare = spare.copy()
    while spare.any():
        fresh = np.zeros(len(places), bool)
        while True:
            best = int(np.argmax(np.where(spare, bound * keen + links, -np.inf)))
            if fresh[best] and measured[best]:
                break
            if not fresh[best]:
                bound[best], fresh[best] = gain(best), True
            else:
                keen[best], measured[best] = max(_BLURRED, photos.relative(places[best])), True
        spare[best] = False
        yield best, float(bound[best])


def _first(trajectory: _Trajectory) -> int:
    """The sharpest of the first frames, as long as the view has hardly moved."""
    start = trajectory.candidates[0]
    same = trajectory.usable & (trajectory.travelled <= trajectory.travelled[start] + _NEAR)
    return _sharpest_around(start, np.flatnonzero(same), trajectory)


def _stand_in(place: int, trajectory: _Trajectory, taken: set[int]) -> int:
    """For a candidate the sharpest free frame of it and those beside it that were not looked at: they see the same."""
    at = bisect.bisect_left(trajectory.candidates, place)
    before = trajectory.candidates[at - 1] if at else -1
    behind = trajectory.candidates[at + 1] if at + 1 < len(trajectory.candidates) else len(trajectory.usable)
    free = [i for i in range(before + 1, behind) if trajectory.usable[i] and i not in taken]
    return _sharpest_around(place, np.array(free or [place]), trajectory)


def _sharpest_around(place: int, options: np.ndarray, trajectory: _Trajectory) -> int:
    away = np.abs(trajectory.travelled[options] - trajectory.travelled[place]) / _NEAR
    return _sharpest(options, np.minimum(away, 1.0), trajectory.photos)


def _sharpest(places: np.ndarray, away: np.ndarray, photos: Sharpness | None) -> int:
    """One of several places by sharpness, less what it is away (0 to 1) from where it should be."""
    if photos is None:
        return int(places[np.argmin(away)])
    if len(places) > _WINDOW:
        nearest = int(np.argmin(away))
        kept = np.unique([*np.linspace(0, len(places) - 1, _WINDOW - 1).round().astype(int), nearest])
        places, away = places[kept], away[kept]
    values = photos.at(places.tolist())
    return int(places[np.argmax(values / max(values.max(), 1e-12) - _DETOUR * away)])
