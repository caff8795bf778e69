"""Words that a model of whole words does not know are read as near ones where its tokenizer says which; in one line."""

import copy
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from judged_words import JUDGED
from tiny_pipeline import make_pipeline, room_views, run
from tiny_training import TOKENIZER, tiny_pipeline
from transformers import AutoTokenizer

import scenetex
from scenetex import InputError, InputWarning, MVDiffusionPipeline
from scenetex.cli.guarded import guarded
from scenetex.pipelines.near_words import NEAR_WORDS, near_words, read_nearest
from scenetex.pipelines.prompts import unknown_words
from scenetex.training.model_folder import save_pipeline
from scenetex.training.small_model import word_tokenizer
from scenetex.training.stage import reading

TABLE = {"wood": "timber lumber", "bedside table": "nightstand", "red": "crimson blue"}
SHIPPED = Path(scenetex.__file__).parent / "weights" / "mini" / "tokenizer"
ONLY_READ = r"^prompt: the model reads Timber as wood, crimson as red, as it does not know these words$"


def telling(table) -> object:
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.init_kwargs[NEAR_WORDS] = table
    return tokenizer


@pytest.fixture(scope="module")
def pipe():
    made = tiny_pipeline()
    made.register_modules(tokenizer=telling(TABLE))
    return made


@pytest.fixture(scope="module")
def saved(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("near") / "model"
    save_pipeline(folder, pipe)
    return folder


@pytest.mark.parametrize(
    ("text", "as_read", "words"),
    [
        ("a timber floor", "a wood floor", {"timber": "wood"}),
        ("Timber-clad walls, TIMBER!", "wood-clad walls, wood!", {"Timber": "wood", "TIMBER": "wood"}),
        ("a  nightstand, crimson", "a  bedside table, red", {"nightstand": "bedside table", "crimson": "red"}),
        ("no zebra in timbers", "no zebra in timbers", {}),
        ("blue walls", "blue walls", {}),  # what is known is itself, whatever the table says
        ("", "", {}),
    ],
)
def test_unknown_words_are_read_as_the_table_says(text, as_read, words):
    assert read_nearest(telling(TABLE), [text]) == ([as_read], words)


def test_all_texts_are_read_and_words_are_told_in_their_order():
    texts, words = read_nearest(telling(TABLE), ["a room", "crimson timber", "lumber and crimson"])
    assert texts == ["a room", "red wood", "wood and red"]
    assert list(words) == ["crimson", "timber", "lumber"]


def test_tokenizers_without_a_table_and_of_pieces_change_nothing(tmp_path):
    pieces = make_pipeline(tmp_path).tokenizer
    for tokenizer in (TOKENIZER, pieces):
        assert read_nearest(tokenizer, ["a timber floor"]) == (["a timber floor"], {})


def test_embeddings_are_those_of_the_words_that_are_read(pipe):
    with pytest.warns(InputWarning):
        found = pipe.encode_prompt(["a timber room", "a room"], ["crimson", "nightstand"])
    wanted = pipe.encode_prompt(["a wood room", "a room"], ["red", "bedside table"])
    assert torch.equal(found[0], wanted[0]) and torch.equal(found[1], wanted[1])


def test_texts_for_regions_are_read_so_too(pipe):
    masks = np.ones((1, 2, 48, 64), bool)

    def image(region: str) -> torch.Tensor:
        options = {"guidance_scale": 1.0, "output_type": "latent"}
        return run(pipe, room_views(2), "a room", region_prompts=[region], region_masks=masks, **options)

    with pytest.warns(InputWarning, match="reads timber as wood"):
        found = image("a timber floor")
    assert torch.equal(found, image("a wood floor")) and not torch.equal(found, image("a red floor"))


def test_one_line_says_what_is_read(pipe):
    with pytest.warns(InputWarning, match=ONLY_READ) as warned:
        pipe.encode_prompt(["Timber walls", "a crimson rug"])
    assert len(warned) == 1


def test_words_near_nothing_are_named_as_before_beside_it(pipe):
    with pytest.warns(InputWarning) as warned:
        pipe.encode_prompt("Timber walls and a crimson zebra")
    told, unknown = (str(warning.message) for warning in warned)
    assert re.match(ONLY_READ, told)
    assert unknown == "prompt: the model does not know zebra; it passes over these words, so choose others"


def test_a_prompt_of_such_words_says_something(pipe):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        pipe.encode_prompt("timber")
        pipe.encode_prompt("zebra")
    assert ["no word in it says what to show" in str(w.message) for w in warned] == [False, False, True]


def test_command_lines_say_it_once(pipe, capsys):
    def work() -> int:
        for _ in range(3):
            pipe.encode_prompt("a lumber room")
        return 0

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert guarded("scenetex texture", work) == 0
    assert capsys.readouterr().err.splitlines() == [
        "scenetex texture: prompt: the model reads lumber as wood, as it does not know these words"
    ]


def test_training_reads_what_is_written(pipe):
    tokenize, _ = reading(pipe)
    assert pipe.tokenizer.unk_token_id in tokenize("a timber room")


def test_the_table_is_saved_and_loaded_with_the_model(saved, tmp_path):
    loaded = MVDiffusionPipeline.from_pretrained(saved)
    loaded.save_pretrained(tmp_path / "again")
    for tokenizer in (loaded.tokenizer, AutoTokenizer.from_pretrained(tmp_path / "again" / "tokenizer")):
        assert near_words(tokenizer) == near_words(telling(TABLE))
    assert near_words(word_tokenizer(["red"])) == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("timber", "is no table of words"),
        (["wood"], "is no table of words"),
        ({"wood": 3}, "is no table of words"),
        ({"wood": ["timber"]}, "is no table of words"),
        ({"zebra": "horse"}, "names 'zebra', which it does not know"),
        ({"red zebra": "horse"}, "names 'red zebra', which it does not know"),
        ({" ": "horse"}, "names ' ', which it does not know"),
        ({"a\x1b[31m" + "\n" * 500: "horse"}, "which it does not know"),
    ],
)
def test_damaged_tables_are_one_line(saved, tmp_path, table, message):
    model = shutil.copytree(saved, tmp_path / "model")
    path = model / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {NEAR_WORDS: table}))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        MVDiffusionPipeline.from_pretrained(model)
    said = str(caught.value)
    assert said.endswith("copy its folder again") and said.isprintable() and len(said) < 200


@pytest.fixture(scope="module")
def shipped():
    return AutoTokenizer.from_pretrained(SHIPPED)


def test_the_shipped_table_reads_unknown_words_as_known_ones(shipped):
    near, known = near_words(shipped), shipped.get_vocab()
    assert len(near) > 900 and (SHIPPED / "tokenizer_config.json").stat().st_size < 300_000
    assert all(re.fullmatch("[a-z]{3,}", word) and word not in known for word in near)
    assert all(word in known for read in near.values() for word in read.split())


def test_the_shipped_table_lists_a_word_once():
    table = json.loads((SHIPPED / "tokenizer_config.json").read_text())[NEAR_WORDS]
    words = [word for some in table.values() for word in some.split()]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(("word", "meant"), JUDGED.items(), ids=JUDGED)
def test_the_shipped_table_reads_words_as_people_mean_them(shipped, word, meant):
    assert near_words(shipped).get(word, "-") in meant


@pytest.mark.parametrize("text", ["no", "not without never none", "elephant president quickly love", "people dogs"])
def test_the_shipped_table_leaves_negations_and_what_is_in_no_room(shipped, text):
    assert read_nearest(shipped, [text]) == ([text], {}) and unknown_words(shipped, [text]) == text.split()
