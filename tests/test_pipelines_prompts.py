"""Prompts: words that a model of whole words does not know are named, once, and in one line at the command line."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pipeline import make_tokenizer
from tiny_training import TOKENIZER, tiny_pipeline

from scenetex.cli.guarded import guarded
from scenetex.data.rooms import RoomStream
from scenetex.errors import InputError, InputWarning
from scenetex.job.generation import Generation
from scenetex.pipelines.prompts import _rounds, one_per_view, parts_of, unknown_words

with TemporaryDirectory() as _folder:
    LETTERS = make_tokenizer(Path(_folder))  # 16 tokens at once


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


def test_unknown_words_are_named_as_they_were_written(pipe):
    prompts = ["a Velvet sofa in a kitchen", "red zebra walls, Velvet curtains"]
    with pytest.warns(InputWarning, match="does not know blurry, Velvet, zebra; it passes over") as warned:
        pipe.encode_prompt(prompts, ["blurry", ""])
    assert len(warned) == 1


def test_known_words_are_no_cause_for_a_warning(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.encode_prompt("A bright kitchen: oak table on grey tiles between red brick walls")


def test_tokenizers_of_pieces_know_everything(tmp_path):
    assert unknown_words(make_tokenizer(tmp_path), ["zebra velvet qwxyz"]) == []
    assert unknown_words(TOKENIZER, ["", "zebra", "Zebra zebra"]) == ["zebra", "Zebra"]


def test_words_at_the_end_of_long_prompts_are_looked_at():
    assert unknown_words(TOKENIZER, ["red " * 60 + "zebra"]) == ["zebra"]


def test_short_prompts_are_their_own_parts():
    assert parts_of(TOKENIZER, "") == [""]
    fits = " ".join(["red"] * 46)
    assert parts_of(TOKENIZER, fits) == [fits] and len(parts_of(TOKENIZER, fits + " red")) == 3


def test_parts_end_behind_a_phrase():
    text = f"{'red ' * 15}floor, {'blue ' * 20}walls, {'blue ' * 18}sofa"
    phrases = [f"{'red ' * 15}floor,", f"{'blue ' * 20}walls,", f"{'blue ' * 18}sofa"]
    assert parts_of(TOKENIZER, text) == phrases
    text = f"{'red ' * 15}floor. {'red, ' * 3}{'blue ' * 36}walls"
    assert parts_of(TOKENIZER, text)[0] == f"{'red ' * 15}floor."


def test_parts_are_repeated_equally_often():
    assert [_rounds(counts) for counts in ([1, 1], [2, 1], [3, 4], [2, 3, 4], [7, 8, 9])] == [1, 2, 12, 12, 9]


@settings(deadline=None, max_examples=60)
@given(st.text("ab,.é 赤-", max_size=300))
def test_parts_hold_every_word_once_and_in_order(text):
    for tokenizer in (TOKENIZER, LETTERS):
        parts = parts_of(tokenizer, text)
        assert "".join("".join(parts).split()) == "".join(text.split())
        room = tokenizer.model_max_length
        assert all(len(tokenizer(part, verbose=False).input_ids) <= room for part in parts)


def test_endings_of_long_prompts_count_and_short_prompts_beside_them_stay_what_they_are(pipe):
    """Images of the end alone differ; of a short prompt, images are those that it makes alone, in whatever company."""
    room = RoomStream(0, views=2, size=(64, 48)).sample(0)
    long = "a kitchen with a table, " * 12

    def images(*prompts: str):
        call = pipe(
            list(prompts),
            room.views,
            num_inference_steps=2,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(0),
            correspondence=False,
            shared_noise=False,
            fusion=False,
            output_type="latent",
        )
        return call.images

    red, blue = images("a red room", long + "red walls"), images("a red room", long + "blue walls")
    assert (red[1] - blue[1]).abs().max() > 1e-3
    alone = images("a red room", "a red room")
    torch.testing.assert_close(red[0], alone[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prompt", ["a the of", "and, with...", "zebra in a xyzzy", "?!"])
def test_prompts_that_say_nothing_are_named(pipe, prompt):
    with pytest.warns(InputWarning, match="no word in it says what to show") as warned:
        pipe.encode_prompt(prompt, do_classifier_free_guidance=False)
    assert all("\n" not in str(w.message) for w in warned)


def test_no_prompt_at_all_and_nothing_but_a_negative_one_are_no_cause_for_it(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.encode_prompt("", "a")


@pytest.mark.parametrize("prompt", ["red " * 250_000, "\udcff", "a \x1b[31m" + "red " * 1000])
def test_what_nobody_says_to_a_model_is_one_line(prompt):
    for prompts in (prompt, ["a room", prompt]):
        with pytest.raises(InputError, match="prompt ") as caught:
            one_per_view(prompts, 2, "prompt")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 200
    with pytest.raises(InputError, match="prompt "):
        Generation(prompt)
    with pytest.raises(InputError, match="negative_prompt "):
        Generation("a room", negative_prompt=prompt)


def test_command_lines_say_it_in_one_line(pipe, capsys):
    def work() -> int:
        for _ in range(3):
            pipe.encode_prompt("a zebra room", do_classifier_free_guidance=False)
        warnings.warn("not ours", UserWarning, stacklevel=1)
        return 0

    assert guarded("scenetex texture", work) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "scenetex texture: not ours (UserWarning)" in lines
    ours = [line for line in lines if "zebra" in line]
    assert set(ours) == {
        "scenetex texture: prompt: the model does not know zebra; it passes over these words, so choose others"
    }
