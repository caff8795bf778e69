"""Holes of a scan as surface: loops of open edges get faces of their own, behind the mesh's."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import InputError
from .hole_cover import cover
from .mesh import Mesh, used_vertices
from .scene import ClosedHoles, Scene

# A piece's largest loop whose cover would be as large as this part of the piece is the rim of a loose bit, no hole.
_RIM_SHARE = 0.7
_MANY = 1024  # corners of a loop whose distances are all looked at


def close_holes(mesh: Mesh, metres: float) -> tuple[Mesh, ClosedHoles | None]:
    """Gives boundary loops up to that size faces of their own.

    A loop runs along edges that only one face has, vertices at the same place counting as one (a scan's triangle soup).
    Its size is its diameter: the distance of the two of its corners that lie farthest apart. Small loops are covered by
    triangles between their corners, larger ones by a smooth sheet whose triangles are about as large as those beside
    them. The rim of a loose bit is no hole: the largest loop of a piece whose cover would be nearly as large as that.

    Args:
        mesh: the mesh.
        metres: size of the largest loops that are closed.

    Returns:
        The mesh with the new faces behind its own and new vertices behind its own; new faces are turned as the faces
        around them, and new vertices take their rim's mean colour. And what was closed; the mesh itself and None where
        there is no hole of that size.

    Raises:
        InputError: a size that is not positive.
    """
    if not 0 < metres < np.inf:
        raise InputError(f"close_holes: {metres} metres is not a positive size")
    if not np.isfinite(mesh.triangles).all((1, 2)).any():
        return mesh, None
    welded = _Welded.of(mesh)
    loops = _holes(welded, metres)
    if not loops:
        return mesh, None
    faces, vertices, colors = [], [], []
    count = len(mesh.vertices)
    for loop in loops:
        inner, triangles = cover(welded.places[loop])
        corner = np.concatenate([welded.source[loop], count + np.arange(len(inner))])
        faces.append(corner[triangles])
        vertices.append(inner + welded.middle)
        if mesh.colors is not None:
            mean = np.rint(mesh.colors[welded.source[loop]].mean(0)).astype(np.uint8)
            colors.append(np.broadcast_to(mean, (len(inner), 3)))
        count += len(inner)
    new = np.concatenate(faces).astype(mesh.faces.dtype)
    closed = replace(
        mesh,
        vertices=np.concatenate([mesh.vertices, *vertices]),
        faces=np.concatenate([mesh.faces, new]),
        colors=None if mesh.colors is None else np.concatenate([mesh.colors, *colors]),
        uv_map=None,  # the new faces have no place in it
    )
    area = float(np.nan_to_num(closed.face_areas[len(mesh.faces) :]).sum())
    return closed, ClosedHoles(len(loops), len(new), count - len(mesh.vertices), area)


def with_holes_closed(scene: Scene, metres: float) -> Scene:
    """The scene whose mesh went through `close_holes`; `Scene.closed` tells what that did."""
    mesh, closed = close_holes(scene.mesh, metres)
    return scene if closed is None else replace(scene, mesh=mesh, closed=closed)


@dataclass(frozen=True, eq=False)
class _Welded:
    """A mesh whose vertices at one place are one, and whose faces have three of them, each face once.

    Attributes:
        places: (n, 3) float64, about `middle`.
        source: (n,) the mesh's vertex each was taken from.
        faces: (k, 3) int64.
        partner: (3 k,) int64, the half-edge beside each (3 * face + corner it starts from), of more than two faces at
            one edge the next in turn; -1 where there is none.
        middle: (3,) float64.
    """

    places: np.ndarray
    source: np.ndarray
    faces: np.ndarray
    partner: np.ndarray
    middle: np.ndarray

    @classmethod
    def of(cls, mesh: Mesh) -> "_Welded":
        middle = mesh.extent.middle
        solid = np.isfinite(mesh.triangles).all((1, 2))
        used, corners = used_vertices(mesh.faces[solid])
        # Adding zero turns -0 into 0: equal bytes are equal places.
        places = (mesh.vertices[used] - middle).astype(np.float32) + np.float32(0)
        _, first, merged = np.unique(places.view("V12").ravel(), return_index=True, return_inverse=True)
        faces = merged[corners]
        ordered = np.sort(faces, axis=1)
        _, once = np.unique(ordered, axis=0, return_index=True)
        once = once[(np.diff(ordered[once], axis=1) > 0).all(1)]
        faces = faces[np.sort(once)]
        source = used[first]
        return cls(mesh.vertices[source] - middle, source, faces, _partners(faces), middle)


def _partners(faces: np.ndarray) -> np.ndarray:
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], 2).reshape(-1, 2), axis=1)
    key = ends[:, 0] * (int(faces.max(initial=0)) + 1) + ends[:, 1]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    last = np.append(starts[1:], len(order)) - 1
    following = np.arange(1, len(order) + 1)
    following[last] = starts
    partner = np.empty(len(order), np.int64)
    partner[order] = order[following]
    partner[order[starts[starts == last]]] = -1
    return partner


def _holes(welded: _Welded, metres: float) -> list[np.ndarray]:
    """Loops of vertices up to that size, turned as their cover is to be, without the rims of loose bits."""
    loops = _loops(welded)
    if not loops:
        return []
    size = [_diameter(welded.places[vertices], metres) for vertices, _ in loops]
    pieces, area = _pieces(welded)
    piece = [pieces[edge // 3] for _, edge in loops]
    largest = {}
    for i, which in enumerate(piece):
        if which not in largest or size[i] > size[largest[which]]:
            largest[which] = i
    out = []
    for i, (vertices, _) in enumerate(loops):
        is_rim = largest[piece[i]] == i and _area(welded.places[vertices]) >= _RIM_SHARE * area[piece[i]]
        if size[i] <= metres and not is_rim:
            out.append(vertices)
    return out


def _loops(welded: _Welded) -> list[tuple[np.ndarray, int]]:
    """Boundary loops without a vertex that comes twice: their vertices, against the direction of the faces around, and
    one of their half-edges."""
    faces, partner = welded.faces.tolist(), welded.partner.tolist()
    done, out = set(), []
    is_open = (welded.partner < 0).reshape(-1, 3)
    is_open[is_open.all(1)] = False  # loose triangles have but a rim
    for start in np.flatnonzero(is_open).tolist():
        if start in done:
            continue
        way, whole = _walk(faces, partner, start, done)
        if whole:
            out += [(loop, start) for loop in _simple(way)]
    return out


def _walk(faces: list, partner: list, start: int, done: set) -> tuple[list[tuple[int, bool]], bool]:
    """The loop of a boundary half-edge: vertices, and whether faces lead from each to the next as the loop does; and
    whether it came back by new edges only."""
    way, edge = [], start
    at = faces[start // 3][(start % 3 + 1) % 3]
    while True:
        done.add(edge)
        face, corner = faces[edge // 3], edge % 3
        ends = face[corner], face[(corner + 1) % 3]
        way.append((ends[0] if ends[1] == at else ends[1], ends[1] == at))
        edge = _next_open(faces, partner, edge, at)
        if edge == start:
            return way, at == way[0][0]
        if edge in done:
            return way, False
        face, corner = faces[edge // 3], edge % 3
        at = face[(corner + 1) % 3] if face[corner] == at else face[corner]


def _next_open(faces: list, partner: list, edge: int, at: int) -> int:
    """The other open half-edge at vertex `at`, on the way around it through the faces beside a half-edge."""
    while True:
        first, corner = edge - edge % 3, edge % 3
        ahead = faces[edge // 3][corner] != at  # the half-edge leads to the vertex: the next one starts there
        edge = first + (corner + (1 if ahead else 2)) % 3
        if partner[edge] < 0:
            return edge
        edge = partner[edge]


def _simple(way: list[tuple[int, bool]]) -> list[np.ndarray]:
    """A closed way cut where it comes to a vertex again, into loops of three vertices or more, turned against the
    faces along most of each."""
    out, path, place = [], [], {}
    for vertex, along in way:
        if vertex in place:
            at = place[vertex]
            out.append(path[at:])
            for left, _ in path[at:]:
                del place[left]
            del path[at:]
        place[vertex] = len(path)
        path.append((vertex, along))
    loops = []
    for part in (*out, path):
        if len(part) > 2:
            vertices = np.array([vertex for vertex, _ in part])
            with_faces = sum(along for _, along in part)
            loops.append(vertices[::-1] if 2 * with_faces >= len(part) else vertices)
    return loops


def _pieces(welded: _Welded) -> tuple[np.ndarray, np.ndarray]:
    """The connected piece of each face, and the pieces' areas."""
    count = len(welded.faces)
    half = np.flatnonzero(welded.partner >= 0)
    pairs = coo_matrix((np.ones(len(half), bool), (half // 3, welded.partner[half] // 3)), (count, count))
    _, piece = connected_components(pairs, directed=False)
    return piece, np.bincount(piece, Mesh(welded.places, welded.faces).face_areas)


def _area(points: np.ndarray) -> float:
    """Of the flat shape that an outline (n, 3) has, seen along its normal."""
    points = points - points[0]
    return float(0.5 * np.linalg.norm(np.cross(points, np.roll(points, -1, 0)).sum(0)))


def _diameter(points: np.ndarray, enough: float) -> float:
    """Largest distance between two of the points (n, 3); of those farther apart than `enough`, no less than that."""
    span = float(np.ptp(points, axis=0).max())
    if span > enough:
        return span
    if len(points) > _MANY:
        # The outermost points in directions all around: between two of them less than a thousandth is lost.
        step = np.arange(_MANY)
        height, turn = 1 - (2 * step + 1) / _MANY, np.pi * (1 + 5**0.5) * step
        wide = np.sqrt(1 - height**2)
        ways = np.stack([wide * np.cos(turn), wide * np.sin(turn), height])
        points = points[np.unique([np.argmax(points @ way) for way in ways.T])]
    return float(np.linalg.norm(points[:, None] - points, axis=2).max())
