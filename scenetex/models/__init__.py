"""Neural networks: the multi-view diffusion UNet and its correspondence-aware attention."""

from .detail_decoder import DetailDecoder
from .multiview_unet import MultiViewUNet
from .patch_autoencoder import PatchAutoencoder
from .patch_unet import PatchUNet
from .super_resolution import SuperResolutionUNet
from .surface_autoencoder import SurfaceAutoencoder

__all__ = [
    "DetailDecoder",
    "MultiViewUNet",
    "PatchAutoencoder",
    "PatchUNet",
    "SuperResolutionUNet",
    "SurfaceAutoencoder",
]
