"""Sofas, chairs and beds."""

import numpy as np

from .palette import COLORS
from .patches import Patches, box, cushion, cylinder, pose, rod
from .piece import Decor, Piece, tint


def _legs(
    width: float, depth: float, height: float, thick: float, material: str, color=(1.0, 1.0, 1.0)
) -> list[Patches]:
    """Four square legs under a rectangle."""
    x, y = (width - thick) / 2, (depth - thick) / 2
    return [
        box((sx * x, sy * y, height / 2), (thick, thick, height), material, color) for sx in (-1, 1) for sy in (-1, 1)
    ]


def _pillow(rng, decor: Decor, x: float, y: float, z: float, lean: float) -> Patches:
    side = rng.uniform(0.38, 0.46)
    shape = cushion((0, side / 2, 0), (side, side, 0.10), 0.045, "fabric", decor.accent(rng), bulge=0.035)
    return shape.moved(pose(x, y, z, rng.uniform(-0.25, 0.25), lean))


def sofa(rng: np.random.Generator, decor: Decor, seats: int = 3) -> Piece:
    """A sofa, or an armchair with one seat."""
    arm, depth = rng.uniform(0.12, 0.22), rng.uniform(0.82, 0.95)
    seat = rng.uniform(0.58, 0.7) if seats > 1 else rng.uniform(0.6, 0.72)
    width = seats * seat + 2 * arm
    seat_top, back_top = rng.uniform(0.42, 0.47), rng.uniform(0.76, 0.86)
    name = decor.fabric
    color = decor.fabric_tint
    if seats == 1 and rng.random() < 0.6:
        name = decor.accents[0]
        color = tint(COLORS[name])
    cloth = "leather" if rng.random() < 0.2 else "fabric"
    foot = 0.10
    back = 0.2
    parts = [
        *_legs(width - 0.1, depth - 0.1, foot, 0.05, "wood"),
        cushion((0, 0, (foot + 0.28) / 2), (width - 2 * arm + 0.02, depth - 0.04, 0.28 - foot), 0.03, cloth, color),
        cushion((0, (depth - back) / 2, (foot + back_top) / 2), (width, back, back_top - foot), 0.06, cloth, color),
    ]
    arm_top = rng.uniform(0.56, 0.66)
    for side in (-1, 1):
        center = side * (width - arm) / 2, -back / 2, (foot + arm_top) / 2
        parts.append(cushion(center, (arm, depth - back + 0.04, arm_top - foot), 0.05, cloth, color))
    inner = depth - back
    for i in range(seats):
        x = (i - (seats - 1) / 2) * seat
        center = x, -depth / 2 + inner / 2 + 0.01, (0.27 + seat_top) / 2
        parts.append(cushion(center, (seat - 0.012, inner, seat_top - 0.27), 0.05, cloth, color, bulge=0.015))
        rest = cushion((0, 0.2, 0), (seat - 0.02, 0.4, 0.13), 0.06, cloth, color, bulge=0.03)
        parts.append(rest.moved(pose(x, depth / 2 - back - 0.14, seat_top + 0.02, 0, np.pi / 2 - 0.22)))
    for x in rng.choice(np.linspace(-0.5, 0.5, 5), min(seats + 1, 3) if seats > 1 else 1, replace=False):
        place = x * (width - 2 * arm - 0.4) if seats > 1 else 0.0
        parts.append(_pillow(rng, decor, place, depth / 2 - back - 0.27, seat_top + 0.02, np.pi / 2 - 0.35))
    noun = "sofa" if seats > 1 else "armchair"
    kind = " leather" if cloth == "leather" else ""
    return Piece(f"{name}{kind} {noun}", tuple(parts), (width, depth, back_top))


def chair(rng: np.random.Generator, decor: Decor, pattern: int | None = None, color=None) -> Piece:
    """A dining chair with a back of slats or of one board. Pass `pattern` and `color` for a matching set."""
    pattern = int(rng.integers(3)) if pattern is None else pattern
    wood = "wood2" if color is None else "lacquer"
    color = (1.0, 1.0, 1.0) if color is None else color
    width, depth, top = 0.43, 0.46, 0.88
    parts = []
    for sx in (-1, 1):
        parts.append(rod((sx * 0.19, -0.2, 0), (sx * 0.175, -0.18, 0.43), 0.017, wood, color))
        parts.append(rod((sx * 0.19, 0.215, 0), (sx * 0.18, 0.2, 0.43), 0.017, wood, color))
        parts.append(rod((sx * 0.18, 0.2, 0.43), (sx * 0.17, 0.225, top), 0.016, wood, color))
    parts.append(cushion((0, 0, 0.445), (width, depth - 0.02, 0.035), 0.012, wood, color, bevel=1))
    if pattern == 0:
        for z in (0.58, 0.70, 0.82):
            parts.append(box((0, 0.207, z), (0.34, 0.018, 0.06), wood, color))
    elif pattern == 1:
        parts.append(cushion((0, 0.206, 0.72), (0.36, 0.03, 0.28), 0.012, wood, color, bevel=1))
    else:
        parts.append(box((0, 0.218, 0.845), (0.34, 0.022, 0.06), wood, color))
        parts += [rod((x, 0.195, 0.45), (x, 0.214, 0.83), 0.010, wood, color, 6) for x in (-0.1, 0.0, 0.1)]
        parts.append(cushion((0, -0.005, 0.475), (0.40, 0.40, 0.04), 0.018, "fabric", decor.accent(rng), bulge=0.008))
    return Piece("chairs", tuple(parts), (width, depth, top))


