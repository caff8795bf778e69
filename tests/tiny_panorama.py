"""The exact views of a smooth sphere, tiny panorama models, and calls of them."""

import numpy as np
import torch
from tiny_pipeline import make_parts
from tiny_unet import make_model, make_unet

from scenetex import MVDiffusionPanoramaPipeline
from scenetex.panorama import ring_intrinsics, ring_rotations


def sphere(direction: np.ndarray) -> np.ndarray:
    """Smooth colours (..., 3), 0..1, of unit directions (..., 3)."""
    x, y, z = np.moveaxis(direction, -1, 0)
    colors = [0.5 + 0.3 * np.sin(3 * x + 2 * y), 0.5 + 0.25 * np.cos(4 * z * x), 0.5 + 0.2 * np.sin(5 * y - z)]
    return np.stack(colors, -1)


def sphere_views(size: int, rotations: np.ndarray | None = None) -> np.ndarray:
    """(8, size, size, 3) float64: what the ring's views, or others, show of the sphere, at their pixel centres."""
    u, v = np.meshgrid(np.arange(size), np.arange(size))
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(ring_intrinsics(size)).T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return np.stack([sphere(rays @ rotation.T) for rotation in (ring_rotations() if rotations is None else rotations)])


def sphere_panorama(height: int) -> tuple[np.ndarray, np.ndarray]:
    """The sphere as an equirectangular image (height, 2 height, 3); latitude (height, 1) of its rows, radians."""
    longitude = (np.arange(2 * height) + 0.5) * (np.pi / height) - np.pi
    latitude = (np.pi / 2 - (np.arange(height) + 0.5) * (np.pi / height))[:, None]
    x, z = np.sin(longitude) * np.cos(latitude), np.cos(longitude) * np.cos(latitude)
    return sphere(np.stack(np.broadcast_arrays(x, -np.sin(latitude), z), -1)), latitude


def column_steps(panorama: np.ndarray) -> np.ndarray:
    """(2 h,) how much each column differs from the one left of it, on average; of the first, from the last."""
    return np.abs(panorama - np.roll(panorama, 1, 1)).mean((0, 2))


def make_panorama_model(**change):
    """A panorama UNet of random weights: without depth, as released ones."""
    return make_model(kind="panorama", **{"in_channels": 4, **change})


def make_panorama_pipeline(folder, unet=None, **change) -> MVDiffusionPanoramaPipeline:
    parts = {**make_parts(folder), "unet": make_panorama_model() if unet is None else unet, **change}
    pipe = MVDiffusionPanoramaPipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe, prompt="a red room", seed=0, steps=2, **options):
    """A seeded call's output."""
    generator = torch.Generator().manual_seed(seed)
    options = {"guidance_scale": 2.0, **options}
    return pipe(prompt, num_inference_steps=steps, generator=generator, **options)


__all__ = ["make_panorama_model", "make_panorama_pipeline", "make_unet", "run", "sphere_panorama", "sphere_views"]
