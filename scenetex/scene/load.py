"""Load a scene from whichever layout its folder has."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from ..files.reading import check_inside, check_path, only_inside
from .colmap import find_model, load_colmap, project_folder
from .holes import with_holes_closed
from .mesh_file import MESH_SUFFIXES
from .other_mesh import with_mesh_of
from .photo_masks import with_masks_beside
from .photo_warnings import warn_of_photos
from .polycam import is_polycam, load_polycam
from .published_datasets import load_zoo, zoo_spec
from .record3d import find_metadata, load_record3d
from .scanner_app import is_scanner_app, load_scanner_app
from .scannet import load_extracted
from .scannet_release import find_sens, load_release
from .scene import Scene
from .transforms_json import load_transforms
from .tum import is_tum, load_tum
from .unread_layouts import describe_foreign

_MOST_FOLDERS = 100  # in a folder that holds no scene, where one is looked for


def load_scene(
    path: str | Path,
    align: bool = False,
    allow_outside: bool = False,
    mesh_scale: float = 1.0,
    flip_faces: bool = False,
    close_holes: float | None = None,
    mesh: str | Path | None = None,
) -> Scene:
    """Reads a scene: its mesh, cameras and frames. Pixels stay on disk until a frame is asked for them.

    Layouts, told apart by what the folder holds:

    - the extracted ScanNet folder: `pose/<frame>.txt`, `intrinsic/`, `color/<frame>.jpg` (or .png; may be absent),
      `depth/<frame>.png` (16 bit, millimetres; may be absent), the mesh and `<scene>.txt`;
    - the folder ScanNet releases: `<scene>.sens`, the mesh and `<scene>.txt`;
    - nerfstudio's `transforms.json` with its photos, and a mesh in the same frame;
    - a COLMAP model (`cameras` and `images`, .txt or .bin, in the folder, `sparse/0/` or `dense/sparse/`) with the
      photos in `images/`, and a mesh in the same frame; the model's folder itself stands for the project around it;
    - a TUM RGB-D trajectory: `groundtruth.txt`, `rgb.txt`, `depth.txt` with what they list, `calibration.txt`, and a
      mesh in the same frame;
    - what phones export: Polycam's raw data (`keyframes/`), 3D Scanner App's "All Data" (`frame_*.json`), a recording
      of Record3D (`metadata` with `rgb/` or `rgbd/`) beside a mesh.

    Where there is no mesh, but depth, a mesh is fused from the depth images, if Open3D is installed (the extra
    `fusion`); an `InputWarning` says so.

    Masks say which pixels of the photos count: those of `transforms.json`, and a folder `mask/` or `masks/` beside the
    folder of the photos in any layout, with images named like them. Black hides; so does transparency (alpha).

    What cannot be read and is not needed, such as depth images beside a mesh, is left out, and what of the photos is
    not heeded (colour profiles) is named: each in an `InputWarning`.

    Args:
        path: the folder, or its `.sens` or `transforms.json` file; or `data set:root#scene` for a scene of a published
            data set that scenezoo reads (the extra `datasets`), such as `arkitscenes:/data#41069021`.
        align: move mesh and poses together into the gravity-aligned frame (z up) that `axisAlignment` leads to. By
            default both stay as stored, and the transform is kept in `Scene.axis_alignment`.
        allow_outside: read files outside the scene's folder, too, where names or symlinks in it lead there; only for
            scenes that come from people who may know what else is on this machine. The folder may be a symlink itself.
        mesh_scale: factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres.
        flip_faces: turn all faces of the mesh around, for meshes that show the cameras their back.
        close_holes: size, metres, of the largest holes of the mesh that get faces of their own (the largest distance
            across them); they stand behind the mesh's own, and `Scene.closed` counts them. None = leave all holes.
        mesh: file of a mesh to take in place of the scan's own, in the same frame (see `read_mesh`), wherever it lies;
            glTF and OBJ may also hold the scan's frame turned y up, as Blender writes it.

    Returns:
        The scene, named after its folder; frames whose pose is not finite (tracking lost) are listed in `skipped`.

    Raises:
        InputError: one line that names the file and the cure: no such path, a folder of unknown layout, a mesh that
            is absent, damaged, empty, without faces or all NaN, a missing or malformed pose or intrinsic matrix, no
            frame with a finite pose, no frame with both pose and photo, a `.sens` file that is cut short, a name or
            symlink that leads out of the scene's folder; a scale, or size of holes, that is not positive.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> print(scene)
        Scene 'sample_room', read from scenes/sample_room
        mesh: ... faces, ... vertices, ... m
        trajectory: 36 frames, ids 0 to 420, Camera(640 x 480, ...), with 36 photos and 36 depth images
    """
    if not 0 < mesh_scale < math.inf:
        raise InputError(f"load_scene: mesh_scale {mesh_scale} is not a positive number")
    check_path(path)
    given, spec, path = path, zoo_spec(path), Path(path)
    folder = scene_folder(given) if spec or path.is_dir() else path.parent
    with only_inside(None if allow_outside else folder, named=path):
        scene = load_zoo(spec, scene_name(path)) if spec else _load(path)
        # Pixels are read later: whatever reader made the scene, where they lie is looked at now.
        scene = replace(scene, frames=with_masks_beside(scene.frames, folder))
        for source in (source for frame in scene.frames for source in (frame.color, frame.mask, frame.depth) if source):
            check_inside(source.path)
        warn_of_photos(scene.frames)
    if mesh is not None:
        scene, mesh_scale = with_mesh_of(scene, Path(mesh), allow_outside, mesh_scale), 1.0
    if mesh_scale != 1 or flip_faces:
        scaled = replace(scene.mesh, vertices=scene.mesh.vertices * mesh_scale)
        scene = replace(scene, mesh=scaled.turned(np.full(len(scaled.faces), flip_faces)))
    if close_holes is not None:
        scene = with_holes_closed(scene, close_holes)
    return scene.aligned() if align else scene


def _load(path: Path) -> Scene:
    if path.is_dir():
        return _load_folder(path, scene_name(path))
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give the scene's folder")
    if path.suffix.lower() == ".sens":
        return load_release(path.parent, path, scene_name(path))
    if path.suffix.lower() == ".json":
        return load_transforms(path, scene_name(path))
    if path.suffix.lower() in MESH_SUFFIXES:
        raise InputError(
            f"{path}: a mesh alone has no cameras; give a folder that holds it with pose/ and intrinsic/ (ScanNet), "
            "or with a transforms.json, a COLMAP model or a TUM trajectory"
        )
    raise InputError(
        describe_foreign(path) or f"{path}: not a scene; give a ScanNet folder, a .sens file or a transforms.json"
    )


def scene_folder(path: str | Path) -> Path:
    """The folder of the scene at that path, or of its data set."""
    spec, path = zoo_spec(path), Path(path)
    if spec:
        return spec.root
    if path.suffix.lower() in (".sens", ".json") and not path.is_dir():
        return path.parent
    return project_folder(path)


def scene_name(path: str | Path) -> str:
    """The name that `load_scene` gives the scene at that path: its folder's, or its id in a data set."""
    spec, path = zoo_spec(path), Path(path)
    if spec:
        return Path(spec.scene).name.replace("..", "") or "scene"
    if path.suffix.lower() in (".sens", ".json") and not path.is_dir():
        return Path(os.path.realpath(path)).parent.name or "scene"
    path = project_folder(path)
    # "." and "scene/.." have no name of their own.
    return path.name if path.name not in ("", "..") else os.path.basename(os.path.realpath(path)) or "scene"


