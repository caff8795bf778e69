"""Do photos, poses and mesh fit each other, and if not, what would make them?"""

from .agreement import pair_agreement
from .causes import Evidence, find_cause
from .finding import Finding
from .look import Look
from .placement import beside, is_centred, other_scale, turned_far
from .relative_poses import starts_at_identity
from .stretches import check_stretch

_BEYOND_DOUBT = 0.85
_SEEN = 0.1  # part of the rays that hit the mesh; less, and the cameras look elsewhere
_FACING = 0.9  # of the cameras that see something of the mesh: it is one thing, not a room
_MANY = 8  # photos; if so many cannot be compared as it is, another supposition may be right
# Correlation of photos below what sound scans have, and the pairs of photos and points that this takes: of 150 sound
# scans and parts of them, noisy and unevenly exposed, with so many none had less than 0.56.
_WEAK, _TELLING = 0.53, (20, 5000)
_FAINT = 0.55  # correlation below which a better lens, order of photos, or turn of the mesh is looked for
_TURN_GAIN = 0.15  # by which photos that agree so have to agree better with a mesh that is turned

_MISFIT = (
    "the photos do not agree on the mesh's surface, and no usual cause explains it; check that mesh and poses share "
    "one frame, up axis and unit, that each pose has its own photo, and the intrinsics"
)
_PHOTOS_MISFIT = (
    "mesh, poses and sensor depth fit each other ({near:.0f} % within a tenth), only the photos do not belong to their "
    "poses; look whether their names are shifted or their times are another clock's (photos of a moment before or "
    "after), and whether the photos' intrinsics are right"
)
_WEAK_FIT = (
    "photos agree less ({now:.2f}) than those of sound scans (0.6 to 0.9), and no usual cause explains it; look at the "
    "picture of scenetex check: poses that drift, moving things, photos of another moment, or a lens that is not said"
)
_MOVED_TO_ORIGIN = (
    "the mesh is centred (its middle is the origin), the poses do not look to be; use the mesh as it was before, or "
    "move it back by what was taken off"
)
_RELATIVE = (
    "the first pose is the identity: the poses look to be relative to the first camera, and the mesh is in another "
    "frame; multiply each from the left by the first frame's pose in the mesh's frame, or use the mesh of these poses"
)
NOTHING_SEEN = (
    "the cameras hardly see the mesh; check that mesh and poses share one frame, up axis and unit (metres), and that "
    "poses are camera-to-world with OpenCV axes"
)


def check_fit(evidence: Evidence, search: bool = True) -> Finding | None:
    """What does not fit, with the cure that makes photos and depth agree, where there is one.

    Sensor depth that fits mesh and poses leaves the photos as what may be wrong. Without `search`, no cause is
    looked for.
    """
    now, look, scene = evidence.now, evidence.look, evidence.scene
    sound, photos_alone = evidence.sound, evidence.photos_alone
    cause = None
    compared = search and (now.measured or look.shows.sum() >= _MANY)
    if compared:
        faint = not sound or (now.plenty and now.correlation < _FAINT)
        if faint or evidence.depth_misses:
            cause = find_cause(evidence)
        if cause is None and now.measured and now.correlation < _BEYOND_DOUBT:
            cause = beside(scene, look, evidence.quick, now, evidence.needed)
        if cause is None and faint and sound and not photos_alone:
            cause = turned_far(look, evidence.quick, now.correlation + _TURN_GAIN)
    if cause is None and search and (off := check_stretch(scene, pair_agreement(look), evidence.depth)):
        return off
    if compared and cause is None and not (sound or photos_alone):
        cause = turned_far(look, evidence.quick, evidence.needed)
        if cause is None and is_centred(scene.mesh) and (now.plenty or now.seen < _SEEN):
            cause = _MOVED_TO_ORIGIN
        cause = cause or other_scale(scene, look, evidence.quick, evidence.needed)
        if cause is None and starts_at_identity(evidence.whole) and (now.plenty or now.seen < _SEEN):
            cause = _RELATIVE
    if cause is not None:
        return Finding("fit", f"photos, poses and mesh do not fit: {cause}")
    return _unexplained(evidence) if search or not sound else None


def _unexplained(evidence: Evidence) -> Finding | None:
    """What to look at where no cause was found."""
    now, photos_alone = evidence.now, evidence.photos_alone
    if now.seen < _SEEN and not (evidence.sound or photos_alone or _all_face(evidence.look)):
        return Finding("fit", NOTHING_SEEN)
    if evidence.sound:
        weak = now.correlation < _WEAK and now.pairs >= _TELLING[0] and now.samples >= _TELLING[1]
        return Finding("fit", _WEAK_FIT.format(now=now.correlation)) if weak and not evidence.depth_misses else None
    if not now.plenty:
        return None
    near = 100 * evidence.depth.near if photos_alone else 0
    return Finding("fit", _PHOTOS_MISFIT.format(near=near) if photos_alone else _MISFIT)


def _all_face(look: Look) -> bool:
    """Whether nearly all cameras see something of the mesh: a scan of one thing fills little of the view."""
    return float((look.hits[1] >= 0).any((1, 2)).mean()) >= _FACING


def misfit() -> Finding:
    """What to say where faces, too, tell that cameras are not where they belong."""
    return Finding("fit", _MISFIT)
