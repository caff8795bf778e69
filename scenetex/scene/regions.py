"""Regions of a scene's surface by name: floor, walls, ceiling; what a scan's labels say; a box; a mask in a file."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from ..files.reading import open_file
from .scene import Scene
from .segments import Segments, read_segments
from .shell import find_shell

SHELL = ("floor", "walls", "ceiling")
_MOST_NAMED = 12


def regions(scene: Scene) -> dict[str, np.ndarray]:
    """The regions of a scene that have names.

    Floor, walls and ceiling are told from normals and heights (`find_shell`) and need a gravity-aligned frame; labels
    (``label:chair``) and objects (``instance:17``) stand in the two files that ScanNet gives beside a scan.

    Returns:
        (f,) bool per face of `scene.mesh`, for each name; regions without a face are left out.

    Raises:
        InputError: label files that cannot be read or do not fit the mesh.

    Example:
        >>> import scenetex
        >>> found = scenetex.regions(scenetex.load_scene("scenes/sample_room"))
        >>> [name for name in found if ":" not in name]
        ['floor', 'walls', 'ceiling']
    """
    found = dict(zip(SHELL, find_shell(scene), strict=True))
    segments = read_segments(scene)
    if segments is not None:
        found |= _labelled(segments, scene.mesh.faces)
    return {name: mask for name, mask in found.items() if mask.any()}


def find_regions(scene: Scene, names: Iterable[str]) -> dict[str, np.ndarray]:
    """(f,) bool per face of `scene.mesh`, for each of the regions that are named.

    Args:
        scene: of the regions.
        names: each one of `regions`; ``box:X0,Y0,Z0,X1,Y1,Z1``, two opposite corners in metres in the scene's frame, of
            faces whose centre lies in it; or the path of a ``.npy`` file with a bool per face.

    Raises:
        InputError: a name that means nothing, a region without any face, a file that does not fit the mesh.
    """
    known = cache(partial(regions, scene))
    return {name: _find(scene, name, known) for name in names}


def _find(scene: Scene, name: str, known: Callable[[], dict[str, np.ndarray]]) -> np.ndarray:
    if name.startswith("box:"):
        mask = _in_box(scene, name)
    elif name.endswith(".npy"):
        return _of_file(scene, Path(name))
    else:
        if name not in known():
            listed = [*list(known())[:_MOST_NAMED], *(["..."] if len(known()) > _MOST_NAMED else [])]
            more = "box:X0,Y0,Z0,X1,Y1,Z1 or a .npy file of a bool per face"
            raise InputError(f"region '{shown(name, 60)}' is not there; choose {', '.join([*listed, more])}")
        mask = known()[name]
    if not mask.any():
        raise InputError(f"region '{shown(name, 60)}' has no face of {scene.name}; check its numbers")
    return mask


def _labelled(segments: Segments, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Regions by label, then those of single objects."""
    of_face = segments.face_instance(faces)
    objects = {number: of_face == number for number in sorted(segments.labels)}
    found: dict[str, np.ndarray] = {}
    for number, label in sorted(segments.labels.items(), key=lambda entry: entry[1]):
        found[f"label:{label}"] = found.get(f"label:{label}", False) | objects[number]
    return found | {f"instance:{number}": mask for number, mask in objects.items()}


def _in_box(scene: Scene, name: str) -> np.ndarray:
    try:
        corners = np.array([float(part) for part in name.removeprefix("box:").split(",")]).reshape(2, 3)
    except ValueError:
        corners = np.full((2, 3), np.nan)
    if not np.isfinite(corners).all():
        raise InputError(f"region '{shown(name, 60)}' is not understood; give box:X0,Y0,Z0,X1,Y1,Z1 in metres")
    centre = scene.mesh.triangles.mean(1)
    return ((centre >= corners.min(0)) & (centre <= corners.max(0))).all(1)


def _of_file(scene: Scene, path: Path) -> np.ndarray:
    try:
        with open_file(path) as file:
            mask = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); write it with numpy.save, a bool per face") from None
    new = scene.closed.faces if scene.closed else 0
    faces = len(scene.mesh.faces)
    if isinstance(mask, np.ndarray) and mask.shape == (faces - new,):  # for the scan, whose holes were closed since
        mask = np.concatenate([mask, np.zeros(new, mask.dtype)])
    if not isinstance(mask, np.ndarray) or mask.shape != (faces,) or mask.dtype.kind not in "bui":
        about = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else "several arrays"
        raise InputError(f"{path}: holds {about}, but the mesh has {faces:,} faces; write a bool for each of them")
    if not mask.any():
        raise InputError(f"{path}: marks no face; write a bool for each face of the mesh, true in the region")
    return mask.astype(bool)
