"""Choose the frames to paint from: by what they see, on request by number, by step or by name."""

import bisect
import operator
from dataclasses import dataclass, replace
from functools import cache
from typing import SupportsIndex

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from .choice import Choice, Looks, Views, choose, exchange, greedy
from .coverage import measure_coverage
from .sharpness import Sharpness
from .sightings import Sightings, camera_motion

_MOST_CANDIDATES = 600  # looked at one by one; more frames than that are thinned by camera motion first
_SLACK = 0.1  # a neighbour's overlap may miss its target by this much for the sake of a sharper photo
_NEAR = 0.1  # image widths of camera motion within which one photo can stand in for another
_WINDOW = 8  # photos compared for sharpness at one place
_BLURRED = 0.25  # least worth of a photo for being blurred: surface no other frame sees is still taken
_DETOUR = 0.2  # loss of sharpness taken to stay in place rather than go `_SLACK` or `_NEAR` away from it
_WORTH_A_PHOTO = 0.01  # looks at surface that justify one more photo, as a fraction of what the first would add
_WORTH_A_KEYFRAME = 0.03  # unseen surface that justifies one more, as a fraction of what a frame sees


def select_keyframes(
    scene: Scene,
    count: int | None = None,
    *,
    looks: int | None = None,
    overlap: float = 0.6,
    every: int | None = None,
    ids: list[int] | None = None,
    sharpness: bool = True,
    connected: bool = True,
) -> list[int]:
    """Chooses keyframes of a scene's trajectory.

    By default the trajectory is walked so that each keyframe's view overlaps with the one before by about `overlap`;
    frames are then added for surface that no keyframe sees well. With a `count`, those frames are chosen that see the
    most of the surface together, and see it well: never less of it than as many frames at equal steps. With `looks`, as
    many are chosen as it takes to see each place so many times about as closely as any frame does. Blurred photos give
    way to sharper ones of much the same view.

    Args:
        scene: the scene.
        count: how many keyframes; all frames where there are fewer. Above 600 they are spread evenly.
        looks: how many frames should see each place of the surface from nearby; at most 600 frames are chosen.
        overlap: wanted fraction of a keyframe's pixels that the keyframe before it sees too, between 0 and 1.
        every: take every n-th frame instead.
        ids: take these frames instead.
        sharpness: whether to look at the photos; scenes without photos go without.
        connected: with a `count`, choose views that hang together, as generating them together needs it: one gets from
            each to every other over pairs that overlap by `overlap`, or by less where that would cost much of the
            surface. Photos may be far apart: give False.

    Returns:
        Frame ids in trajectory order, no id twice.

    Raises:
        InputError: more than one of `count`, `looks`, `every` and `ids`; a value out of its range; an id that the scene
            does not have; a trajectory that sees nothing of the mesh; a photo that cannot be read.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> scenetex.select_keyframes(scene, every=9)
        [0, 108, 216, 324]
        >>> len(scenetex.select_keyframes(scene, count=3, sharpness=False))
        3
    """
    if sum(option is not None for option in (count, looks, every, ids)) > 1:
        raise InputError("select_keyframes: count, looks, every and ids exclude each other; give one of them")
    if ids is not None:
        if len(ids) == 0:
            raise InputError("select_keyframes: ids is empty; name at least one frame")
        return sorted({scene.frame(_whole(i, "ids", 0)).id for i in ids})
    if every is not None:
        return [frame.id for frame in scene.frames[:: _whole(every, "every", 1)]]
    if not 0 < overlap < 1:
        raise InputError(f"select_keyframes: overlap {overlap} is not between 0 and 1; 0.6 is a good value")
    count = None if count is None else _whole(count, "count", 1)
    trajectory = _look_at(scene, sharpness)
    if looks is not None:
        chosen = _enough(trajectory, _whole(looks, "looks", 1))
    elif count is None:
        chosen = _fill_gaps(trajectory, _walk(trajectory, overlap))
    elif count >= len(scene.frames):
        chosen = list(range(len(scene.frames)))
    else:
        chosen = _cover(trajectory, count, overlap if connected else 0.0)
    return [scene.frames[i].id for i in chosen]


def _whole(value: SupportsIndex, name: str, least: int) -> int:
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


def _look_at(scene: Scene, sharpness: bool) -> _Trajectory:
    """A scene's trajectory, seen at a glance."""
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
    return _Trajectory(sightings, travelled, np.array(looks)[enough].tolist(), usable, photos)


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


def _fill_gaps(trajectory: _Trajectory, walked: list[int]) -> list[int]:
    """The walk's positions and more, where a frame sees surface that none of them sees well."""
    places = sorted({*trajectory.candidates, *walked})
    views = replace(_views(trajectory, places), company=0.0)
    alone = Choice(views)
    worth = _WORTH_A_KEYFRAME * np.median([alone.most(i) for i in range(len(places))])
    chosen = set(walked)
    for candidate, gain in greedy(Choice(views, [places.index(place) for place in walked])):
        if gain < worth:
            break
        chosen.add(_stand_in(places[candidate], trajectory, chosen))
    return sorted(chosen)


