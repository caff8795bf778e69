"""Kinds of words that sentences about rooms are made of: what can be read for them, and where WordNet has them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Words that can stand for each other.

    Attributes:
        context: how a word of this kind is shown to the language model.
        read: what can be read, with a few words that say what it is.
        senses: meanings in WordNet that are of the kind: word, part of speech, number.
        below: those of which all kinds are of the kind, or all adjectives next to them, but not they themselves.
        least: words less alike than this, of about 1 at most, are left alone.
        apart: how much more alike than the next best it has to be.
        otherwise: what is read for words that are as like one as another; "" leaves them alone.
        counted: whether its words have plurals.
    """

    context: str
    read: dict[str, str]
    senses: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    least: float = 0.6
    apart: float = 0.01
    otherwise: str = ""
    counted: bool = False


COLORS = Kind(
    context="the color {}",
    below=("chromatic_color.n.1", "achromatic_color.n.1", "chromatic.a.3", "achromatic.a.1"),
    read={
        "white": "the lightest color, like snow",
        "cream": "a yellowish white color",
        "beige": "a light greyish yellowish brown color, like sand",
        "light grey": "a pale grey color",
        "grey": "a color between white and black, like steel",
        "dark grey": "a very dark grey color, like slate",
        "black": "the darkest color, like coal",
        "brown": "a brown color, like earth and chestnuts",
        "terracotta": "a brownish orange color, like clay and rust",
        "red": "a vivid red color, like blood",
        "pink": "a light red color, like roses",
        "orange": "a reddish yellow color",
        "yellow": "a yellow color, like lemons and gold",
        "sage green": "a pale greyish green color",
        "green": "a green color, like grass and leaves",
        "dark green": "a dark green color, like bottles and forests",
        "teal": "a dark greenish blue color",
        "turquoise": "a light greenish blue color, between blue and green",
        "light blue": "a pale blue color, like the sky",
        "blue": "a vivid blue color, like the sea",
        "navy blue": "a very dark blue color",
        "purple": "a color between red and blue, like violets",
    },
    least=0.55,
    apart=0.015,
)
WOODS = Kind(
    context="{} wood",
    below=("wood.n.1",),
    read={
        "oak": "hard light brown wood of oak trees, as for floors",
        "pine": "soft light yellow wood of conifers",
        "birch": "hard pale wood of birches, close-grained and nearly white",
        "walnut": "hard dark brown tropical wood for furniture",
        "cherry": "hard dark reddish brown wood for furniture",
    },
    least=0.5,
    apart=0.03,
    otherwise="wood",
)
FURNITURE = Kind(
    context="{}, a piece of furniture",
    senses=(
        *(
            "refrigerator.n.1",
            "shelf.n.1",
            "mattress.n.1",
            "pillow.n.1",
            "television.n.2",
            "picture.n.1",
            "cupboard.n.1",
        ),
        *("photograph.n.1", "snapshot.n.1", "portrait.n.2", "poster.n.1", "mural.n.1", "blind.n.3", "footstool.n.1"),
        *("television_receiver.n.1", "bedclothes.n.1", "drapery.n.1"),
    ),
    below=(
        *("furniture.n.1", "lamp.n.1", "lighting_fixture.n.1", "floor_covering.n.1", "bedclothes.n.1", "blind.n.3"),
        *("refrigerator.n.1", "storage_space.n.1", "hanging.n.1"),
    ),
    read={
        "sofa": "an upholstered seat for more than one person",
        "armchair": "an upholstered chair with arms",
        "chair": "a seat for one person",
        "bed": "furniture to sleep on",
        "single bed": "a narrow bed for one person",
        "duvet": "a soft quilt or blanket on a bed",
        "bedside table": "a small table beside a bed",
        "coffee table": "a low table",
        "dining table": "a large table to eat at",
        "table": "furniture with a flat top on legs",
        "desk": "a table to write and work at",
        "bench": "a long seat",
        "sideboard": "a low cabinet for dishes",
        "wardrobe": "a tall cupboard for clothes",
        "chest of drawers": "furniture with drawers for clothes",
        "bookshelf": "shelves for books",
        "lamp": "a lamp that gives light",
        "pendant lamp": "a lamp that hangs from the ceiling",
        "picture": "a picture on a wall",
        "curtains": "cloth that hangs before a window",
        "rug": "a carpet that covers part of a floor",
        "fridge": "an appliance that keeps food cold",
        "pouf": "a thick cushion used as a seat or to rest the feet on",
        "tv": "a television set",
    },
    least=0.57,
    apart=0.0,
    counted=True,
)
PLANTS = Kind(
    context="{}, a plant in a pot",
    senses=(
        *("houseplant.n.1", "shrub.n.1", "fern.n.1", "cactus.n.1", "flower.n.1", "palm.n.3", "foliage.n.1"),
        *("greenery.n.1", "succulent.n.1", "orchid.n.1", "ivy.n.1", "tree.n.1", "herb.n.1"),
    ),
    read={"plant": "a green plant that grows in a room"},
    least=0.5,
    counted=True,
)
MATERIALS = Kind(
    context="a wall or floor of {}",
    senses=("ceramic.n.1", "paint.n.1", "pavement.n.1", "paneling.n.1", "laminate.n.1", "floor.n.1"),
    below=("building_material.n.1", "floor_covering.n.1", "paint.n.1", "paneling.n.1", "tile.n.1", "pavement.n.2"),
    read={
        "planks": "long flat boards of wood",
        "parquet": "a floor of pieces of wood in a pattern",
        "carpet": "a thick heavy fabric that covers a floor",
        "tiles": "flat thin pieces of fired clay, ceramic or stone that cover floors and walls",
        "concrete": "a strong hard building material of sand, gravel and cement",
        "cement": "a building material that is a powder and binds when mixed with water",
        "brick": "rectangular blocks of clay baked in a kiln",
        "panelling": "panels of wood on a wall",
        "plaster": "a mixture of lime or gypsum with sand and water, spread on walls",
        "wallpaper": "decorative paper on a wall",
        "paint": "a colored coating on a surface",
        "wood": "wood as a building material",
        "floor": "the surface of a room that people stand on",
    },
    least=0.55,
    counted=True,
)
STONES = Kind(
    context="a wall or floor of {}",
    below=("rock.n.2",),
    read={
        "marble": "hard crystalline rock that takes a polish",
        "concrete": "stone of sand and gravel",
        "tiles": "flat thin pieces of stone that cover floors and walls",
    },
    least=0.55,
    apart=0.02,
)
LEATHERS = Kind(
    context="a sofa of {}",
    below=("leather.n.1",),
    read={"leather": "an animal skin made smooth and flexible by tanning"},
    least=0.8,
)
ROOMS = Kind(
    context="a {}",
    senses=("dwelling.n.1", "room.n.1", "wall.n.1", "ceiling.n.1"),
    below=("room.n.1", "dwelling.n.1", "apartment.n.1", "office.n.1"),
    read={
        "living room": "a room for sitting and entertaining guests",
        "bedroom": "a room for sleeping",
        "study": "a room for reading and writing",
        "dining room": "a room for eating",
        "kitchen": "a room for preparing meals",
        "office": "a place where people work at desks",
        "apartment": "a set of rooms in a building to live in",
        "house": "a building that a family lives in",
    },
    counted=True,
)
LIGHT = Kind(
    context="a {} room",
    below=("dark.a.1", "dark.a.2", "light.a.2", "bright.a.4", "light.a.6"),
    read={
        "dark": "dark, without light",
        "dim": "dim, with little light",
        "bright": "bright, full of light",
        "sunlit": "lit by the sun",
        "pale": "pale, of a light color",
    },
    least=0.7,
)
GLOW = Kind(
    context="a {} room",
    below=("bright.a.1",),
    read={"bright": "bright, full of light"},
    least=0.76,
)
STYLES = Kind(
    context="a room in a {} style",
    senses=("comfortable.a.1", "fashionable.a.1", "rural.a.1", "old.a.2", "luxurious.a.1", "roomy.a.1", "antique.a.1"),
    below=(
        *("comfortable.a.1", "modern.a.1", "modern.a.2", "fashionable.a.1", "elegant.a.1", "old.a.2", "rural.a.1"),
        *("traditional.a.1", "colorful.a.1", "airy.a.1", "classic.a.2"),
    ),
    read={
        "cosy": "cosy, warm and comfortable",
        "airy": "airy, open and spacious",
        "modern": "modern, contemporary and fashionable",
        "classic": "classic, traditional and old-fashioned",
        "elegant": "elegant, refined and tasteful",
        "rustic": "rustic, of the country",
        "colourful": "colourful, with striking colors",
    },
    least=0.57,
)
PATTERNS = Kind(
    context="{} wallpaper",
    below=("patterned.a.1",),
    read={
        "patterned": "with a pattern of marks",
        "striped": "with stripes or lines",
        "chequered": "with a pattern of squares",
        "leafy": "with leaves and flowers",
    },
)
TIMES = Kind(
    context="in the {}",
    senses=("evening.n.1", "twilight.n.1", "night.n.1", "sunset.n.1"),
    read={"evening": "the time of day when the sun sets"},
)
KINDS = (
    *(COLORS, WOODS, FURNITURE, PLANTS, MATERIALS, STONES, LEATHERS),
    *(ROOMS, LIGHT, GLOW, STYLES, PATTERNS, TIMES),
)
# Put right by hand, after looking through the table: words that WordNet lacks, or has in too rare a sense, wood whose
# colour no description tells; under "" those that people who describe a room hardly mean so.
CORRECTED = {
    "": "ablaze ardent attic booth changeable complementary cope coping drab earthlike fuscous galley hall header icon "
    "image inkiness knot laced latest neat oil pane sawdust skid snuff sorrel splat stacks stateroom sulky wash "
    "watercolor watercolour",
    "bedside table": "nightstand nightstands",
    "beige": "greige oatmeal sandy",
    "birch": "beech beechwood maple",
    "bookshelf": "bookshelves",
    "brick": "brickwork",
    "chequered": "checked gingham",
    "chair": "barstool",
    "chairs": "barstools",
    "classic": "retro victorian vintage",
    "cream": "eggshell vanilla",
    "curtains": "blinds",
    "dark grey": "anthracite graphite",
    "elegant": "chic luxurious luxury posh",
    "evening": "twilight",
    "green": "lime mint moss mossy olive",
    "living room": "livingroom",
    "marble": "onyx travertine",
    "modern": "futuristic",
    "panelling": "wainscot wainscoting wainscotting",
    "parquet": "laminate",
    "patterned": "geometric paisley",
    "picture": "artwork artworks poster posters",
    "pine": "cedar cedarwood larch",
    "pink": "blush fuchsia fuschia",
    "plaster": "drywall gypsum",
    "pouf": "beanbag beanbags",
    "striped": "stripe stripes",
    "tiles": "mosaic mosaics tiling",
    "walnut": "mahogany rosewood teak teakwood wenge",
    "wood": "ash bamboo plywood",
    "yellow": "golden mustard",
}
