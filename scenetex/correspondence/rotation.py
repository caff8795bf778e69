"""Correspondence by rotation alone: views from one point, as the faces of a panorama."""

from dataclasses import dataclass, replace

import torch

from ..errors import InputError
from .correspondence import Correspondence, check_cameras, check_convention, overlap_fractions, overlap_pairs, pairs_of
from .grid import cell_centres, pixel_lattice, reference_scale
from .matches import Keys, bilinear


def from_rotation(
    K, R, image_shape: tuple[int, int], convention: str = "visible", overlap: float = 0.3, reach: int = 1
) -> Correspondence:
    """Correspondence among views that turn about one point: homographies, no depth.

    Every query looks at 3 x 3 cells around the place where it lands; their cue is the displacement (in cells) of each,
    mapped back into the query's view.

    Args:
        K: (b, 3, 3) one for all views of a scene, or (b, m, 3, 3); pixels of these images, centred at whole numbers.
        R: (b, m, 3, 3) camera to world.
        image_shape: (height, width) of the images, pixels.
        convention: "visible": keys in front of the camera and inside the image, among views whose smaller overlap is
            strictly above `overlap`. "mvdiffusion": exactly what the released panorama model was trained on: square
            images, each view attends to the one before and the one after it in the ring.
        overlap: see `convention`.
        reach: cells looked at on each side of the place; 0 = the place alone.

    Raises:
        InputError: shapes that do not fit together, matrices that are not finite or not invertible, images that are not
            square in convention "mvdiffusion", an unknown convention.
    """
    check_convention(convention)
    K, R = (torch.as_tensor(t) for t in (K, R))
    dtype = torch.promote_types(torch.promote_types(K.dtype, R.dtype), torch.float32)
    K, R = (t.to(R.device, dtype) for t in (K, R))
    if R.ndim != 4 or 0 in R.shape or R.shape[-2:] != (3, 3):
        raise InputError(f"R is {tuple(R.shape)}; pass (scenes, views, 3, 3)")
    image_shape = tuple(int(s) for s in image_shape)
    released = convention == "mvdiffusion"
    if len(image_shape) != 2 or min(image_shape) < 1 or (released and image_shape[0] != image_shape[1]):
        kind = " of a square image" if released else ""
        raise InputError(f"image_shape {image_shape} is not a (height, width){kind}")
    K = check_cameras(R.shape, K, R, "R")
    b, m = R.shape[:2]
    geometry = RotationGeometry(K.flatten(0, 1), R.flatten(0, 1), image_shape, released, reach)
    attends = _ring(b, m) if released else overlap_pairs(overlap_fractions(geometry, b, m), overlap)
    return Correspondence(b, m, pairs_of(attends), geometry)


@dataclass(frozen=True, eq=False)
class RotationGeometry:
    """Intrinsics (v, 3, 3) and camera-to-world rotations (v, 3, 3) of all views; `image_shape` (height, width)."""

    intrinsics: torch.Tensor
    rotation: torch.Tensor
    image_shape: tuple[int, int]
    released: bool
    reach: int = 1
    paired = False
    cue_size = 2

    @property
    def device(self) -> torch.device:
        return self.rotation.device

    def to(self, device: torch.device | str) -> "RotationGeometry":
        """The same on another device; itself where it is there already."""
        moved = replace(self, intrinsics=self.intrinsics.to(device), rotation=self.rotation.to(device))
        return self if moved.rotation is self.rotation else moved

    def homography(self, source: int | torch.Tensor, target: int | torch.Tensor) -> torch.Tensor:
        """(..., 3, 3) maps pixels of `source` to pixels of `target`."""
        # General inverses: rotations rounded to float32 are not quite orthonormal, and released weights feel that.
        to_target = self.intrinsics[target] @ torch.inverse(self.rotation[target])
        return to_target @ self.rotation[source] @ torch.inverse(self.intrinsics[source])

    def overlap(self, view: int, partners: torch.Tensor, samples: int) -> torch.Tensor:
        """See `Geometry`."""
        h, w = self.image_shape
        pixel = pixel_lattice(self.image_shape, max(1, min(h, w) // samples), self.rotation)
        limit = torch.tensor([w, h], device=self.device) - 0.5
        xy, z = warp(self.homography(view, partners), pixel)
        return (((xy >= -0.5) & (xy < limit)).all(-1) & (z > 0)).float().mean(1)

    def keys(self, view: int, partners: torch.Tensor, shape: tuple[int, int]) -> Keys:
        """See `Geometry`: (2 reach + 1)^2 keys for each query and partner."""
        if self.released:
            # The released code has cell c at pixel (c + 1/2) s, not (c + 1/2) s - 1/2.
            cell = reference_scale(self.image_shape, shape)
            scale = torch.tensor([cell] * 2, device=self.device, dtype=self.rotation.dtype)
            centre, half = pixel_lattice(self.image_shape, cell, self.rotation), 0.0
        else:
            centre, scale = cell_centres(self.image_shape, shape, self.rotation)
            half = 0.5
        n, l = len(centre), len(partners)
        xy, _ = warp(self.homography(view, partners), centre)
        near = range(-self.reach, self.reach + 1)
        step = torch.tensor([[i, j] for i in near for j in near], device=self.device)
        cell = ((xy + half) / scale - 0.5)[:, :, None] + step
        pixel = (cell + 0.5) * scale - half
        back, z = warp(self.homography(partners, view), pixel.flatten(1, 2))
        cue = (back.reshape(pixel.shape) - centre[:, None]) / scale
        if self.released:
            limit = self.image_shape[1]
            seen = ((pixel > 0) & (pixel < limit)).all(-1)
            texel, weight = bilinear(
                cell.nan_to_num(nan=-2.0), partners[:, None, None].expand(l, n, len(step)), shape, clamp=False
            )
            cue = torch.where(seen[..., None], cue, 0)
            texel, weight, cue, seen = (
                t.transpose(0, 1).flatten(0, 2) for t in (texel, weight * seen[..., None], cue, seen)
            )
            query = (view * n + torch.arange(n, device=self.device)).repeat_interleave(len(step) * l)
            return Keys(query, texel, weight, cue, seen=seen)
        limit = torch.tensor([self.image_shape[1], self.image_shape[0]], device=self.device)
        # Behind the camera a homography shows the mirrored point, whose ray points away from the query.
        seen = ((pixel >= -0.5) & (pixel < limit - 0.5)).all(-1) & (z.reshape(l, n, -1) > 0)
        token, partner, place = seen.transpose(0, 1).nonzero(as_tuple=True)
        texel, weight = bilinear(cell[partner, token, place], partners[partner], shape, clamp=True)
        return Keys(view * n + token, texel, weight, cue[partner, token, place])


def warp(homography: torch.Tensor, pixel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (..., n, 2) through homographies (l, 3, 3): (l, n, 2) pixels and (l, n) third coordinates."""
    point = torch.cat([pixel, torch.ones_like(pixel[..., :1])], -1).transpose(-1, -2)
    image = (homography @ point).transpose(1, 2)
    return image[..., :2] / image[..., 2:], image[..., 2]


def _ring(b: int, m: int) -> torch.Tensor:
    """(b, m, m) bool: each view attends to the one before and the one after it, the last to the first."""
    i = torch.arange(m)
    step = (i[:, None] - i) % m
    return (((step == 1) | (step == m - 1)) & (step != 0)).expand(b, m, m)
