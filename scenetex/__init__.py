"""Text-driven texturing of whole 3D scenes with multi-view diffusion.

The public names load on first use, so that ``import scenetex`` is quick and never pulls in the diffusion stack.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .version import __version__

_HOME = {
    "InputError": "errors",
    "InputWarning": "errors",
    "Scene": "scene.scene",
    "Frame": "scene.frame",
    "Camera": "scene.camera",
    "Mesh": "scene.mesh",
    "load_scene": "scene.load",
    "read_mesh": "scene.mesh_file",
    "regions": "scene.regions",
    "select_keyframes": "views.keyframes",
    "select_views": "views.next_views",
    "ViewSet": "views.viewset",
    "render_views": "views.viewset",
    "region_masks": "views.region_masks",
    "Atlas": "texture.atlas",
    "unwrap": "texture.unwrap",
    "bake": "texture.bake",
    "TexturedMesh": "texture.textured_mesh",
    "Correspondence": "correspondence.correspondence",
    "MultiViewUNet": "models.multiview_unet",
    "PatchAutoencoder": "models.patch_autoencoder",
    "PatchUNet": "models.patch_unet",
    "SuperResolutionUNet": "models.super_resolution",
    "SurfaceAutoencoder": "models.surface_autoencoder",
    "MVDiffusionPipeline": "pipelines.mvdiffusion",
    "MVDiffusionPanoramaPipeline": "pipelines.mvdiffusion_panorama",
    "panorama_views": "panorama.standpoint",
    "pole_views": "panorama.poles",
    "overlap_psnr": "metrics.overlap",
    "Checks": "checks.scene_checks",
    "check_scene": "checks.scene_checks",
    "Generation": "job.generation",
    "Result": "job.run",
    "run_stages": "job.run",
    "texture_scene": "job.run",
    "complete": "job.completion",
    "Repainting": "job.repainting",
    "Sampling": "sampling",
}

# Parts that have more names than the public ones, for those who build on them: scenetex.correspondence.from_depth.
_PARTS = ("correspondence", "metrics", "models", "panorama", "pipelines")

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from .checks.scene_checks import Checks, check_scene
    from .correspondence.correspondence import Correspondence
    from .errors import InputError, InputWarning
    from .job.completion import complete
    from .job.generation import Generation
    from .job.repainting import Repainting
    from .job.run import Result, run_stages, texture_scene
    from .metrics.overlap import overlap_psnr
    from .models.multiview_unet import MultiViewUNet
    from .models.patch_autoencoder import PatchAutoencoder
    from .models.patch_unet import PatchUNet
    from .models.super_resolution import SuperResolutionUNet
    from .models.surface_autoencoder import SurfaceAutoencoder
    from .panorama.poles import pole_views
    from .panorama.standpoint import panorama_views
    from .pipelines.mvdiffusion import MVDiffusionPipeline
    from .pipelines.mvdiffusion_panorama import MVDiffusionPanoramaPipeline
    from .sampling import Sampling
    from .scene.camera import Camera
    from .scene.frame import Frame
    from .scene.load import load_scene
    from .scene.mesh import Mesh
    from .scene.mesh_file import read_mesh
    from .scene.regions import regions
    from .scene.scene import Scene
    from .texture.atlas import Atlas
    from .texture.bake import bake
    from .texture.textured_mesh import TexturedMesh
    from .texture.unwrap import unwrap
    from .views.keyframes import select_keyframes
    from .views.next_views import select_views
    from .views.region_masks import region_masks
    from .views.viewset import ViewSet, render_views


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in _PARTS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'scenetex' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
