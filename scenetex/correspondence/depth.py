"""Correspondence through depth: a pixel's surface point, seen from the other views."""

from dataclasses import dataclass, replace

import torch

from ..errors import InputError
from .correspondence import Correspondence, check_cameras, check_convention, overlap_fractions, overlap_pairs, pairs_of
from .grid import cell_centres, pixel_lattice, reference_scale
from .matches import Keys, bilinear

# A point is the one another view sees where the depths agree to this part: above the depth change between neighbouring
# pixels of a floor seen at a grazing angle, below the distance of furniture from the wall behind it.
_DEPTH_TOLERANCE = 0.05


def from_depth(depth, K, cam_to_world, convention: str = "visible", overlap: float = 0.3) -> Correspondence:
    """Correspondence among views of known depth, intrinsics and pose.

    Args:
        depth: (b, m, h, w) tensor or array, camera z in metres; 0, negative or not finite = nothing there.
        K: (b, 3, 3) one for all views of a scene, or (b, m, 3, 3); pixels of these images, centred at whole numbers.
        cam_to_world: (b, m, 4, 4), metres, OpenCV axes.
        convention: "visible": a key is where the query's surface point lands, if in front of the camera, inside the
            image and at the depth seen there; its cue is the error of that depth. "mvdiffusion": exactly what the
            released depth model was trained on, points behind cameras and walls included; sides divisible by 64.
        overlap: views attend to each other where the smaller of the two overlapping parts is strictly above this.

    Raises:
        InputError: shapes that do not fit together, poses or intrinsics that are not finite or not invertible, a view
            without any valid depth, an unknown convention.
    """
    check_convention(convention)
    depth, K, cam_to_world = (torch.as_tensor(t) for t in (depth, K, cam_to_world))
    if depth.ndim != 4 or 0 in depth.shape:
        raise InputError(f"depth is {tuple(depth.shape)}; pass (scenes, views, height, width), none of them 0")
    dtype = torch.promote_types(torch.promote_types(depth.dtype, K.dtype), cam_to_world.dtype)
    dtype = torch.promote_types(dtype, torch.float32)
    depth, K, cam_to_world = (t.to(depth.device, dtype) for t in (depth, K, cam_to_world))
    if cam_to_world.shape[-2:] != (4, 4):
        raise InputError(f"cam_to_world is {tuple(cam_to_world.shape)}; pass (scenes, views, 4, 4)")
    K = check_cameras(depth.shape, K, cam_to_world, "cam_to_world")
    b, m = depth.shape[:2]
    depth = depth.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).clamp(min=0)
    empty = (depth == 0).flatten(2).all(2)
    if empty.any():
        item, view = empty.nonzero()[0].tolist()
        raise InputError(f"view {view} (scene {item}) has no valid depth; leave it out, or check its pose and the mesh")
    released = convention == "mvdiffusion"
    geometry = DepthGeometry(depth.flatten(0, 1), K.flatten(0, 1), cam_to_world.flatten(0, 1), released)
    attends = overlap_pairs(overlap_fractions(geometry, b, m), overlap)
    return Correspondence(b, m, pairs_of(_with_neighbours(attends) if released else attends), geometry)


