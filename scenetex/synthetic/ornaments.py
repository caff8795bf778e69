"""Small things and accents: books, vases, bowls, plants, lamps, screens, pictures, rugs."""

import numpy as np

from .direct_light import Lamp
from .patches import WHITE, Patches, box, cushion, cylinder, image_panel, lathe, leaf, panel, pose, rod
from .piece import Decor, Piece, tint

_WARM = np.array([1.0, 0.76, 0.50])


def books(
    rng: np.random.Generator, decor: Decor, span: float, height: float, depth: float, lying: bool | None = None
) -> Piece:
    """A row of standing books `span` wide, or a lying stack."""
    parts = []
    if not (rng.random() < 0.2 if lying is None else lying):
        x = -span / 2
        while True:
            thick = rng.uniform(0.018, 0.045)
            if x + thick > span / 2:
                break
            tall, deep = height * rng.uniform(0.72, 1.0), depth * rng.uniform(0.75, 1.0)
            color = decor.accent(rng) if rng.random() < 0.65 else tint((226, 220, 206), rng.uniform(0.4, 1.0))
            center = (x + thick / 2, (depth - deep) / 2 - 0.01, tall / 2)
            parts.append(box(center, (thick - 0.002, deep, tall), "lacquer", color))
            x += thick
    else:
        z = 0.0
        for _ in range(int(rng.integers(2, 5))):
            thick = rng.uniform(0.02, 0.04)
            size = (min(span, rng.uniform(0.2, 0.28)), min(depth, rng.uniform(0.14, 0.2)), thick)
            book = box((0, 0, thick / 2), size, "lacquer", decor.accent(rng))
            parts.append(book.moved(pose(0, 0, z, rng.uniform(-0.15, 0.15))))
            z += thick
    return Piece("", tuple(parts), (span, depth, height))


def vase(rng: np.random.Generator, decor: Decor, height: float) -> Piece:
    """A turned vase."""
    radius = height * rng.uniform(0.22, 0.36)
    waist = rng.uniform(0.35, 0.7)
    t = np.linspace(0, 1, 7)
    outline = radius * (waist + (1 - waist) * np.sin(np.pi * np.clip(t * rng.uniform(0.8, 1.1) + 0.1, 0, 1)))
    profile = [(0, 0), *zip(outline, t * height, strict=True), (outline[-1] * 0.8, height), (0, height * 0.8)]
    return Piece("vase", (lathe(profile, "lacquer", decor.accent(rng), 14),), (2 * radius, 2 * radius, height))


def bowl(rng: np.random.Generator, decor: Decor, size: float) -> Piece:
    """An open bowl with some fruit."""
    radius = max(size, 0.18) * 0.65
    height = radius * 0.55
    wall = [(0.35, 0.0), (0.45, 0.06), (0.75, 0.4), (1.0, 1.0), (0.95, 1.0), (0.7, 0.45), (0.4, 0.14), (0.0, 0.12)]
    profile = [(0, 0), *((r * radius, z * height) for r, z in wall)]
    parts = [lathe(profile, "lacquer", decor.accent(rng), 18)]
    for i in range(int(rng.integers(0, 4))):
        a = 2.1 * i + rng.random()
        r = rng.uniform(0.034, 0.042)
        color = tint([(190, 72, 50), (214, 160, 70), (150, 170, 80)][i % 3])
        ball = [(r * np.sin(p), r * (1 - np.cos(p))) for p in np.linspace(0, np.pi, 7)]
        parts.append(
            lathe(ball, "lacquer", color, 10).at(radius * 0.36 * np.cos(a), radius * 0.36 * np.sin(a), height * 0.3)
        )
    return Piece("bowl", tuple(parts), (2 * radius, 2 * radius, height))


