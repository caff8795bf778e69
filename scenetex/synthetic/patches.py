"""Curved rectangles, the one building block of a procedural room: boxes, cushions, lathe shapes, sheets.

A patch is a grid of points with a normal and a surface coordinate (metres) at each. Texture coordinates, light maps,
the exact mesh and the scan-like remesh all come from the same grid, so that they agree everywhere.
"""

from dataclasses import dataclass, replace

import numpy as np

WHITE = (1.0, 1.0, 1.0)
# How far along its edges each corner of a rectangle's (2, 2) grid lies.
_STEP_A = np.array([[[0.0], [0.0]], [[1.0], [1.0]]])
_STEP_B = np.array([[[0.0], [1.0]], [[0.0], [1.0]]])


@dataclass(frozen=True, eq=False)
class Patches:
    """k patches of one grid shape, material and tint.

    Attributes:
        points: (k, a, b, 3) float64, metres; ``d/da x d/db`` points outwards.
        normals: (k, a, b, 3) float64 unit outward normals, smooth where the shape is round.
        st: (k, a, b, 2) float64, surface coordinates in metres, where the material's pattern is looked up.
        material: the material's slot.
        tint: colour that multiplies the material's, gamma space.
        glow: 0, or the fixed brightness of a surface that shines by itself (gamma space, 1 = as bright as white paper).
        keep: (k, a - 1, b - 1) bool, cells of the grid that are there; None for all.
    """

    points: np.ndarray
    normals: np.ndarray
    st: np.ndarray
    material: str
    tint: tuple[float, float, float] = WHITE
    glow: float = 0.0
    keep: np.ndarray | None = None

    def moved(self, transform: np.ndarray) -> "Patches":
        """The same patches after a rigid `transform` (4, 4)."""
        rotation = transform[:3, :3].T
        return replace(self, points=self.points @ rotation + transform[:3, 3], normals=self.normals @ rotation)

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "Patches":
        """The same patches shifted by (x, y, z)."""
        return replace(self, points=self.points + np.array([x, y, z]))


