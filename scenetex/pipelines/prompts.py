"""Prompts as the UNet reads them: one or two text encoders."""

import re
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from math import lcm

import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..errors import InputError, InputWarning, shown
from ..limits import check_words
from .near_words import read_nearest, unknown_places

_ENDS = (".;!?", ",:")  # of sentences, and of phrases
_MOST_REPEATED = 6  # times as many parts as the longest prompt has
# What says nothing of how a room looks, without other words.
_EMPTY_WORDS = set(
    "a an and are as at be by for from in into is it its like of on or over so that the this to up with".split()
)


# What `encode_prompt` gives and calls take, in this order, as in diffusers; pooled ones are Stable Diffusion XL's.
EMBEDS = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of g prompts (guidance halves) for each of m views.

    Attributes:
        hidden: (g, m, l, d) hidden states of the text encoders; of prompts in parts, part after part.
        pooled: (g, m, p) of Stable Diffusion XL's second encoder, or None.
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None

    def to(self, device: torch.device, dtype: torch.dtype) -> "Embeddings":
        """The same on a device, in a precision."""
        return Embeddings(*(None if part is None else part.to(device, dtype) for part in (self.hidden, self.pooled)))

    def at(self, views: Sequence[int]) -> "Embeddings":
        """Those of some views."""
        return Embeddings(self.hidden[:, views], None if self.pooled is None else self.pooled[:, views])


