"""What a model in training makes of one scene that it does not train on, always from the same noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..output import naming, write_files
from ..pipelines import MVDiffusionPanoramaPipeline, MVDiffusionPipeline
from ..pipelines.windows import LEAST_JOINT
from .pictures import draw_grid
from .sample import Sample

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
        write_files({folder / f"step-{step:08d}.png": draw_grid([sample.images, made])})

    return write


@torch.no_grad()
def reconstruct(vae, sample: Sample) -> np.ndarray:
    """The sample's images after an autoencoder, (m, h, w, 3) uint8."""
    pixels = torch.from_numpy(sample.images).permute(0, 3, 1, 2).to(vae.device).float() / 127.5 - 1
    out = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    return ((out.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def generate(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    """Images of the sample's views from its first sentence, (m, h, w, 3) uint8."""
    options = _options(pipe, seed) | _together(sample)
    return _bytes(pipe(_prompts(sample), sample.views, guidance_scale=_GUIDANCE, **options).images)


def surround(pipe: MVDiffusionPanoramaPipeline, sample: Sample, seed: int) -> np.ndarray:
    """Images of a ring of views from its first sentence, with its depth if the model takes that, (8, s, s, 3) uint8."""
    seen = {"views": sample.views} if pipe.takes_depth else {"size": sample.views.size[0]}
    return _bytes(pipe(_prompts(sample), guidance_scale=_GUIDANCE, **seen, **_options(pipe, seed)).images)


def upscale(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    """The sample's images from themselves at a size as many times smaller as the model enlarges, (m, h, w, 3) uint8."""
    small = sample.shrunk(pipe.upscale_unet.config.factor)
    options = _options(pipe, seed) | _together(sample)
    return _bytes(pipe.upscale(small.images, small.views, _prompts(sample), **options).images)


def _prompts(sample: Sample) -> list[str]:
    return [sentences[0] for sentences in sample.prompts]


def _options(pipe, seed: int) -> dict:
    pipe.set_progress_bar_config(disable=True)
    return {"num_inference_steps": _STEPS, "generator": torch.Generator().manual_seed(seed)}


def _together(sample: Sample) -> dict:
    """The option that has all views denoised at once."""
    return {"joint_views": max(len(sample), LEAST_JOINT)}


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.round(images * 255).astype(np.uint8)
