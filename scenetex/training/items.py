"""What a step makes of one sample: which views it sees, at which noise level, and the noise; all of it drawn from a
generator that belongs to the sample's turn."""

from collections.abc import Callable

import numpy as np
import torch

from ..correspondence import from_depth, from_rotation
from ..data.sample import Sample
from ..errors import InputError
from ..pipelines.conditioning import surface_fields
from ..pipelines.noise import share_noise
from ..pipelines.scene_views import SHARED_OVERLAP
from .encoded import Encoded, EncodedDetail, camera_tensors
from .partial_masks import partial_masks

_PROMPT_DROPPED = 0.1
# Share of the sets whose views start from common noise, as the pipelines let them if asked to.
_NOISE_SHARED = 0.25
# Share of those that go without blocks where all of a UNet is trained.
_ALONE_SETS = 0.1
# Share of the views whose detail is found without others, and of those whose surface is not told.
_ALONE, _UNTOLD_DETAIL = 0.15, 0.1
# Real scans have rough surfaces: what the model is told about the surface gets as rough, for some views.
_ROUGHNESS = 0.12
# Share of the views whose latents are blurred before they are decoded, and of those decoded without their surface.
_BLURRED, _UNTOLD = 0.3, 0.06

Item = dict[str, torch.Tensor]


def image_items(
    sample: Sample, count: int, rng: np.random.Generator, latent_shape, crop: tuple[int, int]
) -> list[Item]:
    """For the autoencoder: parts of `count` views of a sample, (width, height) `crop`, some mirrored, and noise for
    their latents (c, h, w)."""
    items = []
    for i in choose_views(rng, len(sample), count, together=False):
        image = sample.images[i][:, ::-1] if rng.random() < 0.5 else sample.images[i]
        image = image[_part(rng, image.shape[:2], crop[::-1])]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 127.5 - 1
        items.append({"images": pixels, "noise": normal(rng, latent_shape)})
    return items