def plant(rng: np.random.Generator, decor: Decor, height: float) -> Piece:
    """A potted plant."""
    pot = min(0.22, height * 0.26)
    r = pot * 0.62
    profile = [(0, 0), (r * 0.75, 0), (r, pot), (r * 0.9, pot), (r * 0.88, pot * 0.9), (0, pot * 0.9)]
    pot_color = (
        decor.accent(rng) if rng.random() < 0.5 else tint([(196, 120, 86), (228, 224, 216)][int(rng.integers(2))])
    )
    parts: list[Patches] = [lathe(profile, "lacquer", pot_color, 16)]
    green = np.array([(96, 128, 74), (70, 108, 66), (118, 142, 84)][int(rng.integers(3))])
    count = int(rng.integers(10, 17)) if height > 0.5 else int(rng.integers(7, 10))
    stem_top = height * 0.55
    upright = rng.random() < 0.4
    for i in range(count):
        turn = 2.39996 * i + rng.uniform(-0.2, 0.2)
        share = (i + 0.5) / count
        base = pot * 0.85 if upright else pot * 0.9 + (stem_top - pot * 0.9) * share
        long = height * (rng.uniform(0.55, 0.8) if upright else rng.uniform(0.34, 0.5))
        rise = 1.15 if upright else 0.35 + 0.6 * share
        blade = leaf(long, long * (0.16 if upright else 0.36), 0.22 * long, "leaf", tint(green, rng.uniform(0.8, 1.25)))
        tilt = np.eye(4)
        c, s = np.cos(rise + rng.uniform(-0.15, 0.15)), np.sin(rise)
        tilt[:3, :3] = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) / np.array([np.hypot(c, s), 1, np.hypot(c, s)])
        parts.append(blade.moved(pose(0, 0, base, turn) @ tilt))
    if not upright:
        parts.append(cylinder(0.012, pot * 0.85, stem_top, "lacquer", tint((110, 92, 66)), 6))
    spread = max(2 * r, height * 0.5)
    return Piece("plant", tuple(parts), (spread, spread, height))


def _shade(radius: float, bottom: float, top: float, color, glow: float) -> Patches:
    """A lamp shade that shines, closed above and below."""
    profile = [(0, bottom + 0.01), (radius, bottom), (radius * 0.72, top), (0, top - 0.01)]
    return lathe(profile, "lacquer", color, 20, glow)


def floor_lamp(rng: np.random.Generator, decor: Decor, power: float) -> Piece:
    """A standing lamp with a shade; `power` 0 is switched off."""
    height = rng.uniform(1.45, 1.65)
    parts = [
        cylinder(0.14, 0, 0.025, "metal", decor.metal_tint, 20),
        cylinder(0.012, 0.025, height - 0.2, "metal", decor.metal_tint, 8),
        _shade(0.2, height - 0.28, height, tint((250, 236, 208)), 1.12 if power else 0.0),
    ]
    lights = (Lamp((0, 0, height - 0.14), 0.24, tuple(power * _WARM)),) if power else ()
    return Piece("floor lamp", tuple(parts), (0.4, 0.4, height), lights)


def table_lamp(rng: np.random.Generator, decor: Decor, power: float) -> Piece:
    """A lamp to stand on furniture."""
    height = rng.uniform(0.36, 0.46)
    foot = [(0, 0), (0.07, 0), (0.075, 0.03), (0.045, 0.1), (0.06, 0.16), (0.02, 0.21), (0, 0.21)]
    parts = [
        lathe(foot, "lacquer", decor.accent(rng), 14),
        cylinder(0.008, 0.2, height - 0.1, "metal", decor.metal_tint, 6),
        _shade(0.14, height - 0.2, height, tint((250, 236, 208)), 1.12 if power else 0.0),
    ]
    lights = (Lamp((0, 0, height - 0.1), 0.17, tuple(0.55 * power * _WARM)),) if power else ()
    return Piece("table lamp", tuple(parts), (0.28, 0.28, height), lights)


def ceiling_lamp(rng: np.random.Generator, decor: Decor, ceiling: float, power: float, drop: float) -> Piece:
    """A pendant lamp hanging `drop` metres from the ceiling, or a flat one for no drop."""
    glow = 1.2 if power else 0.0
    if drop:
        z, r = ceiling - drop, rng.uniform(0.17, 0.26)
        outer = [(0, z + 0.04), (r * 0.97, z), (r, z), (r * 0.55, z + 0.16), (0.03, z + 0.22), (0, z + 0.22)]
        parts = [
            lathe(outer[1:], "lacquer", decor.accent(rng), 20),
            lathe(outer[:2], "lacquer", tint((255, 244, 222)), 20, glow),
            cylinder(0.006, z + 0.21, ceiling, "lacquer", tint((60, 60, 60)), 6),
        ]
        light = Lamp((0, 0, z - 0.02), 0.13, tuple(power * _WARM))
    else:
        r = rng.uniform(0.16, 0.24)
        dome = [(0, ceiling - 0.09), (r * 0.6, ceiling - 0.08), (r, ceiling - 0.03), (r, ceiling)]
        parts = [lathe(dome, "lacquer", tint((255, 246, 228)), 20, glow)]
        light = Lamp((0, 0, ceiling - 0.10), 0.16, tuple(power * _WARM))
    return Piece("pendant lamp" if drop else "ceiling lamp", tuple(parts), (0.5, 0.5, 0.5), (light,) if power else ())


