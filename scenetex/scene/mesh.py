"""The triangle mesh of a scene, kept exactly as its file has it."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from .extent import Extent, extent_of
from .uv_map import UvMap


class MeshLike(Protocol):
    """Anything with vertices (n, 3) and triangles (f, 3), such as a `trimesh.Trimesh`."""

    @property
    def vertices(self) -> ArrayLike: ...

    @property
    def faces(self) -> ArrayLike: ...


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in world coordinates, metres.

    Attributes:
        vertices: (n, 3) float64, world frame, metres; may hold NaN rows as scans do.
        faces: (f, 3) int32 indices into `vertices`.
        colors: (n, 3) uint8 sRGB per vertex, or None.
        axis_alignment: (4, 4) float64 rigid transform from this mesh's frame to a gravity-aligned one (z up), ScanNet's
            ``axisAlignment``. It is not applied to `vertices`; exporters to y-up formats use it.
        uv_map: the texture coordinates that its file has, with materials and names, or None; see `Atlas.from_mesh`.

    Example:
        >>> import numpy as np
        >>> import scenetex
        >>> square = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], np.float64)
        >>> mesh = scenetex.Mesh(square, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
        >>> mesh
        Mesh(2 faces, 4 vertices)
        >>> mesh.face_areas.tolist()
        [2.0, 2.0]
        >>> mesh.face_normals[0].tolist()
        [0.0, 0.0, 1.0]
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None = None
    axis_alignment: np.ndarray = field(default_factory=lambda: np.eye(4))
    uv_map: UvMap | None = None

    def __repr__(self) -> str:
        colored = "" if self.colors is None else ", coloured"
        return f"Mesh({len(self.faces):,} faces, {len(self.vertices):,} vertices{colored})"

    @cached_property
    def triangles(self) -> np.ndarray:
        """(f, 3, 3) float64 corner positions."""
        return self.vertices[self.faces]

    @cached_property
    def face_cross(self) -> np.ndarray:
        """(f, 3) float64 cross product of two edges: the face normal times twice its area."""
        t = self.triangles
        return np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])

    @cached_property
    def face_areas(self) -> np.ndarray:
        """(f,) float64 square metres; NaN where a corner is NaN."""
        return 0.5 * np.linalg.norm(self.face_cross, axis=1)

    @cached_property
    def face_normals(self) -> np.ndarray:
        """(f, 3) float64 unit normals (right-hand rule); zero for faces without area."""
        length = np.linalg.norm(self.face_cross, axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return np.where(length > 0, self.face_cross / np.maximum(length, 1e-300), 0.0)

    @cached_property
    def extent(self) -> Extent:
        """Where the surface lies and how large it is; unused vertices never count, a few far faces neither."""
        return extent_of(self.triangles)

    def with_axis_alignment(self, axis_alignment: np.ndarray) -> "Mesh":
        """The same mesh that knows where up is: `axis_alignment` (4, 4) leads to a gravity-aligned frame (z up)."""
        return replace(self, axis_alignment=axis_alignment)

    def transformed(self, transform: np.ndarray) -> "Mesh":
        """The mesh moved by a rigid `transform` (4, 4); its axis alignment still leads to the same frame."""
        return Mesh(
            self.vertices @ transform[:3, :3].T + transform[:3, 3],
            self.faces,
            self.colors,
            self.axis_alignment @ np.linalg.inv(transform),
            self.uv_map,
        )

    def turned(self, which: np.ndarray) -> "Mesh":
        """The mesh with those faces (f,) bool wound the other way."""
        faces = np.where(which[:, None], self.faces[:, ::-1], self.faces)
        return replace(self, faces=faces, uv_map=self.uv_map and self.uv_map.turned(which))

    @cached_property
    def vertex_normals(self) -> np.ndarray:
        """(n, 3) float64 unit normals, area-weighted mean of the faces around; zero where that vanishes."""
        total = np.zeros((len(self.vertices), 3))
        for axis in range(3):
            share = np.repeat(self.face_cross[:, axis], 3)
            total[:, axis] = np.bincount(self.faces.ravel(), share, len(self.vertices))
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.divide(total, length, out=np.zeros_like(total), where=length > 0)

    @classmethod
    def of(cls, mesh: MeshLike) -> "Mesh":
        """This class from itself, a `trimesh.Trimesh`, or anything with `vertices` and `faces`; with the texture
        coordinates (`visual.uv`, one per vertex) that it has."""
        if isinstance(mesh, cls):
            return mesh
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32)
        uv = getattr(getattr(mesh, "visual", None), "uv", None)
        fits = uv is not None and np.shape(uv) == (len(vertices), 2)
        return cls(vertices, faces, uv_map=UvMap.of(np.asarray(uv), faces) if fits else None)


def used_vertices(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices (n,) int64 that faces (k, 3) use, ascending, and the faces (k, 3) by their places among these.

    As `np.unique` would find them, by a table of all vertices: for most of a large mesh that is ten times as fast.
    """
    there = np.zeros(int(faces.max(initial=-1)) + 1, bool)
    there[faces.ravel()] = True
    place = np.cumsum(there) - 1
    return np.flatnonzero(there), place[faces]


def fan_triangles(counts: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Triangles of polygons, each cut into a fan from its first corner; polygons of fewer than 3 corners vanish.

    Args:
        counts: (p,) int, corners of each polygon.
        corners: (sum of counts,) int, their vertex indices one polygon after the other.

    Returns:
        (f, 3) int64, in the polygons' order.
    """
    if (counts == 3).all():
        return corners.reshape(-1, 3)
    cut = np.maximum(counts - 2, 0)
    first = np.repeat(np.cumsum(counts) - counts, cut)
    step = np.arange(cut.sum()) - np.repeat(np.cumsum(cut) - cut, cut)
    return corners[np.stack([first, first + step + 1, first + step + 2], 1)]
