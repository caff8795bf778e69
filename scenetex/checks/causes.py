"""Which of the known causes makes photos, and sensor depth, agree once it is undone."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..scene.scene import Scene
from .agreement import Agreement, agreement
from .known_faults import Supposition, suppositions, swapped_intrinsics
from .lenses import find_lens, lens_cure
from .look import Look
from .orders import matched_by_depth, matched_by_photos, order_cure, with_poses_of
from .placement import PROMISING, SURE, TURN_GAIN, quick_agreement, tuned_cure, turned_far
from .sensor_depth import DepthAgreement, Soundings

GOOD = 0.3  # correlation of photos that agree more or less; poses that miss by 2 cm and half a degree leave 0.4
_QUICK = 16  # frames of a quick look
_AS_WELL = 0.03  # by which a lens of any numbers may agree better than one whose numbers were swapped
_FILLED = 0.5  # part of the rays that hit the mesh; then it stands around the cameras
_GAIN = 0.1  # by which photos that agree more or less have to agree better for a cause to be named
_DEPTH_GAIN = 0.15  # the same for sensor depth, part of the pixels
_DEPTH_LOSS = 0.03  # of them, at most, where photos agree better
_DEPTH_PROMISING = 0.1  # at a quick look


@dataclass(frozen=True, eq=False)
class Evidence:
    """What there is to judge a scene by.

    Attributes:
        scene: the scene, with the frames that are asked for alone.
        whole: the same with all its frames.
        look: its photos.
        now: how they agree as it is.
        sounded: its sensor depth, or None.
        depth: how that agrees with the mesh as it is; None where it cannot be told.
    """

    scene: Scene
    whole: Scene
    look: Look
    now: Agreement
    sounded: Soundings | None = None
    depth: DepthAgreement | None = None

    @cached_property
    def quick(self) -> Look:
        """Every second pair of neighbours, with fewer rays."""
        count = len(self.look)
        some = self.look if count <= _QUICK else self.look.at([i for i in range(count) if i % 4 < 2][:_QUICK])
        return some.coarse()

    @cached_property
    def quick_depth(self) -> Soundings:
        """A few pixels of a few depth images."""
        return self.sounded.coarse()

    @property
    def photos_alone(self) -> bool:
        """Whether sensor depth says that mesh and poses are right."""
        return self.depth is not None and self.depth.fits

    @property
    def depth_misses(self) -> bool:
        """Whether sensor depth says that something is wrong, and not only with its unit."""
        return self.depth is not None and self.depth.misses

    @property
    def sound(self) -> bool:
        """Whether photos agree more or less."""
        return is_sound(self.now)

    @property
    def needed(self) -> float:
        """How well photos have to agree for a cause to be named: without doubt, where little speaks against what is."""
        little = not self.now.plenty if self.now.measured else self.now.seen > _FILLED
        return SURE if little else GOOD


def is_sound(now: Agreement) -> bool:
    """Whether photos agree as they do where mesh and poses belong together."""
    return now.measured and now.correlation >= GOOD


def find_cause(evidence: Evidence) -> str | None:
    """The known cause with which photos and depth agree best, if they do; None where none helps."""
    if evidence.sound and not evidence.depth_misses:
        return _lens(evidence) or _usual(evidence)
    return _usual(evidence) or _other_order(evidence) or _lens(evidence)


def _usual(evidence: Evidence) -> str | None:
    """The supposition with which photos and depth agree best."""
    best, score = None, 0.0
    photos_alone = evidence.photos_alone or (evidence.sound and not evidence.depth_misses)
    for group in suppositions(evidence.whole, photos_alone, evidence.depth is not None):
        for supposed in group:
            found = _value(evidence, supposed) if _promises(evidence, supposed) else None
            if found is not None and found[0] > score:
                best, (score, sure) = supposed, found
        if best is not None and sure:
            break
    if best is None:
        return None
    if best.scale != 1:
        return tuned_cure(evidence.scene, evidence.quick, best)
    doubtful = not (sure or evidence.photos_alone or evidence.sound)
    turned = doubtful and turned_far(evidence.look, evidence.quick, score + TURN_GAIN)
    return turned or best.cure


def _promises(evidence: Evidence, supposed: Supposition) -> bool:
    """Whether a quick look says that it may be so."""
    if evidence.depth_misses and not supposed.photos_only:
        gain = evidence.quick_depth.supposing(supposed.change, supposed.scale).near - evidence.quick_depth.near
        if gain < -_DEPTH_LOSS or gain > _DEPTH_PROMISING:
            return gain > 0
    return quick_agreement(supposed.change(evidence.quick)) > PROMISING


def _value(evidence: Evidence, supposed: Supposition) -> tuple[float, bool] | None:
    """How well photos and depth agree, if well enough, and whether that leaves no doubt."""
    found = agreement(supposed.change(evidence.look))
    now = evidence.now.correlation + _GAIN if evidence.sound else 0.0
    agrees = found.measured and found.correlation > max(evidence.needed, now)
    photos = found.correlation if found.measured else 0.0
    if not evidence.depth_misses:
        gain = _depth_gain(evidence, supposed)
        return (photos + max(gain, 0.0), photos >= SURE) if agrees and gain > -_DEPTH_LOSS else None
    if supposed.photos_only:
        return (photos, False) if agrees else None
    sounded = evidence.sounded.supposing(supposed.change, supposed.scale)
    near, gain = sounded.near, sounded.near - evidence.sounded.near
    then = sounded.agreement()
    fits = then is not None and then.fits and gain > _DEPTH_GAIN
    if fits and (photos >= GOOD or not found.plenty):
        return photos + near, True
    return (photos, False) if agrees and gain > -_DEPTH_LOSS else None


def _depth_gain(evidence: Evidence, supposed: Supposition) -> float:
    """By how much more of the depth lies near the mesh then; 0 where it is not moved, or tells nothing."""
    if supposed.photos_only or evidence.depth is None or evidence.depth.of_another_unit:
        return 0.0
    return evidence.sounded.supposing(supposed.change, supposed.scale).near - evidence.sounded.near


def _other_order(evidence: Evidence) -> str | None:
    """Whether frames belong to the poses of others, in whatever order."""
    if evidence.depth_misses:
        match, what = matched_by_depth(evidence.scene, evidence.sounded), "the photos, and the depth images with them,"
        looked = len(evidence.sounded.look)
    else:
        match, what, looked = matched_by_photos(evidence.look), "the photos", len(evidence.look)
    if match is None:
        return None
    place = {frame.id: i for i, frame in enumerate(evidence.scene.frames)}
    order = list(range(len(place)))
    for frame, pose in match.items():
        order[place[frame]] = place[pose]
    then = agreement(with_poses_of(evidence.scene, order)(evidence.look.at(_places(evidence.look, match))))
    if evidence.sound and then.correlation < evidence.now.correlation:
        what = "the depth images"
    elif not (then.measured and then.correlation > GOOD):
        return None
    return order_cure(match, looked, what)


def _places(look: Look, match: dict[int, int]) -> list[int]:
    return np.flatnonzero([frame.id in match for frame in look.frames]).tolist()


def _lens(evidence: Evidence) -> str | None:
    """Whether photos were taken with another lens than is said, or one whose numbers were swapped."""
    if not evidence.now.plenty:
        return None
    lens = find_lens(evidence.look, max(evidence.needed, SURE if evidence.sound else GOOD), _GAIN)
    if lens is None:
        return None
    for supposed in swapped_intrinsics(evidence.scene):
        found = agreement(supposed.change(evidence.look))
        if found.measured and found.correlation > lens.correlation - _AS_WELL:
            return supposed.cure
    return lens_cure(evidence.scene, lens)
