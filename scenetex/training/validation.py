"""What a model in training makes of one scene that it does not train on, always from the same noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from ..data.sample import Sample
from ..files.output import naming, write_files
from ..files.seal import seal
from ..models import SurfaceAutoencoder
from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from ..pipelines.conditioning import surface_fields
from ..pipelines.scene_views import SceneViews
from ..pipelines.tiles import Tiles
from ..pipelines.upscale import add_detail
from ..pipelines.windows import LEAST_JOINT
from .pictures import draw_grid
from .training_folder import keep_strange

_STEPS = 20
_GUIDANCE = 4.0


def make_painter(
    sample: Sample, folder: Path, paint: Callable[[nn.Module, Sample], np.ndarray]
) -> Callable[[nn.Module, int], None]:
    """Called with an objective and a step, writes ``folder/step-<n>.png``: the truth, and below what `paint` makes."""

    def write(objective: nn.Module, step: int) -> None:
        made = paint(objective, sample)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"step-{step:08d}.png"
        keep_strange(path)
        write_files({path: seal(draw_grid([sample.images, made]))})

    return write


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, sample: Sample) -> np.ndarray:
    """The sample's images after an autoencoder, (m, h, w, 3) uint8."""
    pixels = torch.from_numpy(sample.images).permute(0, 3, 1, 2).to(vae.device).float() / 127.5 - 1
    along = {"surface": surface_fields(sample.views)} if isinstance(vae, SurfaceAutoencoder) else {}
    out = vae.decode(vae.encode(pixels).latent_dist.mean, **along).sample
    return ((out.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def generate(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    """Images of the sample's views from its first sentence, (m, h, w, 3) uint8."""
    options = _options(pipe, seed) | _together(sample)
    return _bytes(pipe(sample.captions, sample.views, guidance_scale=_GUIDANCE, **options).images)


def surround(pipe: MVDiffusionPanoramaPipeline, sample: Sample, seed: int) -> np.ndarray:
    """Images of a ring of views from its first sentence, with its depth if the model takes that, (8, s, s, 3) uint8."""
    seen = {"views": sample.views} if pipe.takes_depth else {"size": sample.views.size[0]}
    return _bytes(pipe(sample.captions, guidance_scale=_GUIDANCE, **seen, **_options(pipe, seed)).images)


def upscale(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    """The sample's images from themselves at a size as many times smaller as the model enlarges, (m, h, w, 3) uint8."""
    small = sample.shrunk(pipe.upscale_factor())
    options = _options(pipe, seed) | _together(sample)
    return _bytes(pipe.upscale(sample.captions, small.views, small.images, large_views=sample.views, **options).images)


def enlarge(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    """What the detail decoder alone, without any latents, makes of the sample's images at a smaller size, (m, h, w, 3)
    uint8."""
    decoder = pipe.detail_decoder
    small, cell = sample.shrunk(decoder.config.factor), pipe.vae_scale_factor
    pixels = torch.from_numpy(small.images).permute(0, 3, 1, 2).float() / 255
    cells = [side // cell for side in sample.images.shape[1:3]]
    latents = torch.zeros((len(sample), decoder.config.latent_channels, *cells), device=decoder.device)
    tiles = Tiles.cover(tuple(cells), None, 1).scaled(cell)
    views = SceneViews.of(small.views)
    large = add_detail(decoder, latents, pixels, views, 0.0, len(sample) > 1, tiles, sample.views)
    return _bytes((large / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())


def _options(pipe: MVDiffusionPipeline | MVDiffusionPanoramaPipeline, seed: int) -> dict:
    pipe.set_progress_bar_config(disable=True)
    return {"num_inference_steps": _STEPS, "generator": torch.Generator().manual_seed(seed)}


def _together(sample: Sample) -> dict:
    """The option that has all views denoised at once."""
    return {"joint_views": max(len(sample), LEAST_JOINT)}


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.round(images * 255).astype(np.uint8)
