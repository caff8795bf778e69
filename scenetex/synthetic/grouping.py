"""What the furnishing recipes share: groups that belong together, and everything that hangs."""

import numpy as np

from . import ornaments, seating
from .layout import Layout
from .patches import Patches, curtain, pose
from .piece import Decor, Piece, tint


class Furnisher:
    """Places one group of furniture after another."""

    def __init__(self, rng: np.random.Generator, decor: Decor, layout: Layout, images: dict, lamp: float):
        self.rng, self.decor, self.layout, self.images, self.lamp = rng, decor, layout, images, lamp

    def maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def against_wall(self, maker, *args, gap: float = 0.03, wall: int | None = None):
        return self.layout.against_wall(maker(self.rng, self.decor, *args), gap=gap, wall=wall)

    def rug(self, transform: np.ndarray, width: float, depth: float) -> None:
        """A rug centred on `transform`, shrunk until it fits."""
        for scale in (1.0, 0.85, 0.7):
            size = width * scale, depth * scale
            if self.layout.stand(ornaments.rug("rug", *size), transform, flat=True):
                self.images["rug"] = size
                return

    def plants(self, count: int) -> None:
        for _ in range(count):
            self.layout.against_wall(ornaments.plant(self.rng, self.decor, self.rng.uniform(0.6, 1.3)), off=0.05)

    def ceiling_lamp(self, x: float, y: float, drop: float) -> None:
        piece = ornaments.ceiling_lamp(self.rng, self.decor, self.layout.plan.height, 1.6 * self.lamp, drop)
        self.layout.placed.append((piece.moved(pose(x, y, 0)), pose(x, y, 0)))

    def spots(self) -> np.ndarray:
        """Points (n, 2) of the floor that are well inside, the middle of the room first."""
        xs, ys = np.array(self.layout.plan.corners).T
        grid = np.stack(np.meshgrid(np.linspace(xs.min(), xs.max(), 13), np.linspace(ys.min(), ys.max(), 13)), -1)
        points = grid.reshape(-1, 2)
        points = points[self.layout.plan.inside(points, 1.0)]
        return points[np.argsort(np.abs(points).sum(1), kind="stable")]

    def chairs_around(self, table: np.ndarray, size, seats: int) -> None:
        """Matching chairs on a table's long sides, and on its ends for six."""
        rng = self.rng
        pattern = int(rng.integers(3))
        color = self.decor.accent(rng) if self.maybe(0.35) else (tint((236, 233, 226)) if self.maybe(0.3) else None)
        per_side = 1 if seats == 2 else 2
        spots = [
            (x, side * (size[1] / 2 + 0.12), 0.0 if side > 0 else np.pi)
            for side in (-1, 1)
            for x in (np.arange(per_side) - (per_side - 1) / 2) * min(0.6, size[0] / per_side)
        ]
        if seats == 6:
            spots += [(side * (size[0] / 2 + 0.12), 0.0, np.pi / 2 * -side) for side in (-1, 1)]
        for x, y, yaw in spots:
            away = rng.uniform(0.0, 0.18)
            spot = table @ pose(x + away * np.sin(-yaw), y + away * np.cos(yaw), 0, yaw + rng.uniform(-0.12, 0.12))
            piece = seating.chair(rng, self.decor, pattern, color)
            # A chair may be pushed under its table: only its back half has to be free.
            width, depth, height = piece.size
            back = Piece(piece.name, (), (width, depth / 2, height))
            if self.layout.stand(back, spot @ pose(0, depth / 4, 0), 0.01):
                self.layout.placed[-1] = (piece.moved(spot), spot)

    def curtains(self) -> None:
        """Cloth at both sides of some windows."""
        if not self.maybe(0.65):
            return
        color = tint((232, 226, 214)) if self.maybe(0.5) else self.decor.accent(self.rng)
        for o in self.layout.plan.openings:
            if o.kind != "window":
                continue
            frame = self.layout.plan.frames[o.wall]
            length, top = self.layout.plan.lengths[o.wall], min(o.z1 + 0.12, self.layout.plan.height - 0.06)
            x, wide = (o.x0 + o.x1) / 2, 0.26
            # Full length where nothing stands below, else to the sill.
            free = self.layout.wall_free(o.wall, o.x0 - 0.3, o.x1 + 0.3, 0.0, o.z0 - 0.1)
            low = 0.02 if free and not self._near(frame, o) else o.z0 - 0.12
            parts: list[Patches] = [ornaments.rail(o.x1 - o.x0 + 0.5, top, -0.09, self.decor).at(x)]
            for side in (o.x0 - 0.09, o.x1 + 0.09):
                if wide / 2 < side < length - wide / 2:
                    parts.append(curtain(wide, top - low + 0.02, 3, 0.06, "fabric", color).at(side, -0.09, low))
            piece = Piece("curtains", tuple(parts), (0, 0, 0))
            self.layout.placed.append((piece.moved(frame), frame))

    def _near(self, frame: np.ndarray, o) -> bool:
        """Whether furniture stands within a hand of the wall below a window."""
        x = np.linspace(o.x0 - 0.2, o.x1 + 0.2, 12)
        line = frame @ np.stack([x, np.full(12, -0.13), np.zeros(12), np.ones(12)])
        return bool(self.layout.covered(line[:2].T).any())

    def pictures(self, count: int) -> None:
        """Pictures at eye height on free stretches of wall."""
        rng, layout = self.rng, self.layout
        hung = 0
        for _ in range(30):
            if hung == count:
                break
            wall = int(rng.integers(len(layout.plan.frames)))
            w, h = rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.65)
            if layout.plan.lengths[wall] < w + 0.5:
                continue
            x = rng.uniform(w / 2 + 0.2, layout.plan.lengths[wall] - w / 2 - 0.2)
            z = rng.uniform(1.45, 1.65)
            if layout.can_hang(w, h, wall, x, z, margin=0.12):
                slot = f"picture{hung}"
                layout.hang(ornaments.picture(rng, self.decor, slot, w, h), wall, x, z)
                self.images[slot] = (w, h)
                hung += 1
