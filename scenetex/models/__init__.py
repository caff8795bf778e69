"""Neural networks: the multi-view diffusion UNet and its correspondence-aware attention."""

from .multiview_unet import MultiViewUNet
from .super_resolution import SuperResolutionUNet

__all__ = ["MultiViewUNet", "SuperResolutionUNet"]
