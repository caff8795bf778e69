"""Tables and desks, laid with small things."""

import numpy as np

from .ornaments import books, bowl, candle, laptop, plant, screen, table_lamp, vase
from .patches import Patches, box, cylinder, rod
from .piece import Decor, Piece, put


def _clutter(rng: np.random.Generator, decor: Decor, width: float, depth: float, top: float, count: int) -> list[Piece]:
    """`count` small things on a table top, apart from each other."""
    placed: list[tuple[float, float]] = []
    out = []
    for _ in range(count * 4):
        if len(out) == count:
            break
        x, y = rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.3, 0.3) * depth
        if any(np.hypot(x - px, y - py) < 0.3 for px, py in placed):
            continue
        placed.append((x, y))
        kind = rng.random()
        if kind < 0.3:
            thing = books(rng, decor, 0.3, 0.2, 0.2, lying=True)
        elif kind < 0.55:
            thing = bowl(rng, decor, 0.22)
        elif kind < 0.75:
            thing = vase(rng, decor, rng.uniform(0.15, 0.26))
        elif kind < 0.85:
            thing = plant(rng, decor, rng.uniform(0.24, 0.34))
        else:
            thing = candle(rng, decor)
        out.append(put(thing, x, y, top, rng.uniform(0, 6.28) if kind < 0.3 else 0.0))
    return out


def _table(
    rng: np.random.Generator, decor: Decor, width: float, depth: float, height: float, wood: str
) -> list[Patches]:
    """Top and legs of a rectangular table in one of three manners."""
    thick = rng.uniform(0.025, 0.045)
    parts = [box((0, 0, height - thick / 2), (width, depth, thick), wood)]
    under = height - thick
    kind = rng.integers(3)
    leg = 0.05 if height < 0.5 else 0.065
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (width / 2 - leg * 0.8), sy * (depth / 2 - leg * 0.8)
            if kind == 0:
                parts.append(box((x, y, under / 2), (leg, leg, under), wood))
            elif kind == 1:
                parts.append(rod((x, y, 0), (x * 0.9, y * 0.85, under), leg * 0.36, wood))
            else:
                parts.append(box((x, y, under / 2), (0.03, 0.03, under), "metal", decor.metal_tint))
    if kind == 0:
        for sy in (-1, 1):
            at = (0, sy * (depth / 2 - leg * 0.8), under - 0.04)
            parts.append(box(at, (width - 2.6 * leg, 0.02, 0.08), wood))
        for sx in (-1, 1):
            at = (sx * (width / 2 - leg * 0.8), 0, under - 0.04)
            parts.append(box(at, (0.02, depth - 2.6 * leg, 0.08), wood))
    return parts


def coffee_table(rng: np.random.Generator, decor: Decor) -> Piece:
    """A low table, rectangular or round."""
    height = rng.uniform(0.36, 0.45)
    if rng.random() < 0.35:
        width = depth = 2 * rng.uniform(0.36, 0.46)
        parts = [cylinder(width / 2, height - 0.03, height, "wood", segments=28)]
        for i in range(3):
            a = 2 * np.pi * i / 3
            c, s = np.cos(a) * width / 2, np.sin(a) * width / 2
            parts.append(rod((c * 0.85, s * 0.85, 0), (c * 0.55, s * 0.55, height - 0.03), 0.018, "wood"))
        name = f"round {decor.wood} coffee table"
    else:
        width, depth = rng.uniform(0.9, 1.25), rng.uniform(0.5, 0.65)
        parts = _table(rng, decor, width, depth, height, "wood")
        if rng.random() < 0.5:
            parts.append(box((0, 0, 0.14), (width - 0.16, depth - 0.16, 0.02), "wood"))
        name = f"{decor.wood} coffee table"
    things = _clutter(rng, decor, width, depth, height, int(rng.integers(1, 4)))
    return Piece(name, tuple(parts), (width, depth, height)).with_on_top(*things)


def dining_table(rng: np.random.Generator, decor: Decor, seats: int) -> Piece:
    """A table for two to six."""
    width = {2: 0.8, 4: rng.uniform(1.2, 1.4), 6: rng.uniform(1.6, 1.9)}[seats]
    depth, height = rng.uniform(0.8, 0.92), rng.uniform(0.73, 0.76)
    parts = _table(rng, decor, width, depth, height, "wood")
    things = _clutter(rng, decor, width * 0.8, depth * 0.8, height, int(rng.integers(1, 4)))
    return Piece(f"{decor.wood} dining table", tuple(parts), (width, depth, height)).with_on_top(*things)


def desk(rng: np.random.Generator, decor: Decor, lamp_power: float) -> Piece:
    """A desk with a monitor or a laptop, a lamp and some things."""
    width, depth, height = rng.uniform(1.2, 1.6), rng.uniform(0.62, 0.75), rng.uniform(0.72, 0.76)
    parts = _table(rng, decor, width, depth, height, "wood")
    things = []
    side = 1 if rng.random() < 0.5 else -1
    if rng.random() < 0.65:
        things.append(put(screen(rng, rng.uniform(0.52, 0.66)), 0, 0.16, height, rng.uniform(-0.12, 0.12)))
        keyboard = box((0, -0.12, height + 0.01), (0.42, 0.14, 0.018), "lacquer", (0.24, 0.24, 0.25))
        things.append(Piece("", (keyboard,), (0.42, 0.14, 0.02)))
    else:
        things.append(put(laptop(rng), 0, 0.02, height, rng.uniform(-0.15, 0.15)))
    things.append(put(table_lamp(rng, decor, lamp_power), side * (width / 2 - 0.2), depth / 2 - 0.2, height))
    stack = books(rng, decor, 0.22, 0.24, 0.17)
    things.append(put(stack, -side * (width / 2 - 0.18), depth / 2 - 0.14, height))
    things.append(put(candle(rng, decor), -side * (width / 2 - 0.28), -0.1, height))
    return Piece(f"{decor.wood} desk", tuple(parts), (width, depth, height)).with_on_top(*things)


def side_table(rng: np.random.Generator, decor: Decor, lamp_power: float) -> Piece:
    """A small round table with a lamp or a plant."""
    radius, height = rng.uniform(0.2, 0.26), rng.uniform(0.48, 0.58)
    parts = [
        cylinder(radius, height - 0.025, height, "wood2", segments=24),
        cylinder(0.02, 0.02, height - 0.025, "metal", decor.metal_tint, 8),
        cylinder(radius * 0.7, 0, 0.02, "metal", decor.metal_tint, 20),
    ]
    thing = table_lamp(rng, decor, lamp_power) if rng.random() < 0.6 else plant(rng, decor, rng.uniform(0.28, 0.4))
    piece = Piece("side table", tuple(parts), (2 * radius, 2 * radius, height))
    return piece.with_on_top(put(thing, 0, 0, height))