def _enough(trajectory: _Trajectory, looks: int) -> list[int]:
    """Positions of so many frames that each place is seen so many times about as closely as from any of them."""
    places = trajectory.candidates
    choice = Looks(_views(trajectory, places, useful=False), looks)
    worth = _WORTH_A_PHOTO * np.median([choice.most(i) for i in range(len(places))])
    chosen: set[int] = set()
    for candidate, gain in greedy(choice):
        if gain < worth and chosen:
            break
        chosen.add(_stand_in(places[candidate], trajectory, chosen))
    return sorted(chosen)


def _views(trajectory: _Trajectory, places: list[int], useful: bool = True) -> Views:
    """The frames at those positions as candidates; `useful` as in `measure_coverage`."""
    sightings, photos = trajectory.sightings, trajectory.photos

    def keen(candidate: int) -> float:
        # Sharpness is the energy of a photo's detail; what a texture shows of it is its height.
        return 1.0 if photos is None else max(_BLURRED, photos.relative(places[candidate]) ** 0.5)

    coverage = measure_coverage(sightings.of(places), sightings.points, useful)
    return Views(coverage, cache(keen), trajectory.usable[places])


def _cover(trajectory: _Trajectory, count: int, overlap: float) -> list[int]:
    """`count` positions that see the most of the surface, and never less of it than as many at equal steps.

    `overlap`: by how much their views should hang together; 0: they need not.
    """
    frames = len(trajectory.usable)
    if count > _MOST_CANDIDATES:
        return _filled(trajectory, set(), count)
    ways = _equal_steps(frames, count)
    stepped = {place for way in ways for place in way}
    places = sorted({*trajectory.candidates, *stepped})
    rivals = [[places.index(place) for place in way] for way in ways]
    best, views = choose(_views(trajectory, places), count, rivals, overlap)
    chosen = [places[i] for i in best]
    between = _around(trajectory, chosen)
    if between - set(places):
        near = sorted({*between, *chosen, *stepped})
        views = replace(_views(trajectory, near), link=views.link, twin=views.twin)
        least = max(views.coverage.share_seen(near.index(place) for place in way) for way in ways)
        chosen = [near[i] for i in exchange(views, [near.index(place) for place in chosen], least)]
    return _filled(trajectory, set(chosen), count)


def _equal_steps(frames: int, count: int) -> list[list[int]]:
    """Positions of `count` of so many frames, or a few less, at equal steps, in all the ways in which that is done."""
    ends = np.linspace(0, frames - 1, count).round().astype(int)
    middles = ((np.arange(count) + 0.5) * frames / count).astype(int)
    ways = ends, middles, np.arange(0, frames, -(-frames // count)), np.arange(count) * (frames // count)
    return [way.tolist() for way in ways]


def _around(trajectory: _Trajectory, chosen: list[int]) -> set[int]:
    """Usable frames between the chosen ones and the candidates beside them, a few for each."""
    few = min(_WINDOW, max(2, _MOST_CANDIDATES // len(chosen)))
    found: set[int] = set()
    for place in chosen:
        options = _beside(place, trajectory)
        found.update(options[i] for i in np.linspace(0, len(options) - 1, min(few, len(options))).astype(int))
    return found


def _filled(trajectory: _Trajectory, chosen: set[int], count: int) -> list[int]:
    """The chosen positions and the rest of `count` from between, evenly; those that see nothing come last."""
    for pool in (trajectory.usable, ~trajectory.usable):
        rest = [i for i in np.flatnonzero(pool).tolist() if i not in chosen]
        wanted = min(count - len(chosen), len(rest))
        chosen = chosen | {rest[i] for i in np.linspace(0, len(rest) - 1, wanted).round().astype(int)}
    return sorted(chosen)


def _first(trajectory: _Trajectory) -> int:
    """The sharpest of the first frames, as long as the view has hardly moved."""
    start = trajectory.candidates[0]
    same = trajectory.usable & (trajectory.travelled <= trajectory.travelled[start] + _NEAR)
    return _sharpest_around(start, np.flatnonzero(same), trajectory)


def _stand_in(place: int, trajectory: _Trajectory, taken: set[int]) -> int:
    """For a candidate the sharpest free frame of it and those beside it that were not looked at: they see the same."""
    free = [i for i in _beside(place, trajectory) if i not in taken]
    return _sharpest_around(place, np.array(free or [place]), trajectory)


def _beside(place: int, trajectory: _Trajectory) -> list[int]:
    """Usable positions between the candidate before a position and the one behind it."""
    at = bisect.bisect_left(trajectory.candidates, place)
    behind = bisect.bisect_right(trajectory.candidates, place)
    first = trajectory.candidates[at - 1] + 1 if at else 0
    last = trajectory.candidates[behind] if behind < len(trajectory.candidates) else len(trajectory.usable)
    return [i for i in range(first, last) if trajectory.usable[i]]


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
