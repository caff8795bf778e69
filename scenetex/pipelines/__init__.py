"""Diffusion pipelines: prompts and views in, consistent images out."""

from .consistent_views import ConsistentViews
from .mvdiffusion import MVDiffusionPipeline
from .mvdiffusion_panorama import MVDiffusionPanoramaPipeline

__all__ = ["ConsistentViews", "MVDiffusionPanoramaPipeline", "MVDiffusionPipeline"]
