"""Photos, or photos and depth, in another order than the poses: the usual orders, and any that fits."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..scene.frame import Frame
from ..scene.scene import Scene
from .agreement import sightings
from .look import Look
from .sensor_depth import Soundings

_MOST_POSES = 300  # that depth images are compared with
_MATCHED = 0.7  # part of a depth image's pixels near the mesh at the pose that is its own
_CLEAR = 0.15  # by which it has to be more than at the pose that it has
_MANY = 0.75  # of the images that have to be matched so for an order to be named
_MOVED = 0.3  # of them that have to be at another pose
_POINTS = 120  # of a pair of poses at which photos are compared
_FEW = 30
_ROUNDS = 25  # of matching photos
_TELLING = 0.25  # correlation of two photos at two poses; less is chance
_LISTED = 3


def with_poses_of(scene: Scene, order: list[int]) -> Callable[[Look], Look]:
    """Gives each frame of a look the pose of another: position i of the trajectory that of position `order[i]`."""
    place = {frame.id: i for i, frame in enumerate(scene.frames)}

    def change(look: Look) -> Look:
        others = [scene.frames[order[place[frame.id]]] for frame in look.frames]
        return look.with_cameras(np.stack([other.cam_to_world for other in others]))

    return change


def usual_orders(scene: Scene) -> Iterator[tuple[str, list[int]]]:
    """What is said of the photos' order, and whose pose each frame is to have then, `order` of `with_poses_of`."""
    count = len(scene.frames)
    seen = {tuple(range(count))}
    for says, order in (*_shifts(count), ("in reverse order", list(range(count))[::-1]), *_sorted(scene)):
        if tuple(order) not in seen:
            seen.add(tuple(order))
            yield says, order


def _shifts(count: int) -> Iterator[tuple[str, list[int]]]:
    """Photos shifted along the trajectory by a frame or two, all frames counted."""
    for by in (1, 2):
        frames = "one frame" if by == 1 else f"{by} frames"
        # Where a pose has a photo from before, the photo's own pose is an earlier one.
        yield f"{frames} too late (pose i has the photo of frame i - {by})", [(i - by) % count for i in range(count)]
        yield f"{frames} too early (pose i has the photo of frame i + {by})", [(i + by) % count for i in range(count)]


def _sorted(scene: Scene) -> Iterator[tuple[str, list[int]]]:
    """Poses by number and photos by name, or the other way round, by whatever numbers and names there are."""
    count = len(scene.frames)
    by_number = list(range(count))
    for names in _names(scene):
        natural = sorted(by_number, key=lambda i, names=names: _natural(names[i]))
        plain = sorted(by_number, key=lambda i, names=names: names[i])
        for taken, given in permutations([by_number, natural, plain], 2):
            # The photo of the frame that is j-th in the one order has its pose at the j-th in the other.
            order = np.empty(count, int)
            order[taken] = given
            says = "at other poses than the numbers in their names say"
            says = "sorted by number, the poses by name (1, 10, 2)" if taken is plain else says
            says = "sorted by name (1, 10, 2), the poses by number" if given is plain else says
            yield says, order.tolist()


def _names(scene: Scene) -> list[list[str]]:
    positions = [str(i) for i in range(len(scene.frames))]
    from_one = [str(i + 1) for i in range(len(scene.frames))]
    ids = [str(frame.id) for frame in scene.frames]
    files = [frame.color.path.name if frame.color else str(frame.id) for frame in scene.frames]
    return [ids, positions, from_one, files]  # of what is the same, the first is said


def _natural(name: str) -> list:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", name)]


