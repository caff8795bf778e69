"""Sentences about a room, in varied words, that say only what is there."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Facts:
    """What there is to say about a room.

    Attributes:
        kind: "living room", "bedroom", ...
        style: "scandinavian", "modern", ...
        floor: such as "oak planks" or "grey carpet".
        walls: such as "sage green paint" or "red brick".
        furniture: names such as "grey sofa", the most telling first.
        light: "sunlight", "daylight", "lamp light" or "daylight and lamps".
    """

    kind: str
    style: str
    floor: str
    walls: str
    furniture: tuple[str, ...]
    light: str


_LIGHT = {
    "sunlight": ("sunlit", "bright", ""),
    "daylight": ("bright", "airy", ""),
    "lamp light": ("cosy, lamp-lit", "dim", "warm evening-lit", ""),
    "daylight and lamps": ("softly lit", "warm", ""),
}
# What nobody would mention when describing a room.
_DULL = ("picture", "curtains", "ceiling lamp", "fridge", "pouf", "rug")


def describe(facts: Facts, rng: np.random.Generator) -> str:
    """One sentence that names the room, its style, floor, walls and some furniture."""
    light = _pick(rng, _LIGHT[facts.light])
    head = " ".join(w for w in (light, facts.style, facts.kind) if w)
    head = f"{'an' if head[0] in 'aeiou' else 'a'} {head}"
    floor, walls = _floor(facts.floor, rng), _walls(facts.walls, rng)
    telling = [n for n in facts.furniture if n not in _DULL]
    rest = [n for n in facts.furniture if n in _DULL]
    count = int(rng.integers(1, 4))
    things = telling[:2] + [str(n) for n in rng.permutation(telling[2:] + rest)]
    named = _list([_article(n) for n in things[:count]])
    if not named:
        return f"{head} with {floor} and {walls}"
    form = int(rng.integers(5))
    if form == 0:
        return f"{head} with {floor}, {walls} and {named}"
    if form == 1:
        return f"{head} with {named}, {walls} and {floor}"
    if form == 2:
        return f"{floor} and {walls} in {head}, furnished with {named}"
    if form == 3:
        return f"{head}, {walls}, {floor}, {named}"
    return f"{head}: {named} on {floor} between {walls}"


def _pick(rng: np.random.Generator, words) -> str:
    return str(words[int(rng.integers(len(words)))])


def _article(name: str) -> str:
    plural = name in ("chairs", "curtains") or name.endswith("chairs")
    return name if plural else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _list(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def _floor(name: str, rng: np.random.Generator) -> str:
    """ "oak planks" as "an oak plank floor", "a floor of oak planks", ..."""
    material = name.replace("planks", "plank").replace("tiles", "tile")
    single = f"{'an' if material[0] in 'aeiou' else 'a'} {material} floor"
    if name.endswith("carpet"):
        return _pick(rng, (f"{_article(name)}", f"{_article(name)} on the floor", single.replace("carpet", "carpeted")))
    return _pick(rng, (single, single, f"a floor of {name}"))


def _walls(name: str, rng: np.random.Generator) -> str:
    """ "sage green paint" as "sage green walls", "walls painted sage green", ..."""
    if name.endswith(" paint"):
        color = name.removesuffix(" paint")
        return _pick(rng, (f"{color} walls", f"{color} walls", f"walls painted {color}"))
    if name.endswith((" plaster", " brick", " concrete")):
        return _pick(rng, (f"{name} walls", f"walls of {name}"))
    if name.endswith(" tiles"):
        return _pick(rng, (f"{name.removesuffix('s')}d walls", f"{name} on the walls"))
    return _pick(rng, (f"{name} on the walls", f"walls with {name}", name))
