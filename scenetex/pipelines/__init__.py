"""Diffusion pipelines: prompts and views in, consistent images out."""

from .mvdiffusion import MVDiffusionPipeline
from .mvdiffusion_panorama import MVDiffusionPanoramaPipeline

__all__ = ["MVDiffusionPanoramaPipeline", "MVDiffusionPipeline"]
