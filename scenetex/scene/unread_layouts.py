"""What other programs' folders look like, and what turns them into a scene that is read here.

Told apart by names alone: nothing is opened. Commands are those of nerfstudio (`ns-process-data`, its documentation of
custom data), of openMVG, and of what is named with them; their result is read as nerfstudio's or COLMAP's layout.
"""

import os
import shlex
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import extra, shown

_MOST_NAMES = 10_000  # of a folder's entries that are looked at


@dataclass(frozen=True)
class _Kind:
    """A kind of folder.

    Attributes:
        looks_like: what messages call it.
        marks: names of files and folders, in lower case, or `*` and a suffix; one of them tells.
        cure: what to do, with {folder}, {name} for the folder's name, and {file} for what told.
    """

    looks_like: str
    marks: tuple[str, ...]
    cure: str


_GIVE = " and give OUT, with the mesh beside its transforms.json"


def _nerfstudio(command: str) -> str:
    return f"run ns-process-data {command} --output-dir OUT" + _GIVE


def _zoo(dataset: str, root: str = "the data set's folder") -> str:
    return f"give it as {dataset}:ROOT#{{name}}, ROOT being {root} (first {extra('datasets')})"


_WRITE_POSES = "write its poses as pose/<frame>.txt with color/ and intrinsic/ (docs/own-scan.md, Anything else)"
# From what leaves no doubt to what is told by a suffix that others have, too.
_KINDS = (
    _Kind("a recording of Record3D", ("*.r3d",), "unpack it (unzip {file} -d OUT) and give OUT with a mesh.ply in it"),
    _Kind("a data set of ScanNet++", ("dslr", "iphone"), _zoo("scannetpp", "the folder above data/")),
    _Kind("a scan of ARKitScenes", ("*_3dod_mesh.ply", "lowres_wide", "lowres_wide.traj"), _zoo("arkitscenes")),
    _Kind(
        "a scan of Matterport3D",
        ("undistorted_camera_parameters", "matterport_color_images", "house_segmentations"),
        _zoo("matterport3d"),
    ),
    _Kind("a scan of 3RScan", ("mesh.refined.v2.obj", "labels.instances.annotated.v2.ply"), _zoo("3rscan")),
    _Kind("a scene of Hypersim", ("_detail", "metadata_cameras.csv"), _WRITE_POSES),
    _Kind("a scene of Replica", ("habitat", "traj.txt"), _WRITE_POSES),
    _Kind("a recording of Stray Scanner", ("odometry.csv", "camera_matrix.csv"), _WRITE_POSES),
    _Kind("a recording for Spectacular AI", ("data.jsonl",), "run sai-cli process {folder} OUT" + _GIVE),
    _Kind("a recording of Project Aria", ("*.vrs",), _nerfstudio("aria --vrs-file {file} --mps-data-dir MPS")),
    _Kind("a project of OpenDroneMap", ("odm_report", "odm_texturing"), _nerfstudio("odm --data {folder}")),
    _Kind(
        "a project of RealityCapture or RealityScan",
        ("*.rcproj", "*.rsproj", "*.rcinfo", "*.xmp"),
        "export its cameras as CSV (Internal/External camera parameters) and "
        + _nerfstudio("realitycapture --data PHOTOS --csv CAMERAS.csv"),
    ),
    _Kind(
        "a project of Metashape",
        ("*.psx", "*.psz"),
        "export its cameras as XML (File > Export > Export Cameras) and "
        + _nerfstudio("metashape --data PHOTOS --xml CAMERAS.xml"),
    ),
    _Kind(
        "a scene of openMVG",
        ("sfm_data.json", "sfm_data.bin"),
        "run openMVG_main_openMVG2Colmap -i {file} -o OUT/sparse/0 and give OUT with images/ and the mesh",
    ),
    _Kind("Blender's data for NeRF", ("transforms_train.json",), "give that file itself ({file}), the mesh beside it"),
    _Kind("cameras of Metashape", ("*.xml",), _nerfstudio("metashape --data PHOTOS --xml {file}")),
    _Kind("cameras of RealityCapture", ("*.csv",), _nerfstudio("realitycapture --data PHOTOS --csv {file}")),
    _Kind("an archive", ("*.zip", "*.7z", "*.tar", "*.tar.gz", "*.tgz"), "unpack it and give the folder inside"),
    _Kind("a video", ("*.mp4", "*.mov"), _nerfstudio("video --data {file}")),
    _Kind("photos without poses", ("images", "photos"), _nerfstudio("images --data {file}")),
    _Kind(
        "a model without cameras, as Scaniverse, Luma, KIRI Engine and Polycam's gallery export it",
        ("*.usdz", "*.fbx", "*.splat", "*.spz", "*.las", "*.obj", "*.glb", "*.ply"),
        "export what the cameras saw, too: Polycam's raw data, 3D Scanner App's All Data, KIRI Engine's camera poses",
    ),
    _Kind("photos without poses", ("*.jpg", "*.jpeg", "*.heic"), _nerfstudio("images --data {folder}")),
)


def describe_foreign(path: Path) -> str | None:
    """What a folder or file of no known layout looks like, and the cure, in one line; None if like nothing known."""
    folder = path if path.is_dir() else path.parent
    names = _names(path) if path.is_dir() else [path.name]
    for kind in _KINDS:
        for mark in kind.marks:
            found = next((name for name in names if _is(name.lower(), mark)), None)
            if found is not None:
                told = dict(folder=_word(folder), name=_word(folder.name), file=_word(folder / found))
                what = "no scene in a known layout" if path.is_dir() else "not a scene"
                return f"{path}: {what}; it looks like {kind.looks_like}: {kind.cure.format_map(told)}"
    return None


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, _MOST_NAMES))


def _word(path: Path | str) -> str:
    """As a shell takes it."""
    return shlex.quote(shown(str(path)))


def _is(name: str, mark: str) -> bool:
    return name.endswith(mark[1:]) if mark.startswith("*") else name == mark
