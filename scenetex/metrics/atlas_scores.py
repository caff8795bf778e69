"""The quality of a baked atlas: how much was seen, whether chart seams show, how sharp it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..texture.render import render_textured, sample_texture
from ..texture.textured_mesh import TexturedMesh
from ..texture.weld import weld
from ..views.viewset import ViewSet
from .detail_scores import measure_detail

_ALONG = (0.25, 0.5, 0.75)  # places along an edge
_ROUNDING = 1e-3  # grey levels: below this a flat colour was interpolated
_FLAT = np.cos(np.radians(30))  # across sharper creases colours differ by the light, not by a seam


@dataclass(frozen=True)
class AtlasScore:
    """How good a baked atlas is.

    Attributes:
        coverage: part of the texels that some view saw.
        seam_difference: root mean square difference of colour, grey levels, one texel apart across chart seams.
        inner_difference: the same across mesh edges inside charts.
        sharpness: mean gradient of renders over that of the images they show; NaN without images.
    """

    coverage: float
    seam_difference: float
    inner_difference: float
    sharpness: float

    @property
    def seam_energy(self) -> float:
        """Squared difference across seams over that inside charts; 1 = seams cannot be told from the rest.

        Infinite where charts are flat and seams are not; NaN where both are flat, or there are no seams.
        """
        if self.inner_difference < _ROUNDING:
            return float("inf") if self.seam_difference >= _ROUNDING else float("nan")
        return (self.seam_difference / self.inner_difference) ** 2


def measure_atlas(
    textured: TexturedMesh, views: ViewSet | None = None, images: Sequence[np.ndarray] | None = None
) -> AtlasScore:
    """Coverage, seam differences and, given views and their images, sharpness of a textured mesh.

    Seams are mesh edges whose two faces lie at different places of the atlas. Both faces' colours are looked up half a
    texel off the edge, at three places along it, weighted by its length. Creases of more than 30 degrees are left out.

    Args:
        textured: the mesh; its number of texels must be known, else coverage is NaN.
        views: m views of the size of the images.
        images: m images (h, w, 3) uint8; what the renders of these views are compared with, where there is surface.
    """
    seen = sum(int(c.sum()) for c in textured.coverage)
    seam, inner = _edge_differences(textured)
    sharpness = float("nan")
    if views is not None and images is not None:
        masks = [depth > 0 for depth in views.depth]
        cameras = zip(views.intrinsics, views.cam_to_world, strict=True)
        renders = [render_textured(textured, k, pose, views.size) for k, pose in cameras]
        reference = measure_detail(images, masks).sharpness
        sharpness = measure_detail(renders, masks).sharpness / reference if reference else float("nan")
    return AtlasScore(seen / textured.texels if textured.texels else float("nan"), seam, inner, sharpness)


def _edge_differences(textured: TexturedMesh) -> tuple[float, float]:
    """Differences across seams and across edges inside charts, NaN where there are none."""
    mesh, atlas = textured.mesh, textured.atlas
    kept = np.flatnonzero(atlas.page >= 0)
    _, faces, _ = weld(mesh, kept)
    one, two = _shared_edges(faces)
    normals = mesh.face_normals[kept]
    flat = np.einsum("ij,ij->i", normals[one // 3], normals[two // 3]) >= _FLAT
    one, two = one[flat], two[flat]
    if not len(one):
        return float("nan"), float("nan")
    uv = atlas.uv[atlas.faces[kept]]
    # The second face runs along the edge the other way round, where both are oriented alike.
    same_way = faces[two // 3, two % 3] == faces[one // 3, one % 3]
    first = [uv[one // 3, (one % 3 + k) % 3] for k in (0, 1)]
    second = [uv[two // 3, np.where(same_way, two % 3 + k, two % 3 + 1 - k) % 3] for k in (0, 1)]
    apart = atlas.page[kept[one // 3]] != atlas.page[kept[two // 3]]
    for a, b in zip(first, second, strict=True):
        apart |= np.abs(a - b).max(1) > 1e-6
    half = 0.5 / atlas.texels_per_metre
    length = np.linalg.norm(_corner(mesh, kept, one, 1) - _corner(mesh, kept, one, 0), axis=1)
    total = np.zeros(len(one))
    for t in _ALONG:
        a = _beside(textured, kept, one, np.full(len(one), t), half)
        b = _beside(textured, kept, two, np.where(same_way, t, 1 - t), half)
        total += np.square(a - b).mean(1) / len(_ALONG)
    return tuple(
        float(np.sqrt(np.average(total[part], weights=length[part]))) if part.any() else float("nan")
        for part in (apart, ~apart)
    )


def _shared_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(e,) and (e,) int64 half-edges, 3 * face + corner it starts from, of the edges that exactly two faces share."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), axis=1).astype(np.int64)
    _, which, count = np.unique(
        ends[:, 0] * (int(faces.max()) + 1) + ends[:, 1], return_inverse=True, return_counts=True
    )
    order = np.argsort(which, kind="stable")
    first = (np.cumsum(count) - count)[count == 2]
    return order[first], order[first + 1]


def _corner(mesh, kept: np.ndarray, half_edge: np.ndarray, k: int) -> np.ndarray:
    """(n, 3) corners of the half-edges' faces: 0 and 1 the edge's ends, 2 the one across."""
    return mesh.triangles[kept[half_edge // 3], (half_edge % 3 + k) % 3]


def _beside(textured: TexturedMesh, kept, half_edge: np.ndarray, t: np.ndarray, distance: float) -> np.ndarray:
    """(n, 3) colours at part `t` (n,) along half-edges, `distance` metres into their faces (a third of it at most)."""
    a, b, across = (_corner(textured.mesh, kept, half_edge, k) for k in range(3))
    along = b - a
    squared = np.maximum(np.einsum("ij,ij->i", along, along), 1e-300)
    foot = np.einsum("ij,ij->i", across - a, along) / squared
    height = np.linalg.norm(across - a - foot[:, None] * along, axis=1)
    inwards = np.minimum(distance / np.maximum(height, 1e-300), 1 / 3)
    # Straight in from the edge; in obtuse faces as straight as they are wide there.
    second = np.clip(t - foot * inwards, 0, 1 - inwards)
    weights = np.stack([1 - inwards - second, second, inwards], 1)
    turned = np.empty_like(weights)
    rows, corner = np.arange(len(weights)), half_edge % 3
    for k in range(3):
        turned[rows, (corner + k) % 3] = weights[:, k]
    return sample_texture(textured, kept[half_edge // 3], turned[:, 1], turned[:, 2])
