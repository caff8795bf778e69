"""Do photos, poses and mesh fit each other, and if not, what would make them?"""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from ..scene.mesh import Mesh
from ..scene.scene import Scene
from .agreement import Agreement, agreement, pair_agreement, shared_agreement
from .finding import Finding
from .look import Look
from .sensor_depth import DepthAgreement
from .stretches import check_stretch
from .suppositions import moved, scale_cure, scaled, suppositions

_GOOD = 0.3  # correlation of photos that agree more or less; poses that miss by 2 cm and half a degree leave 0.4
_BEYOND_DOUBT = 0.85
_SEEN = 0.1  # part of the rays that hit the mesh; less, and the cameras look elsewhere
_PROMISING = 0.15  # of a supposition, at a quick look
_GAIN = 0.08  # by which a mesh has to fit better beside its place; twice that where it leaves no doubt as it is
_SHARED_GAIN = 0.05  # the same at the points that are seen both ways
_LOST = 0.85, 0.03  # points compared, at least, of those as it is; part of the rays that may miss then
_FACING = 0.9  # of the cameras that see something of the mesh: it is one thing, not a room
_FILLED = 0.5  # part of the rays that hit the mesh; then it stands around the cameras
_MANY = 8  # photos; if so many cannot be compared as it is, another supposition may be right
_QUICK = 16, 40_000  # frames and sightings of a quick look
_FIRST, _LAST = 0.12, 0.015  # of the middle depth: steps by which the mesh is moved
_FAR = 0.04  # of the middle depth; a mesh that lies nearer to its place is well placed
_FIRST_SCALE, _LAST_SCALE = 0.1, 0.01
_SAME_SCALE = 0.02
_ALL_WAYS = np.array([way for way in product((1.0, 0.0, -1.0), repeat=3) if way > (0.0, 0.0, 0.0)])
_SURE = 0.55  # correlation that leaves no doubt where the mesh belongs
_TURN_GAIN = 0.05  # by which a mesh has to fit better turned than only moved
_ASLANT = np.radians(4)  # turned less, a mesh is said to be moved
_UPRIGHT = np.radians([sign * angle for angle in range(10, 90, 10) for sign in (1, -1)])
_ALONG = np.cos(np.radians(10))  # to an axis
_CENTRED = 1e-4  # of the mesh's longest side
_SWEEP = np.exp(np.arange(-32, 33) * 0.075)  # scales of reconstructions without a unit

_MISFIT = (
    "the photos do not agree on the mesh's surface, and no usual cause explains it; check that mesh and poses share "
    "one frame, up axis and unit, that each pose has its own photo, and the intrinsics"
)
_PHOTOS_MISFIT = (
    "mesh, poses and sensor depth fit each other ({near:.0f} % within a tenth), only the photos do not belong to their "
    "poses; look whether their names are shifted or their times are another clock's (photos of a moment before or "
    "after), and whether the photos' intrinsics are right"
)
_SOMEWHERE = "the mesh seems to lie beside its place; use the mesh of these poses, in their frame"
_MOVED_TO_ORIGIN = (
    "the mesh is centred (its middle is the origin), the poses do not look to be; use the mesh as it was before, or "
    "move it back by what was taken off"
)
NOTHING_SEEN = (
    "the cameras hardly see the mesh; check that mesh and poses share one frame, up axis and unit (metres), and that "
    "poses are camera-to-world with OpenCV axes"
)


def check_fit(
    scene: Scene, look: Look, depth: DepthAgreement | None = None, search: bool = True
) -> tuple[Finding | None, Agreement]:
    """What does not fit, with the cure that makes photos agree, where there is one; and how they agree as it is.

    Sensor depth that fits mesh and poses leaves the photos as what may be wrong. Without `search`, no cause is
    looked for.
    """
    now, photos_alone = agreement(look), depth is not None and depth.fits
    cause, sound = None, is_sound(now)
    compared = search and (now.measured or look.shows.sum() >= _MANY)
    if compared:
        quick = _quick(look)
        if not sound:
            cause = _usual_cause(scene, look, quick, photos_alone, _needed(now))
        if cause is None and now.measured and now.correlation < _BEYOND_DOUBT:
            cause = _beside(scene, look, quick, now)
    if cause is None and search and (off := check_stretch(scene, pair_agreement(look), depth)):
        return off, now
    if compared and cause is None and not (sound or photos_alone):
        cause = _turned_far(look, quick, _needed(now))
        if cause is None and _is_centred(scene.mesh) and (now.plenty or now.seen < _SEEN):
            cause = _MOVED_TO_ORIGIN
        cause = cause or _other_scale(scene, look, quick, _needed(now))
    if cause is not None:
        return Finding("fit", f"photos, poses and mesh do not fit: {cause}"), now
    if now.seen < _SEEN and not (sound or photos_alone or _all_face(look)):
        return Finding("fit", NOTHING_SEEN), now
    if sound or not now.plenty:
        return None, now
    return Finding("fit", _PHOTOS_MISFIT.format(near=100 * depth.near) if photos_alone else _MISFIT), now


def is_sound(now: Agreement) -> bool:
    """Whether photos agree as they do where mesh and poses belong together."""
    return now.measured and now.correlation >= _GOOD


def _needed(now: Agreement) -> float:
    """How well photos have to agree for a cause to be named: without doubt, where little speaks against what is."""
    little = not now.plenty if now.measured else now.seen > _FILLED
    return _SURE if little else _GOOD


def _all_face(look: Look) -> bool:
    """Whether nearly all cameras see something of the mesh: a scan of one thing fills little of the view."""
    return float((look.hits[1] >= 0).any((1, 2)).mean()) >= _FACING


