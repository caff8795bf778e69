"""The table of near words: what WordNet's files say, and which words are read for which, with made-up meanings."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest
import torch

from scenetex.pipelines.near_words import NEAR_WORDS

TOOLS = Path(__file__).resolve().parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
spec = importlib.util.spec_from_file_location("make_word_table", TOOLS / "make_word_table.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
sys.path.remove(str(TOOLS))

# As in WordNet: key, file number, kind, words, links, meaning.
NOUNS = """\
  1 This is a licence.
00000010 06 n 01 furniture 0 002 ~ 00000020 n 0000 ~ 00000030 n 0000 | furnishings that make a room ready
00000020 06 n 02 sofa 0 lounge 0 002 @ 00000010 n 0000 ~ 00000040 n 0000 | soft long seat; "they sat on the sofa"
00000030 06 n 01 shelf 0 002 @ 00000010 n 0000 + 00000099 v 0101 | flat board for books
00000040 06 n 02 loveseat 0 love_seat 0 001 @ 00000020 n 0000 | long seat for two
00000050 18 n 01 lounge 0 000 | a room for waiting
"""
ADJECTIVES = """\
00000010 00 a 01 dark 0 001 & 00000020 a 0000 | without light
00000020 00 s 01 unlit(p) 0 001 & 00000010 a 0000 | having no light
"""
INDEX = {
    "noun": "furniture n 1 1 ~ 1 0 00000010\nsofa n 1 2 @ ~ 1 1 00000020\nlounge n 2 1 @ 2 1 00000050 00000020\n"
    "shelf n 1 1 @ 1 1 00000030\nloveseat n 1 1 @ 1 0 00000040\nlove_seat n 1 1 @ 1 0 00000040\n",
    "adj": "dark a 1 1 & 1 1 00000010\nunlit a 1 1 & 1 0 00000020\n",
    "verb": "lounge v 1 1 @ 1 1 00000077\n",
    "adv": "",
}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordnet")
    (folder / "data.noun").write_text(NOUNS)
    (folder / "data.adj").write_text(ADJECTIVES)
    for name, text in INDEX.items():
        (folder / f"index.{name}").write_text(text)
    (folder / "noun.exc").write_text("shelves shelf\n")
    (folder / "cntlist.rev").write_text("lounge%1:06:00:: 1 5\nlounge%2:38:00:: 1 10\ndark%3:00:00:: 1 2\n")
    return tool.WordNet(folder)


def embed(texts: list[str]) -> torch.Tensor:
    """Texts are alike that have words in common."""
    found = torch.zeros(len(texts), 997)
    for row, text in zip(found, texts, strict=True):
        for word in re.findall(r"\w+", text):
            row[crc32(word.encode()) % 997] += 1
    return torch.nn.functional.normalize(found, dim=1)


SEATS = tool.Kind(
    context="{}",
    read={"couch": "soft long seat", "long chair": "for two", "books": "flat board for books"},
    below=("furniture.n.1",),
    least=0.2,
    counted=True,
)
KNOWN = {"couch", "books", "long"}


def test_meanings_and_what_they_are_kinds_of(words):
    sofa = words.sense("sofa.n.1")
    assert words.meanings[sofa].words == ("sofa", "lounge") and words.meanings[sofa].gloss == "soft long seat"
    assert words.below(words.sense("furniture.n.1")) == {sofa, words.sense("loveseat.n.1"), words.sense("shelf.n.1")}
    assert words.over(words.sense("loveseat.n.1"), 2) == [{"loveseat", "love_seat"}, {"sofa", "lounge"}, {"furniture"}]
    assert words.below(words.sense("dark.a.1")) == {words.sense("unlit.a.1")}
    assert words.meanings[words.sense("unlit.a.1")].words == ("unlit",)


def test_how_often_a_word_means_something_is_counted_over_all_that_it_means(words):
    room, seat = words.sense("lounge.n.1"), words.sense("lounge.n.2")
    assert [words.share("lounge", key) for key in (room, seat)] == [6 / 18, 1 / 18]
    assert words.share("sofa", words.sense("sofa.n.1")) == 1 and words.share("sofa", room) == 0


def test_words_are_read_as_what_means_most_nearly_the_same(words):
    found = tool.readings(SEATS, words, KNOWN, embed)
    # "lounge" mostly means another thing, "love_seat" is two words, "chair" is not known.
    assert {word: read for word, (_, read) in found.items()} == {"sofa": "couch", "loveseat": "couch", "shelf": "books"}


def test_what_is_known_is_not_read_as_another_and_what_is_unlike_all_is_left_alone(words):
    assert set(tool.readings(SEATS, words, KNOWN | {"sofa"}, embed)) == {"loveseat", "shelf"}
    assert tool.readings(replace(SEATS, least=2.0), words, KNOWN, embed) == {}
    assert tool.readings(SEATS, words, {"floor"}, embed) == {}


def test_words_as_like_one_as_another_are_left_alone_or_read_as_what_holds_for_all(words):
    undecided = replace(SEATS, apart=2.0)
    assert tool.readings(undecided, words, KNOWN, embed) == {}
    found = tool.readings(replace(undecided, otherwise="furniture"), words, KNOWN, embed)
    assert {read for _, read in found.values()} == {"furniture"}


def test_plurals_are_read_like_what_they_are_of():
    known = {"chair", "chairs", "curtains", "bed", "bench"}
    counted = {"stool", "shelf", "curtain", "bed", "bench", "bedclothes", "divan"}
    found = {"stool": "chair", "shelf": "bed", "bedclothes": "bed"}
    more = tool.other_number(found, known, counted, {"shelf": "shelves"})
    assert more == {
        **{"stools": "chairs", "shelves": "bed"},
        **{"curtain": "curtains", "beds": "bed", "benches": "bench"},
    }


def test_the_table_goes_into_the_tokenizers_configuration(tmp_path):
    path = tmp_path / "tokenizer" / "tokenizer_config.json"
    path.parent.mkdir()
    path.write_text('{"model_max_length": 48, "near_words": {"old": "older"}}')
    tool.write(tmp_path, {"timber": "wood", "lumber": "wood", "nightstand": "bedside table"})
    table = {"wood": "lumber timber", "bedside table": "nightstand"}
    assert json.loads(path.read_text()) == {"model_max_length": 48, NEAR_WORDS: table}


@pytest.mark.parametrize("missing", ["model", "wordnet", "minilm"])
def test_what_is_not_there_is_one_line(tmp_path, missing, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tool", str(tmp_path), "--minilm", str(tmp_path), "--wordnet", str(tmp_path)])
    if missing != "model":
        (tmp_path / "tokenizer").mkdir()
        (tmp_path / "tokenizer" / "tokenizer.json").write_text('{"model": {"vocab": {"red": 0}}}')
    if missing == "minilm":
        monkeypatch.setattr(tool, "WordNet", lambda folder: None)
    assert tool.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line and "cannot be read" in line
