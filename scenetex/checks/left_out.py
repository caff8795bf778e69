"""Were many frames left out, and why?"""

from ..errors import shown
from ..scene.scene import Scene
from .finding import Finding

_MANY_WITHOUT_PHOTO, _MANY_LOST = 0.05, 0.5  # of all frames; tracking is lost now and then


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
