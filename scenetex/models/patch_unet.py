"""A diffusion UNet that folds patches of latent cells into channels first: a quarter of the tokens, and wider ones."""

from typing import Any, ClassVar

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch.nn.functional import pixel_shuffle, pixel_unshuffle


# diffusers loads a class only where its module knows ModelMixin by that name.
class PatchUNet(UNet2DConditionModel, ModelMixin):
    """`UNet2DConditionModel` on p x p patches of latent cells (as in DiT, arXiv 2212.09748); what goes in and comes out
    stays whole.

    Args:
        patch_size: p, cells across a patch; sides of the latents are multiples of it times what the blocks reduce.
        in_channels, out_channels: of a cell.
        options: as for `UNet2DConditionModel`.

    Example:
        >>> import torch
        >>> import scenetex
        >>> unet = scenetex.PatchUNet(
        ...     block_out_channels=(32, 64), cross_attention_dim=32, attention_head_dim=4,
        ...     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        ...     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ... )
        >>> unet(torch.randn(1, 4, 16, 16), 10, torch.randn(1, 7, 32)).sample.shape
        torch.Size([1, 4, 16, 16])
    """

    ignore_for_config: ClassVar = ["options"]

    @register_to_config
    def __init__(self, patch_size: int = 2, in_channels: int = 4, out_channels: int = 4, **options: Any):
        folded = {"in_channels": in_channels * patch_size**2, "out_channels": out_channels * patch_size**2}
        super().__init__(**options | folded)
        self.register_to_config(in_channels=in_channels, out_channels=out_channels)

    @staticmethod
    def _get_init_keys(input_class: type) -> set[str]:
        """What a configuration may name: the base class's arguments stand behind `options`."""
        return {"patch_size"} | UNet2DConditionModel._get_init_keys(UNet2DConditionModel)

    def forward(
        self, sample: torch.Tensor, *args: Any, return_dict: bool = True, **kwargs: Any
    ) -> UNet2DConditionOutput | tuple[torch.Tensor]:
        """As `UNet2DConditionModel`, for (n, c, h, w)."""
        folded = pixel_unshuffle(sample, self.config.patch_size)
        out = super().forward(folded, *args, return_dict=False, **kwargs)[0]
        out = pixel_shuffle(out, self.config.patch_size)
        return UNet2DConditionOutput(sample=out) if return_dict else (out,)


def patch_size(unet: UNet2DConditionModel) -> int:
    """Cells across the patches that a UNet folds; 1 for an ordinary one."""
    return unet.config.get("patch_size", 1)
