"""What a scanner would make of a room: remeshed, noisy, with holes where it saw nothing, and with debris."""

from dataclasses import dataclass, replace

import numpy as np

from ..process.console import bar
from ..scene.camera import Camera
from ..scene.mesh import Mesh, used_vertices
from .room import Room
from .surface import Grids, Lattice, grid_shape, sample_lattice

_SHELL = ("floor", "ceiling", "walls")


@dataclass(frozen=True)
class ScanNoise:
    """How a scan departs from the exact room.

    Attributes:
        spacing: metres between vertices on furniture.
        wall_spacing: metres between vertices on floor, walls and ceiling.
        noise: standard deviation of vertices along the surface's normal, metres.
        holes: number of holes at random places.
        hole_size: their largest radius, metres; the smallest is a third of it.
        floaters: number of small loose pieces near surfaces.
        duplicates: share of faces with vertices of their own, as scans have unmerged ones.
        unseen: keep what no camera saw, instead of leaving it out as a scanner must.
    """

    spacing: float = 0.06
    wall_spacing: float = 0.09
    noise: float = 0.0012
    holes: int = 10
    hole_size: float = 0.09
    floaters: int = 10
    duplicates: float = 0.01
    unseen: bool = False


def scan_mesh(
    room: Room,
    cam_to_room: np.ndarray,
    camera: Camera,
    noise: ScanNoise,
    rng: np.random.Generator,
    progress: bool = False,
) -> Mesh:
    """A scan-like mesh of a room.

    Args:
        room: the room.
        cam_to_room: (m, 4, 4) poses that the scan was taken from, in the room's frame.
        camera: their camera.
        noise: how good the scan is.
        rng: for noise, holes and debris.
        progress: show a progress bar.

    Returns:
        Mesh in the room's frame with the true colour of every vertex.
    """
    vertices, faces, normals = _remesh(room, noise)
    if not noise.unseen:
        faces = faces[
            _seen(room, vertices, faces, bar("mesh", iterable=cam_to_room, unit="view", disable=not progress), camera)
        ]
    faces = faces[~_in_holes(vertices, faces, noise, rng)]
    used, faces = used_vertices(faces)
    vertices, normals = vertices[used], normals[used]
    colors = room.color_at(vertices)
    vertices = vertices + normals * (noise.noise * rng.standard_normal(len(vertices)))[:, None]
    vertices, faces, colors = _duplicated(vertices, faces, colors, noise.duplicates, rng)
    for _ in range(noise.floaters):
        corner = rng.integers(len(normals))
        blob, blob_faces = _floater(vertices[corner], normals[corner], rng)
        faces = np.concatenate([faces, blob_faces + len(vertices)])
        vertices = np.concatenate([vertices, blob])
        colors = np.concatenate([colors, np.repeat(colors[corner][None], len(blob), 0)])
    return Mesh(vertices, faces.astype(np.int32), np.rint(colors).astype(np.uint8))


