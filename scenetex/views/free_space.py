"""Where in a scene a camera could be, and what of the surface can be seen from there at all."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..scene.camera import small_size
from ..scene.scene import Scene
from .raycast import RayCaster
from .viewset import render_views

SPACING = 0.25  # metres between places that are tried
FAR = 4.0  # metres from which a surface is still looked at,
STEEP = np.cos(np.radians(75))  # and how far off its normal
_INSIDE = 0.5  # of the directions from a place inside that meet a surface's front,
_BEHIND = 0.25  # and most that may meet a back: behind a wall all do
_MOST = 1 << 21  # places
_NEAREST = 24  # places that are tried for each face first,
_SCATTERED = 160  # and then, where none of those sees it
_LOOKS, _GLANCE = 100, 80  # frames whose views tell where the air is, and the width of these, pixels
_TOUCH = 1e-3  # of the way to a face, which the ray ends before


class FreeSpace:
    """Places in the air of a scene, on a grid, that the trajectory's cameras could have gone to.

    A place counts where hardly any direction meets a surface's back, where it is known to be in the room, and where a
    chain of straight steps that nothing blocks leads to it from a camera of the trajectory. It is in the room where
    most directions meet a surface's front; in open scans, of a corner of a room, say, where some camera has looked
    through it at what lies behind, or has been near.

    Args:
        scene: of which the faces are turned the right way (`scenetex.check_scene` gives such a scene).
        spacing: metres between neighbours.

    Attributes:
        places: (n, 3) float64, metres, the scene's frame.
        clearance: (n,) float64, metres to the nearest surface, as seen in a few dozen directions.
    """

    def __init__(self, scene: Scene, spacing: float = SPACING):
        self._mesh = scene.mesh
        self._middle = scene.mesh.extent.middle
        self.caster = RayCaster.of(scene.mesh)
        self._normals = scene.mesh.face_normals
        eyes = np.array([frame.cam_to_world[:3, 3] for frame in scene.frames]).reshape(-1, 3)
        grid, steps = _grid(scene, eyes, spacing)
        closed, clear, clearance = self._look(grid)
        near = self._near(grid, eyes, spacing)
        inside = clear & (closed | near | looked_through(scene, grid))
        at = np.cumsum(inside) - 1
        steps = at[steps[inside[steps].all(1)]]
        grid, clearance = grid[inside], clearance[inside]
        steps = steps[~self.blocked(grid[steps[:, 0]], grid[steps[:, 1]])]
        reached = _joined(len(grid), steps, near[inside])
        self.places, self.clearance = grid[reached], clearance[reached]

    def blocked(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a surface lies between `start` and `end`, (n, 3) each."""
        return self.caster.blocked(start - self._middle, end - start, 1.0)

    def cast(self, place: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is met from a place (3,) in unit `directions` (n, 3).

        Returns:
            faces (n,) int32, -1 for none; distances (n,) float32, metres; and (n,) float64 the cosine between the way
            back and the face's normal, negative for backs, 0 for none.
        """
        hit = self.caster.cast(np.broadcast_to(place - self._middle, directions.shape), directions)
        facing = -np.einsum("ij,ij->i", self._normals[hit["face"]], directions)
        return hit["face"], hit["distance"], np.where(hit["face"] >= 0, facing, 0.0)

    def sees(self, place: np.ndarray, centre: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """(n,) bool: whether surface at `centre` is seen from `place`, at most 75 degrees off `normal`; all (n, 3)."""
        way = place - centre
        length = np.linalg.norm(way, axis=1)
        out = np.einsum("ij,ij->i", way, normal) > STEEP * length
        out[out] = ~self.caster.blocked(place[out] - self._middle, centre[out] - place[out], 1 - _TOUCH)
        return out

    def reachable(self) -> np.ndarray:
        """(f,) bool: faces that some place sees within 4 m and within 75 degrees of their normal."""
        centre, normal = self._mesh.triangles.mean(1), self._normals
        out = np.zeros(len(centre), bool)
        if not len(self.places):
            return out
        left = np.flatnonzero(np.isfinite(centre).all(1) & (self._mesh.face_areas > 0))
        count = min(_NEAREST, len(self.places))
        far, near = cKDTree(self.places).query(centre[left], k=count, distance_upper_bound=FAR)
        far, near = far.reshape(len(left), count), near.reshape(len(left), count)
        for k in range(count):
            tried = np.isfinite(far[:, k]) & ~out[left]
            out[left[tried]] = self.sees(self.places[near[tried, k]], centre[left[tried]], normal[left[tried]])
        rng = np.random.default_rng(0)
        for place in self.places[rng.permutation(len(self.places))[:_SCATTERED]]:
            rest = left[~out[left]]
            rest = rest[np.linalg.norm(centre[rest] - place, axis=1) < FAR]
            out[rest] = self.sees(np.broadcast_to(place, (len(rest), 3)), centre[rest], normal[rest])
        return out

    def _look(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whether surfaces face places (n,) from most sides, (n,) whether hardly any turns its back; (n,) metres to the
        nearest."""
        directions = sphere(48)
        closed, clear, clearance = np.zeros(len(grid), bool), np.zeros(len(grid), bool), np.zeros(len(grid))
        for start in range(0, len(grid), 1 << 14):
            part = slice(start, start + (1 << 14))
            origin = np.repeat(grid[part] - self._middle, len(directions), 0)
            way = np.tile(directions, (len(grid[part]), 1))
            hit = self.caster.cast(origin, way)
            met = hit["face"] >= 0
            front = met & (np.einsum("ij,ij->i", self._normals[hit["face"]], way) < 0)
            share, back = (x.reshape(-1, len(directions)).mean(1) for x in (front, met & ~front))
            closed[part], clear[part] = share >= _INSIDE, back <= np.minimum(_BEHIND, share)
            far = np.where(met, hit["distance"], np.inf).reshape(-1, len(directions))
            clearance[part] = far.min(1)
        return closed, clear, clearance

    def _near(self, grid: np.ndarray, eyes: np.ndarray, spacing: float) -> np.ndarray:
        """(n,) bool: places beside a camera of the trajectory, with nothing between."""
        out = np.zeros(len(grid), bool)
        if len(grid) and len(eyes):
            pairs = cKDTree(grid).query_ball_point(eyes, 1.8 * spacing)
            eye = np.repeat(np.arange(len(eyes)), [len(near) for near in pairs])
            near = np.concatenate([np.asarray(near, np.int64) for near in pairs])
            out[near[~self.blocked(eyes[eye], grid[near])]] = True
        return out


def looked_through(scene: Scene, places: np.ndarray) -> np.ndarray:
    """(n,) bool: places (n, 3) between a camera of the trajectory and the surface that it sees there."""
    out = np.zeros(len(places), bool)
    frames = scene.frames[:: max(1, len(scene.frames) // _LOOKS)]
    if not frames or not len(places):
        return out
    views = render_views(scene, [frame.id for frame in frames], small_size(frames[0].camera.size, _GLANCE))
    for depth, k, pose in zip(views.depth, views.intrinsics, views.cam_to_world, strict=True):
        x, y, z = ((places - pose[:3, 3]) @ pose[:3, :3] @ k.T).T
        ahead = z > 0
        column = np.rint(np.divide(x, z, where=ahead, out=np.full_like(x, -9))).astype(np.int64)
        row = np.rint(np.divide(y, z, where=ahead, out=np.full_like(y, -9))).astype(np.int64)
        ahead &= (column >= 0) & (column < views.size[0]) & (row >= 0) & (row < views.size[1])
        out[ahead] |= z[ahead] < depth[row[ahead], column[ahead]]
    return out


def _joined(count: int, steps: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(count,) bool: what `steps` (s, 2) lead to from where `start` (count,) is."""
    if not count:
        return np.zeros(0, bool)
    ones = np.ones(len(steps), bool)
    _, part = connected_components(coo_array((ones, steps.T), (count, count)), directed=False)
    return np.isin(part, np.unique(part[start]))


def sphere(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly over the sphere (Fibonacci lattice, Gonzalez 2010)."""
    k = np.arange(count) + 0.5
    height, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)


def _grid(scene: Scene, eyes: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 3) in the upright box of mesh and cameras, and (s, 2) pairs of neighbours; wider apart where there
    would be too many. Stray faces far away do not widen the box."""
    to_room = scene.axis_alignment
    corners = np.concatenate([scene.mesh.triangles.reshape(-1, 3), eyes])
    near = np.linalg.norm(corners - scene.mesh.extent.middle, axis=1) < 12 * max(scene.mesh.extent.radius, 1e-9)
    upright = corners[near] @ to_room[:3, :3].T + to_room[:3, 3]
    if not len(scene.mesh.faces) or not len(upright):
        return np.zeros((0, 3)), np.zeros((0, 2), np.int64)
    low, high = upright.min(0), upright.max(0)
    spacing = max(spacing, float(np.prod(np.maximum(high - low, spacing)) / _MOST) ** (1 / 3))
    counts = np.maximum(((high - low) / spacing).astype(int), 1)
    first = (low + high - (counts - 1) * spacing) / 2
    axes = [start + np.arange(n) * spacing for start, n in zip(first, counts, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    number = np.arange(grid[..., 0].size).reshape(grid.shape[:3])
    steps = [
        np.stack([np.take(number, range(n - 1), axis).ravel(), np.take(number, range(1, n), axis).ravel()], 1)
        for axis, n in enumerate(counts)
    ]
    back = np.linalg.inv(to_room)
    return grid.reshape(-1, 3) @ back[:3, :3].T + back[:3, 3], np.concatenate(steps)
