"""Where the mesh would have to be for photos to agree: beside its place, turned, or at another scale."""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from ..scene.mesh import Mesh, used_vertices
from ..scene.scene import Scene
from .agreement import Agreement, agreement, shared_agreement
from .known_faults import Supposition, moved, scale_cure, scaled
from .look import Look

SURE = 0.55  # correlation that leaves no doubt where the mesh belongs
PROMISING = 0.15  # of a supposition, at a quick look
_SIGHTINGS = 40_000  # of a quick look
_GAIN = 0.08  # by which a mesh has to fit better beside its place; twice that where it leaves no doubt as it is
_SHARED_GAIN = 0.05  # the same at the points that are seen both ways
_LOST = 0.85, 0.03  # points compared, at least, of those as it is; part of the rays that may miss then
_FIRST, _LAST = 0.12, 0.015  # of the middle depth: steps by which the mesh is moved
_FAR = 0.04  # of the middle depth; a mesh that lies nearer to its place is well placed
_FIRST_SCALE, _LAST_SCALE = 0.1, 0.01
_SAME_SCALE = 0.02
_ALL_WAYS = np.array([way for way in product((1.0, 0.0, -1.0), repeat=3) if way > (0.0, 0.0, 0.0)])
TURN_GAIN = 0.05  # by which a mesh has to fit better turned than only moved
_ASLANT = np.radians(4)  # turned less, a mesh is said to be moved
_UPRIGHT = np.radians([sign * angle for angle in range(10, 90, 10) for sign in (1, -1)])
_ALONG = np.cos(np.radians(10))  # to an axis
_CENTRED = 1e-4  # of the mesh's longest side
_SWEEP = np.exp(np.arange(-32, 33) * 0.075)  # scales of reconstructions without a unit
_SOMEWHERE = "the mesh seems to lie beside its place; use the mesh of these poses, in their frame"


def tuned_cure(scene: Scene, quick: Look, supposed: Supposition) -> str:
    """The cure of a supposition about scale; units are not the only scales."""
    factor = _tuned(quick, supposed.scale)
    return supposed.cure if abs(np.log(factor / supposed.scale)) < _SAME_SCALE else scale_cure(scene, factor)


def _tuned(quick: Look, factor: float) -> float:
    """The scale of the mesh near `factor` with which photos agree best."""
    _, best = _search(lambda x: quick_agreement(scaled(quick, factor * float(np.exp(x[0])))), np.eye(1), 0.04, 0.005)
    return factor * float(np.exp(best[0]))


def beside(scene: Scene, look: Look, quick: Look, now: Agreement, needed: float) -> str | None:
    """Whether the mesh fits better a little aside, or a little larger or smaller."""
    seen = quick.hits[0][quick.hits[0] > 0]
    depth = float(np.median(seen))

    def as_scaled(x: np.ndarray) -> float:
        return quick_agreement(scaled(quick, float(np.exp(x[0]))))

    def as_moved(x: np.ndarray) -> float:
        return quick_agreement(moved(quick, _shift(x * depth)))

    size, scale = _search(as_scaled, np.eye(1), _FIRST_SCALE, _LAST_SCALE)
    gain, shift = _search(as_moved, np.eye(3), _FIRST, _LAST)
    if shift.any():  # worth a closer look, aslant too
        gain, shift = _search(as_moved, _ALL_WAYS, _FIRST, _LAST)
    options = [
        (size, abs(scale[0]), scaled(look, float(np.exp(scale[0]))), scale_cure(scene, float(np.exp(scale[0])))),
        (gain, np.linalg.norm(shift), moved(look, _shift(shift * depth)), _shift_cure(shift * depth)),
    ]
    _, way, whole, cure = max(options, key=lambda option: option[0])
    if way < _FAR:
        return None
    then = agreement(whole)
    if not (then.measured and then.correlation > needed and _is_better(look, now, whole, then)):
        return None
    start = np.r_[shift, np.zeros(3)]
    turned = _turned(look, quick, depth, start, then.correlation + TURN_GAIN) if cure is options[1][3] else None
    return turned or (cure if then.correlation > SURE else _SOMEWHERE)


def _turned(look: Look, quick: Look, depth: float, start: np.ndarray, needed: float) -> str | None:
    """Whether photos agree better than `needed` with a mesh turned and moved from `start` (6,) on (see `_motion`)."""

    def as_placed(x: np.ndarray) -> float:
        return quick_agreement(moved(quick, _motion(look, x, depth)))

    _, place = _search(as_placed, np.eye(6), _FIRST, _LAST, start)
    if np.linalg.norm(place[3:]) < _ASLANT:
        return None
    motion = _motion(look, place, depth)
    found = agreement(moved(look, motion))
    return _turn_cure(motion) if found.measured and found.correlation > needed else None


