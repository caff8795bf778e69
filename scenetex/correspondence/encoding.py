"""Frequency encoding of a correspondence's cue."""

import torch


def encode(cue: torch.Tensor, bands: torch.Tensor, odd: torch.Tensor | None = None) -> torch.Tensor:
    """Sines, then cosines, of every component of the cue at every frequency.

    Args:
        cue: (..., d) float32 or float64. Frequencies reach 2^31 and more in released weights, so never half precision.
        bands: (f,) radians per unit of the cue.
        odd: (...) bool or None. The released depth model encodes tokens two by two: the cue holds both of a pair
            (d = 2), the pair's first token gets the sines of both, its second the cosines.

    Returns:
        (..., 2 d f), or (..., d f) where `odd` is given, of cue's dtype.
    """
    angle = (cue[..., None] * bands.to(cue.dtype)).flatten(-2)
    if odd is None:
        return torch.cat([angle.sin(), angle.cos()], -1)
    return torch.where(odd[..., None], angle.cos(), angle.sin())
