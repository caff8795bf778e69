"""Feature cells and the image pixels they stand for."""

import torch

from ..errors import InputError


def cell_centres(
    image: tuple[int, int], size: tuple[int, int], like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of an (h, w) feature map laid over an image, pixel centres at whole numbers.

    Returns:
        centre (h w, 2), columns and rows in pixels, and scale (2,), pixels per cell, of `like`'s dtype and device.
    """
    scale = torch.tensor([image[1] / size[1], image[0] / size[0]], dtype=like.dtype, device=like.device)
    return (_lattice(range(size[0]), range(size[1]), like) + 0.5) * scale - 0.5, scale


def pixel_lattice(image: tuple[int, int], step: int, like: torch.Tensor) -> torch.Tensor:
    """(n, 2) columns and rows of every `step`-th pixel, starting at step // 2, of `like`'s dtype and device."""
    return _lattice(range(step // 2, image[0], step), range(step // 2, image[1], step), like)


def reference_scale(image: tuple[int, int], size: tuple[int, int]) -> int:
    """Whole pixels per feature cell, as the released models count them; their queries are at `pixel_lattice` of it.

    Raises:
        InputError: a feature size that they fail at.
    """
    scale = image[0] // size[0]
    if scale < 1 or any(len(range(scale // 2, i, scale)) != s for i, s in zip(image, size, strict=True)):
        raise InputError(
            f'convention "mvdiffusion": features of {size[0]} x {size[1]} do not divide images of {image[0]} x '
            f'{image[1]}; use sides divisible by 64 or convention "visible"'
        )
    return scale


def _lattice(rows: range, columns: range, like: torch.Tensor) -> torch.Tensor:
    row, column = torch.meshgrid(
        *(torch.tensor(r, dtype=like.dtype, device=like.device) for r in (rows, columns)), indexing="ij"
    )
    return torch.stack([column, row], -1).reshape(-1, 2)
