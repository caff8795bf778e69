"""Measures: consistency, detail and edges of images, feature scores, quality of an atlas, obedience to the prompt."""

from .atlas_scores import AtlasScore, measure_atlas
from .detail_scores import Detail, edge_agreement, measure_detail
from .overlap import OverlapScore, overlap_psnr, overlap_scores
from .prompt_colors import floor_faces, mean_color, nearest_color, wall_faces

__all__ = [
    "AtlasScore",
    "Detail",
    "OverlapScore",
    "edge_agreement",
    "floor_faces",
    "mean_color",
    "measure_atlas",
    "measure_detail",
    "nearest_color",
    "overlap_psnr",
    "overlap_scores",
    "wall_faces",
]
