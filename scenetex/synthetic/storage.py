"""Shelves, cabinets, wardrobes and kitchen units."""

import numpy as np

from .ornaments import books, bowl, vase
from .palette import COLORS
from .patches import Patches, box, cylinder, rod
from .piece import Decor, Piece, put, tint

_PLAIN = (1.0, 1.0, 1.0)


def _front(x, y, z, width, height, material, color, decor: Decor, knob: str) -> list[Patches]:
    """A drawer or door front whose face lies at depth `y`, with a "bar", "knob" or no handle."""
    parts = [box((x, y + 0.009, z), (width - 0.008, 0.018, height - 0.008), material, color)]
    if knob == "bar":
        parts.append(
            box((x, y - 0.014, z + height * 0.25), (min(width * 0.4, 0.2), 0.014, 0.014), "metal", decor.metal_tint)
        )
    elif knob == "knob":
        parts.append(rod((x, y, z), (x, y - 0.028, z), 0.015, "metal", decor.metal_tint, 8))
    return parts


def _surface(rng: np.random.Generator, decor: Decor) -> tuple[str, tuple, str]:
    """Material, tint and name of cabinet work: the room's wood, or lacquer."""
    kind = rng.random()
    if kind < 0.55:
        return "wood", _PLAIN, decor.wood
    if kind < 0.8:
        return "lacquer", tint((234, 231, 224)), "white"
    name = decor.accents[int(rng.integers(len(decor.accents)))]
    return "lacquer", tint(COLORS[name]), name


def bookshelf(rng: np.random.Generator, decor: Decor) -> Piece:
    """Open shelves with books, boxes and vases."""
    width, depth, height = rng.uniform(0.7, 1.3), rng.uniform(0.28, 0.34), rng.uniform(1.5, 2.05)
    levels = round(height / 0.36)
    material, color, name = _surface(rng, decor)
    board = 0.025
    gap = (height - board - 0.06) / levels
    parts = [box((0, 0, 0.03), (width - 2 * board, depth - 0.04, 0.06), material, color)]
    for side in (-1, 1):
        parts.append(box((side * (width - board) / 2, 0, height / 2), (board, depth, height), material, color))
    back = (0, depth / 2 - 0.006, (0.06 + height) / 2), (width - 2 * board, 0.012, height - 0.06)
    parts.append(box(*back, material, color))
    inner = width - 2 * board
    deep = depth - 0.02
    for level in range(levels + 1):
        z = 0.06 + level * gap
        parts.append(box((0, -0.006, z + board / 2), (inner, deep, board), material, color))
        if level == levels:
            break
        free = gap - board
        left = -inner / 2 + 0.02
        while left < inner / 2 - 0.18:
            span = min(rng.uniform(0.2, 0.5), inner / 2 - 0.02 - left)
            kind = rng.random()
            spot = left + span / 2
            if kind < 0.62:
                group = books(rng, decor, span, min(free - 0.04, 0.27), deep - 0.07)
                parts += put(group, spot, 0.0, z + board).patches
            elif kind < 0.74:
                tall = min(rng.uniform(0.12, 0.2), free - 0.05)
                size = (min(span, 0.34), deep - 0.06, tall)
                parts.append(box((spot, 0, z + board + tall / 2), size, "fabric", decor.accent(rng)))
            elif kind < 0.88:
                pot = vase(rng, decor, min(free - 0.06, 0.24))
                parts += put(pot, spot, 0.0, z + board).patches
            left += span + rng.uniform(0.02, 0.08)
    return Piece(f"{name} bookshelf", tuple(parts), (width, depth, height))


def cabinet(rng: np.random.Generator, decor: Decor, noun: str, width: float, depth: float, height: float) -> Piece:
    """A sideboard, chest of drawers, TV bench, bedside table or wardrobe, by its proportions."""
    material, color, name = _surface(rng, decor)
    wardrobe = height > 1.5
    foot = 0.06 if wardrobe else min(0.12, height * 0.25)
    handle = str(rng.choice(["bar", "knob", "none"]))
    body = height - foot
    parts = [box((0, 0.01, foot + (body - 0.025) / 2), (width - 0.004, depth - 0.02, body - 0.025), material, color)]
    parts.append(box((0, 0, height - 0.0125), (width, depth, 0.025), material, color))
    if wardrobe:
        parts.append(box((0, 0.02, foot / 2), (width - 0.06, depth - 0.08, foot), material, color))
    else:
        for sx in (-1, 1):
            for sy in (-1, 1):
                at = (sx * (width / 2 - 0.06), sy * (depth / 2 - 0.06), foot / 2)
                parts.append(box(at, (0.04, 0.04, foot), "wood2"))
    columns = max(round(width / (0.5 if height > 0.5 else 0.6)), 1)
    rows = 1 if wardrobe or height < 0.62 else round(body / 0.24)
    if noun == "bedside table":
        rows = 2
    face = -depth / 2
    w, h = (width - 0.03) / columns, (body - 0.055) / rows
    for i in range(columns):
        for j in range(rows):
            x, z = -width / 2 + 0.015 + (i + 0.5) * w, foot + 0.015 + (j + 0.5) * h
            parts += _front(x, face, z, w, h, material, color, decor, handle)
    return Piece(f"{name} {noun}", tuple(parts), (width, depth + 0.03, height))


