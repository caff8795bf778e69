"""Neural networks: the multi-view diffusion UNet and its correspondence-aware attention."""

from .multiview_unet import MultiViewUNet

__all__ = ["MultiViewUNet"]
