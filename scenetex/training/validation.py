"""What a model in training makes of one scene that it does not train on, always from the same noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..output import naming, write_files
from ..pipelines import MVDiffusionPipeline
from .objectives import AutoencoderObjective
from .pictures import draw_grid
from .sample import Sample

_STEPS = 20
_GUIDANCE = 4.0


def make_painter(
    sample: Sample, folder: Path, seed: int, pipeline_of: Callable[[nn.Module], MVDiffusionPipeline]
) -> Callable[[nn.Module, int], None]:
    """Called with an objective and a step, writes ``folder/step-<n>.png``: the truth above, the model's below.

    Args:
        sample: what to paint.
        pipeline_of: the pipeline with an objective's parts; not asked for autoencoders.
    """

    def paint(objective: nn.Module, step: int) -> None:
        if isinstance(objective, AutoencoderObjective):
            made = _through(objective.vae, sample.images)
        else:
            made = _generated(pipeline_of(objective), sample, seed)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_files({folder / f"step-{step:08d}.png": draw_grid([sample.images, made])})

    return paint


@torch.no_grad()
def _through(vae, images: np.ndarray) -> np.ndarray:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(vae.device).float() / 127.5 - 1
    out = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    return ((out.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _generated(pipe: MVDiffusionPipeline, sample: Sample, seed: int) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    images = pipe(
        [sentences[0] for sentences in sample.prompts],
        sample.views,
        num_inference_steps=_STEPS,
        guidance_scale=_GUIDANCE,
        generator=torch.Generator().manual_seed(seed),
        joint_views=max(len(sample), 4),
    ).images
    return np.round(images * 255).astype(np.uint8)
