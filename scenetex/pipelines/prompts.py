"""Prompts as the UNet reads them: one or two text encoders."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..errors import InputError, InputWarning
from ..options import check_text


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of g prompts (guidance halves) for each of m views.

    Attributes:
        hidden: (g, m, l, d) hidden states of the text encoders.
        pooled: (g, m, p) of Stable Diffusion XL's second encoder, or None.
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None

    def at(self, views: Sequence[int]) -> "Embeddings":
        """Those of some views."""
        return Embeddings(self.hidden[:, views], None if self.pooled is None else self.pooled[:, views])


def one_per_view(prompt: str | Sequence[str], views: int, name: str) -> list[str]:
    """The prompts as a list with one for each view.

    Raises:
        InputError: neither one prompt nor one per view, or something that is not text.
    """
    prompts = [prompt] * views if isinstance(prompt, str) else list(prompt)
    if len(prompts) != views:
        raise InputError(f"{name}: {len(prompts)} prompts for {views} views; pass one for all, or one per view")
    for text in prompts:
        if not isinstance(text, str):
            raise InputError(f"{name}: {type(text).__name__} is not text; pass a string, or one per view")
        check_text(text, name)
    return prompts


def embed(pipe, prompts: list[str], negative: list[str] | None, device: torch.device) -> Embeddings:
    """Embeds one prompt per view with the pipeline's text encoders; warns of words that the first does not know.

    Args:
        prompts: m prompts.
        negative: m negative prompts, "" where there is none, to put before them for guidance; None = no guidance.
    """
    texts = list(dict.fromkeys([*(negative or []), *prompts]))
    unknown = unknown_words(pipe.tokenizer, texts)
    if unknown:
        warnings.warn(
            f"prompt: the model does not know {', '.join(unknown)}; it passes over these words, so choose others",
            InputWarning,
            stacklevel=2,
        )
    encoders = [(pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2)]
    encoders = [(tokenizer, encoder) for tokenizer, encoder in encoders if encoder is not None]
    found = [_encode(*pair, texts, len(encoders) > 1, device) for pair in encoders]
    hidden, pooled = torch.cat([h for h, _ in found], -1), found[-1][1]
    rows = torch.tensor([[texts.index(text) for text in part] for part in (negative, prompts) if part is not None])
    if pooled is not None and "" in texts:
        # Stable Diffusion XL was trained with zeros where there is no prompt.
        hidden[texts.index("")], pooled[texts.index("")] = 0, 0
    dtype = pipe.unet.dtype
    return Embeddings(hidden[rows].to(dtype), None if pooled is None else pooled[rows].to(dtype))


def unknown_words(tokenizer, texts: Sequence[str]) -> list[str]:
    """The words of texts that a tokenizer of whole words does not know, each once; others cut any word into pieces."""
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if not tokenizer.is_fast or tokenizer.unk_token_id in (None, *special):
        return []
    found = tokenizer(list(texts), truncation=True, return_offsets_mapping=True)
    words = [
        text[start:end]
        for text, ids, places in zip(texts, found.input_ids, found.offset_mapping, strict=True)
        for token, (start, end) in zip(ids, places, strict=True)
        if token == tokenizer.unk_token_id
    ]
    return list(dict.fromkeys(words))


def _encode(
    tokenizer, encoder, texts: list[str], penultimate: bool, device
) -> tuple[torch.Tensor, torch.Tensor | None]:
    tokens = tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    mask = tokens.attention_mask.to(device) if getattr(encoder.config, "use_attention_mask", False) else None
    out = encoder(tokens.input_ids.to(device), attention_mask=mask, output_hidden_states=penultimate)
    if penultimate:
        return out.hidden_states[-2], out[0]
    return out[0], None
