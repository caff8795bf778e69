"""Load a scene from whichever layout its folder has."""

import math
import os
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files import check_inside, check_path, only_inside
from .colmap import find_model, load_colmap
from .scannet import load_extracted
from .scannet_release import find_sens, load_release
from .scene import Scene
from .transforms_json import load_transforms
from .tum import is_tum, load_tum
from .zoo import load_zoo, zoo_spec

_MESH_SUFFIXES = (".ply", ".obj", ".glb")


def load_scene(
    path: str | Path,
    align: bool = False,
    allow_outside: bool = False,
    mesh_scale: float = 1.0,
    flip_faces: bool = False,
) -> Scene:
    """Reads a scene: its mesh, cameras and frames. Pixels stay on disk until a frame is asked for them.

    Layouts, told apart by what the folder holds:

    - the extracted ScanNet folder: `pose/<frame>.txt`, `intrinsic/`, `color/<frame>.jpg` (or .png; may be absent),
      `depth/<frame>.png` (16 bit, millimetres; may be absent), the mesh and `<scene>.txt`;
    - the folder ScanNet releases: `<scene>.sens`, the mesh and `<scene>.txt`;
    - nerfstudio's `transforms.json` with its photos, and a mesh in the same frame;
    - a COLMAP model (`cameras` and `images`, .txt or .bin, in the folder, `sparse/0/` or `dense/sparse/`) with the
      photos in `images/`, and a mesh in the same frame;
    - a TUM RGB-D trajectory: `groundtruth.txt`, `rgb.txt`, `depth.txt` with what they list, `calibration.txt`, and a
      mesh in the same frame.

    Where there is no mesh, but depth, a mesh is fused from the depth images, if Open3D is installed (`pip install
    'scenetex[fusion]'`); an `InputWarning` says so.

    Args:
        path: the folder, or its `.sens` or `transforms.json` file; or `data set:root#scene` for a scene of a published
            data set that scenezoo reads (`pip install 'scenetex[datasets]'`), such as `arkitscenes:/data#41069021`.
        align: move mesh and poses together into the gravity-aligned frame (z up) that `axisAlignment` leads to. By
            default both stay as stored, and the transform is kept in `Scene.axis_alignment`.
        allow_outside: read files outside the scene's folder, too, where names or symlinks in it lead there; only for
            scenes that come from people who may know what else is on this machine. The folder may be a symlink itself.
        mesh_scale: factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres.
        flip_faces: turn all faces of the mesh around, for meshes that show the cameras their back.

    Returns:
        The scene, named after its folder; frames whose pose is not finite (tracking lost) are listed in `skipped`.

    Raises:
        InputError: one line that names the file and the cure: no such path, a folder of unknown layout, a mesh that
            is absent, damaged, empty, without faces or all NaN, a missing or malformed pose or intrinsic matrix, no
            frame with a finite pose, no frame with both pose and photo, a `.sens` file that is cut short, a name or
            symlink that leads out of the scene's folder; a scale that is not positive.
    """
    if not 0 < mesh_scale < math.inf:
        raise InputError(f"load_scene: mesh_scale {mesh_scale} is not a positive number")
    check_path(path)
    spec, path = zoo_spec(path), Path(path)
    folder = spec.root if spec else path if path.is_dir() else path.parent
    with only_inside(None if allow_outside else folder, named=path):
        scene = load_zoo(spec, scene_name(path)) if spec else _load(path)
        # Pixels are read later: whatever reader made the scene, where they lie is looked at now.
        for source in (source for frame in scene.frames for source in (frame.color, frame.depth) if source):
            check_inside(source.path)
    if mesh_scale != 1 or flip_faces:
        faces = scene.mesh.faces[:, ::-1] if flip_faces else scene.mesh.faces
        scene = replace(scene, mesh=replace(scene.mesh, vertices=scene.mesh.vertices * mesh_scale, faces=faces))
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
    if path.suffix.lower() in _MESH_SUFFIXES:
        raise InputError(
            f"{path}: a mesh alone has no cameras; give a folder that holds it with pose/ and intrinsic/ (ScanNet), "
            "or with a transforms.json, a COLMAP model or a TUM trajectory"
        )
    raise InputError(f"{path}: not a scene; give a ScanNet folder, a .sens file or a transforms.json")


def scene_folder(path: str | Path) -> Path:
    """The folder of the scene at that path, or of its data set."""
    spec, path = zoo_spec(path), Path(path)
    if spec:
        return spec.root
    return path.parent if path.suffix.lower() in (".sens", ".json") and not path.is_dir() else path


def scene_name(path: str | Path) -> str:
    """The name that `load_scene` gives the scene at that path: its folder's, or its id in a data set."""
    spec, path = zoo_spec(path), Path(path)
    if spec:
        return Path(spec.scene).name.replace("..", "") or "scene"
    if path.suffix.lower() in (".sens", ".json") and not path.is_dir():
        return Path(os.path.realpath(path)).parent.name or "scene"
    # "." and "scene/.." have no name of their own.
    return path.name if path.name not in ("", "..") else os.path.basename(os.path.realpath(path)) or "scene"


def _load_folder(folder: Path, name: str) -> Scene:
    try:
        if (folder / "pose").is_dir():
            return load_extracted(folder, name)
        if sens := find_sens(folder, name):
            return load_release(folder, sens, name)
        if (folder / "transforms.json").is_file():
            return load_transforms(folder / "transforms.json", name)
        if model := find_model(folder):
            return load_colmap(folder, *model, name)
        if is_tum(folder):
            return load_tum(folder, name)
        if any((folder / part).is_dir() for part in ("color", "depth", "intrinsic")):
            return load_extracted(folder, name)
    except PermissionError as error:
        raise InputError(f"{error.filename or folder}: permission denied; make it readable") from None
    except OSError as error:  # such as a symlink to itself
        raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror or error}); check it") from None
    raise InputError(
        f"{folder}: no scene in a known layout; it needs pose/ and intrinsic/ (ScanNet), a .sens file, "
        "a transforms.json, a COLMAP model (cameras and images, .txt or .bin) or a TUM trajectory (groundtruth.txt)"
    )
