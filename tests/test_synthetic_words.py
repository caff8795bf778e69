"""Words of the sentences about rooms: all of them are known, and other words for the same keep the sense."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import TOKENIZER

from scenetex.synthetic import describe
from scenetex.synthetic.describe import Facts
from scenetex.synthetic.furnish import KINDS, furnish
from scenetex.synthetic.palette import COLORS, FLOORS, STYLES, WALLS, WOODS
from scenetex.synthetic.piece import choose_decor
from scenetex.synthetic.plan import make_plan
from scenetex.synthetic.words import SYNONYMS, split_words, vary, vocabulary

NOUNS = ("sofa", "double bed", "coffee table", "TV bench", "chest of drawers", "dining chairs", "office chair", "rug")
furniture = st.tuples(st.sampled_from([*COLORS, *WOODS]), st.sampled_from(NOUNS)).map(" ".join)
facts = st.builds(
    Facts,
    kind=st.sampled_from(KINDS),
    style=st.sampled_from(list(STYLES)),
    floor=st.sampled_from(list(FLOORS)),
    walls=st.sampled_from(list(WALLS)),
    furniture=st.lists(furniture, max_size=4, unique=True).map(tuple),
    light=st.sampled_from(["sunlight", "daylight", "lamp light", "daylight and lamps"]),
)


@given(facts, st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_every_word_of_every_sentence_is_known(told, seed):
    rng = np.random.default_rng(seed)
    sentence = vary(describe(told, rng), rng)
    assert set(split_words(sentence)) <= vocabulary()
    assert TOKENIZER.unk_token_id not in TOKENIZER(sentence).input_ids


def test_so_is_whatever_can_stand_in_a_room():
    names = set()
    for seed in range(4):
        for kind in KINDS:
            rng = np.random.default_rng(seed)
            decor = choose_decor(rng, list(STYLES)[seed])
            pieces = furnish(rng, make_plan(rng, kind), kind, decor, 1.0).pieces
            names |= {piece.name for piece in pieces}
    assert len(names) > 40 and any("TV" in name for name in names)
    assert set(split_words(" ".join(names))) <= vocabulary()


def test_swatches_colours_are_known():
    assert set(split_words(" ".join(COLORS))) <= vocabulary()


@given(facts, st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_other_words_change_no_more_than_words(told, seed):
    sentence = describe(told, np.random.default_rng(seed))
    varied = vary(sentence, np.random.default_rng(seed))
    # Put back, the words give the sentence they came from.
    for word, others in SYNONYMS.items():
        if word in sentence:
            for other in sorted(others, key=len, reverse=True):
                varied = re.sub(rf"(?<![\w-]){re.escape(other)}(?![\w-])", word, varied)
    assert set(split_words(varied)) <= set(split_words(sentence)) | set(split_words(" ".join(SYNONYMS)))


def test_a_word_within_another_stays():
    rng = np.random.default_rng(0)
    assert {vary("a drugstore", rng) for _ in range(60)} == {"a drugstore"}, "there is a rug in it"
    said = {vary("a grey rug", rng) for _ in range(200)}
    assert said == {"a grey rug", "a gray rug", "a grey mat", "a gray mat"}


def test_words_and_marks_stand_apart():
    assert split_words("A light-filled Room: walls, floor.") == [
        *("a", "light", "-", "filled", "room", ":", "walls", ",", "floor", ".")
    ]
    # As the tokenizer cuts them.
    text = "A light-filled living room: oak planks, red brick walls"
    assert len(TOKENIZER(text).input_ids) == len(split_words(text)) + 2