def one_per_view(prompt: str | Sequence[str], views: int, name: str) -> list[str]:
    """The prompts as a list with one for each view.

    Raises:
        InputError: neither one prompt nor one per view, or something that is not text.
    """
    if not isinstance(prompt, str) and (isinstance(prompt, bytes) or not isinstance(prompt, Sequence)):
        raise InputError(f"{name}: {type(prompt).__name__} is not text; pass a string, or one per view")
    prompts = [prompt] * views if isinstance(prompt, str) else list(prompt)
    if len(prompts) != views:
        raise InputError(f"{name}: {len(prompts)} prompts for {views} views; pass one for all, or one per view")
    for text in prompts:
        if not isinstance(text, str):
            raise InputError(f"{name}: {type(text).__name__} is not text; pass a string, or one per view")
        check_words(text, name)
    return prompts


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A text encoder and the tokenizer that it was trained with."""

    tokenizer: CLIPTokenizer
    model: CLIPTextModel | CLIPTextModelWithProjection


def embed(
    encoders: Sequence[TextEncoder], prompts: list[str], negative: list[str] | None, device: torch.device
) -> Embeddings:
    """Embeds one prompt per view; warns of words that the first of the encoders does not know, and of what it reads for
    them.

    Prompts that are longer than an encoder reads at once are read in parts, see `parts_of`, whose hidden states follow
    each other. Shorter ones beside them repeat theirs, each as often, which attention takes for what they are alone.

    Args:
        encoders: one, or Stable Diffusion XL's two.
        prompts: m prompts.
        negative: m negative prompts, "" where there is none, to put before them for guidance; None = no guidance.
        device: where the encoders are.
    """
    tokenizer, given = encoders[0].tokenizer, list(dict.fromkeys([*(negative or []), *prompts]))
    nearest, read = read_nearest(tokenizer, given)
    _warn(unknown_words(tokenizer, nearest), read, prompts)
    as_read = dict(zip(given, nearest, strict=True))
    prompts, negative = ([as_read[text] for text in some] if some else some for some in (prompts, negative))
    texts = list(dict.fromkeys(nearest))
    parts = [parts_of(tokenizer, text) for text in texts]
    most = _rounds([len(found) for found in parts])
    every = list(dict.fromkeys(part for found in parts for part in found))
    found = [_encode(encoder, every, len(encoders) > 1, device) for encoder in encoders]
    hidden, pooled = torch.cat([h for h, _ in found], -1), found[-1][1]
    if pooled is not None and "" in every:
        # Stable Diffusion XL was trained with zeros where there is no prompt.
        hidden[every.index("")], pooled[every.index("")] = 0, 0
    at = [[every.index(part) for part in islice(cycle(found), most)] for found in parts]
    hidden = torch.stack([hidden[places].flatten(0, 1) for places in at])
    pooled = None if pooled is None else pooled[[places[0] for places in at]]
    rows = torch.tensor([[texts.index(text) for text in part] for part in (negative, prompts) if part is not None])
    return Embeddings(hidden[rows], None if pooled is None else pooled[rows])


def for_each_view(embeds: Mapping[str, torch.Tensor | None], views: int, width: int | Sequence[int]) -> Embeddings:
    """Embeddings for each view, of those of `EMBEDS` that the model needs.

    Args:
        embeds: by name; hidden states (n, l, d) and pooled ones (n, p), n is 1 or `views`.
        width: d, where the UNet has only one.

    Raises:
        InputError: none, or of another shape; lengths of which one does not divide the other.
    """
    for name, value in embeds.items():
        axes = ["p"] if "pooled" in name else ["l", str(width) if isinstance(width, int) else "d"]
        wanted = f"{name}: pass a tensor (1 or {views}, {', '.join(axes)}), as encode_prompt gives it"
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{wanted}, not {'none' if value is None else type(value).__name__}")
        apart = "pooled" not in name and isinstance(width, int) and value.shape[-1] != width
        if value.ndim != len(axes) + 1 or len(value) not in (1, views) or apart:
            raise InputError(f"{wanted}, not {tuple(value.shape)}")
    pooled, hidden = (
        [embeds[n] for n in reversed(EMBEDS) if n in embeds and ("pooled" in n) is p] for p in (True, False)
    )
    lengths = [part.shape[1] for part in hidden]
    if any(max(lengths) % length for length in lengths):
        raise InputError(
            f"prompt_embeds of {lengths[-1]} tokens, negative ones of {lengths[0]}; pass both of one length"
        )
    # What repeats itself is to attention what it is alone.
    hidden = [part.repeat(1, max(lengths) // part.shape[1], 1).expand(views, -1, -1) for part in hidden]
    return Embeddings(torch.stack(hidden), torch.stack([part.expand(views, -1) for part in pooled]) if pooled else None)


def parts_of(tokenizer, text: str) -> list[str]:
    """A text in parts that an encoder reads whole, one after the other; a text that fits is its only part.

    Parts fill half of what it could read: a model hears what stands early in a part best. They end behind a sentence or
    phrase, where punctuation tells, or else between two words: what belongs together is understood best. What is no
    word, being too long for any part, is cut.
    """
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()

    def lengths(pieces: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(pieces, add_special_tokens=False, verbose=False).input_ids]

    if lengths([text])[0] <= room:
        return [text]
    room, parts, words = max(1, room // 2), [], re.findall(r"\S+", text)
    spent = lengths(words)
    while words:
        fit = bisect_right(list(accumulate(spent)), room)
        if not fit:
            head = _longest_head(words[0], lambda piece: lengths([piece])[0] <= room)
            words[0:1] = [head, words[0][len(head) :]]
            spent[0:1] = lengths(words[:2])
            continue
        if fit < len(words):
            fit = _best_end(words[:fit])
        parts.append(" ".join(words[:fit]))
        words, spent = words[fit:], spent[fit:]
    return parts


def _rounds(counts: Sequence[int]) -> int:
    """How many parts all prompts get, so that each repeats its own equally often, or nearly, where they differ much."""
    return lcm(*counts) if lcm(*counts) <= _MOST_REPEATED * max(counts) else max(counts)


def _best_end(words: list[str]) -> int:
    """How many of the words to take: up to the end of a sentence, or else of a phrase, in their latter half."""
    for marks in _ENDS:
        for count in range(len(words), len(words) // 2, -1):
            if words[count - 1][-1] in marks:
                return count
    return len(words)


def _longest_head(word: str, fits: Callable[[str], bool]) -> str:
    """As many letters of a word from its start, one at least, as fit."""
    return word[: max(1, bisect_left(range(1, len(word) + 1), True, key=lambda count: not fits(word[:count])))]


def _warn(unknown: Sequence[str], read: Mapping[str, str], prompts: Sequence[str]) -> None:
    """Warns of words that are read as others, of those that the model passes over, and of prompts that say nothing."""
    if read:
        told = ", ".join(f"{word} as {other}" for word, other in read.items())
        warnings.warn(
            f"prompt: the model reads {told}, as it does not know these words",
            InputWarning,
            stacklevel=3,
        )
    if unknown:
        warnings.warn(
            f"prompt: the model does not know {', '.join(unknown)}; it passes over these words, so choose others",
            InputWarning,
            stacklevel=3,
        )
    passed = _EMPTY_WORDS | {word.lower() for word in unknown}
    for text in dict.fromkeys(prompts):
        if text.strip() and not set(re.findall(r"\w+", text.lower())) - passed:
            warnings.warn(
                f"prompt '{shown(text, 60)}': no word in it says what to show; name materials and colours, such as "
                "'white walls and an oak floor'",
                InputWarning,
                stacklevel=3,
            )


def unknown_words(tokenizer, texts: Sequence[str]) -> list[str]:
    """The words of texts that a tokenizer of whole words does not know, each once; others cut any word into pieces."""
    places = unknown_places(tokenizer, texts)
    words = [text[start:end] for text, found in zip(texts, places, strict=True) for start, end in found]
    return list(dict.fromkeys(words))


def _encode(
    encoder: TextEncoder, texts: list[str], penultimate: bool, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Hidden states (n, l, d) of n texts, and for Stable Diffusion XL, whose `penultimate` ones count, pooled ones."""
    tokenizer, model = encoder.tokenizer, encoder.model
    tokens = tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    mask = tokens.attention_mask.to(device) if getattr(model.config, "use_attention_mask", False) else None
    out = model(tokens.input_ids.to(device), attention_mask=mask, output_hidden_states=penultimate)
    if penultimate:
        return out.hidden_states[-2], out[0]
    return out[0], None
