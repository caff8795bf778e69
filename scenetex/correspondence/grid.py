"""Feature cells and the image pixels they stand for."""

import torch

from ..errors import InputError


def cell_centres(
    image_shape: tuple[int, int], shape: tuple[int, int], like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of an (h, w) feature map laid over an image, pixel centres at whole numbers.

    Returns:
        centre (h w, 2), columns and rows in pixels, and scale (2,), pixels per cell, of `like`'s dtype and device.
    """
    scale = torch.tensor([image_shape[1] / shape[1], image_shape[0] / shape[0]], dtype=like.dtype, device=like.device)
    return (_lattice(range(shape[0]), range(shape[1]), like) + 0.5) * scale - 0.5, scale


def pixel_lattice(image_shape: tuple[int, int], step: int, like: torch.Tensor) -> torch.Tensor:
    """(n, 2) columns and rows of every `step`-th pixel, starting at step // 2, of `like`'s dtype and device."""
    return _lattice(range(step // 2, image_shape[0], step), range(step // 2, image_shape[1], step), like)


def reference_scale(image_shape: tuple[int, int], shape: tuple[int, int]) -> int:
    """Whole pixels per feature cell, as the released models count them; their queries are at `pixel_lattice` of it.

    Raises:
        InputError: a feature shape that they fail at.
    """
    scale = image_shape[0] // shape[0]
    if scale < 1 or any(len(range(scale // 2, i, scale)) != s for i, s in zip(image_shape, shape, strict=True)):
        raise InputError(
            f'convention "mvdiffusion": features of {shape[0]} x {shape[1]} do not divide images of {image_shape[0]} x '
            f'{image_shape[1]}; use sides divisible by 64 or convention "visible"'
        )
    return scale


def _lattice(rows: range, columns: range, like: torch.Tensor) -> torch.Tensor:
    row, column = torch.meshgrid(
        *(torch.tensor(r, dtype=like.dtype, device=like.device) for r in (rows, columns)), indexing="ij"
    )
    return torch.stack([column, row], -1).reshape(-1, 2)
