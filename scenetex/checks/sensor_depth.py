"""Does the sensor's depth agree with the mesh's?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..scene.frame import Frame
from ..scene.scene import Scene
from .finding import TRANSFORMS, Finding, layout
from .look import Look
from .plausibility import UNITS

_FRAMES = 8  # that have depth, among those looked at; if fewer have, others are taken
_QUICK = 10, 3  # frames of a quick look, and pixels from ray to ray
_COLUMNS = 48  # of a depth image that are looked at
_FEW = 20  # pixels of an image
_LEAST = 4, 200  # images and pixels; fewer tell nothing
_NEAR = 0.1  # of the depth: as near as sensors come, farther away
_AGREED = 0.7  # of the pixels, at least; whole scans that are sound have 0.94 and more, small pieces of a mesh 0.8
_DOUBTED = 0.8  # less, and causes are tried
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
    def of_another_unit(self) -> bool:
        """Whether all depth is off by one factor."""
        return max(self.ratio, 1 / self.ratio) > _UNIT and self.spread < _SPREAD

    @property
    def misses(self) -> bool:
        """Whether much of it lies elsewhere than the mesh, and another unit is not why."""
        return self.near < _DOUBTED and not self.of_another_unit

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


@dataclass(frozen=True, eq=False)
class Soundings:
    """Sensor depth on a coarse grid, and the cameras that took it.

    Attributes:
        sensor: (m, h, w) float32, camera z in metres, 0 = none.
        look: the m cameras, as poses of the frames' photos.
        offset: (m, 4, 4) float64, pose of the depth camera in that of the photo's.
        scale: metres per unit of the mesh.
    """

    sensor: np.ndarray
    look: Look
    offset: np.ndarray
    scale: float = 1.0

    @cached_property
    def mesh(self) -> np.ndarray:
        """(m, h, w) float32, what the depth cameras see of the mesh: camera z in metres, 0 = nothing."""
        offset = self.offset.copy()
        offset[:, :3, 3] /= self.scale
        return self.look.with_cameras(self.look.cam_to_world @ offset).hits[0] * np.float32(self.scale)

    def supposing(self, change: Callable[[Look], Look], scale: float = 1.0) -> "Soundings":
        """The same with other cameras; `scale` is the mesh's then."""
        return replace(self, look=change(self.look), scale=self.scale * scale)

    def coarse(self) -> "Soundings":
        """A few of them, for a quick look."""
        some = np.unique(np.linspace(0, len(self.look) - 1, _QUICK[0]).round().astype(int)).tolist()
        return self.some_pixels(some)

    def some_pixels(self, some: list[int] | None = None) -> "Soundings":
        """All of them, or those at these positions, with fewer pixels."""
        some, step = list(range(len(self.look))) if some is None else some, _QUICK[1]
        k = self.look.intrinsics[some]
        k[:, :2] /= step
        look = replace(self.look.at(some), sizes=-(-self.look.sizes[some] // step))
        sensor = self.sensor[some, ::step, ::step]
        return replace(self, sensor=sensor, look=replace(look, grey=sensor, intrinsics=k), offset=self.offset[some])

    @property
    def near(self) -> float:
        """Part of the pixels within a tenth, of those that have sensor depth."""
        sees = self.sensor > 0
        close = np.abs(self.sensor - self.mesh) < _NEAR * self.mesh
        return float((close & sees).sum() / max(sees.sum(), 1))

    def agreement(self) -> DepthAgreement | None:
        """How they agree with the mesh; None where too little is seen to tell."""
        both = (self.sensor > 0) & (self.mesh > 0)
        at = [i for i, seen in enumerate(both.sum((1, 2)).tolist()) if seen >= _FEW]
        ratios = [self.sensor[i][both[i]].astype(np.float64) / self.mesh[i][both[i]] for i in at]
        ratio = np.concatenate([*ratios, np.zeros(0)])
        if len(ratios) < _LEAST[0] or len(ratio) < _LEAST[1]:
            return None
        middle = float(np.median(ratio))
        spread = float(np.median(np.abs(np.log(ratio / middle))))
        ids = tuple(self.look.frames[i].id for i in at)
        return DepthAgreement(middle, spread, _near(ratio), ids, tuple(_near(r) for r in ratios))


def soundings(scene: Scene, look: Look) -> Soundings | None:
    """Reads the depth images; None where there are none that can be read."""
    frames, images, cameras = [], [], []
    for frame in _chosen(scene, look):
        try:
            sensor = frame.read_depth()
        except InputError:  # whoever needs depth will say so
            continue
        step = max(1, sensor.shape[1] // _COLUMNS)
        k = frame.depth_camera.intrinsics.copy()
        k[:2] /= step
        frames.append(frame)
        images.append(sensor[::step, ::step])
        cameras.append(k)
    if not frames:
        return None
    sizes = np.array([image.shape[::-1] for image in images])
    sensor = np.zeros((len(images), *sizes.max(0)[::-1]), np.float32)
    for i, image in enumerate(images):
        sensor[i, : image.shape[0], : image.shape[1]] = image
    poses = np.stack([frame.cam_to_world for frame in frames])
    own = np.stack([f.cam_to_world if f.depth_cam_to_world is None else f.depth_cam_to_world for f in frames])
    some = {"frames": tuple(frames), "sizes": sizes, "grey": sensor, "detail": sensor, "step": 1, "kept": None}
    cast = replace(look, **some, shows=np.zeros(len(frames), bool), cam_to_world=poses, intrinsics=np.stack(cameras))
    return Soundings(sensor, cast, np.linalg.inv(poses) @ own)


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
    if found.of_another_unit:
        said = f"the depth images say {found.ratio:.3g} times the mesh's depth"
        for metres, unit in UNITS.items():
            if metres != 1000 and abs(found.ratio / metres - 1) < 0.05 and metres > 0.02:
                return Finding("depth", f"{said}; mesh and poses look to be in {unit}; write both in metres")
        return Finding("depth", f"{said}{_unit_cure(scene, found.ratio)}")
    if found.near < _AGREED:
        return Finding(
            "depth",
            f"{100 * (1 - found.near):.0f} % of the depth images' pixels miss the mesh's depth by more than a tenth "
            "(some 5 % in sound scans); check that the mesh is of these poses, and the depth images' intrinsics, unit "
            "and poses",
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
