"""Prompts by region: texts of which each acts on its own pixels, beside the prompt for all others."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad

from ..errors import InputError, InputWarning, shown
from ..models.region_attention import attend_by_region, reads_by_region
from ..scene.regions import SHELL
from .prompts import Embeddings, one_per_view

_UNSAID = ("object", "prop", "structure", "unannotated", "furniture")  # ends of labels that say not what a thing is
_ARTICLE = re.compile(r"^(an?|the|some)\s+", re.IGNORECASE)


def region_prompt(region: str, words: str) -> str:
    """The text for a region of which a user says in words what it is to look like.

    A sentence about a room, as models know them, with what the region is, unless the words say that. The words stand
    there twice: once they are too weak in a sentence that says nothing else, and with commas surfaces come out flatter.

    Args:
        region: its name, see `scenetex.regions`.
        words: a colour or material, or a whole thing.

    Raises:
        InputError: no words.

    Example:
        >>> from scenetex.pipelines.region_prompts import region_prompt
        >>> region_prompt("floor", "dark walnut planks")
        'a room with a floor of dark walnut planks dark walnut planks'
        >>> region_prompt("walls", "white")
        'a room with white white walls'
        >>> region_prompt("label:sofa", "green velvet")
        'a room with a green velvet green velvet sofa'
    """
    words, noun = words.strip(), _noun(region)
    if not words:
        raise InputError(f"region '{shown(region, 60)}' has no words; say what it is to look like")
    if noun is None or re.search(rf"\b{re.escape(noun.removesuffix('s'))}", words, re.IGNORECASE):
        return f"a room with {words} {words}"
    words = _ARTICLE.sub("", words)
    stuff = re.search(r"[^sua]s$", words) is not None  # planks, tiles: not glass, canvas or hibiscus
    if stuff and noun in ("floor", "ceiling"):
        return f"a room with a {noun} of {words} {words}"
    if stuff and noun == "walls":
        return f"a room with {words} {words} on the walls"
    article = "" if noun.endswith("s") else "an " if words[0].lower() in "aeiou" else "a "
    return f"a room with {article}{words} {words} {noun}"


def _noun(region: str) -> str | None:
    """What a region shows, in a word or two; None where its name does not say."""
    kind, _, label = region.partition(":")
    if kind == "label":
        return None if label.endswith(_UNSAID) else label
    return region if region in SHELL else None


@dataclass(frozen=True, eq=False)
class RegionPrompts:
    """Texts for r regions of m views.

    Attributes:
        texts: (r,).
        text_of_pixel: (m, h, w) int32, the text that acts on a pixel, counted from 1; 0 = the prompt.
    """

    texts: tuple[str, ...]
    text_of_pixel: np.ndarray

    @classmethod
    def of(
        cls, texts: Sequence[str] | None, masks: np.ndarray | None, views: int, size: tuple[int, int]
    ) -> "RegionPrompts | None":
        """What a call of a pipeline asks for; None where that is nothing.

        Args:
            texts: (r,).
            masks: (r, m, h, w) bool; where they overlap, the later one counts.
            views: m.
            size: (w, h) of the views, pixels.

        Raises:
            InputError: one without the other, what is no text or says nothing, masks that do not fit.
        """
        if texts is None and masks is None:
            return None
        if not isinstance(texts, Sequence) or isinstance(texts, str | bytes):
            said = "none" if texts is None else type(texts).__name__
            raise InputError(f"region_prompts: {said} for the region_masks; pass a list with a text for each of them")
        texts = one_per_view(texts, len(texts), "region_prompts")
        empty = [i for i, text in enumerate(texts) if not text.strip()]
        if empty:
            raise InputError(f"region_prompts: text {empty[0]} is empty; say what its region is to look like")
        wanted = (len(texts), views, size[1], size[0])
        owner = np.zeros(wanted[1:], np.int32)
        for number, mask in enumerate(_checked_masks(masks, wanted), 1):
            owner[mask] = number
        _warn(texts, owner)
        return cls(tuple(texts), owner) if texts else None

    def shares(self, factor: int) -> torch.Tensor:
        """(m, 1 + r, h / factor, w / factor) float32, which part of a latent cell's pixels is each text's."""
        m, h, w = self.text_of_pixel.shape
        cells = self.text_of_pixel.reshape(m, h // factor, factor, w // factor, factor)
        shares = [(cells == number).mean((2, 4), dtype=np.float32) for number in range(1 + len(self.texts))]
        return torch.from_numpy(np.stack(shares, 1))


@dataclass(frozen=True, eq=False)
class RegionInputs:
    """What the texts of regions are to n views that are denoised together, on the device that computes.

    Attributes:
        embeddings: of t texts, which stand where others have their views, (1, t, ...).
        shares: (n, 1 + t, h, w), which part of a latent cell is the prompt's and each text's.
    """

    embeddings: Embeddings
    shares: torch.Tensor

    def at(self, views: Sequence[int]) -> "RegionInputs":
        """Those of some views; texts that act on none of them are left out."""
        shares = self.shares[list(views)]
        texts = torch.nonzero(shares[:, 1:].amax((0, 2, 3)))[:, 0].tolist()
        return RegionInputs(self.embeddings.at(texts), shares[:, [0, *(1 + i for i in texts)]])

    def predict(
        self, networks: Sequence[nn.Module], predict: Callable[[Embeddings], torch.Tensor], prompts: Embeddings
    ) -> torch.Tensor:
        """The model's output (g, n, c, h, w), with every text on its own pixels.

        Where attention is all that tells networks of a prompt, they read all texts in one pass, each place its own;
        others make a pass for each text, which are mixed in each latent cell.

        Args:
            networks: those of diffusers that the prompt goes to.
            predict: the output for some embeddings alone.
            prompts: (g, n, ...) those of the views, which act where no text does; with guidance, negative ones come
                first and act everywhere.
        """
        if all(map(reads_by_region, networks)):
            joined, text_of_token, shares = self._joined(prompts)
            with attend_by_region(networks, text_of_token, shares):
                return predict(joined)
        output = predict(prompts)
        mixed = output[-1] * self.shares[:, :1].to(output.dtype)
        for i in range(self.shares.shape[1] - 1):
            text = self.embeddings.at([i] * len(self.shares))
            mixed = mixed + predict(text)[0] * self.shares[:, 1 + i, None].to(output.dtype)
        return torch.cat([output[:-1], mixed[None]])

    def _joined(self, prompts: Embeddings) -> tuple[Embeddings, torch.Tensor, torch.Tensor]:
        """Embeddings (g, n, l, d) of prompts and texts one after the other; which text each token is of, (l,); and the
        shares (g * n, 1 + t, h, w) of the texts."""
        negative, hidden, (_, t, length, _) = prompts.hidden[:-1], prompts.hidden[-1], self.embeddings.hidden.shape
        texts = self.embeddings.hidden.flatten(1, 2).expand(len(hidden), -1, -1)
        joined = torch.cat([pad(negative, (0, 0, 0, t * length)), torch.cat([hidden, texts], 1)[None]])
        numbers = torch.arange(1, t + 1, device=joined.device).repeat_interleave(length)
        everywhere = torch.zeros_like(self.shares)
        everywhere[:, 0] = 1
        shares = torch.cat([everywhere] * len(negative) + [self.shares])
        return Embeddings(joined, None), pad(numbers, (hidden.shape[1], 0)), shares


def _checked_masks(masks: np.ndarray | None, wanted: tuple[int, int, int, int]) -> np.ndarray:
    """Masks as bools of the shape (r, m, h, w) that is wanted; InputError for others."""
    r, m, h, w = wanted
    try:
        found = np.zeros(wanted if r == 0 else 0, bool) if masks is None else np.asarray(masks)
    except ValueError:  # masks of several sizes
        found = np.zeros(0, object)
    if found.shape == wanted and found.dtype.kind in "bui":
        return found.astype(bool)
    said = f"{' x '.join(map(str, found.shape)) or 'one'} of {found.dtype}" if found.size else "none, or odd ones,"
    raise InputError(
        f"region_masks: {said} for {r} texts and {m} views of {w} x {h} pixels; pass {r} x {m} x {h} x {w} bools, as "
        "scenetex.region_masks makes them"
    )


def _warn(texts: Sequence[str], text_of_pixel: np.ndarray) -> None:
    """Warns of texts that act nowhere."""
    for i, text in enumerate(texts):
        if not (text_of_pixel == i + 1).any():
            warnings.warn(
                f"region_prompts: '{shown(text, 60)}' acts on no pixel of the views; check its mask, and later ones, "
                "which count where they overlap",
                InputWarning,
                stacklevel=3,
            )
