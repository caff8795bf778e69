"""Does the sensor's depth agree with the mesh's?"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..scene.frame import Frame
from ..scene.scene import Scene
from ..views.viewset import pixel_rays
from .finding import TRANSFORMS, Finding, layout
from .look import Look
from .plausibility import UNITS

_FRAMES = 8  # that have depth, among those looked at; if fewer have, others are taken
_COLUMNS = 48  # of a depth image that are looked at
_FEW = 20  # pixels of an image
_LEAST = 4, 200  # images and pixels; fewer tell nothing
_NEAR = 0.1  # of the depth: as near as sensors come, farther away
_AGREED = 0.4  # of the pixels, at least
_FITS = 0.85, 1.05  # of the pixels, and ratio: then mesh, poses and depth belong together
_UNIT, _SPREAD = 1.15, 0.12  # a factor beyond that, the same all over


@dataclass(frozen=True)
class DepthAgreement:
    """Sensor depth over the mesh's.

    Attributes:
        ratio: median.
        spread: median deviation from that, in logarithms.
        near: part of the pixels within a tenth.
        ids: of the frames whose depth was compared.
        each: the same part for each of them.
    """

    ratio: float
    spread: float
    near: float
    ids: tuple[int, ...] = ()
    each: tuple[float, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether mesh, poses and depth belong together without doubt."""
        return self.near >= _FITS[0] and max(self.ratio, 1 / self.ratio) < _FITS[1]


# Metres per unit of depth images, as cameras and data sets have them.
_DEPTH_UNITS = {
    0.001: "millimetres",
    0.0002: "1/5000 m, as TUM RGB-D's are",
    0.0001: "tenths of a millimetre, as RealSense's may be",
    1 / 256: "1/256 m, as KITTI's are",
    0.01: "centimetres",
    1.0: "metres",
}
_SAME_UNIT = 0.04


def depth_agreement(scene: Scene, look: Look) -> DepthAgreement | None:
    """Compares depth images; None where there are none that can be read, or that see the mesh."""
    found = {frame.id: ratio for frame in _chosen(scene, look) if len(ratio := _ratios(frame, look)) >= _FEW}
    ratios = list(found.values())
    ratio = np.concatenate([*ratios, np.zeros(0)])
    if len(ratios) < _LEAST[0] or len(ratio) < _LEAST[1]:
        return None
    middle = float(np.median(ratio))
    spread = float(np.median(np.abs(np.log(ratio / middle))))
    each = tuple(_near(ratio) for ratio in ratios)
    return DepthAgreement(middle, spread, _near(ratio), tuple(found), each)


def _near(ratio: np.ndarray) -> float:
    return float((np.abs(ratio - 1) < _NEAR).mean())


def _chosen(scene: Scene, look: Look) -> list[Frame]:
    looked, every = ([f for f in frames if f.depth and f.depth_camera] for frames in (look.frames, scene.frames))
    if len(looked) >= _FRAMES or len(looked) == len(every):
        return looked
    return [every[i] for i in np.unique(np.linspace(0, len(every) - 1, _FRAMES).round().astype(int))]


def check_depth(scene: Scene, found: DepthAgreement | None) -> Finding | None:
    """What to say of it."""
    if found is None:
        return None
    if max(found.ratio, 1 / found.ratio) > _UNIT and found.spread < _SPREAD:
        said = f"the depth images say {found.ratio:.3g} times the mesh's depth"
        for metres, unit in UNITS.items():
            if metres != 1000 and abs(found.ratio / metres - 1) < 0.05 and metres > 0.02:
                return Finding("depth", f"{said}; mesh and poses look to be in {unit}; write both in metres")
        return Finding("depth", f"{said}{_unit_cure(scene, found.ratio)}")
    if found.near < _AGREED:
        return Finding(
            "depth",
            f"{100 * (1 - found.near):.0f} % of the depth images' pixels miss the mesh's depth by more than a tenth; "
            "check their intrinsics, unit and poses",
        )
    return None


def _unit_cure(scene: Scene, ratio: float) -> str:
    """Which unit the images look to be in, and what is to be done in this layout."""
    taken = next(f.depth.depth_unit for f in scene.frames if f.depth is not None)
    unit = taken / ratio
    near, name = min((abs(np.log(unit / metres)), name) for metres, name in _DEPTH_UNITS.items())
    said = f", as if in {name}" if near < _SAME_UNIT else ", as if in another unit"
    if layout(scene) == TRANSFORMS:
        return f"{said}; set depth_unit_scale_factor in transforms.json to {unit:.4g}"
    needed = _DEPTH_UNITS.get(taken, f"units of {taken:.4g} m").split(",")[0]
    change = f"divide their values by {ratio:.3g}" if ratio > 1 else f"multiply their values by {1 / ratio:.3g}"
    return f"{said}; write them in {needed}: {change}"


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
