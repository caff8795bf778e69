"""One frame of a trajectory: its cameras now, its pixels when asked for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .camera import Camera


@dataclass(frozen=True)
class ImageSource:
    """Where an image's bytes lie: a whole file, or `length` bytes at `offset` of one (a `.sens` stream).

    Attributes:
        path: the file.
        offset: first byte.
        length: number of bytes, or None for the rest of the file.
        codec: "image" (JPEG, PNG: what OpenCV decodes), "zlib_ushort" or "raw_ushort" / "raw_rgb" (`.sens` streams).
        size: (width, height) for codecs that do not carry it.
        distortion: OpenCV's (k1, k2, p1, p2, ...) to undo on reading, or None.
        depth_unit: metres per unit of a depth image.
    """

    path: Path
    offset: int = 0
    length: int | None = None
    codec: str = "image"
    size: tuple[int, int] | None = None
    distortion: tuple[float, ...] | None = None
    depth_unit: float = 0.001


@dataclass(frozen=True, eq=False)
class Frame:
    """A posed frame. OpenCV camera axes (x right, y down, z forward), world in metres.

    Attributes:
        id: the frame's number in its sequence.
        cam_to_world: (4, 4) float64, pose of the colour camera.
        camera: the colour camera.
        color: its photo, or None.
        depth: sensor depth, or None.
        depth_camera: the depth camera, which may differ from the colour camera in size and intrinsics, or None.
        depth_cam_to_world: (4, 4) float64 pose of the depth camera, or None.
    """

    id: int
    cam_to_world: np.ndarray
    camera: Camera
    color: ImageSource | None = None
    depth: ImageSource | None = None
    depth_camera: Camera | None = None
    depth_cam_to_world: np.ndarray | None = None

    def read_color(self) -> np.ndarray:
        """The photo: (h, w, 3) uint8 sRGB. Raises `InputError` where it is absent or cannot be decoded."""
        raise NotImplementedError

    def read_depth(self) -> np.ndarray:
        """Sensor depth: (h, w) float32, camera z in metres, 0 = none. Raises `InputError` like `read_color`."""
        raise NotImplementedError
