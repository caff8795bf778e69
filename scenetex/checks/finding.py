"""What a check found wrong, and which file of the scan to mend, as its layout has them."""

from dataclasses import dataclass

from ..scene.colmap import find_model
from ..scene.scene import Scene
from ..scene.tum import is_tum

SCANNET, TRANSFORMS, COLMAP, TUM = "ScanNet", "transforms.json", "COLMAP", "TUM RGB-D"


@dataclass(frozen=True)
class Finding:
    """Something about a scene that does not look right, though it can be worked on.

    Attributes:
        check: which one found it: "frames", "cameras", "fit" (photos, poses and mesh), "depth", "size", "faces" or
            "colours".
        message: one line with the likely cure.
    """

    check: str
    message: str


def layout(scene: Scene) -> str | None:
    """The layout that the scene was read from, where findings depend on it, told as `load_scene` tells it."""
    folder = scene.path
    if folder is None or not folder.is_dir():
        return None
    if (folder / "pose").is_dir():
        return SCANNET
    if (folder / TRANSFORMS).is_file():
        return TRANSFORMS
    if find_model(folder):
        return COLMAP
    return TUM if is_tum(folder) else None


def intrinsics_place(scene: Scene) -> str:
    """Where the photos' intrinsics stand, to follow what is to be changed; empty where it is not known."""
    return {
        SCANNET: " in intrinsic/intrinsic_color.txt",
        TRANSFORMS: " in transforms.json",
        COLMAP: " in the model's cameras file",
        TUM: " in calibration.txt",
    }.get(layout(scene), "")


def focal_names(scene: Scene) -> tuple[str, str]:
    """What the layout calls the two focal lengths."""
    return ("fl_x", "fl_y") if layout(scene) == TRANSFORMS else ("fx", "fy")


def size_place(scene: Scene) -> str:
    """What says for which image size the intrinsics are, to follow a verb; empty where nothing does."""
    places = {SCANNET: f"colorWidth and colorHeight in {scene.name}.txt", TRANSFORMS: "w and h in transforms.json"}
    return places.get(layout(scene), "")
