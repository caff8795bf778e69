"""Panoramas: eight views around one point, stitched to an equirectangular image; plain geometry, no model."""

from .ring import VIEWS, ring_intrinsics, ring_rotations
from .standpoint import choose_position, panorama_views
from .stitch import stitch

__all__ = ["VIEWS", "choose_position", "panorama_views", "ring_intrinsics", "ring_rotations", "stitch"]
