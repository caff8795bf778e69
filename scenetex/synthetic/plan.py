"""The bare room: outline, walls, doors and windows, and their surfaces."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .direct_light import Window
from .patches import Patches, box, cushion, image_panel, panel, pierced_panel, rod
from .piece import Decor, tint

_TRIM = tint((240, 238, 232))
SKIRTING = 0.09


@dataclass(frozen=True)
class Opening:
    """A door or window in a wall: x from the wall's left end as seen from inside, z from the floor, metres."""

    kind: str
    wall: int
    x0: float
    x1: float
    z0: float
    z1: float


@dataclass(frozen=True)
class Plan:
    """A room's outline.

    Attributes:
        corners: (n, 2) metres, counterclockwise, right angles only.
        height: of the ceiling, metres.
        openings: doors and windows.
    """

    corners: tuple[tuple[float, float], ...]
    height: float
    openings: tuple[Opening, ...]

    @cached_property
    def frames(self) -> list[np.ndarray]:
        """(4, 4) frame of each wall: origin at its left foot as seen from inside, x right, y into the wall, z up."""
        out = []
        for start, end in self.edges:
            # Counterclockwise edges run from right to left for someone inside who faces the wall.
            along = (start - end) / np.linalg.norm(start - end)
            frame = np.eye(4)
            frame[:2, 0] = along
            frame[:2, 1] = -along[1], along[0]
            frame[:2, 3] = end
            out.append(frame)
        return out

    @cached_property
    def edges(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Start and end (2,) of each wall."""
        corners = np.array(self.corners)
        return list(zip(corners, np.roll(corners, -1, axis=0), strict=True))

    @cached_property
    def lengths(self) -> np.ndarray:
        """(n,) metres."""
        return np.array([np.linalg.norm(b - a) for a, b in self.edges])

    @property
    def area(self) -> float:
        """Square metres of floor."""
        x, y = np.array(self.corners).T
        return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))

    def inside(self, points: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Whether `points` (n, 2) lie in the room, at least `margin` metres from every wall: (n,) bool."""
        points = np.asarray(points, np.float64)
        odd = np.zeros(len(points), bool)
        near = np.full(len(points), np.inf)
        for a, b in self.edges:
            if a[0] == b[0]:
                odd ^= (points[:, 0] < a[0]) & ((points[:, 1] > a[1]) != (points[:, 1] > b[1]))
            step = b - a
            t = np.clip((points - a) @ step / (step @ step), 0, 1)
            near = np.minimum(near, np.linalg.norm(points - a - t[:, None] * step, axis=1))
        return odd & (near >= margin)


# Width and depth, metres, from and to.
SIZES = {
    "living room": ((4.2, 6.0), (3.8, 5.0)),
    "bedroom": ((3.5, 4.8), (3.3, 4.2)),
    "study": ((3.2, 4.4), (3.0, 3.9)),
    "dining room": ((3.7, 5.0), (3.4, 4.3)),
    "kitchen": ((3.5, 4.8), (3.2, 4.2)),
}


def make_plan(rng: np.random.Generator, kind: str) -> Plan:
    """Draws the outline, a door and one to three windows of a room of `kind`."""
    (w0, w1), (d0, d1) = SIZES[kind]
    w, d = rng.uniform(w0, w1) / 2, rng.uniform(d0, d1) / 2
    corners = [(-w, -d), (w, -d), (w, d), (-w, d)]
    if min(w, d) > 1.95 and rng.random() < 0.35:
        # An L: one corner is cut off; the remaining arms stay at least 2.4 m wide.
        cut_x, cut_y = rng.uniform(0.9, 2 * w - 2.4), rng.uniform(0.9, 2 * d - 2.4)
        corners = [(-w, -d), (w, -d), (w, d - cut_y), (w - cut_x, d - cut_y), (w - cut_x, d), (-w, d)]
        if rng.random() < 0.5:
            corners = [(-x, y) for x, y in corners[::-1]]
    corners = tuple((float(x), float(y)) for x, y in corners)
    height = float(rng.uniform(2.4, 2.8))
    bare = Plan(corners, height, ())
    openings: list[Opening] = []
    walls = [int(i) for i in rng.permutation(len(corners))]
    door_wall = next(i for i in walls if bare.lengths[i] > 1.6)
    room = bare.lengths[door_wall] - 0.9
    x = float(rng.choice([0.25, room - 0.25]) if rng.random() < 0.7 else rng.uniform(0.25, room - 0.25))
    openings.append(Opening("door", door_wall, x, x + 0.9, 0.0, 2.05))
    wanted = int(rng.integers(1, 4))
    # In a kitchen the worktop runs below the windows.
    low = 1.0 if kind == "kitchen" else rng.uniform(0.5, 0.95)
    for i in walls:
        length = bare.lengths[i]
        if len(openings) > wanted or length < 1.9 or i == door_wall:
            continue
        count = 2 if length > 3.8 and rng.random() < 0.5 else 1
        width = min(rng.uniform(1.0, 2.0) if count == 1 else rng.uniform(0.9, 1.2), length - 0.8)
        top = min(rng.uniform(2.05, 2.25), height - 0.2)
        for k in range(count):
            middle = length * (k + 1) / (count + 1) + (rng.uniform(-0.3, 0.3) if count == 1 and length > 3 else 0)
            middle = float(np.clip(middle, width / 2 + 0.3, length - width / 2 - 0.3))
            openings.append(Opening("window", i, middle - width / 2, middle + width / 2, low, top))
    return Plan(corners, height, tuple(openings))


def _level(plan: Plan, z: float, slot: str, up: bool) -> Patches:
    """Floor or ceiling: a grid cut at every corner's x and y, without the cells outside the room."""
    xs, ys = (np.array(sorted(set(v))) for v in zip(*plan.corners, strict=True))
    middle = np.stack(np.meshgrid((xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2, indexing="ij"), -1)
    keep = plan.inside(middle.reshape(-1, 2)).reshape(middle.shape[:2])
    x, y = xs - xs[0], ys - ys[0]
    if up:
        return pierced_panel((xs[0], ys[0], z), (1, 0, 0), x, (0, 1, 0), y, keep, slot)
    return pierced_panel((xs[0], ys[0], z), (0, 1, 0), y, (1, 0, 0), x, keep.T, slot)


def build_shell(plan: Plan, decor: Decor, day: float, turned: bool) -> tuple[dict[str, list[Patches]], list[Window]]:
    """Surfaces of the bare room, and the light of its windows.

    Args:
        plan: the outline.
        decor: for metal handles.
        day: brightness of daylight, 1 noon to 0 night.
        turned: whether the floor's pattern runs along y.

    Returns:
        Patches by part ("floor", "ceiling", "walls", "window", "door", "skirting"), and window lights; room frame.
    """
    parts: dict[str, list[Patches]] = {n: [] for n in ("floor", "ceiling", "walls", "window", "door", "skirting")}
    h = plan.height
    floor = _level(plan, 0.0, "floor", up=True)
    parts["floor"].append(replace(floor, st=floor.st[..., ::-1]) if turned else floor)
    parts["ceiling"].append(_level(plan, h, "ceiling", up=False))
    lights = []
    xs, ys = (sorted(set(v)) for v in zip(*plan.corners, strict=True))
    for i, frame in enumerate(plan.frames):
        own = [o for o in plan.openings if o.wall == i]
        length = plan.lengths[i]
        axis = 0 if abs(frame[0, 0]) > 0.5 else 1
        cuts = [abs(v - frame[axis, 3]) for v in (xs, ys)[axis] if 0 < (v - frame[axis, 3]) * frame[axis, 0] < length]
        parts["walls"].append(_wall(length, h, own, cuts).moved(frame))
        for opening in own:
            name, surfaces = opening.kind, (_window if opening.kind == "window" else _door)(opening, decor, day)
            parts[name] += [p.moved(frame) for p in surfaces]
            if opening.kind == "window":
                lights.append(_window_light(opening, frame, day))
        parts["skirting"] += [p.moved(frame) for p in _skirting(length, own)]
    return parts, lights


def _wall(length: float, height: float, openings: list[Opening], cuts: list[float]) -> Patches:
    """The wall with its openings left out; `cuts` are where the floor's grid meets it."""
    xs = np.array(sorted({0.0, float(length), *map(float, cuts), *(v for o in openings for v in (o.x0, o.x1))}))
    zs = np.array(sorted({0.0, height, *(v for o in openings for v in (o.z0, o.z1))}))
    x, z = (xs[1:] + xs[:-1])[:, None] / 2, (zs[1:] + zs[:-1]) / 2
    keep = np.ones((len(xs) - 1, len(zs) - 1), bool)
    for o in openings:
        keep &= ~((x > o.x0) & (x < o.x1) & (z > o.z0) & (z < o.z1))
    return pierced_panel((0, 0, 0), (1, 0, 0), xs, (0, 0, 1), zs, keep, "walls")


def _reveals(o: Opening, depth: float, material: str, color) -> list[Patches]:
    """The four sides of an opening `depth` deep."""
    w, h = o.x1 - o.x0, o.z1 - o.z0
    return [
        panel((o.x0, 0, o.z0), (0, depth, 0), (0, 0, h), material, color),
        panel((o.x1, depth, o.z0), (0, -depth, 0), (0, 0, h), material, color),
        panel((o.x0, 0, o.z0), (w, 0, 0), (0, depth, 0), material, color),
        panel((o.x0, depth, o.z1), (w, 0, 0), (0, -depth, 0), material, color),
    ]


def _window(o: Opening, decor: Decor, day: float) -> list[Patches]:
    depth, bar = 0.16, 0.055
    w, h = o.x1 - o.x0, o.z1 - o.z0
    x, z = (o.x0 + o.x1) / 2, (o.z0 + o.z1) / 2
    sky = tuple(float(v) for v in np.array([0.16, 0.21, 0.34]) * (1 - day) + np.array([1.0, 1.0, 1.0]) * day)
    parts = _reveals(o, depth, "lacquer", _TRIM)
    parts.append(image_panel((o.x0, depth, o.z1), w, h, "outside", sky, glow=0.5 + 0.72 * day))
    y = depth - 0.02
    for side in (-1, 1):
        parts.append(box((x + side * (w - bar) / 2, y, z), (bar, 0.05, h), "lacquer", _TRIM))
        parts.append(box((x, y + 0.001, z + side * (h - bar) / 2), (w - 2 * bar, 0.05, bar), "lacquer", _TRIM))
    sashes = max(round(w / 0.75), 1)
    for k in range(1, sashes):
        parts.append(box((o.x0 + w * k / sashes, y + 0.004, z), (0.05, 0.05, h - 0.1), "lacquer", _TRIM))
    parts.append(
        cushion((x, depth / 2 - 0.055, o.z0 + 0.012), (w + 0.12, depth - 0.05, 0.03), 0.01, "lacquer", _TRIM, bevel=1)
    )
    return parts


def _window_light(o: Opening, frame: np.ndarray, day: float) -> Window:
    corner = frame @ [o.x0 + 0.05, 0.1, o.z0 + 0.05, 1]
    a, b = frame[:3, 0] * (o.x1 - o.x0 - 0.1), frame[:3, 2] * (o.z1 - o.z0 - 0.1)
    radiance = np.array([0.92, 1.0, 1.12]) * 6.0 * day + np.array([0.35, 0.5, 0.9]) * 0.12
    return Window(tuple(corner[:3]), tuple(a), tuple(b), tuple(radiance))


def _door(o: Opening, decor: Decor, day: float) -> list[Patches]:
    depth, trim = 0.06, 0.075
    w, h = o.x1 - o.x0, o.z1 - o.z0
    x = (o.x0 + o.x1) / 2
    parts = _reveals(o, depth, "lacquer", _TRIM)
    leaf = panel((o.x0, depth, 0), (w, 0, 0), (0, 0, h), "door")
    parts.append(replace(leaf, st=leaf.st[..., ::-1]))
    for low, high in ((0.18, 0.92), (1.08, h - 0.16)):
        for side in (-1, 1):
            size = (w / 2 - 0.16, 0.02, high - low)
            raised = cushion((x + side * w * 0.22, depth - 0.002, (low + high) / 2), size, 0.009, "door", bevel=1)
            parts.append(replace(raised, st=raised.st[..., ::-1]))
    for side in (-1, 1):
        parts.append(
            box((x + side * (w + trim) / 2, -0.009, (h + trim) / 2), (trim, 0.018, h + trim), "lacquer", _TRIM)
        )
    parts.append(box((x, -0.009, h + trim / 2), (w, 0.018, trim), "lacquer", _TRIM))
    grip = o.x0 + 0.09
    parts.append(rod((grip, depth, 1.02), (grip, depth - 0.055, 1.02), 0.012, "metal", decor.metal_tint))
    parts.append(
        rod((grip - 0.005, depth - 0.05, 1.02), (grip + 0.12, depth - 0.05, 1.02), 0.010, "metal", decor.metal_tint)
    )
    return parts


def _skirting(length: float, openings: list[Opening]) -> list[Patches]:
    out, left, trim = [], 0.0, 0.075
    for start, end in [*sorted((o.x0 - trim, o.x1 + trim) for o in openings if o.kind == "door"), (length, length)]:
        if start - left > 0.02:
            out.append(
                box(((left + start) / 2, -0.007, SKIRTING / 2), (start - left, 0.014, SKIRTING), "lacquer", _TRIM)
            )
        left = end
    return out
