"""Cross-attention by region: every place of a picture reads the text of its own region."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.dual_transformer_2d import DualTransformer2DModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

_UNREAD = -10000.0  # added to attention's logit of a token that is not to be read, as diffusers does
_CLAIMED = 0.1  # of a place, from which on it is its regions' alone


def reads_by_region(network: nn.Module) -> bool:
    """Whether all that a UNet or ControlNet of diffusers is told of a prompt comes through attention that takes masks.

    Stable Diffusion XL's hear of the whole prompt beside it.
    """
    if network.config.get("addition_embed_type") is not None:
        return False
    parts = list(network.modules())
    masked = {id(a) for part in parts if isinstance(part, Transformer2DModel) for a in part.modules()}
    crossing = [part for part in parts if isinstance(part, Attention) and part.is_cross_attention]
    dual = any(isinstance(part, DualTransformer2DModel) for part in parts)
    return not dual and all(id(part) in masked for part in crossing)


@contextmanager
def attend_by_region(
    networks: Sequence[nn.Module], text_of_token: torch.Tensor, shares: torch.Tensor
) -> Iterator[None]:
    """Within this context, networks that are given the tokens of several texts in a row read them by region.

    A place that lies in one region reads its text alone. One that several share, as happens where networks are coarse,
    reads each text as much as it has a share: by a majority, what is narrower than a place would be lost. But the first
    text is that of no region, and is not read where regions have a tenth of a place: a prompt of yellow walls must not
    reach those that are to be white.
    The networks stay as they are, whatever their attention processors: masks come in through hooks.

    Args:
        networks: UNets and ControlNets of diffusers that `reads_by_region` holds for.
        text_of_token: (l,) int64, which of t texts each token is of.
        shares: (n, t, h, w), how much of each latent cell of n pictures belongs to each text; the first is that of no
            region, their sum is 1.
    """
    lengths = text_of_token.bincount(minlength=shares.shape[1])[:, None, None]
    masks: dict[tuple[int, int], torch.Tensor] = {}

    def mask(x: torch.Tensor) -> torch.Tensor:
        """(n, h' * w', l), to add to the logits, for feature maps (n, c, h', w')."""
        shape = (x.shape[2], x.shape[3])
        if shape not in masks:
            of_place = adaptive_avg_pool2d(shares, shape)
            regions = of_place[:, 1:]
            prompt = of_place[:, :1] * (regions.sum(1, keepdim=True) < _CLAIMED)
            logits = (
                (torch.cat([prompt, regions], 1) / lengths).log().clamp(min=_UNREAD)
            )  # a text counts the same, however long it is
            masks[shape] = logits.flatten(2).mT[..., text_of_token].to(x.dtype)
        return masks[shape]

    def tell(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = ["encoder_attention_mask"]
        if any(part.only_cross_attention for part in block.transformer_blocks):
            names.append("attention_mask")  # there, what is self-attention elsewhere reads the prompt, too
        return args, kwargs | dict.fromkeys(names, mask(args[0] if args else kwargs["hidden_states"]))

    with ExitStack() as stack:
        for block in (part for network in networks for part in network.modules()):
            if isinstance(block, Transformer2DModel):
                stack.callback(block.register_forward_pre_hook(tell, with_kwargs=True).remove)
        yield
