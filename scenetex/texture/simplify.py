"""A mesh with fewer faces: edges collapse where that changes least (quadric errors, by fast-simplification)."""

import numpy as np

from ..errors import InputError, extra
from ..scene.mesh import Mesh
from .twins import one_of_each
from .weld import solid_faces, weld

_RADIUS = 15.0  # the mesh's radius for the library, whose passes have limits in units of length
# The library lets borders of flat sheets shrink for nothing. Fins that stand on them, at right angles, hold them: their
# planes count among those that a border vertex must not leave. Each fin more holds them closer, and takes longer.
_FINS = (1.0, -1.0)  # heights, over the length of the edge they stand on
_MORE = 4  # times as many are asked for where nothing is left, of faces that cross each other
_TRIES, _NEAR = 4, 0.01  # fins are among the faces that are counted: until the others are as many as asked for


def surface_of(mesh: Mesh, which: np.ndarray | None = None) -> tuple[Mesh, np.ndarray]:
    """The welded surface of a mesh, about its middle: faces that have area, one of each that coincide.

    Args:
        mesh: the mesh.
        which: (f,) bool, the faces that count; None = all.

    Returns:
        The surface, k faces, and the (k,) faces of the mesh that they are. Its frame is the mesh's, moved by
        ``mesh.extent.middle``.

    Raises:
        InputError: no face has area.
    """
    kept = solid_faces(mesh)
    kept = kept if which is None else kept[which[kept]]
    if not len(kept):
        raise InputError("mesh: no face has an area and a texture; there is nothing to simplify")
    positions, welded, _ = weld(mesh, kept)
    chosen = one_of_each(welded)[0]
    return Mesh(positions.astype(np.float64), welded[chosen], axis_alignment=mesh.axis_alignment), kept[chosen]


def simplify(surface: Mesh, faces: int) -> Mesh:
    """A surface with about as many faces, its open borders where they were.

    Args:
        surface: from `surface_of`: vertices welded, about the origin.
        faces: how many to keep; all of a surface that has no more. Each piece of one that hangs together by itself
            keeps a face or two, and a tangle of which nothing would be left stays as it is.

    Raises:
        InputError: fast-simplification is not installed.
    """
    if len(surface.faces) <= faces:
        return surface
    library = _library()
    scale = _RADIUS / surface.extent.radius
    vertices, corners = _with_fins(surface.vertices * scale, surface.faces)
    own, asked, best = len(surface.vertices), faces, (np.inf, surface.vertices, None)
    for _ in range(_TRIES):
        collapses = library.simplify(vertices, corners, target_count=asked, return_collapses=True)[2]
        points, left, place = library.replay_simplification(vertices, corners, collapses)
        inside = np.zeros(len(points), bool)
        inside[place[:own][place[:own] >= 0]] = True  # -1: nothing is left of it
        kept = left[inside[left].all(1)]
        kept = kept[Mesh(points, kept).face_areas > 0]
        if not len(kept):
            asked *= _MORE
            continue
        miss = len(kept) - faces
        best = min(best, (abs(miss), points, kept), key=lambda found: found[0])
        if abs(miss) <= _NEAR * faces:
            break
        asked = max(asked - miss, 1)
    _, points, kept = best
    if kept is None:
        return surface
    used, rows = np.unique(kept, return_inverse=True)
    return Mesh(points[used] / scale, rows.reshape(-1, 3).astype(np.int32), axis_alignment=surface.axis_alignment)


def _library():
    try:
        import fast_simplification
    except ImportError:
        raise InputError(f"simplify: fast-simplification is not installed; {extra('lods')}") from None
    return fast_simplification


def _with_fins(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces with a triangle more on every border edge for each of `_FINS`, behind the others."""
    halves = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, edge, count = np.unique(np.sort(halves, axis=1), axis=0, return_inverse=True, return_counts=True)
    border = np.flatnonzero(count[edge.ravel()] == 1)
    start, end = halves[border].T
    normal = Mesh(vertices, faces).face_normals[border // 3]
    length = np.linalg.norm(vertices[end] - vertices[start], axis=1, keepdims=True)
    middle = (vertices[start] + vertices[end]) / 2
    tips = [middle + height * length * normal for height in _FINS]
    rows = len(vertices) + np.arange(len(_FINS) * len(border)).reshape(len(_FINS), -1)
    fins = [np.stack([end, start, tip], 1) for tip in rows]
    return np.concatenate([vertices, *tips]), np.concatenate([faces, *fins]).astype(np.int32)
