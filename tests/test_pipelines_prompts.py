"""Prompts: words that a model of whole words does not know are named, once, and in one line at the command line."""

import warnings

import pytest
import torch
from tiny_pipeline import make_tokenizer
from tiny_training import TOKENIZER, tiny_pipeline

from scenetex.cli import guarded
from scenetex.errors import InputWarning
from scenetex.pipelines.prompts import embed, unknown_words


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


def test_unknown_words_are_named_as_they_were_written(pipe):
    prompts = ["a Velvet sofa in a kitchen", "red zebra walls, Velvet curtains"]
    with pytest.warns(InputWarning, match="does not know blurry, Velvet, zebra; it passes over") as warned:
        embed(pipe, prompts, ["blurry", ""], torch.device("cpu"))
    assert len(warned) == 1


def test_known_words_are_no_cause_for_a_warning(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embed(pipe, ["A bright kitchen: oak table on grey tiles between red brick walls"], [""], torch.device("cpu"))


def test_tokenizers_of_pieces_know_everything(tmp_path):
    assert unknown_words(make_tokenizer(tmp_path), ["zebra velvet qwxyz"]) == []
    assert unknown_words(TOKENIZER, ["", "zebra", "Zebra zebra"]) == ["zebra", "Zebra"]


def test_words_beyond_the_longest_prompt_are_not_looked_at():
    assert unknown_words(TOKENIZER, ["red " * 60 + "zebra"]) == []


def test_command_lines_say_it_in_one_line(pipe, capsys):
    def work() -> int:
        for _ in range(3):
            embed(pipe, ["a zebra room"], None, torch.device("cpu"))
        warnings.warn("not ours", UserWarning, stacklevel=1)
        return 0

    assert guarded("scenetex texture", work) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "scenetex texture: not ours (UserWarning)" in lines
    ours = [line for line in lines if "zebra" in line]
    assert set(ours) == {
        "scenetex texture: prompt: the model does not know zebra; it passes over these words, so choose others"
    }