def _load_folder(folder: Path, name: str) -> Scene:
    try:
        if (folder / "pose").is_dir():
            return load_extracted(folder, name)
        if sens := find_sens(folder, name):
            return load_release(folder, sens, name)
        if is_polycam(folder):
            return load_polycam(folder, name)
        if metadata := find_metadata(folder):
            return load_record3d(folder, metadata, name)
        if is_scanner_app(folder):
            return load_scanner_app(folder, name)
        if (folder / "transforms.json").is_file():
            return load_transforms(folder / "transforms.json", name)
        if model := find_model(folder):
            return load_colmap(project_folder(folder), *model, name)
        if is_tum(folder):
            return load_tum(folder, name)
        nearby = _nearby(folder)
        if not nearby and any((folder / part).is_dir() for part in ("color", "depth", "intrinsic")):
            return load_extracted(folder, name)
        foreign = nearby or describe_foreign(folder)
    except PermissionError as error:
        raise InputError(f"{error.filename or folder}: permission denied; make it readable") from None
    except OSError as error:  # such as a symlink to itself
        raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror or error}); check it") from None
    raise InputError(
        foreign
        or f"{folder}: no scene in a known layout; it needs pose/ and intrinsic/ (ScanNet), a .sens file, "
        "a transforms.json, a COLMAP model (cameras and images, .txt or .bin) or a TUM trajectory (groundtruth.txt)"
    )


def _nearby(folder: Path) -> str | None:
    """Where an app's export lies, if the folder is what an archive was unpacked to, or a part of the export."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir())[:_MOST_FOLDERS]
    for path in (folder.parent, *inner):
        if is_polycam(path) or find_metadata(path) or (path != folder.parent and is_scanner_app(path)):
            return f"{folder}: no scene in a known layout; the scan is in {shown(str(path))}: give that folder"
    return None
