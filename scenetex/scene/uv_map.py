"""The texture coordinates that a mesh file brings, with the materials and objects its faces belong to."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

NO_SOURCE = np.zeros(0, np.uint8)


@dataclass(frozen=True, eq=False)
class UvMap:
    """Where a mesh's own texture coordinates put its faces.

    Attributes:
        uv: (n, 2) float64 as stored, origin bottom-left; whole numbers apart are tiles (UDIM).
        corners: (f, 3) int32 indices into `uv`, one row per face of the mesh, in its order; -1 for faces without.
        material: (f,) int32 index into `materials`.
        materials: names as stored, "" where faces have none; they need not differ.
        part: (f,) int32 index into `parts`.
        parts: names of the file's objects (OBJ) or nodes (glTF), "" where it names none.
        piece: (f,) int32, which of the file's own pieces each face is of: the `f` line of an OBJ, the primitive of a
            glTF (counted through all its meshes).
        kind: suffix of the file that can be written again as it was, ".obj" or ".glb"; "" for others.
        source: (b,) uint8, that file's content; empty for others.
    """

    uv: np.ndarray
    corners: np.ndarray
    material: np.ndarray
    materials: tuple[str, ...]
    part: np.ndarray
    parts: tuple[str, ...]
    piece: np.ndarray
    kind: str = ""
    source: np.ndarray = field(default_factory=lambda: NO_SOURCE)

    @classmethod
    def of(cls, uv: np.ndarray, corners: np.ndarray, material: np.ndarray | None = None) -> "UvMap":
        """One of a file that names nothing: `uv` (n, 2), `corners` (f, 3), and numbers (f,) that tell materials
        apart."""
        none = np.zeros(len(corners), np.int32)
        numbers, of = (np.zeros(1), none) if material is None else np.unique(material, return_inverse=True)
        names = ("",) if len(numbers) == 1 else tuple(f"material {number:g}" for number in numbers)
        uv, corners = np.asarray(uv, np.float64), np.asarray(corners, np.int32)
        return cls(uv, corners, of.astype(np.int32), names, none, ("",), none)

    @property
    def mapped(self) -> np.ndarray:
        """(f,) bool: faces with finite coordinates at all corners."""
        finite = np.append(np.isfinite(self.uv).all(1), False)  # what -1 points to
        return finite[self.corners].all(1)

    def turned(self, which: np.ndarray) -> "UvMap":
        """The same for a mesh with those faces (f,) bool wound the other way."""
        return replace(self, corners=np.where(which[:, None], self.corners[:, ::-1], self.corners))

    def followed_by(self, count: int) -> "UvMap":
        """The same for a mesh with `count` more faces behind, which have no coordinates."""
        more = {"corners": np.full((count, 3), -1, np.int32)}
        more |= {name: np.zeros(count, np.int32) for name in ("material", "part", "piece")}
        return replace(self, **{name: np.concatenate([getattr(self, name), rows]) for name, rows in more.items()})


def numbered(names: Iterable[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(k,) int32 numbers of the names in order of appearance, and each name once."""
    places: dict[str, int] = {}
    found = np.array([places.setdefault(name, len(places)) for name in names], np.int32)
    return found, tuple(places)