def matched_by_depth(scene: Scene, sounded: Soundings) -> dict[int, int] | None:
    """The frame whose pose each depth image fits, by ids, where that is clear and mostly another one's."""
    coarse = sounded.some_pixels()
    step = -(-len(scene.frames) // _MOST_POSES)
    wanted = {frame.id for frame in coarse.look.frames}
    poses = [f for i, f in enumerate(scene.frames) if i % step == 0 or f.id in wanted]
    seen = _seen_from(coarse, poses)
    near = np.zeros((len(coarse.look), len(poses)))
    for i, sensor in enumerate(coarse.sensor):
        has = sensor > 0
        if has.sum() >= _FEW:
            mesh = seen[:, has]
            near[i] = (np.abs(sensor[has] - mesh) < 0.1 * mesh).mean(1)
    ids = [frame.id for frame in poses]
    own = near[np.arange(len(near)), [ids.index(frame.id) for frame in coarse.look.frames]]
    rows, columns = linear_sum_assignment(-near)
    clear = {}
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if near[i, j] >= _MATCHED and near[i, j] >= near[i].max() - 0.05:
            moved = near[i, j] > own[i] + _CLEAR
            clear[coarse.look.frames[i].id] = ids[j] if moved else coarse.look.frames[i].id
    return _if_clear(clear, len(near))


def _seen_from(coarse: Soundings, poses: list[Frame]) -> np.ndarray:
    """(n, h, w) float32, what the first of the depth cameras would see of the mesh from these poses."""
    count = len(poses)

    def repeated(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[:1], count, 0)

    look = replace(
        coarse.look,
        frames=tuple(poses),
        cam_to_world=np.stack([frame.cam_to_world for frame in poses]),
        **{name: repeated(getattr(coarse.look, name)) for name in ("sizes", "grey", "detail", "shows", "intrinsics")},
    )
    return replace(coarse, sensor=repeated(coarse.sensor), look=look, offset=repeated(coarse.offset)).mesh


def matched_by_photos(look: Look) -> dict[int, int] | None:
    """The frame whose pose each photo fits, by ids, where that is clear and mostly another one's.

    Every two photos are compared at every two poses: photo a at pose i goes with b at k if they agree there. Photos
    and poses are then matched so that as many as possible do.
    """
    count = len(look)
    if not look.shows.all() or count < 6:
        return None
    votes = _votes(look)
    match = np.full((count, count), 1 / count)  # poses by photos
    for round_ in range(_ROUNDS):
        support = np.einsum("ikab,kb->ia", votes, match)
        sharp = 2 + 1.5 * round_
        match = np.exp(sharp * (support / max(support.max(), 1e-9) - 1))
        for _ in range(12):
            match /= match.sum(1, keepdims=True) + 1e-12
            match /= match.sum(0, keepdims=True) + 1e-12
    poses, photos = linear_sum_assignment(-match)
    clear = {}
    for i, a in zip(poses.tolist(), photos.tolist(), strict=True):
        agrees = sum(votes[i, k, a, b] > _TELLING for k, b in zip(poses, photos, strict=True))
        could = sum(votes[i, k].any() for k in range(count))
        if match[i, a] > 0.6 and agrees >= max(2, 0.4 * could):
            clear[look.frames[a].id] = look.frames[i].id
    return _if_clear(clear, count)


def _votes(look: Look) -> np.ndarray:
    """(m, m, m, m) float32: of poses i and k with photos a and b, the correlation of these at points seen from both."""
    count, found = len(look), sightings(look)
    votes = np.zeros((count,) * 4, np.float32)
    pair = found.first * count + found.second
    order = np.argsort(pair, kind="stable")
    starts = np.searchsorted(pair[order], np.arange(count * count + 1))
    for i, k in np.ndindex(count, count):
        at = order[starts[i * count + k] : starts[i * count + k + 1]]
        if len(at) >= _FEW:
            at = at[:: max(1, len(at) // _POINTS)]
            one, two = _at(look, found.pixel[at]), _at(look, found.other[at])
            votes[i, k] = np.maximum(_unit(one) @ _unit(two).T - 0.1, 0)
    return votes + votes.transpose(1, 0, 3, 2)


def _at(look: Look, pixel: np.ndarray) -> np.ndarray:
    """(m, n) detail of all photos at pixels (n, 2)."""
    column, row = (pixel + 0.5).astype(int).T
    return look.detail[:, row, column]


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)


def _if_clear(match: dict[int, int], count: int) -> dict[int, int] | None:
    """A match that covers nearly all frames, and moves many of them."""
    moved = sum(frame != pose for frame, pose in match.items())
    return match if len(match) >= _MANY * count and moved >= max(_MOVED * count, 2) else None


def order_cure(match: dict[int, int], looked: int, what: str) -> str:
    """What is wrong if frames belong to the poses of others."""
    moved = {frame: pose for frame, pose in match.items() if frame != pose}
    pairs = [f"what frame {frame} has belongs to pose {pose}" for frame, pose in moved.items()][:_LISTED]
    return (
        f"{what} are in another order than the poses: {', '.join(pairs)} and so on, {len(moved)} of the {looked} "
        "frames looked at; give each pose its own"
    )