def sideboard(rng, decor: Decor) -> Piece:
    """A waist-high cabinet with things on it."""
    piece = cabinet(rng, decor, "sideboard", rng.uniform(1.2, 1.8), 0.42, rng.uniform(0.72, 0.88))
    return _decorated(rng, decor, piece)


def dresser(rng, decor: Decor) -> Piece:
    """A chest of drawers with things on it."""
    piece = cabinet(rng, decor, "chest of drawers", rng.uniform(0.8, 1.2), 0.45, rng.uniform(0.8, 1.05))
    return _decorated(rng, decor, piece)


def _decorated(rng, decor: Decor, piece: Piece) -> Piece:
    width, _, height = piece.size
    spots = rng.permutation(np.linspace(-0.36, 0.36, 4))[: int(rng.integers(1, 4))] * width
    things = []
    for x in spots:
        maker = (vase, bowl)[int(rng.integers(2))] if rng.random() < 0.7 else None
        thing = books(rng, decor, 0.2, 0.22, 0.2) if maker is None else maker(rng, decor, rng.uniform(0.14, 0.3))
        things.append(put(thing, float(x), rng.uniform(-0.04, 0.06), height))
    return piece.with_on_top(*things)


def kitchen_counter(rng: np.random.Generator, decor: Decor, width: float, wall_units: bool) -> Piece:
    """A run of base units with worktop, sink and hob; with wall units and a splashback, or low enough for a window."""
    depth, height = 0.62, 0.9
    material, color, name = _surface(rng, decor)
    units = max(round(width / 0.6), 2)
    unit = width / units
    stone = tint((222, 219, 212)) if rng.random() < 0.5 else tint((74, 74, 76))
    top, top_tint = ("wood2", _PLAIN) if rng.random() < 0.5 else ("lacquer", stone)
    parts = [
        box((0, 0.03, 0.05), (width - 0.02, depth - 0.1, 0.1), "lacquer", tint((60, 60, 62))),
        box((0, 0.02, 0.48), (width - 0.004, depth - 0.04, 0.76), material, color),
        box((0, 0, height - 0.02), (width, depth, 0.04), top, top_tint),
    ]
    if wall_units:
        parts.append(box((0, depth / 2 - 0.006, 1.17), (width - 0.01, 0.012, 0.54), "splash"))
        parts.append(box((0, depth / 2 - 0.17, 1.78), (width - 0.004, 0.34, 0.68), material, color))
    roles = list(rng.permutation(units))
    for i in range(units):
        x = -width / 2 + (i + 0.5) * unit
        rows = 3 if i == roles[-1] else 1
        for j in range(rows):
            h = 0.74 / rows
            parts += _front(x, -depth / 2, 0.11 + (j + 0.5) * h, unit, h, material, color, decor, "bar")
        if wall_units:
            parts += _front(x, depth / 2 - 0.358, 1.78, unit, 0.67, material, color, decor, "none")
    x = -width / 2 + (roles[0] + 0.5) * unit
    parts.append(box((x, -0.02, height + 0.003), (0.5, 0.44, 0.006), "metal", tint((150, 152, 154))))
    parts.append(box((x, -0.03, height + 0.007), (0.42, 0.34, 0.004), "metal", tint((96, 98, 100))))
    tap = decor.metal_tint
    parts.append(cylinder(0.016, height, height + 0.28, "metal", tap, 8).at(x, 0.22))
    parts.append(rod((x, 0.23, height + 0.272), (x, 0.05, height + 0.272), 0.012, "metal", tap, 8))
    x = -width / 2 + (roles[1] + 0.5) * unit
    parts.append(box((x, -0.02, height + 0.004), (0.54, 0.48, 0.008), "lacquer", tint((44, 44, 46))))
    for dx in (-0.13, 0.13):
        for dy in (-0.13, 0.09):
            ring = cylinder(0.085, height + 0.008, height + 0.012, "lacquer", tint((84, 84, 86)), 16)
            parts.append(ring.at(x + dx, dy))
    piece = Piece(f"{name} kitchen counter", tuple(parts), (width, depth + 0.03, 2.12 if wall_units else 0.92))
    spots = [-width / 2 + (r + 0.5) * unit for r in roles[2:5]]
    things = [put((vase, bowl)[int(rng.integers(2))](rng, decor, 0.2), s, 0.08, height) for s in spots]
    return piece.with_on_top(*things)


def fridge(rng: np.random.Generator, decor: Decor) -> Piece:
    """A tall fridge with a freezer door below."""
    color = tint((226, 226, 224)) if rng.random() < 0.6 else tint((168, 170, 172))
    height = rng.uniform(1.7, 1.95)
    parts = [box((0, 0.02, height / 2), (0.6, 0.6, height), "lacquer", color)]
    for low, high in ((0.05, height * 0.36), (height * 0.36, height - 0.01)):
        center = (0, -0.305, (low + high) / 2)
        parts.append(box(center, (0.596, 0.05, high - low - 0.01), "lacquer", color))
        grip = (0.25, -0.35, high - 0.25 if low < 0.1 else low + 0.3)
        parts.append(box(grip, (0.02, 0.03, 0.34), "metal", decor.metal_tint))
    return Piece("fridge", tuple(parts), (0.6, 0.7, height))
