"""The words that sentences about rooms are made of, and others that mean the same."""

import re

import numpy as np

from .furnish import KINDS
from .palette import COLORS, FLOORS, STYLES, WALLS, WOODS

# People who write prompts use either; training swaps them now and then, so that the model knows both.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "grey": ("gray",),
    "colourful": ("colorful", "vibrant"),
    "cosy": ("cozy", "snug"),
    "sunlit": ("sunny", "light-filled"),
    "scandinavian": ("nordic",),
    "modern": ("contemporary", "minimalist"),
    "rustic": ("country", "farmhouse"),
    "classic": ("traditional", "elegant"),
    "living room": ("lounge", "sitting room"),
    "study": ("home office",),
    "sofa": ("couch", "settee"),
    "bookshelf": ("bookcase",),
    "curtains": ("drapes",),
    "wardrobe": ("closet",),
    "picture": ("painting",),
    "rug": ("mat",),
    "plank floor": ("wooden floor", "hardwood floor", "floorboards"),
    "concrete": ("cement",),
    "chequered": ("checkered",),
    "purple": ("violet", "lilac"),
    "cream": ("ivory",),
    "beige": ("tan", "sand"),
    "teal": ("turquoise",),
    "navy blue": ("navy", "deep blue"),
    "light blue": ("pale blue", "sky blue"),
    "light grey": ("pale grey",),
    "dark grey": ("charcoal",),
    "dark green": ("deep green", "forest green"),
    "sage green": ("sage", "pale green"),
    "furnished with": ("containing", "featuring"),
}
_SHARE = 0.2
_NOUNS = (
    "sofa armchair chair chairs office bed double single duvet bedside table coffee dining round desk bench side "
    "sideboard wardrobe chest of drawers bookshelf kitchen counter lamp floor pendant ceiling plant picture curtains "
    "rug fridge pouf leather wood TV"
)
_REST = (
    "a an the and with in of on between furnished walls wall room floor painted carpeted tiled tile plank lit lamp "
    "warm dim bright airy cosy softly sunlit evening planks tiles carpet brick bricks parquet wallpaper panelling "
    "paint interior style home house apartment photo"
)


def vary(sentence: str, rng: np.random.Generator) -> str:
    """The sentence with some of its words replaced by others that mean the same."""
    for word, others in SYNONYMS.items():
        if word in sentence and rng.random() < _SHARE:
            other = others[int(rng.integers(len(others)))]
            sentence = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", other, sentence)
    return sentence


def vocabulary() -> set[str]:
    """All words, in lower case, and the punctuation that sentences about procedural rooms can hold."""
    names = [*COLORS, *WOODS, *FLOORS, *WALLS, *STYLES, *KINDS, *SYNONYMS, _NOUNS, _REST]
    names += [other for others in SYNONYMS.values() for other in others]
    return set(split_words(" ".join(names))) | {",", ".", ":", "-", "'"}


def split_words(text: str) -> list[str]:
    """Words and marks of a text in lower case; hyphens stand apart."""
    return re.findall(r"\w+|[^\w\s]+", text.lower())
