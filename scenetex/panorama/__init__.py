"""Panoramas: eight views around one point, and eight up and down, stitched to an equirectangular image; plain geometry,
no model."""

from .poles import pole_views
from .ring import VIEWS, pole_rotations, ring_intrinsics, ring_rotations
from .standpoint import choose_position, panorama_views
from .stitch import known_poles, stitch

__all__ = [
    "VIEWS",
    "choose_position",
    "known_poles",
    "panorama_views",
    "pole_rotations",
    "pole_views",
    "ring_intrinsics",
    "ring_rotations",
    "stitch",
]