def _quick(look: Look) -> Look:
    """Every second pair of neighbours."""
    count = len(look)
    return look if count <= _QUICK[0] else look.at([i for i in range(count) if i % 4 < 2][: _QUICK[0]])


def _agree(look: Look) -> float:
    """How photos agree at a quick look; 0 where that cannot be told."""
    found = agreement(look, _QUICK[1])
    return found.correlation if found.measured else 0.0


def _usual_cause(scene: Scene, look: Look, quick: Look, photos_alone: bool, needed: float) -> str | None:
    """The supposition with which photos agree best, if they do."""
    best, score = None, needed
    for supposed in suppositions(scene, photos_alone):
        if _agree(supposed.change(quick)) > _PROMISING:
            found = agreement(supposed.change(look))
            if found.measured and found.correlation > score:
                best, score = supposed, found.correlation
    if best is None or best.scale == 1:
        doubtful = best is not None and score < _SURE and not photos_alone
        return (doubtful and _turned_far(look, quick, score + _TURN_GAIN)) or (best and best.cure)
    # Units are not the only scales.
    factor = _tuned(quick, best.scale)
    return best.cure if abs(np.log(factor / best.scale)) < _SAME_SCALE else scale_cure(scene, factor)


def _tuned(quick: Look, factor: float) -> float:
    """The scale of the mesh near `factor` with which photos agree best."""
    _, best = _search(lambda x: _agree(scaled(quick, factor * float(np.exp(x[0])))), np.eye(1), 0.04, 0.005)
    return factor * float(np.exp(best[0]))


def _beside(scene: Scene, look: Look, quick: Look, now: Agreement) -> str | None:
    """Whether the mesh fits better a little aside, or a little larger or smaller."""
    seen = quick.hits[0][quick.hits[0] > 0]
    depth = float(np.median(seen))
    size, scale = _search(lambda x: _agree(scaled(quick, float(np.exp(x[0])))), np.eye(1), _FIRST_SCALE, _LAST_SCALE)
    gain, shift = _search(lambda x: _agree(moved(quick, _shift(x * depth))), np.eye(3), _FIRST, _LAST)
    if shift.any():  # worth a closer look, aslant too
        gain, shift = _search(lambda x: _agree(moved(quick, _shift(x * depth))), _ALL_WAYS, _FIRST, _LAST)
    options = [
        (size, abs(scale[0]), scaled(look, float(np.exp(scale[0]))), scale_cure(scene, float(np.exp(scale[0])))),
        (gain, np.linalg.norm(shift), moved(look, _shift(shift * depth)), _shift_cure(shift * depth)),
    ]
    _, way, whole, cure = max(options, key=lambda option: option[0])
    if way < _FAR:
        return None
    then = agreement(whole)
    if not (then.measured and then.correlation > _needed(now) and _is_better(look, now, whole, then)):
        return None
    start = np.r_[shift, np.zeros(3)]
    turned = _turned(look, quick, depth, start, then.correlation + _TURN_GAIN) if cure is options[1][3] else None
    return turned or (cure if then.correlation > _SURE else _SOMEWHERE)


def _turned(look: Look, quick: Look, depth: float, start: np.ndarray, needed: float) -> str | None:
    """Whether photos agree better than `needed` with a mesh turned and moved from `start` (6,) on (see `_motion`)."""
    _, place = _search(lambda x: _agree(moved(quick, _motion(look, x, depth))), np.eye(6), _FIRST, _LAST, start)
    if np.linalg.norm(place[3:]) < _ASLANT:
        return None
    motion = _motion(look, place, depth)
    found = agreement(moved(look, motion))
    return _turn_cure(motion) if found.measured and found.correlation > needed else None


def _turned_far(look: Look, quick: Look, needed: float) -> str | None:
    """Whether photos agree with a mesh turned about an upright axis, its own or the world's."""
    middle = np.linalg.norm(look.middle) > 0
    best, start = _PROMISING, None
    for angle, about_middle in product(_UPRIGHT, (False, True) if middle else (True,)):
        place = np.array([0, 0, 0, 0, 0, angle])
        if not about_middle:  # as a shift of the middle
            place[:3] = Rotation.from_rotvec(place[3:]).apply(look.middle) - look.middle
        score = _agree(moved(quick, _motion(look, place, 1.0)))
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


def _is_centred(mesh: Mesh) -> bool:
    """Whether the mesh's middle, or the mean of its vertices, is the origin: only programs put it there."""
    used = mesh.vertices[np.unique(mesh.faces)]
    middles = np.stack([mesh.vertices.mean(0), used.mean(0), (used.min(0) + used.max(0)) / 2])
    return bool(np.abs(middles).max(1).min() < _CENTRED * np.ptp(used, axis=0).max())


def _is_better(look: Look, now: Agreement, whole: Look, then: Agreement) -> bool:
    """Whether photos agree clearly better, and not because less is seen and compared."""
    gain = _GAIN if now.correlation < _SURE else 2 * _GAIN
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


def _other_scale(scene: Scene, look: Look, quick: Look, needed: float) -> str | None:
    """A scale of the mesh that is no unit's: reconstructions from photos alone have any."""
    scores = [_agree(scaled(quick, factor)) for factor in _SWEEP]
    start = float(_SWEEP[int(np.argmax(scores))])
    if max(scores) < _PROMISING:
        return None
    factor = _tuned(quick, start)
    found = agreement(scaled(look, factor))
    return scale_cure(scene, factor) if found.measured and found.correlation > needed else None
