"""A diffusion UNet for many views at once: any `UNet2DConditionModel` with correspondence blocks between its blocks."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from os import PathLike
from typing import Any, ClassVar, TypeGuard

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..correspondence import Correspondence
from ..errors import InputError
from .attention import ExactFrequencies
from .base_adapters import BaseAdapters
from .condition import ConditionBranch
from .correspondence_block import CorrespondenceBlock, fuse, limit_memory
from .patch_unet import PatchUNet

OnTensor = Callable[[torch.Tensor], torch.Tensor]

# Components of the cue: depth error, or displacement in columns and rows.
_CUE_SIZE = {"depth": 1, "panorama": 2}
# Fresh blocks encode depth errors from metres to centimetres, displacements from two cells to a quarter.
_TOP_FREQUENCY = {"depth": 256.0, "panorama": 16.0}


# diffusers loads a class only where its module knows ModelMixin by that name.
class MultiViewUNet(BaseAdapters, ExactFrequencies, ModelMixin, ConfigMixin):
    """Noise predictor for m views of a scene that look at each other along known correspondences.

    The parts stay usable on their own: `unet` is the untouched base model, everything else is in
    `multiview_parameters()`. Fresh blocks change nothing until they are trained.

    Args:
        unet_config: configuration of the base UNet.
        kind: "depth" (one key for each pair of views, encoding of the depth error) or "panorama" (3 x 3 keys, encoding
            of the displacement).
        residual_blocks: a residual block after each attention (the released panorama model has none).
        condition_channels: channels of the condition branch's input, latent and mask; 0 = no such branch.
        expansion: width of the feed-forward layers inside the blocks over the UNet's.
        unet: the base UNet to take as it is, instead of a new one; not part of the configuration.

    Raises:
        InputError: an unknown kind, a UNet with widths that are not divisible by 4.

    Example:
        Two views of a scene, around any UNet of diffusers, here a tiny one:

        >>> import torch
        >>> from diffusers import UNet2DConditionModel
        >>> import scenetex
        >>> unet = UNet2DConditionModel(
        ...     in_channels=5, block_out_channels=(32, 64), cross_attention_dim=32, attention_head_dim=4,
        ...     down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        ...     up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        ... )
        >>> model = scenetex.MultiViewUNet.from_unet(unet)
        >>> out = model(torch.randn(1, 2, 5, 8, 8), timestep=10, encoder_hidden_states=torch.randn(1, 2, 7, 32))
        >>> out.sample.shape
        torch.Size([1, 2, 4, 8, 8])
    """

    _supports_gradient_checkpointing = True
    # What `compile_repeated_blocks` compiles, each as one graph.
    _repeated_blocks: ClassVar = ["BasicTransformerBlock", "CorrespondenceBlock"]
    ignore_for_config: ClassVar = ["unet"]

    @register_to_config
    def __init__(
        self,
        unet_config: dict[str, Any],
        kind: str = "depth",
        residual_blocks: bool = True,
        condition_channels: int = 5,
        expansion: int = 4,
        unet: UNet2DConditionModel | None = None,
    ):
        super().__init__()
        if kind not in _CUE_SIZE:
            raise InputError(f"kind {kind!r} is not one of {', '.join(_CUE_SIZE)}")
        base = PatchUNet if "patch_size" in unet_config else UNet2DConditionModel
        self.unet = unet if unet is not None else base.from_config(unet_config)

        def block_after(width: int) -> CorrespondenceBlock:
            if width % 4:
                raise InputError(f"the UNet has a block of {width} channels; correspondence blocks need multiples of 4")
            bands = torch.logspace(0, 1, width // (2 * _CUE_SIZE[kind]), base=_TOP_FREQUENCY[kind])
            return CorrespondenceBlock(width, bands, residual_blocks, expansion)

        self.down_correspondence = nn.ModuleList(block_after(b.resnets[-1].out_channels) for b in self.unet.down_blocks)
        middle = self.unet.mid_block
        self.mid_correspondence = None if middle is None else block_after(middle.resnets[-1].out_channels)
        self.up_correspondence = nn.ModuleList(block_after(b.resnets[-1].out_channels) for b in self.unet.up_blocks)
        self.condition_branch = ConditionBranch(self.unet, condition_channels) if condition_channels else None

    @classmethod
    def from_unet(cls, unet: UNet2DConditionModel, kind: str = "depth", **options: Any) -> "MultiViewUNet":
        """Fresh blocks around `unet`, which is taken as it is, not copied; `options` as for the class, and a condition
        branch for latents of the UNet's channels unless they say otherwise."""
        config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
        options = {"condition_channels": unet.config["out_channels"] + 1} | options
        model = cls(config, kind=kind, unet=unet, **options)
        return model.to(unet.device, unet.dtype)

    @classmethod
    def from_mvdiffusion(
        cls,
        checkpoint: str | PathLike[str] | Mapping[str, torch.Tensor],
        unet_config: Mapping[str, Any] | None = None,
        kind: str = "depth",
        dtype: torch.dtype = torch.float32,
    ) -> "MultiViewUNet":
        """A released MVDiffusion model.

        Args:
            checkpoint: Lightning `.ckpt` file, safetensors file, or state dict. Nothing but tensors is unpickled.
            unet_config: configuration of the base UNet; default that of Stable Diffusion 2.
            kind: "depth" or "panorama".
            dtype: of the weights; frequencies stay in float32.

        Raises:
            InputError: a file that is not a checkpoint, keys that are missing, unknown or of another shape.
        """
        from .mvdiffusion_weights import load_mvdiffusion

        return load_mvdiffusion(cls, checkpoint, unet_config, kind, dtype)

    def with_base(self, unet: UNet2DConditionModel) -> "MultiViewUNet":
        """These blocks around another base UNet of the same configuration; neither is copied."""
        model = copy.copy(self)
        model._modules = self._modules | {"unet": unet}
        return model

    def multiview_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters beside the base UNet's: correspondence blocks and condition branch."""
        base = {id(p) for p in self.unet.parameters()}
        return (p for p in self.parameters() if id(p) not in base)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As of torch's modules; what is compiled are the parts that repeat, each as one graph, as by diffusers'
        `compile_repeated_blocks`. What lies between them changes with the correspondence of every call."""
        self.compile_repeated_blocks(*args, **kwargs)

    def set_attention_memory(self, megabytes: int | None) -> None:
        """Limits the intermediate results of each correspondence attention; None = what suits the device.

        The images do not depend on it.
        """
        limit_memory([*self.down_correspondence, self.mid_correspondence, *self.up_correspondence], megabytes)

    def set_fused_attention(self, on: bool = True) -> None:
        """Experimental: attends along correspondences in one Triton kernel, on a GPU, where it can; off by default.

        Raises:
            InputError: Triton is not there.
        """
        fuse([*self.down_correspondence, self.mid_correspondence, *self.up_correspondence], on)

    @torch.compiler.disable
    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float | int,
        encoder_hidden_states: torch.Tensor,
        correspondence: Correspondence | None = None,
        condition: torch.Tensor | None = None,
        added_cond_kwargs: Mapping[str, torch.Tensor | list[torch.Tensor]] | None = None,
        down_block_additional_residuals: tuple[torch.Tensor, ...] | None = None,
        mid_block_additional_residual: torch.Tensor | None = None,
        apart: int = 0,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple[torch.Tensor]:
        """One prediction for b sets of m views.

        Args:
            sample: (b, m, c, h, w) noisy latents (and depth channel, where the UNet takes one).
            timestep: (b, m), or one number for all.
            encoder_hidden_states: (b, m, l, d) prompt embeddings.
            correspondence: of b sets of m views, or of fewer that divide b, repeated (guidance halves share one). None
                leaves the correspondence blocks out. With one view they are left out, as in the released model.
            condition: (b, m, 5, h, w) image latents and masks for the condition branch, or None.
            added_cond_kwargs: as for the base UNet, each (b, m, ...), or a list of such.
            down_block_additional_residuals, mid_block_additional_residual: a ControlNet's, each (b, m, c, h, w).
            apart: how many of the sets, from the first on, the correspondence blocks are left out of.
            return_dict: False returns a tuple.

        Returns:
            `.sample`: (b, m, c, h, w).

        Raises:
            InputError: shapes or kinds that do not fit together.
        """
        if sample.ndim != 5:
            raise InputError(f"sample is {tuple(sample.shape)}; pass (scenes, views, channels, height, width)")
        b, m = sample.shape[:2]
        for name, value in (("encoder_hidden_states", encoder_hidden_states), ("condition", condition)):
            if value is not None and value.shape[:2] != (b, m):
                raise InputError(f"{name} is {tuple(value.shape)}, but sample has {b} x {m} views")
        if torch.is_tensor(timestep) and timestep.ndim == 2:
            timestep = timestep.expand(b, m).reshape(-1)

        with ExitStack() as stack:
            for handle in self._insert(sample, correspondence, condition, apart):
                stack.callback(handle.remove)
            out = self.unet(
                sample.flatten(0, 1),
                timestep,
                encoder_hidden_states.flatten(0, 1),
                added_cond_kwargs=of_each(added_cond_kwargs),
                down_block_additional_residuals=down_block_additional_residuals
                and tuple(r.flatten(0, 1) for r in down_block_additional_residuals),
                mid_block_additional_residual=None
                if mid_block_additional_residual is None
                else mid_block_additional_residual.flatten(0, 1),
                return_dict=False,
            )[0].unflatten(0, (b, m))
        return UNet2DConditionOutput(sample=out) if return_dict else (out,)

    def _insert(
        self, sample: torch.Tensor, correspondence: Correspondence | None, condition: torch.Tensor | None, apart: int
    ) -> Iterator[RemovableHandle]:
        """Hooks the blocks into the base UNet, for one call; yields the handles that take them out again."""
        middle = self.unet.mid_block
        if condition is not None:
            if self.condition_branch is None:
                raise InputError("this model has no condition branch; call it without a condition")
            down, mid, up = self.condition_branch(condition.flatten(0, 1))
            for block, value in zip([*self.unet.down_blocks, *self.unet.up_blocks], down + up, strict=True):
                yield _add_to_input(block, value)
            if middle is not None:
                yield _add_to_input(middle, mid)
        if correspondence is None or sample.shape[1] == 1:
            return
        self._check(correspondence, sample[apart:])
        correspondence, first = correspondence.to(sample.device), apart * sample.shape[1]

        def run(block: nn.Module) -> OnTensor:
            def attended(x: torch.Tensor) -> torch.Tensor:
                found = block(x[first:], correspondence.at((x.shape[2], x.shape[3]), x.dtype))
                return torch.cat([x[:first], found]) if first else found

            return attended

        for block, added in zip(self.unet.down_blocks, self.down_correspondence, strict=True):
            yield run_before(block.downsamplers, run(added)) if block.downsamplers else run_after(block, run(added))
        if middle is not None and self.mid_correspondence is not None:
            yield run_after(middle if self.config.kind == "depth" else middle.resnets[0], run(self.mid_correspondence))
        for block, added in zip(self.unet.up_blocks, self.up_correspondence, strict=True):
            yield run_before(block.upsamplers, run(added)) if block.upsamplers else run_after(block, run(added))

    def _check(self, correspondence: Correspondence, sample: torch.Tensor) -> None:
        b, m = sample.shape[:2]
        if correspondence.views != m or b % correspondence.batch:
            raise InputError(
                f"correspondence is of {correspondence.batch} x {correspondence.views} views, but sample has {b} x {m}"
            )
        (h, w), (height, width) = sample.shape[-2:], correspondence.image_shape
        if abs(h - w * height / width) > 1:
            raise InputError(
                f"sample of {h} x {w} cells has not the shape of the {height} x {width} pixels of the correspondence; "
                "compute depth and images at one size"
            )
        if correspondence.geometry.cue_size != _CUE_SIZE[self.config.kind]:
            raise InputError(
                f'a model of kind "{self.config.kind}" needs correspondence made by '
                f"{'from_depth' if self.config.kind == 'depth' else 'from_rotation'}"
            )


def of_each(
    added: Mapping[str, torch.Tensor | list[torch.Tensor]] | None,
) -> dict[str, torch.Tensor | list[torch.Tensor]] | None:
    """`added_cond_kwargs` (b, m, ...) of a `MultiViewUNet` as a base UNet takes them, (b m, ...)."""
    return (
        None
        if added is None
        else {
            name: [part.flatten(0, 1) for part in value] if isinstance(value, list) else value.flatten(0, 1)
            for name, value in added.items()
        }
    )


def uncompiled(network: nn.Module) -> nn.Module:
    """The network that `torch.compile` has wrapped; itself, if it is none."""
    return getattr(network, "_orig_mod", network)


def is_multiview(unet: nn.Module | None) -> TypeGuard[MultiViewUNet]:
    """Whether a UNet, compiled or not, takes several views."""
    return unet is not None and isinstance(uncompiled(unet), MultiViewUNet)


def base_unet(unet: MultiViewUNet | UNet2DConditionModel) -> UNet2DConditionModel:
    """The UNet that the blocks are around; `unet` itself, where there are none. It is not the compiled one."""
    unet = uncompiled(unet)
    return unet.unet if isinstance(unet, MultiViewUNet) else unet


def _add_to_input(block: nn.Module, value: torch.Tensor) -> RemovableHandle:
    """Adds `value` to the block's input in place: the skip connection that holds the same tensor gets it too, as in
    MVDiffusion, whose weights count on that."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        (args[0] if args else kwargs["hidden_states"]).add_(value)

    return block.register_forward_pre_hook(hook, with_kwargs=True)


def run_on_input(block: nn.Module, run: OnTensor) -> RemovableHandle:
    """On a block's input, but not on the skip connection that holds the same tensor."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (
            ((run(args[0]), *args[1:]), kwargs)
            if args
            else (args, {**kwargs, "hidden_states": run(kwargs["hidden_states"])})
        )

    return block.register_forward_pre_hook(hook, with_kwargs=True)


def run_before(samplers: nn.ModuleList, run: OnTensor) -> RemovableHandle:
    """After a block's layers and before its sampler, so that the block's own skip connections do not get it."""
    return samplers[0].register_forward_pre_hook(lambda _, args: (run(args[0]), *args[1:]))


def run_after(block: nn.Module, run: OnTensor) -> RemovableHandle:
    """On a block's output (down blocks return their skip connections beside it)."""
    return block.register_forward_hook(
        lambda _, args, out: (run(out[0]), *out[1:]) if isinstance(out, tuple) else run(out)
    )