def pose(x: float, y: float, z: float, yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """Rigid transform (4, 4): turn by `pitch` about x, then by `yaw` about z (radians), then shift."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    out = np.eye(4)
    out[:3, :3] = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    out[:3, 3] = x, y, z
    return out


def panel(origin, edge_a, edge_b, material: str, tint=WHITE, glow: float = 0.0, st_origin=(0.0, 0.0)) -> Patches:
    """One flat rectangle from `origin` along two edges (3,); its pattern starts at `st_origin` (metres)."""
    origin, edge_a, edge_b = (np.asarray(v, np.float64) for v in (origin, edge_a, edge_b))
    points = origin + edge_a * _STEP_A + edge_b * _STEP_B
    x, y, z = edge_a
    normal = np.array([y * edge_b[2] - z * edge_b[1], z * edge_b[0] - x * edge_b[2], x * edge_b[1] - y * edge_b[0]])
    normals = np.broadcast_to(normal / np.sqrt(normal @ normal), points.shape)
    st = np.empty((1, 2, 2, 2))
    st[..., 0] = st_origin[0] + np.sqrt(edge_a @ edge_a) * _STEP_A[..., 0]
    st[..., 1] = st_origin[1] + np.sqrt(edge_b @ edge_b) * _STEP_B[..., 0]
    return Patches(points[None], normals[None], st, material, tuple(tint), glow)


def pierced_panel(
    origin, along_a, at_a, along_b, at_b, keep: np.ndarray, material: str, st_origin=(0.0, 0.0)
) -> Patches:
    """A flat grid with holes: cells between distances `at_a` and `at_b` from `origin` along two unit axes (3,).

    `keep` (len(at_a) - 1, len(at_b) - 1) bool says which cells are there.
    """
    along_a, along_b = np.asarray(along_a, np.float64), np.asarray(along_b, np.float64)
    a, b = np.asarray(at_a, np.float64)[:, None, None], np.asarray(at_b, np.float64)[:, None]
    points = np.asarray(origin, np.float64) + along_a * a + along_b * b
    st = np.empty((*points.shape[:2], 2))
    st[..., 0], st[..., 1] = st_origin[0] + a[..., 0], st_origin[1] + b[..., 0]
    normals = np.broadcast_to(np.cross(along_a, along_b), points.shape)
    return Patches(points[None], normals[None], st[None], material, keep=keep[None])


def image_panel(corner, width: float, height: float, material: str, tint=WHITE, glow: float = 0.0) -> Patches:
    """An upright picture that faces -y, from its top left `corner` (3,) as seen from the front; the tile fills it."""
    x, y, z = corner
    across = panel((x, y, z - height), (width, 0, 0), (0, 0, height), material, tint, glow)
    return replace(across, st=across.st[:, :, ::-1])


# Each row: corner the face starts from (in half sizes), and the axes of its two edges with their sign.
_BOX_CORNER = np.array([[1, -1, -1], [-1, 1, -1], [1, 1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, -1]], float)
_BOX_A = np.array([[0, 1, 0], [0, -1, 0], [-1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]], float)
_BOX_B = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0], [0, -1, 0]], float)
_BOX_SHIFT = np.array([[0.91, 1.73], [1.37, 0.59], [0.77, 1.19]])
_FACE_SHIFT = np.array([0.37, 0.23])
_BOX_OUT = np.cross(_BOX_A, _BOX_B)
_BOX_FACES = ("+x", "-x", "+y", "-y", "+z", "-z")


def box(center, size, material: str, tint=WHITE, faces: tuple[str, ...] = _BOX_FACES, glow: float = 0.0) -> Patches:
    """A closed box, or some of its faces. The pattern's s direction (a wood's grain) follows the longer edges."""
    center, size = np.asarray(center, np.float64), np.asarray(size, np.float64)
    keep = [_BOX_FACES.index(name) for name in faces]
    edge_a, edge_b = _BOX_A[keep] * size, _BOX_B[keep] * size
    corner = center + _BOX_CORNER[keep] * (size / 2)
    points = corner[:, None, None] + edge_a[:, None, None] * _STEP_A + edge_b[:, None, None] * _STEP_B
    normals = np.broadcast_to(_BOX_OUT[keep][:, None, None], points.shape)
    length_a, length_b = np.abs(edge_a).sum(1), np.abs(edge_b).sum(1)
    st = np.empty((len(keep), 2, 2, 2))
    st[..., 0] = length_a[:, None, None] * _STEP_A[..., 0]
    st[..., 1] = length_b[:, None, None] * _STEP_B[..., 0]
    tall = length_b > length_a
    st[tall] = st[tall][..., ::-1]
    # Boxes of one kind would all show the same piece of the pattern: shift it by where the box and the face are.
    shift = np.abs(center @ _BOX_SHIFT) + np.array(keep)[:, None] * _FACE_SHIFT
    return Patches(points, normals, st + shift[:, None, None], material, tuple(tint), glow)


def cushion(center, size, radius: float, material: str, tint=WHITE, bulge: float = 0.0, bevel: int = 2) -> Patches:
    """A closed box with rounded edges of `radius`; `bulge` puffs its top and bottom by that many metres."""
    half = np.asarray(size, np.float64) / 2
    radius = min(radius, half.min() * 0.99)
    inner = half - radius
    flat = np.linspace(-1, 1, 4 if bulge else 2)
    angle = np.linspace(-np.pi / 4, 0, bevel + 1)
    place = np.concatenate([np.full(bevel, -1.0), flat, np.full(bevel, 1.0)])
    slope = np.concatenate([angle[:-1], np.zeros(len(flat)), -angle[:-1][::-1]])
    n = len(place)
    points, normals, st = (np.empty((6, n, n, d)) for d in (3, 3, 2))
    for f in range(6):
        out = _BOX_OUT[f]
        a, b = np.abs(_BOX_A[f]), np.abs(_BOX_B[f])
        sign_a, sign_b = _BOX_A[f].sum(), _BOX_B[f].sum()
        core = out * inner + (a * inner) * (sign_a * place)[:, None, None] + (b * inner) * (sign_b * place)[:, None]
        way = out + _BOX_A[f] * np.tan(slope)[:, None, None] + _BOX_B[f] * np.tan(slope)[:, None]
        normals[f] = way / np.linalg.norm(way, axis=-1, keepdims=True)
        points[f] = core + radius * normals[f]
        st[f, ..., 0] = ((a @ inner) * place + radius * slope)[:, None]
        st[f, ..., 1] = (b @ inner) * place + radius * slope
    if bulge:
        puff = bulge * (1 - (points[..., 0] / half[0]) ** 2) * (1 - (points[..., 1] / half[1]) ** 2)
        points[..., 2] += puff * points[..., 2] / half[2]
    return Patches(points + np.asarray(center, np.float64), normals, st + 0.5, material, tuple(tint))


def lathe(profile, material: str, tint=WHITE, segments: int = 16, glow: float = 0.0) -> Patches:
    """A surface of revolution about z of `profile` (m, 2), radius and height; upwards, from axis to axis if closed."""
    profile = np.asarray(profile, np.float64)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    around = np.stack([np.cos(angle), np.sin(angle)], 1)
    around[-1] = around[0]
    # Corners of the profile stay sharp: each piece between two profile points is a patch of its own.
    points = np.stack([_revolve(around, profile[i : i + 2]) for i in range(len(profile) - 1)])
    step = np.diff(profile, axis=0)
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12)
    normals = np.empty_like(points)
    normals[..., :2] = around[:, None] * step[:, None, None, 1:]
    normals[..., 2] = -step[:, None, None, 0]
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    st = np.empty((*points.shape[:3], 2))
    st[..., 0] = (angle * profile[:, 0].max())[:, None]
    st[..., 1] = np.stack([arc[:-1], arc[1:]], 1)[:, None]
    if arc[-1] > 2 * np.pi * profile[:, 0].max():
        st = st[..., ::-1].copy()  # grain runs along slender things, not around them
    level = np.abs(step[:, 1]) < 1e-9
    st[level] = points[level][..., :2]
    return Patches(points, normals, st, material, tuple(tint), glow)


def _revolve(around: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """(n, m, 3) points of `profile` (m, 2) turned to the directions `around` (n, 2)."""
    out = np.empty((len(around), len(profile), 3))
    out[..., :2] = around[:, None] * profile[:, :1]
    out[..., 2] = profile[:, 1]
    return out


def cylinder(radius: float, bottom: float, top: float, material: str, tint=WHITE, segments: int = 12) -> Patches:
    """A closed upright cylinder about z."""
    profile = [(0, bottom), (radius, bottom), (radius, top), (0, top)]
    return lathe(profile, material, tint, segments)


def rod(start, end, radius: float, material: str, tint=WHITE, segments: int = 8) -> Patches:
    """A closed cylinder from `start` to `end` (3,)."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = np.linalg.norm(end - start)
    z = (end - start) / length
    helper = np.array([1.0, 0, 0]) if abs(z[0]) < 0.9 else np.array([0, 1.0, 0])
    y = np.cross(z, helper)
    y /= np.linalg.norm(y)
    transform = np.eye(4)
    transform[:3, :3] = np.stack([np.cross(y, z), y, z], 1)
    transform[:3, 3] = start
    return cylinder(radius, 0.0, length, material, tint, segments).moved(transform)


