"""One frame of a trajectory: its cameras now, its pixels when asked for."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .camera import Camera
from .image_source import ImageSource, decode_alpha, decode_color, decode_depth, decode_gray, decode_mask
from .lens import undistort

__all__ = ["Frame", "ImageSource"]


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
        mask: an image of the photo's size that says which of its pixels count: black ones do not; or None.

    Example:
        >>> import scenetex
        >>> frame = scenetex.load_scene("scenes/sample_room").frame(12)
        >>> frame
        Frame(12, Camera(640 x 480, ...), photo, depth)
        >>> frame.read_color().shape
        (480, 640, 3)
    """

    id: int
    cam_to_world: np.ndarray
    camera: Camera
    color: ImageSource | None = None
    depth: ImageSource | None = None
    depth_camera: Camera | None = None
    depth_cam_to_world: np.ndarray | None = None
    mask: ImageSource | None = None

    def __repr__(self) -> str:
        sources = {"photo": self.color, "depth": self.depth, "mask": self.mask}
        given = [says for says, source in sources.items() if source is not None]
        return f"Frame({', '.join([str(self.id), repr(self.camera), *given])})"

    def read_color(self) -> np.ndarray:
        """The photo: (h, w, 3) uint8 sRGB. Raises `InputError` where it is absent or cannot be decoded."""
        if self.color is None:
            raise InputError(f"frame {self.id}: has no photo; add one, or texture with generated images")
        image = decode_color(self.color, self.camera.size, self.color.label(self.id))
        return self._straight(image, self.color, self.camera)

    def read_gray(self, shrink: int = 1) -> np.ndarray:
        """A quick look at the photo: (h / shrink, w / shrink) uint8 luma, `shrink` one of 1, 2, 4, 8.

        Lens distortion is left in. Raises `InputError` like `read_color`.
        """
        if self.color is None:
            raise InputError(f"frame {self.id}: has no photo; add one, or texture with generated images")
        return decode_gray(self.color, self.camera.size, shrink, self.color.label(self.id))

    def read_mask(self, straight: bool = True) -> np.ndarray | None:
        """Which pixels of the photo count: (h, w) bool; None where all do.

        Those do not that its mask hides or where it is transparent (alpha). `straight`: without the lens's distortion,
        as `read_color`; pixels that the lens did not see do not count, then. Raises `InputError` like `read_color`.
        """
        if self.color is None:
            return None
        kept = decode_alpha(self.color, self.camera.size, self.color.label(self.id))
        if self.mask is not None:
            mask = decode_mask(self.mask, self.camera.size, str(self.mask.path), self.color)
            kept = mask if kept is None else kept & mask
        if kept is None or kept.all():
            return None
        if straight and self.color.distortion is not None:
            kept = self._straight(kept.view(np.uint8), self.color, self.camera, depth=True) > 0
        return kept

    def read_depth(self) -> np.ndarray:
        """Sensor depth: (h, w) float32, camera z in metres, 0 = none. Raises `InputError` like `read_color`."""
        if self.depth is None or self.depth_camera is None:
            raise InputError(f"frame {self.id}: has no depth image; add one, or render depth from the mesh")
        image = decode_depth(self.depth, self.depth_camera.size, self.depth.label(self.id))
        return self._straight(image, self.depth, self.depth_camera, depth=True)

    def _straight(self, image: np.ndarray, source: ImageSource, camera: Camera, depth: bool = False) -> np.ndarray:
        """The image without its lens's distortion."""
        if source.distortion is None:
            return image
        label = source.label(self.id)
        return undistort(image, camera.intrinsics, source.distortion, depth, label, source.fisheye)
