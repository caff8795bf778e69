"""What weights are, in a few letters: tells runs and encoded samples of one model from those of another."""

from collections.abc import Iterable
from hashlib import blake2b

import torch


def text_digest(text: str) -> str:
    """16 hexadecimal letters for a text."""
    return blake2b(text.encode(), digest_size=8).hexdigest()


def weights_digest(head: str, weights: Iterable[tuple[str, torch.Tensor]]) -> str:
    """16 hexadecimal letters for named weights and a text before them."""
    digest = blake2b(head.encode(), digest_size=8)
    for name, value in weights:
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
