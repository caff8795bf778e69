"""The materials of one room: every slot that its surfaces name, painted or taken from swatches."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..scene.image_source import ImageSource, decode_color, image_size
from . import art, patterns
from .palette import COLORS, FLOORS, WALLS, WOODS, Look, color_name
from .piece import Decor
from .textures import Material

_IMAGES = (".jpg", ".jpeg", ".png")
NEUTRAL = (0.97, 0.97, 0.965)

# Slots with a neutral pattern, which take their colour from each patch's tint: painter, and metres a tile covers.
_NEUTRAL_SLOTS = {
    "fabric": ("fabric", 1.0),
    "leather": ("leather", 1.0),
    "lacquer": ("smooth", 0.5),
    "metal": ("smooth", 0.5),
    "leaf": ("smooth", 0.25),
}


def paint_materials(
    rng: np.random.Generator,
    decor: Decor,
    floor: Look,
    walls: Look,
    images: dict[str, tuple[float, float]],
    texel: float,
    swatches: dict[str, np.ndarray],
) -> dict[str, Material]:
    """All material slots of a room.

    Args:
        rng: for the patterns.
        decor: woods and accent colours.
        floor, walls: what they look like.
        images: size (width, height) in metres of the slots that hold one picture.
        texel: metres per texel.
        swatches: slots that show a swatch image (h, w, 3) uint8 sRGB instead of a pattern.
    """
    accents = [COLORS[name] for name in decor.accents]
    out = {
        "floor": _painted(rng, floor, 4.1, texel),
        "walls": _painted(rng, walls, 2.05 if walls.pattern in ("paint", "plaster") else 4.1, texel),
        "ceiling": _painted(rng, Look("paint", (242, 240, 235)), 1.0, texel),
        "door": _painted(rng, Look("smooth", COLORS["white"]) if rng.random() < 0.6 else _wood(decor.wood), 1.0, texel),
        "splash": _painted(
            rng, WALLS[("white tiles", "light blue tiles", "sage green tiles")[rng.integers(3)]], 1.0, texel
        ),
        "wood": _painted(rng, _wood(decor.wood), 1.0, texel),
        "wood2": _painted(rng, _wood(decor.second_wood), 1.0, texel),
    }
    for slot, (painter, period) in _NEUTRAL_SLOTS.items():
        out[slot] = _painted(rng, Look(painter, tuple(255 * v for v in NEUTRAL)), period, texel)
    for slot, (width, height) in images.items():
        shape = max(int(height / texel), 8), max(int(width / texel), 8)
        order = [accents[i] for i in rng.permutation(len(accents))]
        painter = art.rug if slot == "rug" else (art.landscape, art.abstract)[int(rng.integers(2))]
        out[slot] = Material(_bytes(painter(rng, shape, order)), (width, height))
    outside = art.outside(rng, (int(1.8 / texel / 2), int(2.4 / texel / 2)))
    out["outside"] = Material(_bytes(outside), (2.4, 1.8))
    # On furniture a swatch lends its pattern only: the colour is what the furniture is called by.
    colors = {"fabric": np.full(3, 247.0), "leather": np.full(3, 247.0)}
    colors |= {"wood": np.array(WOODS[decor.wood]), "wood2": np.array(WOODS[decor.second_wood])}
    for slot, image in swatches.items():
        if slot in colors:
            image = np.clip(image * (colors[slot] / np.maximum(image.reshape(-1, 3).mean(0), 1)), 0, 255).astype(
                np.uint8
            )
        period = float(rng.uniform(0.8, 1.2) if slot in colors else rng.uniform(1.2, 2.0))
        out[slot] = Material(_mirrored(image), (2 * period, 2 * period))
    return out


def _wood(name: str) -> Look:
    return Look("wood", WOODS[name])


def _painted(rng: np.random.Generator, look: Look, period: float, texel: float) -> Material:
    side = 1 << max(round(np.log2(period / texel)), 5)
    image = getattr(patterns, look.pattern)(rng, (side, side), texel, np.array(look.color, np.float32) / 255)
    return Material(_bytes(image), (side * texel, side * texel))


def _bytes(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _mirrored(image: np.ndarray) -> np.ndarray:
    """An image that tiles without a seam, from one that may not: itself and its mirror images."""
    row = np.concatenate([image, image[:, ::-1]], axis=1)
    return np.concatenate([row, row[::-1]], axis=0)


def list_swatches(folder: str | Path) -> dict[str, list[Path]]:
    """Swatch images by category: `folder` holds one folder of JPEG or PNG images for each.

    Raises:
        InputError: `folder` is not there or holds none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of material swatches; expected one folder of images per category")
    found = {
        category.name: sorted(
            (p for p in category.iterdir() if p.suffix.lower() in _IMAGES and p.is_file()), key=lambda p: p.name
        )
        for category in sorted(folder.iterdir())
        if category.is_dir()
    }
    found = {category: paths for category, paths in found.items() if paths}
    if not found:
        raise InputError(f"{folder}: no material swatches; expected folders of JPEG or PNG images named by category")
    return found


def draw_swatch(rng: np.random.Generator, look: Look, found: dict[str, list[Path]]) -> tuple[str, np.ndarray] | None:
    """A swatch to stand in for `look`: its colour's name and the image (h, w, 3) uint8 sRGB, or None.

    Raises:
        InputError: the image cannot be read.
    """
    paths = [path for category in look.swatches for path in found.get(category, ())]
    if not paths:
        return None
    path = paths[int(rng.integers(len(paths)))]
    try:
        source = ImageSource(path)
        image = decode_color(source, image_size(source, str(path)), str(path), upright=True)
    except InputError as error:
        raise InputError(f"{path}: cannot be read as an image; remove or replace this swatch") from error
    return color_name(image.reshape(-1, 3).mean(0)), image


def find_look(kind: str, name: str) -> Look:
    """The look called `name` among "floor" or "walls" looks.

    Raises:
        InputError: there is none of that name; the message lists some.
    """
    looks = {"floor": FLOORS, "walls": WALLS}[kind]
    if name not in looks:
        words = set(name.split())
        near = sorted(looks, key=lambda n: (-len(words & set(n.split())), n))[:6]
        raise InputError(f"{kind} {name!r} is not known; try one of {', '.join(near)}")
    return looks[name]
