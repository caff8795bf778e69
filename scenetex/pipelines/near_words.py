"""Words that a model of whole words does not know, read as the nearest ones that it knows.

Which those are, the tokenizer's configuration says, so that the table is saved and loaded with it: `near_words` gives,
for each word or words that are read, the words that are read so, with spaces between them.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ..errors import InputError, shown

NEAR_WORDS = "near_words"  # of tokenizer_config.json


def near_words(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """What to read for words, in lower case, that a tokenizer does not know; {} where it does not say.

    Raises:
        InputError: what it says is no such table, or names words that it does not know either.
    """
    table = tokenizer.init_kwargs.get(NEAR_WORDS)
    if table is None:
        return {}
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise InputError(f"the tokenizer's {NEAR_WORDS} is no table of words; copy its folder again")
    known = tokenizer.get_vocab()
    for read in table:
        unknown = [word for word in read.split() if word not in known]
        if unknown or not read.strip():
            raise InputError(
                f"the tokenizer's {NEAR_WORDS} names '{shown(read, 60)}', which it does not know; copy its folder again"
            )
    return {word: read for read, words in table.items() for word in words.split()}


def unknown_places(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where each text has words that a tokenizer of whole words does not know; others cut any word into pieces."""
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if not texts or not tokenizer.is_fast or tokenizer.unk_token_id in (None, *special):
        return [[] for _ in texts]
    found = tokenizer(list(texts), add_special_tokens=False, verbose=False, return_offsets_mapping=True)
    return [
        [place for token, place in zip(ids, places, strict=True) if token == tokenizer.unk_token_id]
        for ids, places in zip(found.input_ids, found.offset_mapping, strict=True)
    ]


def read_nearest(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Texts with the nearest known words in the place of unknown ones, where the tokenizer says which those are; and
    what was read for which words, these as they were written.

    Raises:
        InputError: of `near_words`.
    """
    near, changed, read = near_words(tokenizer), list(texts), {}
    for i, places in enumerate(unknown_places(tokenizer, texts) if near else ()):
        pieces, done = [], 0
        for start, end in places:
            word = texts[i][start:end]
            if word.lower() in near:
                read[word] = near[word.lower()]
                pieces += [texts[i][done:start], read[word]]
                done = end
        changed[i] = "".join([*pieces, texts[i][done:]])
    return changed, read
