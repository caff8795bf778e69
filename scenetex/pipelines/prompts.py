"""Prompts as the UNet reads them: one or two text encoders."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..errors import InputError


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
    return prompts


def embed(pipe, prompts: list[str], negative: list[str] | None, device: torch.device) -> Embeddings:
    """Embeds one prompt per view with the pipeline's text encoders.

    Args:
        prompts: m prompts.
        negative: m negative prompts, "" where there is none, to put before them for guidance; None = no guidance.
    """
    texts = list(dict.fromkeys([*(negative or []), *prompts]))
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