def screen(rng: np.random.Generator, width: float, stand: bool = True) -> Piece:
    """A television or monitor facing -y."""
    height = width * 0.57
    low = 0.06 if stand else 0.0
    dark = tint((38, 38, 41))
    parts = [
        box((0, 0, low + height / 2), (width, 0.04, height), "lacquer", dark),
        box((0, -0.021, low + height / 2), (width - 0.03, 0.004, height - 0.03), "lacquer", tint((58, 62, 70))),
    ]
    if stand:
        parts.append(box((0, 0.01, 0.03), (0.06, 0.03, 0.08), "lacquer", dark))
        parts.append(cushion((0, 0, 0.008), (width * 0.4, 0.18, 0.016), 0.007, "lacquer", dark, bevel=1))
    return Piece("television" if width > 0.75 else "monitor", tuple(parts), (width, 0.2, low + height))


def picture(rng: np.random.Generator, decor: Decor, slot: str, width: float, height: float) -> Piece:
    """A framed picture whose back lies at y = 0 and whose middle is the origin."""
    frame = rng.uniform(0.015, 0.03)
    kind = rng.random()
    material, color = (
        ("wood", WHITE) if kind < 0.4 else ("lacquer", tint([(44, 44, 46), (232, 230, 224)][int(kind < 0.7)]))
    )
    x, z = (width + frame) / 2, (height + frame) / 2
    parts = [box((s * x, -0.013, 0), (frame, 0.026, height + 2 * frame), material, color) for s in (-1, 1)]
    parts += [box((0, -0.013, s * z), (width, 0.026, frame), material, color) for s in (-1, 1)]
    art = image_panel((-width / 2, -0.012, height / 2), width, height, slot)
    return Piece("picture", (*parts, art), (width + 2 * frame, 0.03, height + 2 * frame))


def rug(slot: str, width: float, depth: float) -> Piece:
    """A thin rug whose pattern fills it."""
    thick = 0.010
    corner = (-width / 2, -depth / 2, thick)
    top = panel(corner, (width, 0, 0), (0, depth, 0), slot)
    sides = box((0, 0, thick / 2), (width, depth, thick), slot, faces=("+x", "-x", "+y", "-y"))
    return Piece("rug", (top, sides), (width, depth, thick))


def candle(rng: np.random.Generator, decor: Decor) -> Piece:
    """A candle or a cup: any small upright thing."""
    r, height = rng.uniform(0.03, 0.045), rng.uniform(0.07, 0.16)
    return Piece("", (cylinder(r, 0, height, "lacquer", decor.accent(rng), 12),), (2 * r, 2 * r, height))


def laptop(rng: np.random.Generator) -> Piece:
    """An open laptop facing -y."""
    grey = tint((150, 152, 156))
    lid = box((0, 0.11, 0), (0.33, 0.22, 0.008), "metal", grey).moved(pose(0, 0.1, 0.012, 0, 1.25))
    glass = box((0, 0.11, 0.005), (0.31, 0.2, 0.003), "lacquer", tint((60, 66, 76))).moved(pose(0, 0.1, 0.012, 0, 1.25))
    keys = box((0, -0.005, 0.0165), (0.29, 0.12, 0.003), "lacquer", tint((60, 60, 63)))
    return Piece("", (box((0, 0, 0.008), (0.33, 0.22, 0.015), "metal", grey), keys, lid, glass), (0.33, 0.3, 0.22))


def rail(width: float, z: float, y: float, decor: Decor) -> Patches:
    """A curtain rail."""
    return rod((-width / 2, y, z), (width / 2, y, z), 0.014, "metal", decor.metal_tint)
