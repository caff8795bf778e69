"""Choose the frames to paint from: by what they see, on request by number, by step or by name."""

import bisect
import operator
from collections.abc import Callable, Iterator

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from .coverage import Chooser, measure_coverage
from .sharpness import Sharpness
from .sightings import Sightings, camera_motion

_MOST_CANDIDATES = 800  # looked at one by one; more frames than that are thinned by camera motion first
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
        raise InputError(f"select_keyframes: {name} {value!r} is not a whole number of {least} or more; fix it")
    return number


def _by_sight(scene: Scene, count: int | None, overlap: float, sharpness: bool) -> list[int]:
    """Positions of the chosen frames in the trajectory, ascending."""
    sightings = Sightings(scene)
    travelled = camera_motion(scene, sightings)
    looks = _thinned(travelled)
    hits = np.array([len(glance.points) for glance in sightings.all_at(looks)])
    if not hits.any():
        raise InputError(
            f"{scene.path or scene.name}: no frame sees anything of the mesh; poses and mesh have to share one frame"
        )
    # A view past the mesh's edge, with a few pixels of it in a corner, is no place to paint from.
    candidates = [looks[i] for i in np.flatnonzero(hits >= 0.05 * hits.max())]
    photos = Sharpness(scene.frames) if sharpness and any(frame.color for frame in scene.frames) else None
    if count is None:
        walked = _walk(sightings, candidates, travelled, overlap, photos)
        return _fill_gaps(sightings, candidates, walked, travelled, overlap, photos)
    if count >= len(scene.frames):
        return list(range(len(scene.frames)))
    return _cover(sightings, candidates, count, travelled, overlap, photos)


def _thinned(travelled: np.ndarray) -> list[int]:
    """Positions of at most `_MOST_CANDIDATES` frames at equal steps of camera motion."""
    if len(travelled) <= _MOST_CANDIDATES:
        return list(range(len(travelled)))
    step = max(travelled[-1] / (_MOST_CANDIDATES - 1), 1e-9)
    return np.unique(np.floor(travelled / step), return_index=True)[1].tolist()


def _walk(
    sightings: Sightings, candidates: list[int], travelled: np.ndarray, overlap: float, photos: Sharpness | None
) -> list[int]:
    """Positions along the trajectory, each view overlapping with the one before by about `overlap`."""
    walked = [_sharpest_near(candidates[0], travelled, photos, set())]
    while True:
        here = walked[-1]
        places, overlaps = [here], [1.0]
        for candidate in candidates[bisect.bisect(candidates, here) :]:
            places.append(candidate)
            overlaps.append(sightings.overlap(here, candidate))
            if overlaps[-1] < overlap - _SLACK:
                break
        if overlaps[-1] > overlap + _SLACK:  # the trajectory ends in view of this keyframe
            return walked
        between = np.arange(here + 1, places[-1] + 1)
        miss = np.abs(np.interp(between, places, overlaps) - overlap)
        options = between[miss <= _SLACK]
        if not set(places) & set(options.tolist()):  # the view jumps: nothing in between was looked at
            options, miss = np.array(places[1:]), np.abs(np.array(overlaps[1:]) - overlap)
            walked.append(int(options[np.argmin(miss)]))
        else:
            walked.append(_sharpest(options, miss[miss <= _SLACK] / _SLACK, photos))


def _fill_gaps(
    sightings: Sightings,
    candidates: list[int],
    walked: list[int],
    travelled: np.ndarray,
    overlap: float,
    photos: Sharpness | None,
) -> list[int]:
    """The walk's positions and more, where a frame sees surface that none of them sees well."""
    places = sorted({*candidates, *walked})
    coverage = measure_coverage(sightings.all_at(places))
    chooser = Chooser(coverage, overlap)
    for place in walked:
        chooser.add(places.index(place))
    spare = np.array([place not in set(walked) for place in places])
    worth = _WORTH_A_KEYFRAME * coverage.typical_sight
    chosen = set(walked)
    links = np.zeros(len(places))
    for candidate, news in _greedy(chooser.news, links, spare, places, photos):
        if news < worth:
            break
        chooser.add(candidate)
        chosen.add(_sharpest_near(places[candidate], travelled, photos, chosen))
    return sorted(chosen)


def _cover(
    sightings: Sightings,
    candidates: list[int],
    count: int,
    travelled: np.ndarray,
    overlap: float,
    photos: Sharpness | None,
) -> list[int]:
    """`count` positions that cover the surface, with the overlap of neighbours in view."""
    coverage = measure_coverage(sightings.all_at(candidates))
    chooser = Chooser(coverage, overlap)
    worth_of_link = _LINK * coverage.typical_sight
    links = np.zeros(len(candidates))
    spare = np.ones(len(candidates), bool)

    def gain(candidate: int) -> float:
        return chooser.news(candidate) + _COMPANY * chooser.company(candidate)

    chosen: set[int] = set()
    for candidate, _ in _greedy(gain, links, spare, candidates, photos):
        chooser.add(candidate)
        chosen.add(_sharpest_near(candidates[candidate], travelled, photos, chosen))
        if len(chosen) == count:
            break
        at = bisect.bisect(chooser.chosen, candidate)
        first = chooser.chosen[at - 2] + 1 if at > 1 else 0
        last = chooser.chosen[at] if at < len(chooser.chosen) else len(candidates)
        links[first:last] = [worth_of_link * chooser.links(i) for i in range(first, last)]
    # More are asked for than were looked at: the rest come from between, evenly.
    rest = [i for i in range(len(travelled)) if i not in chosen]
    missing = count - len(chosen)
    chosen.update(rest[i] for i in np.linspace(0, len(rest) - 1, missing).round().astype(int))
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


def _sharpest_near(place: int, travelled: np.ndarray, photos: Sharpness | None, taken: set[int]) -> int:
    """The sharpest frame of much the same view that is not taken yet; `place` itself if nothing beats it."""
    if photos is None:
        return place
    away = np.abs(travelled - travelled[place]) / _NEAR
    first, last = place, place
    while first > 0 and away[first - 1] <= 1 and first - 1 not in taken:
        first -= 1
    while last + 1 < len(away) and away[last + 1] <= 1 and last + 1 not in taken:
        last += 1
    return _sharpest(np.arange(first, last + 1), away[first : last + 1], photos)


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