def office_chair(rng: np.random.Generator, decor: Decor) -> Piece:
    """A swivel chair on a five-armed base."""
    dark = tint((58, 59, 62))
    color = decor.accent(rng) if rng.random() < 0.5 else dark
    parts = [cylinder(0.025, 0.08, 0.44, "metal", decor.metal_tint, 10)]
    for i in range(5):
        a = 2 * np.pi * i / 5 + 0.3
        end = 0.27 * np.cos(a), 0.27 * np.sin(a)
        parts.append(rod((0, 0, 0.11), (*end, 0.075), 0.018, "metal", decor.metal_tint, 6))
        parts.append(rod((end[0], end[1] - 0.02, 0.03), (end[0], end[1] + 0.02, 0.03), 0.03, "lacquer", dark, 8))
    parts.append(cushion((0, -0.01, 0.475), (0.48, 0.47, 0.08), 0.038, "fabric", color, bulge=0.012))
    back = cushion((0, 0, 0), (0.44, 0.5, 0.06), 0.028, "fabric", color, bulge=0.01)
    parts.append(back.moved(pose(0, 0.235, 0.83, 0, np.pi / 2 - 0.1)))
    parts.append(rod((0, 0.2, 0.44), (0, 0.245, 0.68), 0.02, "lacquer", dark))
    for side in (-1, 1):
        parts.append(rod((side * 0.26, 0.05, 0.45), (side * 0.26, 0.05, 0.64), 0.014, "lacquer", dark, 6))
        parts.append(cushion((side * 0.26, 0.0, 0.65), (0.06, 0.26, 0.03), 0.012, "lacquer", dark, bevel=1))
        parts.append(box((side * 0.24, 0.05, 0.45), (0.06, 0.05, 0.02), "lacquer", dark))
    return Piece("office chair", tuple(parts), (0.62, 0.62, 1.08))


def pouf(rng: np.random.Generator, decor: Decor) -> Piece:
    """A low upholstered stool."""
    radius, height = rng.uniform(0.22, 0.28), rng.uniform(0.34, 0.42)
    side = radius * 2
    shape = cushion((0, 0, height / 2), (side, side, height), 0.09, "fabric", decor.accent(rng), bulge=0.015, bevel=3)
    return Piece("pouf", (shape,), (side, side, height))


def bed(rng: np.random.Generator, decor: Decor, double: bool = True) -> Piece:
    """A made bed, its headboard at the back."""
    width, length = (rng.uniform(1.45, 1.75) if double else rng.uniform(0.92, 1.05)), 2.08
    frame, mattress = rng.uniform(0.26, 0.34), rng.uniform(0.16, 0.22)
    head = rng.uniform(0.85, 1.15)
    top = frame + mattress
    linen = tint((238, 235, 229))
    duvet_name = decor.fabric if rng.random() < 0.6 else decor.accents[0]
    duvet = tint(COLORS[duvet_name])
    padded = rng.random() < 0.4
    board, board_tint = ("fabric", decor.fabric_tint) if padded else ("wood", (1.0, 1.0, 1.0))
    thick = 0.09 if padded else 0.05
    parts = [
        *_legs(width - 0.1, length - 0.1, 0.1, 0.07, "wood"),
        box((0, -0.01, (0.1 + frame) / 2), (width, length - 0.04, frame - 0.1), "wood"),
        cushion((0, -0.02, frame + mattress / 2), (width - 0.06, length - 0.12, mattress), 0.05, "fabric", linen),
    ]
    parts.append(
        cushion(
            (0, length / 2 - thick / 2, (0.12 + head) / 2), (width + 0.04, thick, head - 0.12), 0.02, board, board_tint
        )
    )
    reach = rng.uniform(1.3, 1.45)
    center = 0, -length / 2 + reach / 2 + 0.02, top - 0.07
    parts.append(cushion(center, (width + 0.03, reach, 0.24), 0.09, "fabric", duvet, bulge=0.02, bevel=3))
    fold = 0, -length / 2 + reach - 0.06, top + 0.045
    parts.append(cushion(fold, (width + 0.005, 0.22, 0.05), 0.024, "fabric", linen))
    if rng.random() < 0.7:
        throw = 0, -length / 2 + 0.34, top - 0.045
        parts.append(
            cushion(throw, (width + 0.055, 0.42, 0.235), 0.09, "fabric", decor.accent(rng), bulge=0.022, bevel=3)
        )
    for x in (-0.25, 0.25) if double else (0.0,):
        pillow = cushion(
            (0, 0, 0), (min(0.7, width / 2 - 0.08) if double else 0.66, 0.45, 0.14), 0.065, "fabric", linen, 0.03
        )
        parts.append(
            pillow.moved(pose(x * width, length / 2 - thick - 0.26, top + 0.11, rng.uniform(-0.04, 0.04), 0.35))
        )
        if double and rng.random() < 0.7:
            parts.append(_pillow(rng, decor, x * width * 0.8, length / 2 - thick - 0.52, top + 0.05, np.pi / 2 - 0.75))
    noun = "double bed" if double else "single bed"
    return Piece(f"{noun} with a {duvet_name} duvet", tuple(parts), (width + 0.08, length, head))
