"""Names and colours: what floors, walls, wood and cloth can be called, and which of them suit a style."""

from dataclasses import dataclass

# Muted, as paint charts have them: saturated colours make a room look like a toy. sRGB.
COLORS: dict[str, tuple[int, int, int]] = {
    "white": (238, 236, 231),
    "cream": (236, 224, 198),
    "beige": (211, 194, 168),
    "light grey": (197, 198, 197),
    "grey": (152, 153, 154),
    "dark grey": (92, 94, 97),
    "black": (52, 52, 54),
    "brown": (124, 92, 68),
    "terracotta": (193, 119, 88),
    "red": (158, 66, 60),
    "pink": (219, 180, 172),
    "orange": (208, 143, 84),
    "yellow": (226, 196, 118),
    "sage green": (164, 176, 148),
    "green": (104, 136, 98),
    "dark green": (62, 86, 72),
    "teal": (82, 132, 134),
    "light blue": (172, 194, 206),
    "blue": (92, 124, 160),
    "navy blue": (52, 68, 98),
    "purple": (138, 116, 150),
}

WOODS: dict[str, tuple[int, int, int]] = {
    "oak": (188, 150, 108),
    "pine": (214, 178, 128),
    "birch": (222, 200, 166),
    "walnut": (116, 82, 60),
    "cherry": (160, 98, 66),
    "dark oak": (92, 68, 52),
    "white wood": (228, 224, 214),
    "grey oak": (164, 150, 134),
}


@dataclass(frozen=True)
class Look:
    """A named surface: the painter of its pattern, its colour, and the swatch folders that show the same thing.

    Attributes:
        pattern: a painter's name in `patterns`.
        color: mean colour, sRGB 0..255.
        swatches: categories of swatch images that may stand in for the pattern.
    """

    pattern: str
    color: tuple[int, int, int]
    swatches: tuple[str, ...] = ()


_FLOOR_WOODS = ("oak", "pine", "birch", "walnut", "cherry", "dark oak", "grey oak")
_TILE_COLORS = ("white", "cream", "beige", "light grey", "grey", "dark grey", "terracotta", "light blue", "sage green")

FLOORS: dict[str, Look] = {
    **{f"{w} planks": Look("planks", WOODS[w], ("woodfloor", "planks", "bamboo")) for w in _FLOOR_WOODS},
    "white wood planks": Look("planks", WOODS["white wood"], ("woodfloor", "planks")),
    **{f"{w} herringbone parquet": Look("herringbone", WOODS[w], ("woodfloor",)) for w in _FLOOR_WOODS},
    **{f"{c} carpet": Look("carpet", COLORS[c], ("carpet",)) for c in COLORS},
    **{f"{c} tiles": Look("tiles", COLORS[c], ("tiles", "pavingstones", "travertine")) for c in _TILE_COLORS},
    "chequered tiles": Look("checker", (222, 219, 210), ()),
    "white marble": Look("marble", (226, 223, 217), ("marble",)),
    "grey marble": Look("marble", (160, 160, 160), ("marble",)),
    "concrete": Look("concrete", (160, 158, 152), ("concrete",)),
    "terrazzo": Look("terrazzo", (202, 196, 186), ("terrazzo",)),
}

WALLS: dict[str, Look] = {
    **{f"{c} paint": Look("paint", COLORS[c], ("paint",)) for c in COLORS},
    **{
        f"{c} plaster": Look("plaster", COLORS[c], ("plaster",))
        for c in ("white", "cream", "beige", "terracotta", "grey")
    },
    **{f"{c} striped wallpaper": Look("striped_wallpaper", COLORS[c], ()) for c in COLORS},
    **{f"{c} patterned wallpaper": Look("trellis_wallpaper", COLORS[c], ("wallpaper",)) for c in COLORS},
    **{f"{c} leafy wallpaper": Look("leafy_wallpaper", COLORS[c], ("wallpaper",)) for c in COLORS},
    "red brick": Look("brick", (160, 96, 76), ("bricks",)),
    "white brick": Look("brick", (224, 220, 212), ("bricks",)),
    "grey concrete": Look("concrete", (168, 167, 163), ("concrete",)),
    **{
        f"{c} panelling": Look("panelling", COLORS[c], ("woodsiding",))
        for c in ("white", "sage green", "grey", "navy blue")
    },
    "oak panelling": Look("panelling", WOODS["oak"], ("woodsiding", "wood")),
    "walnut panelling": Look("panelling", WOODS["walnut"], ("woodsiding", "wood")),
    **{f"{c} tiles": Look("metro", COLORS[c], ("tiles",)) for c in ("white", "light blue", "sage green", "grey")},
}


