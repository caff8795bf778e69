"""Can the intrinsics be those of the photos?"""

import numpy as np

from ..scene.camera import Camera
from ..scene.scene import Scene
from .finding import Finding
from .scan_layout import intrinsics_place, size_place

_OFF_CENTRE = 0.2  # of the image's side; photos that were cropped are off by less
_SAME_FACTOR = 0.15  # by which both coordinates of the centre are off: then the image size is another one
_FOCAL = 0.18, 6.0  # over the image's longer side: 140 degrees of view, 10 degrees
_SQUARE = 1.6  # most by which pixels are longer one way than the other


def check_cameras(scene: Scene) -> Finding | None:
    """The first frame's camera that can hardly be right."""
    for frame in scene.frames:
        said = _wrong(scene, frame.camera)
        if said:
            return Finding("cameras", said if _one_camera(scene) else f"frame {frame.id}: {said}")
    return None


def _one_camera(scene: Scene) -> bool:
    first = scene.frames[0].camera
    others = (frame.camera for frame in scene.frames)
    return all(c is first or (c.size == first.size and np.allclose(c.intrinsics, first.intrinsics)) for c in others)


def _wrong(scene: Scene, camera: Camera) -> str | None:
    (fx, _, cx), (_, fy, cy) = camera.intrinsics[:2].tolist()
    width, height = camera.size
    across, down = (cx + 0.5) / width, (cy + 0.5) / height
    if max(abs(across - 0.5), abs(down - 0.5)) > _OFF_CENTRE:
        place = f"the principal point {cx:.0f}, {cy:.0f} lies {_where(across, down)} its photo of {width} x {height}"
        if abs(across / down - 1) < _SAME_FACTOR and across > 0 < down:
            scale = across + down
            size = f"{width * scale:.0f} x {height * scale:.0f}"
            cure = f"give those of {width} x {height}{intrinsics_place(scene)}"
            cure += f", or that size as {size_place(scene)}" if size_place(scene) else ""
            return f"{place}; the intrinsics are for images of about {size}; {cure}"
        near = f"near {width / 2:.0f} and {height / 2:.0f}"
        return f"{place}; give cx and cy{intrinsics_place(scene)} in pixels of the photos, {near}"
    longest = max(width, height)
    if not _FOCAL[0] <= min(fx, fy) / longest <= max(fx, fy) / longest <= _FOCAL[1]:
        return (
            f"focal lengths {fx:.6g} and {fy:.6g} are absurd for a photo of {width} x {height}; give them"
            f"{intrinsics_place(scene)} in pixels of the photos (a phone has about {0.8 * longest:.0f})"
        )
    if max(fx / fy, fy / fx) > _SQUARE:
        said = f"focal lengths {fx:.6g} and {fy:.6g} differ too much for pixels that are square"
        return f"{said}; check fx and fy{intrinsics_place(scene)}"
    return None


def _where(across: float, down: float) -> str:
    return "outside" if not (0 < across < 1 and 0 < down < 1) else "far off the centre of"
