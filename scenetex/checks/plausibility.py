"""What a scene says by itself, before anything is compared: its cameras, its size, the frames that are left out."""

import numpy as np

from ..errors import shown
from ..scene.camera import Camera
from ..scene.mesh import Mesh, used_vertices
from ..scene.scene import Scene
from .finding import Finding, focal_names, intrinsics_place, size_place

_OFF_CENTRE = 0.2  # of the image's side; photos that were cropped are off by less
_SWAPPED = 0.05  # the same of two coordinates that are told to be swapped
_SAME_FACTOR = 0.15  # by which both coordinates of the centre are off: then the image size is another one
_FOCAL = 0.18, 6.0  # over the image's longer side: 140 degrees of view, 10 degrees
_SQUARE = 1.6  # most by which pixels are longer one way than the other
UNITS = {0.001: "millimetres", 0.01: "centimetres", 0.0254: "inches", 0.3048: "feet", 1000.0: "kilometres"}  # metres
_ROOM = 0.5, 200.0  # metres, longest side: from a desk to a church
_ONE_THING = 0.1  # metres that cameras move around one thing, at least
_USUAL = 6.0  # metres
_GUESSED = 0.001, 0.01, 1000.0  # units that a size alone tells
_STRAYS = 1, 99  # percentiles; what lies outside does not count
_MANY_WITHOUT_PHOTO, _MANY_LOST = 0.05, 0.5  # of all frames; tracking is lost now and then


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
        if max(abs((cy + 0.5) / width - 0.5), abs((cx + 0.5) / height - 0.5)) < _SWAPPED:
            return f"{place}; {swapped_cure(('cx', 'cy'), (cx, cy))}{intrinsics_place(scene)}"
        near = f"near {width / 2:.0f} and {height / 2:.0f}"
        return f"{place}; give cx and cy{intrinsics_place(scene)} in pixels of the photos, {near}"
    longest, focals = max(width, height), " and ".join(focal_names(scene))
    if not _FOCAL[0] <= min(fx, fy) / longest <= max(fx, fy) / longest <= _FOCAL[1]:
        return (
            f"focal lengths {fx:.6g} and {fy:.6g} are absurd for a photo of {width} x {height}; give {focals}"
            f"{intrinsics_place(scene)} in pixels of the photos (a phone has about {0.8 * longest:.0f})"
        )
    if max(fx / fy, fy / fx) > _SQUARE:
        said = f"focal lengths {fx:.6g} and {fy:.6g} differ too much for pixels that are square"
        return f"{said}; check {focals}{intrinsics_place(scene)}"
    return None


def swapped_cure(names: tuple[str, str], values: tuple[float, float]) -> str:
    """What is wrong if two numbers of the intrinsics, as they are now, stand in each other's place."""
    first, second = names
    return f"{first} and {second} are swapped; give {first} about {values[1]:.0f} and {second} about {values[0]:.0f}"


def _where(across: float, down: float) -> str:
    return "outside" if not (0 < across < 1 and 0 < down < 1) else "far off the centre of"


def check_size(scene: Scene, fits: bool = False) -> Finding | None:
    """Whether mesh and cameras together are in another unit than metres; `fits`: photos or depth agree on the mesh."""
    side = longest_side(scene.mesh)
    if _ROOM[0] <= side <= _ROOM[1] or side == 0:
        return None
    unit = min(_GUESSED, key=lambda factor: abs(np.log(side * factor / _USUAL)))
    moved = float(np.ptp([f.cam_to_world[:3, 3] for f in scene.frames], axis=0).max())
    if fits and side < _ROOM[0] and moved > _ONE_THING:
        return None
    said = f"the mesh is {_metres(side)} across"
    if not _ROOM[0] <= side * unit <= _ROOM[1]:
        return Finding("size", f"{said}: no room; are mesh and poses in metres?")
    if is_room(moved * 3) and moved < side < 1e9 and side / moved > 50:
        cure = f"its unit looks like {UNITS[unit]} and the poses' like metres; add --mesh-scale {unit:g}"
        return Finding("size", f"{said}, the cameras' way {_metres(moved)}; {cure}")
    return Finding("size", f"{said}: mesh and poses look to be in {UNITS[unit]}; write both in metres (times {unit:g})")


def longest_side(mesh: Mesh) -> float:
    """Metres along the axis of the mesh's largest extent, strays left out."""
    corners = mesh.vertices[used_vertices(mesh.faces)[0]]
    corners = corners[np.isfinite(corners).all(1)]
    if not len(corners):
        return 0.0
    low, high = np.percentile(corners, _STRAYS, axis=0)
    return float((high - low).max())


def _metres(length: float) -> str:
    return f"{length:,.0f} m" if length >= 100 else f"{length:.3g} m"


def is_room(side: float) -> bool:
    """Whether something of that size, metres, may be a room."""
    return _ROOM[0] <= side <= _ROOM[1]


def check_frames(scene: Scene) -> Finding | None:
    """What is missing of the trajectory, if it is more than a little."""
    missing, lost = len(scene.without_photo), len(scene.skipped)
    count = len(scene.frames) + missing + lost
    if missing > _MANY_WITHOUT_PHOTO * count:
        first = shown(scene.without_photo[0], 60)
        return Finding(
            "frames",
            f"{missing} of {count} frames have a pose but no photo (such as {first}) and are "
            "left out; put the photos back, or delete the poses",
        )
    if lost > _MANY_LOST * count:
        return Finding(
            "frames",
            f"{lost} of {count} frames have no finite pose (such as frame {scene.skipped[0]}) and are left out; "
            "tracking was lost, or the poses were not exported whole",
        )
    if scene.damaged:
        said = f"frames or depth images left out because files are damaged: {len(scene.damaged)}"
        return Finding("frames", f"{said}, the first because of {shown(scene.damaged[0], 300)}")
    return None


def describe_left_out(scene: Scene) -> str:
    """How many frames are used and left out, in a few words."""
    parts = [f"{len(scene.frames)} frames"]
    parts += [f"{len(scene.skipped)} without tracking left out"] if scene.skipped else []
    parts += [f"{len(scene.without_photo)} without photo left out"] if scene.without_photo else []
    return ", ".join(parts)
