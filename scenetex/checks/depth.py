"""Does the sensor's depth agree with the mesh's?"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from ..views.viewset import pixel_rays
from .finding import Finding
from .look import Look
from .size import UNITS

_FRAMES = 8
_COLUMNS = 48  # of a depth image that are looked at
_LEAST = 4, 200  # images and pixels; fewer tell nothing
_NEAR = 0.1  # of the depth: as near as sensors come, farther away
_AGREED = 0.4  # of the pixels, at least
_UNIT, _SPREAD = 1.15, 0.12  # a factor beyond that, the same all over


@dataclass(frozen=True)
class DepthAgreement:
    """Sensor depth over the mesh's.

    Attributes:
        ratio: median.
        spread: median deviation from that, in logarithms.
        near: part of the pixels within a tenth.
    """

    ratio: float
    spread: float
    near: float


def depth_agreement(scene: Scene, look: Look) -> DepthAgreement | None:
    """Compares a few depth images; None where there are none that can be read, or that see the mesh."""
    frames = [f for f in scene.frames if f.depth is not None and f.depth_camera is not None]
    chosen = np.unique(np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)) if frames else ()
    ratios = [found for i in chosen if len(found := _ratios(frames[i], look))]
    ratio = np.concatenate([*ratios, np.zeros(0)])
    if len(ratios) < _LEAST[0] or len(ratio) < _LEAST[1]:
        return None
    middle = float(np.median(ratio))
    spread = float(np.median(np.abs(np.log(ratio / middle))))
    return DepthAgreement(middle, spread, float((np.abs(ratio - 1) < _NEAR).mean()))


def check_depth(found: DepthAgreement | None) -> Finding | None:
    """What to say of it."""
    if found is None:
        return None
    if max(found.ratio, 1 / found.ratio) > _UNIT and found.spread < _SPREAD:
        said = f"the depth images say {found.ratio:.3g} times the mesh's depth"
        for metres, unit in UNITS.items():
            if metres != 1000 and abs(found.ratio / metres - 1) < 0.05 and metres > 0.02:
                return Finding("depth", f"{said}; mesh and poses look to be in {unit}; write both in metres")
        return Finding("depth", f"{said}, as if in another unit; write them in millimetres, or give their unit")
    if found.near < _AGREED:
        return Finding(
            "depth",
            f"{100 * (1 - found.near):.0f} % of the depth images' pixels miss the mesh's depth by more than a tenth; "
            "check their intrinsics, unit and poses",
        )
    return None


def _ratios(frame, look: Look) -> np.ndarray:
    """Sensor over mesh depth (n,) where both have some."""
    try:
        sensor = frame.read_depth()
    except InputError:  # whoever needs depth will say so
        return np.zeros(0)
    step = max(1, sensor.shape[1] // _COLUMNS)
    sensor = sensor[::step, ::step]
    k = frame.depth_camera.intrinsics.copy()
    k[:2] /= step
    pose = frame.cam_to_world if frame.depth_cam_to_world is None else frame.depth_cam_to_world
    origin, direction = pixel_rays(k, pose, sensor.shape[::-1])
    hit = look.caster.cast(np.broadcast_to((origin - look.middle).astype(np.float32), direction.shape), direction)
    both = (hit["face"] >= 0) & (sensor.ravel() > 0) & (hit["distance"] > 0)
    return sensor.ravel()[both].astype(np.float64) / hit["distance"][both]
