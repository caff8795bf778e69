"""Attention by region: each place makes of the texts what its own alone makes of it."""

import pytest
import torch
from diffusers import ControlNetModel
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from tiny_pipeline import make_unet
from torch import nn

from scenetex.models.region_attention import attend_by_region, reads_by_region

LENGTHS = (7, 7, 14)  # tokens of three texts


def three_texts(n: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(4)
    return [torch.randn(n, length, 32) for length in LENGTHS]


def token_numbers() -> torch.Tensor:
    return torch.arange(len(LENGTHS)).repeat_interleave(torch.tensor(LENGTHS))


def shares_of(owner: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(owner, len(LENGTHS)).movedim(-1, 1).float()


@pytest.mark.parametrize("crossing_alone", [False, True])
@torch.no_grad()
def test_a_place_makes_of_the_texts_what_its_own_alone_makes_of_it(crossing_alone):
    torch.manual_seed(0)
    # Attention to the prompt in place of self-attention, too, as diffusers' blocks can be told.
    options = {"only_cross_attention": crossing_alone, "cross_attention_dim": 32, "norm_num_groups": 4}
    block = Transformer2DModel(2, 8, in_channels=16, **options).eval()
    x, texts, owner = torch.randn(2, 16, 4, 6), three_texts(), torch.randint(0, 3, (2, 4, 6))
    with attend_by_region([block], token_numbers(), shares_of(owner)):
        found = block(x, torch.cat(texts, 1)).sample
    alone = torch.stack([block(x, text).sample for text in texts])
    expected = alone.gather(0, owner[None, :, None].expand(1, -1, 16, -1, -1))[0]
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(alone[0], alone[1], atol=1e-2)


@torch.no_grad()
def test_a_place_that_regions_share_reads_each_text_by_its_share():
    """Told apart by tokens that say the same: a text that is there twice counts once."""
    masks = []

    class Block(Transformer2DModel):
        def forward(self, hidden_states, encoder_attention_mask=None):
            masks.append(encoder_attention_mask)

    block = Block(2, 8, in_channels=16, norm_num_groups=4, cross_attention_dim=32)
    # Of the prompt and two regions, in 2 x 2 cells; all together, a half, an eighth and three.
    shares = torch.tensor([[[0.0, 1.0], [0.95, 0.05]], [[0.5, 0.0], [0.0, 0.0]], [[0.5, 0.0], [0.05, 0.95]]])[None]
    with attend_by_region([block], torch.tensor([0, 1, 2, 2]), shares):
        block(torch.zeros(1, 16, 2, 2))
        block(hidden_states=torch.zeros(1, 16, 1, 1))
    fine, coarse = (mask.softmax(-1)[0] for mask in masks)  # of tokens that are liked alike
    expected = [
        [0.0, 0.5, 0.25, 0.25],
        [1.0, 0.0, 0.0, 0.0],
        [0.95, 0.0, 0.025, 0.025],  # too little of a region to keep the prompt out
        [0.0, 0.0, 0.5, 0.5],
    ]
    assert torch.allclose(fine, torch.tensor(expected), atol=1e-6)
    assert torch.allclose(coarse, torch.tensor([[0.0, 0.25, 0.375, 0.375]]), atol=1e-6)


def hooks(network) -> int:
    return sum(len(part._forward_pre_hooks) + len(part._forward_hooks) for part in network.modules())


def test_networks_stay_as_they_are_even_after_an_error():
    unet = make_unet()
    before = dict(unet.attn_processors)
    with pytest.raises(ZeroDivisionError), attend_by_region([unet], torch.tensor([0]), torch.ones(1, 1, 2, 2)):
        assert hooks(unet) > 0
        assert unet.attn_processors == before
        raise ZeroDivisionError
    assert hooks(unet) == 0 and unet.attn_processors == before


def test_which_networks_hear_of_the_prompt_through_attention_alone():
    unet = make_unet(in_channels=4)
    assert reads_by_region(unet) and reads_by_region(ControlNetModel.from_unet(unet))
    pooled = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    assert not reads_by_region(make_unet(**pooled, projection_class_embeddings_input_dim=72))
    assert not reads_by_region(make_unet(dual_cross_attention=True))
    other = ("SimpleCrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "SimpleCrossAttnUpBlock2D")
    assert not reads_by_region(make_unet(down_block_types=other[0], up_block_types=other[1]))