def _remesh(room: Room, noise: ScanNoise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regular triangles over every patch, joined where patches share an edge: vertices, faces, vertex normals."""
    shell = np.isin(np.array(room.parts, dtype=object)[room.surface.part], _SHELL)
    spacing = np.where(shell, noise.wall_spacing, noise.spacing)
    shape, pieces, first = [], [], 0
    for grids in room.surface.grids:
        # Cell by cell, so that vertices lie on all edges, those of holes and the bends of rounded things included.
        grids, patch = _cells(grids, ~room.hidden)
        shape.append(grid_shape(grids, spacing[patch], 2, 400))
        pieces.append(replace(grids, first=first))
        first += len(patch)
    lattice = sample_lattice(tuple(pieces), np.concatenate(shape))
    faces = _lattice_faces(lattice)
    _, first, joined = np.unique(
        np.rint(lattice.points / 1e-4).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    faces = joined.reshape(-1)[faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    normals = np.zeros((len(first), 3))
    np.add.at(normals, joined.reshape(-1), lattice.normals)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return lattice.points[first], faces, normals


def _cells(grids: Grids, wanted: np.ndarray) -> tuple[Grids, np.ndarray]:
    """Each cell of the `wanted` (p,) patches as a grid of its own, and the patch of each."""
    k, i, j = np.nonzero(grids.keep & wanted[grids.first : grids.first + len(grids.points), None, None])
    corners = [
        np.stack([np.stack([field[k, i + a, j + b] for b in (0, 1)], 1) for a in (0, 1)], 1)
        for field in (grids.points, grids.normals, grids.st)
    ]
    return Grids(0, *corners, np.ones((len(k), 1, 1), bool)), grids.first + k


def _lattice_faces(lattice: Lattice) -> np.ndarray:
    """(f, 3) triangles between the samples of each patch."""
    rows, columns = lattice.shape[lattice.patch].T
    cell = np.flatnonzero((lattice.row < rows - 1) & (lattice.column < columns - 1))
    step = columns[cell]
    a, b, c, d = cell, cell + step, cell + step + 1, cell + 1
    # The diagonals alternate, as in a scan's mesh they have no common direction.
    odd = ((lattice.row[cell] + lattice.column[cell]) % 2 == 1)[:, None]
    one = np.where(odd, np.stack([a, b, d], 1), np.stack([a, b, c], 1))
    two = np.where(odd, np.stack([b, c, d], 1), np.stack([a, c, d], 1))
    return np.concatenate([one, two])


def _seen(room: Room, vertices: np.ndarray, faces: np.ndarray, cam_to_room, camera: Camera) -> np.ndarray:
    """Which faces some camera sees at their middle or near a corner, from the front: (f,) bool."""
    triangles = vertices[faces]
    middle = triangles.mean(1)
    facing = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    rest = np.arange(len(faces))
    for pose in cam_to_room:
        eye = pose[:3, 3]
        way = middle[rest] - eye
        near = _in_image(way, pose, camera, 40) & ((way * facing[rest]).sum(1) < 0)
        index = rest[near]
        found = np.zeros(len(index), bool)
        for corner in (None, 0, 1, 2):
            left = index[~found]
            points = middle[left] if corner is None else 0.75 * triangles[left, corner] + 0.25 * middle[left]
            way = points - eye
            hit = room.caster.cast(np.broadcast_to(eye, way.shape), way)
            # Remeshing cuts a few millimetres off rounded shapes.
            free = (hit["face"] < 0) | (hit["distance"] > 1 - 0.006 / np.linalg.norm(way, axis=1))
            found[~found] = free & _in_image(way, pose, camera, 0)
        rest = np.setdiff1d(rest, index[found], assume_unique=True)
    seen = np.ones(len(faces), bool)
    seen[rest] = False
    return seen


def _in_image(way: np.ndarray, pose: np.ndarray, camera: Camera, margin: float) -> np.ndarray:
    """Whether the camera's image, `margin` pixels wider, holds the points at eye + `way` (n, 3): (n,) bool."""
    pixel = way @ (pose[:3, :3] @ camera.intrinsics.T)
    depth = np.maximum(pixel[:, 2], 1e-9)
    u, v = pixel[:, 0] / depth, pixel[:, 1] / depth
    low = -0.5 - margin
    return (pixel[:, 2] > 0.05) & (u > low) & (v > low) & (u < camera.width - 1 - low) & (v < camera.height - 1 - low)


def _in_holes(vertices: np.ndarray, faces: np.ndarray, noise: ScanNoise, rng: np.random.Generator) -> np.ndarray:
    """Faces that fall into random holes: (f,) bool."""
    gone = np.zeros(len(faces), bool)
    if not noise.holes:
        return gone
    middle = vertices[faces].mean(1)
    area = np.linalg.norm(np.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2))), axis=1)
    for center in middle[rng.choice(len(faces), noise.holes, p=area / area.sum())]:
        radius = noise.hole_size * rng.uniform(1 / 3, 1)
        gone |= np.linalg.norm(middle - center, axis=1) < radius * rng.uniform(0.8, 1.1, len(faces))
    return gone


def _duplicated(vertices, faces, colors, share: float, rng: np.random.Generator):
    """Gives a `share` of the faces vertices of their own."""
    chosen = np.flatnonzero(rng.random(len(faces)) < share)
    old = faces[chosen].ravel()
    faces = faces.copy()
    faces[chosen] = (len(vertices) + np.arange(len(old))).reshape(-1, 3)
    return np.concatenate([vertices, vertices[old]]), faces, np.concatenate([colors, colors[old]])


def _floater(point: np.ndarray, normal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A crumpled scrap of a few centimetres, a little off the surface."""
    n = 4
    u, v = np.meshgrid(np.arange(n) * 0.012, np.arange(n) * 0.012, indexing="ij")
    flat = np.stack([u.ravel(), v.ravel(), rng.normal(0, 0.006, n * n)], 1)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    index = np.arange(n * n).reshape(n, n)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return flat @ turn.T + point + normal * rng.uniform(0.02, 0.06), faces
