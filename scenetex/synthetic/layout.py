"""Where things can stand: a room's free floor and walls while it is being furnished."""

import numpy as np

from .patches import pose
from .piece import Piece
from .plan import Plan


class Layout:
    """Places pieces one after another so that none meets another, a door or a window.

    Attributes:
        plan: the bare room.
        placed: (piece in the room's frame, its (4, 4) transform) in the order they were placed.
    """

    def __init__(self, plan: Plan, rng: np.random.Generator):
        self.plan = plan
        self.rng = rng
        self.placed: list[tuple[Piece, np.ndarray]] = []
        self._floor: list[np.ndarray] = []
        self._walls: list[list[tuple[float, float, float, float]]] = [[] for _ in plan.frames]
        for o in plan.openings:
            # Doors keep their frame free; windows also their curtains.
            side, below = (0.1, 0.0) if o.kind == "door" else (0.12, 0.06)
            self._walls[o.wall].append((o.x0 - side, o.x1 + side, o.z0 - below, o.z1 + 0.15))
            if o.kind == "door":
                middle = plan.frames[o.wall] @ [(o.x0 + o.x1) / 2, -0.5, 0, 1]
                self._floor.append(_corners(plan.frames[o.wall] @ _turned(middle, plan.frames[o.wall]), 1.0, 1.0))

    def stand(self, piece: Piece, transform: np.ndarray, gap: float = 0.03, flat: bool = False) -> bool:
        """Puts `piece` at `transform` if its footprint and `gap` around it are free; whether it did.

        `flat` things only have to fit inside.
        """
        width, depth, _ = piece.size
        outline = _corners(transform, width, depth)
        wide = _corners(transform, width + 2 * gap, depth + 2 * gap)
        edge = np.concatenate([outline + t * (np.roll(outline, -1, 0) - outline) for t in (0.0, 0.25, 0.5, 0.75)])
        if not self.plan.inside(edge, 0.012).all() or any(_overlap(c[None], outline).any() for c in self._notches()):
            return False
        if not flat:
            if any(_rectangles_meet(wide, other) for other in self._floor):
                return False
            self._floor.append(outline)
        self.placed.append((piece.moved(transform), transform))
        return True

    def against_wall(
        self, piece: Piece, tries: int = 24, gap: float = 0.03, off: float = 0.02, wall: int | None = None
    ):
        """Stands `piece` with its back to a wall, `gap` at its sides; its transform, or None if there is no room."""
        width, depth, height = piece.size
        lengths = self.plan.lengths
        fits = np.flatnonzero(lengths > width + 0.1) if wall is None else np.array([wall])
        if not len(fits) or lengths[fits].max() < width + 0.06:
            return None
        share = lengths[fits] / lengths[fits].sum()
        for _ in range(tries):
            i = int(self.rng.choice(fits, p=share))
            low, high = width / 2 + 0.025, lengths[i] - width / 2 - 0.025
            # People push furniture into corners or centre it; a random spot is the exception.
            spot = self.rng.random()
            x = (
                low
                if spot < 0.2
                else high
                if spot < 0.4
                else (low + high) / 2
                if spot < 0.6
                else self.rng.uniform(low, high)
            )
            if not self.wall_free(i, x - width / 2, x + width / 2, 0.0, height):
                continue
            transform = self.plan.frames[i] @ pose(x, -depth / 2 - off, 0)
            if self.stand(piece, transform, gap):
                self._walls[i].append((x - width / 2, x + width / 2, 0.0, height))
                return transform
        return None

    def wall_free(self, wall: int, x0: float, x1: float, z0: float, z1: float) -> bool:
        """Whether nothing stands or hangs before that rectangle of a wall."""
        return not any(a < x1 and x0 < b and c < z1 and z0 < d for a, b, c, d in self._walls[wall])

    def can_hang(self, width: float, height: float, wall: int, x: float, z: float, margin: float = 0.08) -> bool:
        """Whether something of that size, its middle at (x, z) of a wall, meets nothing there."""
        w, h = width / 2 + margin, height / 2 + margin
        inside = x - w > 0 and x + w < self.plan.lengths[wall] and z + h < self.plan.height
        return inside and self.wall_free(wall, x - w, x + w, z - h, z + h)

    def hang(self, piece: Piece, wall: int, x: float, z: float) -> None:
        """Hangs `piece` (its back at y = 0, its middle the origin) on a wall."""
        w, h = piece.size[0] / 2, piece.size[2] / 2
        self._walls[wall].append((x - w, x + w, z - h, z + h))
        transform = self.plan.frames[wall] @ pose(x, -0.002, z)
        self.placed.append((piece.moved(transform), transform))

    def wall_of(self, transform: np.ndarray) -> tuple[int, float]:
        """The wall behind a piece placed by `against_wall`, and where along it the piece stands."""
        for i, frame in enumerate(self.plan.frames):
            local = np.linalg.inv(frame) @ transform
            if local[0, 0] > 0.99 and -1.2 < local[1, 3] < 0 and 0 < local[0, 3] < self.plan.lengths[i]:
                return i, float(local[0, 3])
        raise ValueError("the piece does not stand against a wall")

    def covered(self, points: np.ndarray) -> np.ndarray:
        """Whether `points` (n, 2) lie under something that stands on the floor, or in a doorway's swing: (n,) bool."""
        return np.any([_overlap(points, outline) for outline in self._floor], axis=0)

    def obstacles(self) -> list[np.ndarray]:
        """Footprints (4, 2) of everything that stands on the floor, and of the door's swing, which comes first."""
        return list(self._floor)

    def _notches(self) -> list[np.ndarray]:
        """Corners of the room that stick into it."""
        corners = np.array(self.plan.corners)
        before, after = np.roll(corners, 1, 0) - corners, np.roll(corners, -1, 0) - corners
        return list(corners[after[:, 0] * before[:, 1] - after[:, 1] * before[:, 0] < 0])


def _turned(middle: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """`frame`'s own coordinates of a room point, as a transform."""
    out = np.eye(4)
    out[:, 3] = np.linalg.inv(frame) @ middle
    return out


def _corners(transform: np.ndarray, width: float, depth: float) -> np.ndarray:
    """(4, 2) corners of a footprint."""
    local = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, depth / 2]
    return local @ transform[:2, :2].T + transform[:2, 3]


def _overlap(points: np.ndarray, rectangle: np.ndarray) -> np.ndarray:
    """Whether `points` (n, 2) lie inside a rectangle (4, 2)."""
    out = np.ones(len(points), bool)
    for a, b in zip(rectangle, np.roll(rectangle, -1, 0), strict=True):
        step = b - a
        out &= step[0] * (points[:, 1] - a[1]) - step[1] * (points[:, 0] - a[0]) > 0
    return out


def _rectangles_meet(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two rectangles (4, 2) overlap: no edge of either separates them."""
    for rectangle in (one, other):
        for step in (rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]):
            a, b = one @ step, other @ step
            if a.max() <= b.min() or b.max() <= a.min():
                return False
    return True