def turned_far(look: Look, quick: Look, needed: float) -> str | None:
    """Whether photos agree with a mesh turned about an upright axis, its own or the world's."""
    middle = np.linalg.norm(look.middle) > 0
    best, start = PROMISING, None
    for angle, about_middle in product(_UPRIGHT, (False, True) if middle else (True,)):
        place = np.array([0, 0, 0, 0, 0, angle])
        if not about_middle:  # as a shift of the middle
            place[:3] = Rotation.from_rotvec(place[3:]).apply(look.middle) - look.middle
        score = quick_agreement(moved(quick, _motion(look, place, 1.0)))
        if score > best:
            best, start = score, place
    if start is None:
        return None
    depth = float(np.median(quick.hits[0][quick.hits[0] > 0]))
    return _turned(look, quick, depth, np.r_[start[:3] / depth, start[3:]], needed)


def _motion(look: Look, place: np.ndarray, depth: float) -> np.ndarray:
    """(4, 4) of a shift, in depths, and a rotation vector, radians, about the mesh's middle: `place` (6,) is both."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(place[3:]).as_matrix()
    motion[:3, 3] = look.middle - motion[:3, :3] @ look.middle + place[:3] * depth
    return motion


def _turn_cure(motion: np.ndarray) -> str:
    """What is wrong if the mesh has to be moved by a rigid motion (4, 4) that turns."""
    vector = Rotation.from_matrix(motion[:3, :3]).as_rotvec()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle
    main = int(np.argmax(np.abs(axis)))
    if axis[main] < 0:
        axis, angle = -axis, -angle
    named = "xyz"[main] if axis[main] > _ALONG else "the axis " + ", ".join(f"{part + 0:.2f}" for part in axis)
    point = np.linalg.pinv(np.eye(3) - motion[:3, :3], rcond=1e-6) @ motion[:3, 3]
    place = ", ".join(f"{part:.1f}" for part in point + 0.0)
    return (
        f"the mesh is turned by about {abs(np.degrees(angle)):.0f} degrees against the poses; turn it by "
        f"{np.degrees(angle):.0f} degrees about {named} through {place}, or use the mesh of these poses"
    )


def _is_better(look: Look, now: Agreement, whole: Look, then: Agreement) -> bool:
    """Whether photos agree clearly better, and not because less is seen and compared."""
    gain = _GAIN if now.correlation < SURE else 2 * _GAIN
    if then.correlation - now.correlation < gain or then.error > now.error:
        return False
    if then.samples < _LOST[0] * now.samples or then.seen < now.seen - _LOST[1]:
        return False
    before, after = shared_agreement(look, whole)
    return after - before > _SHARED_GAIN


def _shift(by: np.ndarray) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, 3] = by
    return motion


def _shift_cure(by: np.ndarray) -> str:
    x, y, z = by
    return (
        f"the mesh lies about {np.linalg.norm(by):.2g} m beside its place; move it by {x:.2f}, {y:.2f}, {z:.2f} m, or "
        "use the mesh of these poses"
    )


def _search(
    score: Callable[[np.ndarray], float],
    ways: np.ndarray,
    first: float,
    last: float,
    start: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """The best score and its place (n,), from `start` or 0, by steps along `ways` (k, n) and back that get smaller."""
    at, step = np.zeros(ways.shape[1]) if start is None else start, first
    best = score(at)
    while step >= last:
        tried = [at + step * sign * way for way in ways for sign in (1, -1)]
        scores = [score(place) for place in tried]
        top = int(np.argmax(scores))
        if scores[top] > best:
            best, at = scores[top], tried[top]
        elif not at.any() and step == first:
            break  # nothing is better all around
        else:
            step /= 2
    return best, at


def other_scale(scene: Scene, look: Look, quick: Look, needed: float) -> str | None:
    """A scale of the mesh that is no unit's: reconstructions from photos alone have any."""
    scores = [quick_agreement(scaled(quick, factor)) for factor in _SWEEP]
    start = float(_SWEEP[int(np.argmax(scores))])
    if max(scores) < PROMISING:
        return None
    factor = _tuned(quick, start)
    found = agreement(scaled(look, factor))
    return scale_cure(scene, factor) if found.measured and found.correlation > needed else None


def quick_agreement(look: Look) -> float:
    """How photos agree at a quick look; 0 where that cannot be told."""
    found = agreement(look, _SIGHTINGS)
    return found.correlation if found.measured else 0.0


def is_centred(mesh: Mesh) -> bool:
    """Whether the mesh's middle, or the mean of its vertices, is the origin: only programs put it there."""
    used = mesh.vertices[used_vertices(mesh.faces)[0]]
    middles = np.stack([mesh.vertices.mean(0), used.mean(0), (used.min(0) + used.max(0)) / 2])
    return bool(np.abs(middles).max(1).min() < _CENTRED * np.ptp(used, axis=0).max())
