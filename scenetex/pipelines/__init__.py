"""Diffusion pipelines: prompts and views in, consistent images out."""

from .mvdiffusion import MVDiffusionPipeline

__all__ = ["MVDiffusionPipeline"]
