"""What the stages that start from an autoencoder minimise, as modules that take a batch and return its loss.

A batch holds everything random (noise, noise levels, dropped prompts), drawn per item, so that the loss does not depend
on how a batch is split over processes and steps.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from torch.nn import functional as F

from ..correspondence import Correspondence, from_depth, from_rotation
from ..models import DetailDecoder, MultiViewUNet, SuperResolutionUNet
from ..models.detail_decoder import believed
from ..models.image_features import Eyes
from .image_losses import structural_similarity

_ERROR_WEIGHT = 0.1
_WINDOW = 7  # pixels

Batch = Mapping[str, torch.Tensor]


class SingleViewObjective(nn.Module):
    """Stage one: the UNet, and the text encoder where it is trained from scratch, on single views.

    Args:
        unet: trained.
        text_encoder: trained if `train_text`.
        scheduler: its noise schedule and what is predicted.
        alignment: weight of the likeness between what a small network reads off the UNet's middle features and what
            trained eyes see in the true image (REPA, Yu et al. 2024); 0 = without.
    """

    def __init__(self, unet: nn.Module, text_encoder: nn.Module, scheduler, train_text: bool, alignment: float = 0.0):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder.requires_grad_(train_text)
        self.scheduler, self.alignment = scheduler, alignment
        width = unet.config.block_out_channels[-1]
        layers = nn.Conv2d(width, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, Eyes.WIDTH, 1)
        self.read = nn.Sequential(*layers) if alignment else None

    def trained(self) -> Iterator[nn.Parameter]:
        """The UNet's parameters, those that read it, and the text encoder's if it is trained."""
        return (p for p in self.parameters() if p.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """`latents`, `noise` (n, c, h, w), `guide` (n, g, h, w), `timesteps` (n,) and `input_ids` (n, l); for the
        alignment `seen` (n, f, h', w'), of unit length."""
        noisy, target = noised(self.scheduler, batch["latents"], batch["noise"], batch["timesteps"])
        hidden = self.text_encoder(batch["input_ids"])[0]
        middle = []
        with self.unet.mid_block.register_forward_hook(lambda block, inputs, out: middle.append(out)):
            out = self.unet(torch.cat([noisy, batch["guide"]], 1), batch["timesteps"], hidden, return_dict=False)[0]
        loss = F.mse_loss(out.float(), target)
        if self.read is None:
            return loss
        read = self.read(middle[0]).float()
        seen = F.adaptive_avg_pool2d(batch["seen"], read.shape[-2:])
        return loss + self.alignment * (1 - F.cosine_similarity(read, seen, dim=1).mean())


class MultiViewObjective(nn.Module):
    """Stage two: the correspondence blocks (and the condition branch) of a UNet that is frozen otherwise, or all of it.

    Args:
        unet: with blocks; its base UNet gets frozen, unless `whole`.
        text_encoder: frozen.
        scheduler: its noise schedule and what is predicted.
        conditioned: train the condition branch, too; every batch then has a condition.
        convention: of the correspondence, see `from_depth` and, for a UNet of kind "panorama", `from_rotation`.
        whole: train the base UNet, too.
    """

    def __init__(
        self,
        unet: MultiViewUNet,
        text_encoder: nn.Module,
        scheduler,
        conditioned: bool,
        convention: str,
        whole: bool = False,
    ):
        super().__init__()
        unet.requires_grad_(whole)
        for parameter in unet.multiview_parameters():
            parameter.requires_grad_(True)
        if not conditioned and unet.condition_branch is not None:
            unet.condition_branch.requires_grad_(False)
        self.unet, self.text_encoder = unet, text_encoder.requires_grad_(False)
        self.scheduler, self.convention = scheduler, convention

    def trained(self) -> Iterator[nn.Parameter]:
        """Those of the blocks, of the branch if it is trained, and of the base UNet if all of it is."""
        return (p for p in self.unet.parameters() if p.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """As for single views with (b, m, ...) in place of (n, ...), one of `timesteps` (b,) for all views of a set.

        Further `depth` (b, m, H, W), `intrinsics`, `cam_to_world`; and, when conditioned, `given` (b, m, 1, h, w)
        bool, the cells that are there already. Sets that are `alone` (b,) bool go without blocks.
        """
        apart = 0
        if "alone" in batch:
            # Those come first.
            order, apart = batch["alone"].int().argsort(descending=True), int(batch["alone"].sum())
            batch = {name: value[order] for name, value in batch.items()}
        noisy, target, timesteps, hidden = _noised_sets(self, batch)
        condition = None
        if "given" in batch:
            latents = batch["latents"]
            mask = batch["given"].to(latents)
            condition = torch.cat([latents * mask, mask], 2)
        out = self.unet(
            torch.cat([noisy, batch["guide"]], 2),
            timesteps,
            hidden,
            correspondence=_correspondence(batch, self.convention, self.unet.config.kind, apart),
            apart=apart,
            condition=condition,
            return_dict=False,
        )[0]
        return F.mse_loss(out.float(), target)


class SuperResolutionObjective(nn.Module):
    """Latents of the middle of large images from noise, guided by those of the whole small ones.

    Args:
        unet: trained.
        text_encoder: frozen.
        scheduler: its noise schedule and what is predicted.
        freeze: train what is beside the base UNet only, which is stage two.
    """

    def __init__(self, unet: SuperResolutionUNet, text_encoder: nn.Module, scheduler, freeze: bool):
        super().__init__()
        unet.requires_grad_(True)
        unet.unet.requires_grad_(not freeze)
        self.unet, self.text_encoder = unet, text_encoder.requires_grad_(False)
        self.scheduler = scheduler

    def trained(self) -> Iterator[nn.Parameter]:
        """All parameters of the UNet, or those beside the base UNet's."""
        return (p for p in self.unet.parameters() if p.requires_grad)

    def forward(self, batch: Batch) -> torch.Tensor:
        """As for sets of views; `latents` and `noise` (b, m, c, h, w) of the middle, `guide` (b, m, c, h', w') latents
        of the small images."""
        noisy, target, timesteps, hidden = _noised_sets(self, batch)
        low = self.unet.read_low(batch["guide"])
        corner = tuple((whole - part) // 2 for whole, part in zip(low[0].shape[-2:], noisy.shape[-2:], strict=True))
        correspondence = _correspondence(batch, "visible", "depth") if noisy.shape[1] > 1 else None
        out = self.unet(noisy, timesteps, hidden, low, correspondence, corner, return_dict=False)[0]
        return F.mse_loss(out.float(), target)


class DetailObjective(nn.Module):
    """Large images from small ones: the logarithm of each one's squared error, which is its PSNR (as for NAFNet, arXiv
    2204.04676), and structural similarity. So images of much and of little detail count alike."""

    def __init__(self, decoder: DetailDecoder):
        super().__init__()
        self.decoder = decoder

    def trained(self) -> Iterator[nn.Parameter]:
        """All parameters."""
        return self.decoder.parameters()

    def forward(self, batch: Batch) -> torch.Tensor:
        """`large` (n, 3, H, W) and `small` (n, 3, h, w) in -1..1, `difference` (n, 3, H, W) and `told` (n, h, w) of
        other views, `latents`, `noise` (n, c, h', w') and `level` (n,) of that; `surface` (n, g, H, W) for a decoder
        that is told it, zeros where it is not."""
        latents = believed(batch["latents"], batch["noise"], batch["level"])
        inputs = (batch[name] for name in ("level", "small", "difference", "told"))
        out = self.decoder(latents, *inputs, surface=batch.get("surface")).float()
        error = (out - batch["large"]).square().mean((1, 2, 3))
        alike = structural_similarity(out, batch["large"], lambda x: F.avg_pool2d(x, _WINDOW, stride=1), -1.0, 1.0)
        return _ERROR_WEIGHT * (error + 1e-6).log().mean() + 1 - alike


def noised(scheduler, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor):
    """Noisy latents and what is to be predicted from them, by the scheduler's `prediction_type`."""
    noisy = scheduler.add_noise(latents, noise, timesteps)
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return noisy, scheduler.get_velocity(latents, noise, timesteps)
    return noisy, noise if kind == "epsilon" else latents


def _noised_sets(objective, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy latents and target (b, m, c, h, w), noise levels (b, m), embedded prompts (b, m, l, d)."""
    b, m = batch["latents"].shape[:2]
    timesteps = batch["timesteps"][:, None].expand(b, m)
    flat = (batch["latents"].flatten(0, 1), batch["noise"].flatten(0, 1), timesteps.flatten())
    noisy, target = (x.unflatten(0, (b, m)) for x in noised(objective.scheduler, *flat))
    with torch.no_grad():
        hidden = objective.text_encoder(batch["input_ids"].flatten(0, 1))[0].unflatten(0, (b, m))
    return noisy, target, timesteps, hidden


def _correspondence(batch: Batch, convention: str, kind: str, apart: int = 0) -> Correspondence | None:
    """Of all sets but the first `apart`; None where there are no others."""
    depth, intrinsics, poses = (batch[name][apart:] for name in ("depth", "intrinsics", "cam_to_world"))
    if not len(depth):
        return None
    with torch.no_grad():
        if kind == "panorama":
            return from_rotation(intrinsics, poses[..., :3, :3], depth.shape[-2:], convention)
        return from_depth(depth, intrinsics, poses, convention=convention)