@dataclass(frozen=True, eq=False)
class DepthGeometry:
    """Depth (v, h, w), intrinsics (v, 3, 3), poses (v, 4, 4) of all views; `released`: convention "mvdiffusion"."""

    depth: torch.Tensor
    intrinsics: torch.Tensor
    cam_to_world: torch.Tensor
    released: bool
    cue_size = 1

    @property
    def paired(self) -> bool:
        """The released model encodes its keys two by two."""
        return self.released

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return tuple(self.depth.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.depth.device

    def to(self, device: torch.device | str) -> "DepthGeometry":
        """The same on another device; itself where it is there already."""
        moved = replace(
            self,
            depth=self.depth.to(device),
            intrinsics=self.intrinsics.to(device),
            cam_to_world=self.cam_to_world.to(device),
        )
        return self if moved.depth is self.depth else moved

    def project(self, view: int, partners: torch.Tensor, pixel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the pixels (n, 2), column and row, of `view` land in the views `partners` (l,).

        Returns:
            xy (l, n, 2) pixels, z (l, n) metres in the partner's camera.
        """
        K = self.intrinsics[view]
        column, row = pixel.T
        d = self.depth_at(view, pixel)
        point = torch.stack([d * (column - K[0, 2]) / K[0, 0], d * (row - K[1, 2]) / K[1, 1], d])
        relative = torch.inverse(self.cam_to_world[partners]) @ self.cam_to_world[view]
        image = self.intrinsics[partners] @ (relative[:, :3, :3] @ point + relative[:, :3, 3:])
        return (image[:, :2] / (image[:, 2:] + (1e-6 if self.released else 0))).transpose(1, 2), image[:, 2]

    def depth_at(self, view: int | torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
        """Depth of `view` at whole pixels (..., 2)."""
        return self.depth[view, pixel[..., 1].long(), pixel[..., 0].long()]

    def look_up(self, partners: torch.Tensor, xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Depth that the partners (l,) see at places xy (l, n, 2): (l, n) depth, and bool: inside and valid."""
        h, w = self.image_shape
        nearest = xy.round()
        inside = (nearest[..., 0] >= 0) & (nearest[..., 0] < w) & (nearest[..., 1] >= 0) & (nearest[..., 1] < h)
        there = self.depth_at(partners[:, None], torch.where(inside[..., None], nearest, 0))
        return there, inside & (there > 0)

    def visible(self, view: int, partners: torch.Tensor, pixel: torch.Tensor):
        """Which pixels' surface points the partners see.

        Returns:
            xy (l, n, 2) pixels; seen (l, n) bool; error (l, n) metres, |depth of the point - depth seen there|.
        """
        xy, z = self.project(view, partners, pixel)
        there, valid = self.look_up(partners, xy)
        error = (z - there).abs()
        # At about the depth seen there is in front of the camera, too.
        seen = valid & (self.depth_at(view, pixel) > 0) & (error <= _DEPTH_TOLERANCE * there)
        return xy, seen, error

    def overlap(self, view: int, partners: torch.Tensor, samples: int) -> torch.Tensor:
        """See `Geometry`; in convention "visible", of the pixels with depth those that are seen, in "mvdiffusion", of
        all pixels those that land in the image."""
        h, w = self.image_shape
        step = 1 if self.released else max(1, min(h, w) // samples)
        pixel, out = pixel_lattice(self.image_shape, step, self.depth), []
        valid = self.depth_at(view, pixel) > 0
        # So many partners at a time: all pixels of 150 views at once would be gigabytes, and no cache holds more.
        for some in partners.split(max(1, 200_000 // len(pixel))):
            if self.released:
                xy, _ = self.project(view, some, pixel)
                inside = (xy[..., 0] >= 0) & (xy[..., 0] < w) & (xy[..., 1] >= 0) & (xy[..., 1] < h)
                out.append((inside & valid).float().mean(1))
            else:
                out.append(self.visible(view, some, pixel)[1].sum(1) / valid.sum().clamp(min=1))
        return torch.cat(out)

    def keys(self, view: int, partners: torch.Tensor, shape: tuple[int, int]) -> Keys:
        """See `Geometry`: one key for each query and partner."""
        return (self._released_keys if self.released else self._visible_keys)(view, partners, shape)

    def _visible_keys(self, view: int, partners: torch.Tensor, shape: tuple[int, int]) -> Keys:
        centre, scale = cell_centres(self.image_shape, shape, self.depth)
        pixel = (centre + 0.5).floor()
        xy, seen, error = self.visible(view, partners, pixel)
        # Depth is known at pixels, cells may be centred between them: the rest of the way goes along unchanged.
        xy = (xy - pixel + centre + 0.5) / scale - 0.5
        token, partner = seen.T.nonzero(as_tuple=True)
        texel, weight = bilinear(xy[partner, token], partners[partner], shape, clamp=True)
        return Keys(view * len(centre) + token, texel, weight, error[partner, token][:, None])

    def _released_keys(self, view: int, partners: torch.Tensor, shape: tuple[int, int]) -> Keys:
        scale = reference_scale(self.image_shape, shape)
        n, l = shape[0] * shape[1], len(partners)
        if n % 2:
            raise InputError(
                f'convention "mvdiffusion": the released depth model fails at features of {shape[0]} x {shape[1]}, '
                'an odd number of tokens; use other image sizes or convention "visible"'
            )
        pixel = pixel_lattice(self.image_shape, scale, self.depth)
        depth = self.depth_at(view, pixel)
        xy, _ = self.project(view, partners, pixel)
        xy = torch.where((depth > 0)[:, None], xy, -1e6).nan_to_num(nan=-1e6)
        there, seen = self.look_up(partners, xy)
        # Depths of two cameras, not of the projected point; tokens that are not seen count as 1e6 m away.
        cue = (depth - torch.where(seen, there, 1e6)).abs().T.reshape(-1, 2)
        texel, weight = bilinear(xy / scale - 0.5, partners[:, None].expand(l, n), shape, clamp=False)
        return Keys(
            query=(view * n + torch.arange(n, device=self.device)).repeat_interleave(l),
            texel=texel.transpose(0, 1).flatten(0, 1),
            weight=(weight * seen[..., None]).transpose(0, 1).flatten(0, 1),
            cue=cue.repeat_interleave(2, 0),
            odd=torch.arange(n * l, device=self.device) % 2 == 1,
            seen=seen.T.flatten(),
        )


def _with_neighbours(attends: torch.Tensor) -> torch.Tensor:
    """The released model's fallback: a view without a partner attends, one way, to the views before and after it."""
    i = torch.arange(attends.shape[1])
    beside = (i[:, None] - i).abs() == 1
    return attends | (beside & ~attends.any(2, keepdim=True))