def curtain(width: float, height: float, folds: int, depth: float, material: str, tint=WHITE) -> Patches:
    """Hanging cloth: an upright wavy slab with its front towards -y, centred on x, from z = 0 to `height`."""
    n = folds * 6 + 1
    x = np.linspace(-width / 2, width / 2, n)
    y = depth / 2 * np.cos(np.linspace(0, 2 * np.pi * folds, n))
    slope = -depth / 2 * np.sin(np.linspace(0, 2 * np.pi * folds, n)) * 2 * np.pi * folds / width
    normal = np.stack([slope, -np.ones(n)], 1) / np.sqrt(1 + slope**2)[:, None]
    front = np.stack([x, y], 1)
    loops = [(front, normal), (front[::-1] + np.array([0, 0.012]), -normal[::-1])]
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(front, axis=0), axis=1))])
    points, normals, st = np.empty((2, n, 2, 3)), np.zeros((2, n, 2, 3)), np.empty((2, n, 2, 2))
    for i, (line, out) in enumerate(loops):
        points[i, ..., :2], normals[i, ..., :2] = line[:, None], out[:, None]
        st[i, ..., 0] = arc[:, None]
    points[..., 2] = st[..., 1] = [0.0, height]
    return Patches(points, normals, st, material, tuple(tint))


def leaf(length: float, width: float, droop: float, material: str, tint=WHITE) -> Patches:
    """A bent leaf from the origin along +x, rising then falling by `droop`; thin, with two sides."""
    t = np.linspace(0, 1, 6)
    outline = width / 2 * np.sin(np.pi * np.clip(t * 0.94 + 0.06, 0, 1)) ** 0.8
    outline[-1] = 0.0
    middle = np.stack([length * t, np.zeros(6), droop * (0.9 * t - 1.9 * t**2)], 1)
    side = np.array([-1.0, 0.0, 1.0])
    top = middle[:, None] + np.stack(
        [np.zeros((6, 3)), outline[:, None] * side, 0.35 * outline[:, None] * np.abs(side)], -1
    )
    normal = np.cross(np.gradient(top, axis=0), np.gradient(top, axis=1))
    normal[-1] = normal[-2]
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    points = np.stack([top, top[:, ::-1] - [0, 0, 0.004]])
    normals = np.stack([normal, -normal[:, ::-1]])
    st = np.stack([top[..., :2], top[:, ::-1, :2]]) + 0.2
    return Patches(points, normals, st, material, tuple(tint))
