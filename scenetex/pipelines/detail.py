"""From large latents and small images to large images, by the detail decoder."""

from functools import partial

import torch

from ..models.detail_decoder import DetailDecoder, believed
from .evidence import evidence
from .geometry import SceneViews
from .noise import draw_noise
from .tiles import Tiles


@torch.no_grad()
def add_detail(
    decoder: DetailDecoder,
    latents: torch.Tensor,
    small: torch.Tensor,
    views: SceneViews,
    share: float,
    together: bool,
    tiles: Tiles,
) -> torch.Tensor:
    """Large images (m, 3, H, W), about -1..1: one view at a time, and of it one tile.

    Args:
        decoder: what makes them.
        latents: (m, c, h', w') of the large images.
        small: (m, 3, h, w) small images, 0..1.
        views: m views of the small images.
        share: how much of the detail in the latents is believed, 0..1.
        together: use what the views show of each other.
        tiles: of the large images.
    """
    out, device, (h, w) = [], latents.device, small.shape[-2:]
    factor = decoder.config.factor
    cell = h * factor // latents.shape[-2]
    small = small * 2 - 1
    pictures = small.permute(0, 2, 3, 1).contiguous().numpy()
    # What is not believed is covered by noise, the same every time.
    noise = draw_noise(0, views.keys, tuple(latents.shape[1:])).to(device)
    level = torch.full((1,), 1.0 - share, device=device)
    for i in range(len(latents)):
        seen = small.new_zeros(3, h * factor, w * factor), small.new_zeros(h, w)
        if together:
            seen = evidence(pictures, i, views.views, factor)
        difference, told = (x.to(device) for x in seen)
        own, z = small[i].to(device), believed(latents[i][None].float(), noise[i][None], level)

        maps = (z, cell), (own[None], factor), (difference[None], 1), (told[None], factor)
        out.append(tiles.blend(partial(_tile, decoder, level, maps)))
    return torch.cat(out)


def _tile(decoder: DetailDecoder, level: torch.Tensor, maps, rows: slice, columns: slice) -> torch.Tensor:
    """The large image's rows and columns, from maps (1, ..., h, w), each with how many pixels wide its cells are."""
    parts = []
    for x, cell in maps:
        down, across = (slice(side.start // cell, side.stop // cell) for side in (rows, columns))
        parts.append(x[..., down, across])
    return decoder(parts[0], level, *parts[1:])