# What a pattern is called apart from its colour.
NOUNS = {
    "planks": "planks",
    "herringbone": "planks",
    "carpet": "carpet",
    "tiles": "tiles",
    "metro": "tiles",
    "marble": "marble",
    "concrete": "concrete",
    "terrazzo": "terrazzo",
    "paint": "paint",
    "plaster": "plaster",
    "trellis_wallpaper": "wallpaper",
    "leafy_wallpaper": "wallpaper",
    "brick": "brick",
    "panelling": "panelling",
}


@dataclass(frozen=True)
class Style:
    """What goes together. Names refer to `FLOORS`, `WALLS`, `WOODS` and `COLORS`; the first are the likeliest."""

    floors: tuple[str, ...]
    walls: tuple[str, ...]
    woods: tuple[str, ...]
    fabrics: tuple[str, ...]
    accents: tuple[str, ...]


STYLES: dict[str, Style] = {
    "scandinavian": Style(
        (
            "pine planks",
            "oak planks",
            "birch planks",
            "white wood planks",
            "oak herringbone parquet",
            "light grey carpet",
        ),
        ("white paint", "light blue paint", "sage green paint", "light grey paint", "white panelling", "pink paint"),
        ("birch", "pine", "oak", "white wood"),
        ("light grey", "beige", "grey", "sage green", "light blue"),
        ("yellow", "sage green", "light blue", "pink", "terracotta", "teal"),
    ),
    "modern": Style(
        (
            "grey oak planks",
            "light grey tiles",
            "concrete",
            "walnut herringbone parquet",
            "white marble",
            "dark grey carpet",
        ),
        (
            "white paint",
            "light grey paint",
            "grey concrete",
            "dark grey paint",
            "navy blue paint",
            "white brick",
            "teal paint",
        ),
        ("walnut", "white wood", "grey oak", "dark oak"),
        ("grey", "dark grey", "navy blue", "teal", "cream"),
        ("orange", "yellow", "teal", "red", "white", "green"),
    ),
    "rustic": Style(
        ("dark oak planks", "terracotta tiles", "oak planks", "cherry planks", "beige tiles", "brown carpet"),
        ("cream plaster", "red brick", "beige plaster", "white plaster", "terracotta plaster", "oak panelling"),
        ("dark oak", "oak", "cherry", "pine"),
        ("beige", "brown", "cream", "dark green", "terracotta"),
        ("red", "dark green", "orange", "cream", "brown"),
    ),
    "classic": Style(
        ("oak herringbone parquet", "cherry planks", "chequered tiles", "walnut planks", "red carpet", "beige carpet"),
        (
            "cream striped wallpaper",
            "sage green patterned wallpaper",
            "light blue leafy wallpaper",
            "beige paint",
            "sage green panelling",
            "pink striped wallpaper",
            "yellow patterned wallpaper",
        ),
        ("cherry", "walnut", "dark oak", "white wood"),
        ("cream", "green", "blue", "red", "beige"),
        ("red", "navy blue", "dark green", "yellow", "cream", "purple"),
    ),
    "colourful": Style(
        ("terrazzo", "oak planks", "blue carpet", "green carpet", "light blue tiles", "pine herringbone parquet"),
        (
            "yellow paint",
            "teal paint",
            "terracotta paint",
            "blue paint",
            "pink leafy wallpaper",
            "green paint",
            "purple paint",
        ),
        ("pine", "oak", "white wood", "birch"),
        ("teal", "yellow", "pink", "blue", "orange", "purple"),
        ("red", "yellow", "teal", "orange", "pink", "green", "white"),
    ),
}


def color_name(color) -> str:
    """The `COLORS` name nearest to an sRGB colour (3,) 0..255; lightness counts less than hue."""

    def apart(name: str) -> float:
        other = COLORS[name]
        light = (sum(color) - sum(other)) / 3
        return 0.6 * light**2 + sum((c - o - light) ** 2 for c, o in zip(color, other, strict=True)) * 2.0

    return min(COLORS, key=apart)
