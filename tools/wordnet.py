"""Reads WordNet's database files: nouns and adjectives, what they mean, and what they are kinds of."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_FILES = {"n": "noun", "a": "adj", "s": "adj"}
_LETTERS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_NUMBERED = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
_ABOVE, _BELOW, _LIKE = ("@", "@i"), ("~", "~i"), ("&",)


@dataclass(frozen=True)
class Meaning:
    """A set of words that mean the same.

    Attributes:
        words: in lower case, in one word each or with "_" between their parts.
        gloss: what they mean, without examples.
        above, below: of nouns, what they are a kind of, and kinds of them; of adjectives, those much like them.
    """

    words: tuple[str, ...]
    gloss: str
    above: tuple[str, ...]
    below: tuple[str, ...]


class WordNet:
    """Nouns and adjectives of WordNet 3.0, as its database files have them.

    Attributes:
        meanings: by key.
        plurals: of nouns that have one of their own.
    """

    def __init__(self, folder: Path):
        self.meanings: dict[str, Meaning] = {}
        self._senses: dict[tuple[str, str], list[str]] = {}
        self.plurals = {one: many for many, one, *_ in map(str.split, _lines(folder / "noun.exc"))}
        self._uses = _uses(folder)
        self._all_uses: dict[str, int] = defaultdict(int)
        for letter in _LETTERS:
            for line in _lines(folder / f"index.{_LETTERS[letter]}"):
                lemma, _, count, *_ = line.split()
                # Once more for each meaning: texts that are that small say little of rare words.
                self._all_uses[lemma] += sum(self._uses[lemma, letter].values()) + int(count)
        for letter in "na":
            for line in _lines(folder / f"data.{_FILES[letter]}"):
                self.meanings[letter + line.split(maxsplit=1)[0]] = _meaning(line, letter)
            for line in _lines(folder / f"index.{_FILES[letter]}"):
                lemma, _, count, *rest = line.split()
                self._senses[lemma, letter] = [letter + offset for offset in rest[-int(count) :]]

    def sense(self, name: str) -> str:
        """The key of a meaning such as "sofa.n.1": its word, n or a, and the number of its sense."""
        lemma, letter, number = name.split(".")
        return self._senses[lemma, letter][int(number) - 1]

    def share(self, word: str, key: str) -> float:
        """How often a word means this where it is used, 0 to 1: as in the texts that WordNet's authors have read."""
        senses = self._senses.get((word, key[0]), ())
        if key not in senses:
            return 0.0
        return (self._uses[word, key[0]][senses.index(key) + 1] + 1) / self._all_uses[word]

    def below(self, key: str) -> set[str]:
        """All kinds of what a noun means; the adjectives next to one."""
        if key[0] == "a":
            return set(self.meanings[key].below)
        found, new = set[str](), [key]
        while new:
            new = [kind for one in new for kind in self.meanings[one].below if kind not in found]
            found.update(new)
        return found

    def over(self, key: str, steps: int) -> list[set[str]]:
        """The words for a meaning, for what it is a kind of, and so on, `steps` upwards."""
        levels, here = [set(self.meanings[key].words)], [key]
        for _ in range(steps):
            here = [above for one in here for above in self.meanings[one].above]
            levels.append({word for one in here for word in self.meanings[one].words})
        return levels


def _uses(folder: Path) -> dict[tuple[str, str], dict[int, int]]:
    """How often texts use words in each of their senses, by word and letter."""
    found: dict[tuple[str, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for line in _lines(folder / "cntlist.rev"):
        lemma, _, rest = line.partition("%")
        _, number, count = rest.split()
        found[lemma, _NUMBERED[rest[0]]][int(number)] = int(count)
    return found


def _lines(path: Path):
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


def _meaning(line: str, letter: str) -> Meaning:
    fields, _, gloss = line.partition(" | ")
    _, _, _, count, *rest = fields.split()
    words, rest = rest[: 2 * int(count, 16) : 2], rest[2 * int(count, 16) :]
    links: dict[str, list[str]] = defaultdict(list)
    for mark, offset, kind, _ in zip(*(rest[i : 1 + 4 * int(rest[0]) : 4] for i in range(1, 5)), strict=False):
        if kind in _FILES:
            links[mark].append(_FILES[kind][0] + offset)

    def linked(*marks: str) -> tuple[str, ...]:
        return tuple(key for mark in marks for key in links[mark])

    near = linked(*_LIKE) if letter == "a" else ()
    text = gloss.split('; "')[0].strip()
    return Meaning(
        tuple(word.lower().split("(")[0] for word in words), text, linked(*_ABOVE) + near, linked(*_BELOW) + near
    )
