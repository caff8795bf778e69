"""The super-resolution UNet: low-resolution views guide high-resolution ones along correspondences."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from ..correspondence import Correspondence, Matches
from ..correspondence.matches import own_matches
from ..errors import InputError
from .attention import ExactFrequencies
from .correspondence_block import CorrespondenceBlock, fuse, limit_memory
from .multiview_unet import OnTensor, run_after, run_before, run_on_input


# diffusers loads a class only where its module knows ModelMixin by that name.
class SuperResolutionUNet(ExactFrequencies, ModelMixin, ConfigMixin):
    """Noise predictor for the high-resolution latents of m views, guided by their low-resolution images.

    Before every encoder block each cell looks, one way, at the low-resolution features of its own place and of the
    places where the overlapping views show the same surface; after every decoder block but the last the high-resolution
    views look at each other. Fresh, both are the identity.

    Args:
        unet_config: configuration of the base UNet, which takes and predicts latents.
        factor: how many times the images become larger, a power of 2.
        enlarge: how many times they are enlarged (bicubic) before they are encoded; a power of 2 that divides `factor`.
            1, as in the paper, leaves to the latents what the autoencoder keeps of the small images; `factor` keeps
            about all of it.
        unet: the base UNet to take as it is, instead of a new one; not part of the configuration.

    Raises:
        InputError: a factor that is no such power of 2, a UNet with widths that are not divisible by 4.

    Example:
        >>> import torch
        >>> from diffusers import UNet2DConditionModel
        >>> import scenetex
        >>> unet = UNet2DConditionModel(
        ...     in_channels=4, block_out_channels=(32, 64), cross_attention_dim=32, attention_head_dim=4,
        ...     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        ...     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ... )
        >>> model = scenetex.SuperResolutionUNet.from_unet(unet, factor=2)
        >>> low = model.read_low(torch.randn(1, 2, 4, 8, 8))
        >>> model(torch.randn(1, 2, 4, 16, 16), 10, torch.randn(1, 2, 7, 32), low).sample.shape
        torch.Size([1, 2, 4, 16, 16])
    """

    _supports_gradient_checkpointing = True
    ignore_for_config: ClassVar = ["unet"]

    @register_to_config
    def __init__(
        self, unet_config: dict[str, Any], factor: int = 4, enlarge: int = 1, unet: UNet2DConditionModel | None = None
    ):
        super().__init__()
        if factor < 2 or factor & (factor - 1) or enlarge < 1 or enlarge & (enlarge - 1) or enlarge > factor:
            raise InputError(
                f"super-resolution by {factor}, enlarged by {enlarge} first: pass a factor of 2, 4, 8, ..., and 1, 2, "
                "... up to it"
            )
        self.unet = unet if unet is not None else UNet2DConditionModel.from_config(unet_config)
        self.low_resolution = LowResolutionFeatures(self.unet, factor // enlarge)

        def block_of(width: int) -> CorrespondenceBlock:
            if width % 4:
                raise InputError(f"the UNet has a block of {width} channels; correspondence blocks need multiples of 4")
            # From metres to centimetres of depth error.
            bands = torch.logspace(0, 1, width // 2, base=256.0)
            # At these sizes every layer counts; the UNet is light, and so are its blocks.
            return CorrespondenceBlock(width, bands, residual=False, expansion=1)

        self.low_attention = nn.ModuleList(block_of(b.resnets[0].in_channels) for b in self.unet.down_blocks)
        # Not on the finest grid, where it would cost as much as all others and views have agreed by then.
        self.up_correspondence = nn.ModuleList(block_of(b.resnets[-1].out_channels) for b in self.unet.up_blocks[:-1])

    @classmethod
    def from_unet(cls, unet: UNet2DConditionModel, factor: int = 4, enlarge: int = 1) -> "SuperResolutionUNet":
        """Fresh blocks around `unet`, which is taken as it is, not copied."""
        config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
        return cls(config, factor, enlarge, unet=unet).to(unet.device, unet.dtype)

    @property
    def ratio(self) -> int:
        """Cells of the high-resolution latents along a cell of the low-resolution ones."""
        return self.config.factor // self.config.enlarge

    @property
    def alignment(self) -> int:
        """Windows start at multiples of so many cells, one cell of the coarsest features."""
        return 2 ** (len(self.unet.down_blocks) - 1)

    def multiview_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters beside the base UNet's: low-resolution features and attention."""
        base = {id(p) for p in self.unet.parameters()}
        return (p for p in self.parameters() if id(p) not in base)

    def set_attention_memory(self, megabytes: int | None) -> None:
        """Limits the intermediate results of each correspondence attention; None = what suits the device.

        The images do not depend on it.
        """
        limit_memory([*self.low_attention, *self.up_correspondence], megabytes)

    def set_fused_attention(self, on: bool = True) -> None:
        """Experimental: attends along correspondences in one Triton kernel, on a GPU, where it can; off by default.

        Raises:
            InputError: Triton is not there.
        """
        fuse([*self.low_attention, *self.up_correspondence], on)

    @apply_forward_hook
    def read_low(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """What `forward` looks at; the same at every step, so compute it once.

        Args:
            latents: (b, m, c, h / ratio, w / ratio) of the whole low-resolution images, enlarged by `enlarge`.

        Returns:
            Features (b, m, c_k, h_k, w_k) for each encoder block.
        """
        if latents.ndim != 5:
            raise InputError(
                f"low-resolution latents are {tuple(latents.shape)}; pass (scenes, views, channels, height, width)"
            )
        return [f.unflatten(0, latents.shape[:2]) for f in self.low_resolution(latents.flatten(0, 1))]

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float | int,
        encoder_hidden_states: torch.Tensor,
        low: Sequence[torch.Tensor],
        correspondence: Correspondence | None = None,
        corner: tuple[int, int] | None = None,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple[torch.Tensor]:
        """One prediction for b sets of m views.

        Args:
            sample: (b, m, c, h, w) noisy high-resolution latents, whole or a window of them.
            timestep: (b, m), or one number for all.
            encoder_hidden_states: (b, m, l, d) prompt embeddings.
            low: from `read_low`, for whole views; of b sets, or of fewer that divide b, repeated.
            correspondence: of the whole views, of b sets or fewer that divide b; from depth, convention "visible". None
                = each view looks at its own low-resolution features only.
            corner: (row, column) of the sample's first cell where it is a window of the whole views, the same in all of
                them; multiples of `alignment`. None = the sample is whole.
            return_dict: False returns a tuple.

        Returns:
            `.sample`: (b, m, c, h, w).

        Raises:
            InputError: shapes or kinds that do not fit together.
        """
        self._check(sample, encoder_hidden_states, low, correspondence, corner)
        b, m = sample.shape[:2]
        if torch.is_tensor(timestep) and timestep.ndim == 2:
            timestep = timestep.expand(b, m).reshape(-1)
        with ExitStack() as stack:
            for handle in self._insert(sample, low, correspondence, corner):
                stack.callback(handle.remove)
            out = self.unet(sample.flatten(0, 1), timestep, encoder_hidden_states.flatten(0, 1), return_dict=False)[
                0
            ].unflatten(0, (b, m))
        return UNet2DConditionOutput(sample=out) if return_dict else (out,)

    def _insert(
        self,
        sample: torch.Tensor,
        low: Sequence[torch.Tensor],
        correspondence: Correspondence | None,
        corner: tuple[int, int] | None,
    ) -> Iterator[RemovableHandle]:
        """Hooks the blocks into the base UNet, for one call; yields the handles that take them out again."""
        if correspondence is not None:
            correspondence = correspondence.to(sample.device)

        def matches(x: torch.Tensor, level: int, own: bool) -> Matches:
            whole = low[level].shape[-2], low[level].shape[-1]
            part = x.shape[-2], x.shape[-1]
            if correspondence is None:
                found = own_matches(len(low[level].flatten(0, 1)), whole, x[:0])
            else:
                found = correspondence.at(whole, x.dtype, own)
            if corner is None or part == whole:
                return found
            here = (corner[0] // 2**level, corner[1] // 2**level)
            return found.window(here, part, context=not own)

        def guide(level: int) -> OnTensor:
            # Guidance halves share the low-resolution features.
            context = low[level].repeat(len(sample) // len(low[level]), 1, 1, 1, 1).flatten(0, 1)
            return lambda x: self.low_attention[level](x, matches(x, level, own=True), context)

        def join(i: int) -> OnTensor:
            # Decoder blocks work on the grids of the encoder blocks, last first.
            level = len(low) - 1 - i
            return lambda x: self.up_correspondence[i](x, matches(x, level, own=False))

        for level, block in enumerate(self.unet.down_blocks):
            yield run_on_input(block, guide(level))
        if correspondence is None or sample.shape[1] == 1:
            return
        for i, block in enumerate(self.unet.up_blocks[:-1]):
            yield run_before(block.upsamplers, join(i)) if block.upsamplers else run_after(block, join(i))

    def _check(
        self,
        sample: torch.Tensor,
        hidden: torch.Tensor,
        low: Sequence[torch.Tensor],
        correspondence: Correspondence | None,
        corner: tuple[int, int] | None,
    ) -> None:
        if sample.ndim != 5:
            raise InputError(f"sample is {tuple(sample.shape)}; pass (scenes, views, channels, height, width)")
        (b, m), (h, w) = sample.shape[:2], sample.shape[-2:]
        if hidden.shape[:2] != (b, m):
            raise InputError(f"encoder_hidden_states is {tuple(hidden.shape)}, but sample has {b} x {m} views")
        if len(low) != len(self.unet.down_blocks) or any(f.ndim != 5 or f.shape[1] != m or b % len(f) for f in low):
            raise InputError(f"low-resolution features do not fit {b} x {m} views; make them with read_low")
        height, width = low[0].shape[-2:]
        row, column = corner or (0, 0)
        inside = 0 <= row <= height - h and 0 <= column <= width - w
        if not inside or (corner is None and (h, w) != (height, width)):
            raise InputError(
                f"sample of {h} x {w} cells at {corner or 'no corner'} does not fit low-resolution features for "
                f"{height} x {width}: this model enlarges {self.config.factor} times"
            )
        if row % self.alignment or column % self.alignment:
            raise InputError(f"the sample's corner {corner} is not at multiples of {self.alignment} cells")
        if correspondence is None:
            return
        if correspondence.views != m or b % correspondence.batch:
            raise InputError(
                f"correspondence is of {correspondence.batch} x {correspondence.views} views, but sample has {b} x {m}"
            )
        if abs(height - width * correspondence.image_shape[0] / correspondence.image_shape[1]) > 1:
            raise InputError(
                f"views of {height} x {width} cells have not the shape of the {correspondence.image_shape[0]} x "
                f"{correspondence.image_shape[1]} pixels of the correspondence; it has to be that of the whole views"
            )
        if correspondence.geometry.cue_size != 1 or correspondence.geometry.released:
            raise InputError('super-resolution needs correspondence made by from_depth, convention "visible"')


class LowResolutionFeatures(nn.Module):
    """Two 3 x 3 convolutions widen the latents; one more for each encoder block gives them its width and its grid.

    Where the block's grid is finer than the latents', that convolution computes all cells within a latent cell at once
    (sub-pixel convolution, arXiv 1609.05158); where it is coarser, it is strided. So the features of a view lie cell
    on cell under those they are to guide.

    Args:
        unet: the UNet that is to be guided; only its widths are read.
        ratio: cells of the high-resolution latents along a cell of these; a power of 2.
    """

    def __init__(self, unet: UNet2DConditionModel, ratio: int):
        super().__init__()
        width = unet.conv_in.out_channels
        self.conv1 = nn.Conv2d(unet.config.in_channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.to_block = nn.ModuleList()
        stride = 1
        for block in unet.down_blocks:
            finer = max(1, ratio // stride)
            out = block.resnets[0].in_channels * finer**2
            conv = nn.Conv2d(width, out, 3, stride=max(1, stride // ratio), padding=1)
            self.to_block.append(nn.Sequential(conv, nn.PixelShuffle(finer)))
            stride *= 2 if block.downsamplers else 1

    def forward(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """(n, c, h / ratio, w / ratio) to one (n, c_k, h_k, w_k) for each encoder block, as its input."""
        x = F.silu(self.conv2(F.silu(self.conv1(latents))))
        return [convolution(x) for convolution in self.to_block]
