"""Labels and instances of a scan's surface, in ScanNet's two files: segments of vertices, and groups of segments."""

import glob
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError, shown
from ..files.json_file import read_named
from .scene import Scene

# The scan's own mesh has segments of its own; those of the full mesh are for another number of vertices.
_SEGMENTS = "*_vh_clean_2.*segs.json"
_GROUPS = ("{}.aggregation.json", "{}_vh_clean.aggregation.json", "*.aggregation.json")
_CURE = "download it again, or leave regions with labels out"


@dataclass(frozen=True, eq=False)
class Segments:
    """What the vertices of a mesh belong to.

    Attributes:
        instance: (n,) int64 per vertex, the number of its object as the file has it (``objectId``); -1 for none.
        labels: what each object is called, by its number.
    """

    instance: np.ndarray
    labels: dict[int, str]

    def face_instance(self, faces: np.ndarray) -> np.ndarray:
        """(f,) int64 per face, the object that at least two of its corners belong to; -1 for none."""
        a, b, c = self.instance[faces].T
        return np.where(a == b, a, np.where((a == c) | (b == c), c, -1))


def read_segments(scene: Scene) -> Segments | None:
    """Segments and groups beside a scan in ScanNet's layout, or None where there are none.

    ``<scene>_vh_clean_2.0.010000.segs.json`` numbers the segment of every vertex, ``<scene>.aggregation.json`` says
    which segments make an object and what that is called (http://www.scan-net.org).

    A mesh in place of the scan's own has at each vertex what the scan has at the nearest.

    Raises:
        InputError: files that cannot be read, or that do not fit the mesh.
    """
    folder = scene.path
    if folder is None or not folder.is_dir():
        return None
    segments, groups = sorted(folder.glob(_SEGMENTS)), _first(folder, scene.name)
    if not segments or groups is None:
        return None
    numbers = _whole_numbers(read_named(segments[0], _CURE).get("segIndices"), f"{segments[0]}: segIndices")
    new = scene.closed.vertices if scene.closed else 0  # which close holes stand behind those of the scan
    vertices = len(scene.mesh.vertices) - new if scene.scan is None else len(scene.scan.vertices)
    if len(numbers) != vertices:
        raise InputError(
            f"{segments[0]}: has segments of {len(numbers):,} vertices, but the mesh has {vertices:,}; take the "
            "file that belongs to this mesh (_vh_clean_2)"
        )
    found = read_named(groups, _CURE).get("segGroups")
    if not isinstance(found, list):
        raise InputError(f"{groups}: has no list segGroups; {_CURE}")
    instance, labels = np.full(vertices, -1, np.int64), {}
    order = np.argsort(numbers, kind="stable")
    for group in found:
        number, label, parts = _group(group, groups)
        labels[number] = label
        at = np.searchsorted(numbers, parts, "left", order), np.searchsorted(numbers, parts, "right", order)
        for a, b in zip(*at, strict=True):
            instance[order[a:b]] = number
    if scene.scan is not None:
        nearest = cKDTree(np.nan_to_num(scene.scan.vertices)).query(np.nan_to_num(scene.mesh.vertices))[1]
        return Segments(instance[nearest], labels)
    return Segments(np.concatenate([instance, np.full(new, -1)]), labels)


def _first(folder: Path, name: str) -> Path | None:
    for pattern in _GROUPS:
        found = sorted(folder.glob(pattern.format(glob.escape(name))))
        if found:
            return found[0]
    return None


def _group(group, path: Path) -> tuple[int, str, np.ndarray]:
    """Number, label and segments of an object."""
    if not isinstance(group, dict):
        raise InputError(f"{path}: a group of segGroups is no object; {_CURE}")
    number, label = group.get("objectId", group.get("id")), group.get("label")
    if isinstance(number, bool) or not isinstance(number, int) or not isinstance(label, str) or number < 0:
        raise InputError(f"{path}: a group has no objectId and label ({shown(str(number), 20)}); {_CURE}")
    return number, label, _whole_numbers(group.get("segments"), f"{path}: segments of object {number}")


def _whole_numbers(found, what: str) -> np.ndarray:
    if not isinstance(found, list) or not all(type(n) is int and abs(n) < 1 << 62 for n in found):
        raise InputError(f"{what} is no list of whole numbers; {_CURE}")
    return np.array(found, np.int64)