def surface_item(sample: Sample, which: list[int], rng: np.random.Generator, latent_shape, cell: int) -> Item:
    """For the surface autoencoder: the views `which` of a sample, and what a part of their latents (c, h, w), of cells
    of `cell` pixels, is worn with."""
    count = len(which)
    views, (height, width) = sample.views.at(which), sample.images.shape[1:3]
    images = torch.from_numpy(sample.images[which]).permute(0, 3, 1, 2).float() / 127.5 - 1
    part = _part(rng, (height // cell, width // cell), latent_shape[1:], beyond=True)
    blurred, level, told = rng.random(count) < _BLURRED, rng.random(count), rng.random(count) >= _UNTOLD
    return {
        "images": images,
        "surface": surface_fields(views),
        **camera_tensors(views),
        "corner": torch.tensor([side.start for side in part]),
        "noise": normal(rng, (count, *latent_shape)),
        "level": torch.from_numpy(level).float(),
        "blur": torch.from_numpy(blurred * rng.random(count)).float(),
        "told": torch.from_numpy(told).float(),
    }


def single_view_items(
    encoded: Encoded,
    rng: np.random.Generator,
    tokenize: Callable,
    levels: int,
    shape: tuple[int, int] | None = None,
    noise_bias: float = 1.0,
) -> list[Item]:
    """Each view of `encoded` by itself, with its own noise level.

    Args:
        levels: number of noise levels.
        shape: (h, w) cells of a random part of each view; None = all of it.
        noise_bias: shares of the levels grow with their power of this less 1; 1 = all alike.
    """
    items = []
    for i in range(len(encoded.latents)):
        latents, guide = encoded.latents[i], encoded.guide[i]
        if shape is not None:
            part = (..., *_part(rng, latents.shape[-2:], shape))
            latents, guide = latents[part].contiguous(), guide[part].contiguous()
        item = {
            "latents": latents,
            "guide": _roughened(guide, rng),
            "noise": normal(rng, latents.shape),
            "timesteps": _timestep(rng, levels, noise_bias),
            "input_ids": tokenize(_prompt(encoded.prompts[i], rng)),
        }
        items.append(item if encoded.seen is None else item | {"seen": encoded.seen[i]})
    return items


def detail_items(encoded: EncodedDetail, rng: np.random.Generator, shape: tuple[int, int] | None = None) -> list[Item]:
    """For the detail decoder: each view of `encoded` by itself, its latents with noise of its own level.

    Args:
        shape: (h, w) cells of a random part of each view; None = all of it.
    """
    items, (h, w) = [], encoded.latents.shape[-2:]
    for i, latents in enumerate(encoded.latents):
        part = _part(rng, (h, w), shape or (h, w))
        # Where views are by themselves there is nothing to see of others.
        alone = 1.0 - (rng.random() < _ALONE)
        noise = normal(rng, (len(latents), *(p.stop - p.start for p in part)))
        item = {
            "latents": latents[..., *part].contiguous(),
            "noise": noise,
            "level": torch.tensor(rng.random(), dtype=torch.float32),
            "large": _in_part(encoded.large[i], w, part),
            "small": _in_part(encoded.small[i], w, part),
            "difference": alone * _in_part(encoded.difference[i], w, part),
            "told": alone * _in_part(encoded.told[i], w, part),
        }
        if encoded.surface is not None:
            told = 1.0 - (rng.random() < _UNTOLD_DETAIL)
            item["surface"] = told * _in_part(encoded.surface[i], w, part)
        items.append(item)
    return items


def multi_view_item(
    encoded: Encoded,
    rng: np.random.Generator,
    tokenize: Callable,
    levels: int,
    between: bool | None,
    partly: bool = False,
    noise_bias: float = 1.0,
    some_alone: bool = False,
) -> Item:
    """All views of `encoded` together, at one noise level, drawn as for single views.

    Args:
        between: True = every second view is given (interpolation), False = none is, None = there is no condition.
        partly: of all views some cells are given instead (completion).
        some_alone: some sets are marked to go without blocks, half of them without a prompt, too.
    """
    m, (h, w) = len(encoded.latents), encoded.latents.shape[-2:]
    item = _set_item(encoded, rng, tokenize, levels, (h, w), noise_bias)
    if between is not None:
        item["given"] = _cells((torch.arange(m) % 2 == int(rng.integers(2))) & between, (h, w))
    if partly:
        item["given"] = torch.from_numpy(partial_masks(encoded, rng))[:, None]
    if some_alone:
        alone, silent = rng.random(2) < (_ALONE_SETS, 0.5)
        item["alone"] = torch.tensor(bool(alone))
        if alone and silent:
            item["input_ids"] = torch.stack([tokenize("")] * m)
    return item


def ring_item(
    encoded: Encoded,
    rng: np.random.Generator,
    tokenize: Callable,
    levels: int,
    outpaint: bool | None,
    noise_bias: float = 1.0,
) -> Item:
    """As `multi_view_item`, for the views of a ring.

    Args:
        outpaint: True = one view is given, False = none is, None = there is no condition.
    """
    m, (h, w) = len(encoded.latents), encoded.latents.shape[-2:]
    item = _set_item(encoded, rng, tokenize, levels, (h, w), noise_bias, ring=True)
    if outpaint is not None:
        item["given"] = _cells((torch.arange(m) == int(rng.integers(m))) & outpaint, (h, w))
    return item


def _cells(views: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """(m, 1, h, w) bool of views (m,) that are given in full, or not at all."""
    return views[:, None, None, None].expand(-1, 1, *shape).clone()


def super_resolution_item(
    encoded: Encoded,
    rng: np.random.Generator,
    tokenize: Callable,
    levels: int,
    shape: tuple[int, int],
    noise_bias: float = 1.0,
) -> Item:
    """As `multi_view_item`, for latents that are the middle of views of `shape` (h, w) cells."""
    item = _set_item(encoded, rng, tokenize, levels, shape, noise_bias)
    h, w = encoded.latents.shape[-2:]
    top, left = (shape[0] - h) // 2, (shape[1] - w) // 2
    item["noise"] = item["noise"][..., top : top + h, left : left + w].contiguous()
    return item


def _set_item(
    encoded: Encoded,
    rng: np.random.Generator,
    tokenize: Callable,
    levels: int,
    shape: tuple[int, int],
    noise_bias: float,
    ring: bool = False,
) -> Item:
    """What the items of sets of views have in common; noise of `shape` (h, w), of a `ring` common by direction."""
    place = int(rng.integers(len(encoded.prompts[0])))
    dropped = rng.random() < _PROMPT_DROPPED
    prompts = ["" if dropped else p[place % len(p)] for p in encoded.prompts]
    noise = normal(rng, (*encoded.latents.shape[:2], *shape))
    timesteps = _timestep(rng, levels, noise_bias)
    cameras = {"depth": encoded.depth, "intrinsics": encoded.intrinsics, "cam_to_world": encoded.cam_to_world}
    if rng.random() < _NOISE_SHARED:
        depth, intrinsics, poses = (value[None] for value in cameras.values())
        if ring:
            where = intrinsics, poses[..., :3, :3], depth.shape[-2:]
            correspondence = from_rotation(*where, overlap=SHARED_OVERLAP, reach=0)
        else:
            correspondence = from_depth(depth, intrinsics, poses, overlap=SHARED_OVERLAP)
        noise = share_noise(noise, correspondence, [range(len(noise))])
    return {
        "latents": encoded.latents,
        "guide": encoded.guide,
        "noise": noise,
        "timesteps": timesteps,
        "input_ids": torch.stack([tokenize(p) for p in prompts]),
        **cameras,
    }


def choose_views(rng: np.random.Generator, total: int, count: int, together: bool) -> list[int]:
    """Views of a sample of `total`: any `count` of them, or `together` a run along the trajectory.

    Raises:
        InputError: there are not so many.
    """
    if total < count:
        raise InputError(f"training: a sample has {total} views, but a step takes {count}; choose fewer --views")
    if not together:
        return sorted(int(i) for i in rng.permutation(total)[:count])
    start = int(rng.integers(total - count + 1))
    return list(range(start, start + count))


def _part(
    rng: np.random.Generator, whole: tuple[int, int], part: tuple[int, int], beyond: bool = False
) -> tuple[slice, slice]:
    """Rows and columns of a random part (h, w) of a whole (h, w); drawn `beyond` its borders and moved inside, parts
    show borders and corners as often as what lies between."""
    parts = []
    for w, p in zip(whole, part, strict=True):
        over = p // 2 if beyond else 0
        corner = int(np.clip(rng.integers(-over, w - p + over + 1), 0, w - p))
        parts.append(slice(corner, corner + p))
    return tuple(parts)


def _in_part(image: torch.Tensor, cells: int, part: tuple[slice, slice]) -> torch.Tensor:
    """Where a part of the latents, which are `cells` wide, lies in a finer image (..., H, W)."""
    finer = image.shape[-1] // cells
    return image[..., *(slice(p.start * finer, p.stop * finer) for p in part)].contiguous()


def _prompt(sentences: tuple[str, ...], rng: np.random.Generator) -> str:
    sentence = sentences[int(rng.integers(len(sentences)))]
    return "" if rng.random() < _PROMPT_DROPPED else sentence


def _timestep(rng: np.random.Generator, levels: int, noise_bias: float) -> torch.Tensor:
    return torch.tensor(int(levels * rng.random() ** (1 / noise_bias)))


def normal(rng: np.random.Generator, shape) -> torch.Tensor:
    """N(0, 1), float32."""
    return torch.from_numpy(rng.standard_normal(tuple(shape), np.float32))


def _roughened(guide: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    strength = max(rng.uniform(-_ROUGHNESS, _ROUGHNESS), 0.0)
    return guide + strength * normal(rng, guide.shape) * (guide != 0)
