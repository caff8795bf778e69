"""What furniture is made from: the room's decor, and a finished piece in its own frame."""

from dataclasses import dataclass, replace

import numpy as np

from .direct_light import Lamp
from .palette import COLORS, STYLES
from .patches import Patches, pose

METALS = {"black": (52, 52, 55), "brass": (190, 156, 96), "steel": (176, 178, 180), "white": (228, 226, 222)}


@dataclass(frozen=True)
class Decor:
    """The choices that furniture of one room shares.

    Attributes:
        style: a name in `STYLES`.
        wood, second_wood: names in `WOODS`, painted in the slots "wood" and "wood2".
        fabric: the main upholstery's colour name.
        accents: colour names for cushions, books, vases, rugs.
        metal: a name in `METALS`.
    """

    style: str
    wood: str
    second_wood: str
    fabric: str
    accents: tuple[str, ...]
    metal: str

    @property
    def fabric_tint(self) -> tuple[float, float, float]:
        return tint(COLORS[self.fabric])

    @property
    def metal_tint(self) -> tuple[float, float, float]:
        return tint(METALS[self.metal])

    def accent(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """One of the accent colours, a little lighter or darker."""
        return tint(COLORS[self.accents[rng.integers(len(self.accents))]], rng.uniform(0.88, 1.08))


def choose_decor(rng: np.random.Generator, style: str) -> Decor:
    """Draws a decor that suits `style`."""
    look = STYLES[style]
    wood, second = rng.choice(look.woods, 2, replace=False)
    fabric = str(rng.choice(look.fabrics))
    accents = tuple(str(c) for c in rng.choice(look.accents, min(4, len(look.accents)), replace=False))
    metal = str(rng.choice(list(METALS), p=(0.4, 0.2, 0.2, 0.2)))
    return Decor(style, str(wood), str(second), fabric, accents, metal)


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of furniture or decoration: x to the right, y towards its back, z up; centred on the origin.

    Attributes:
        name: what a sentence calls it ("grey sofa"); empty for things not worth a word.
        patches: its surface.
        size: (width, depth, height), metres.
        lights: lamps in it.
    """

    name: str
    patches: tuple[Patches, ...]
    size: tuple[float, float, float]
    lights: tuple[Lamp, ...] = ()

    def moved(self, transform: np.ndarray) -> "Piece":
        """The same piece after a rigid transform (4, 4); `size` stays that of the piece's own frame."""
        lights = tuple(
            replace(lamp, center=tuple(transform[:3, :3] @ np.asarray(lamp.center) + transform[:3, 3]))
            for lamp in self.lights
        )
        return replace(self, patches=tuple(p.moved(transform) for p in self.patches), lights=lights)

    def with_on_top(self, *others: "Piece") -> "Piece":
        """This piece with others, already moved to their place on it, as parts of it."""
        patches = self.patches + tuple(p for o in others for p in o.patches)
        return replace(self, patches=patches, lights=self.lights + tuple(lamp for o in others for lamp in o.lights))


def tint(color, brightness: float = 1.0) -> tuple[float, float, float]:
    """An sRGB colour 0..255 as the tint of the neutral materials."""
    return tuple(float(min(c / 255 * brightness, 1.0)) for c in color)


def put(piece: Piece, x: float, y: float, z: float = 0.0, yaw: float = 0.0) -> Piece:
    """`piece` at a place of another piece's frame."""
    return piece.moved(pose(x, y, z, yaw))
