"""A textured mesh and its cameras as data for the viewer in the page, a few bytes per face."""

import base64
import zlib
from collections.abc import Sequence

import numpy as np

from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet
from .html import picture_uri
from .preview import dollhouse_camera

_STEP = 2e-5  # radii of the mesh that positions are rounded to, about 0.1 mm in a room
_METRE = 0.45  # radii of the mesh that count as a metre to who walks in it
_UV_STEPS = 2**16
_TEXTURE = 2048  # side of a square that all pages together may fill
_STRAY = 0.002  # share of vertices on either side that the first view need not show


def pack_model(textured: TexturedMesh) -> dict:
    """The mesh for `viewer.js`.

    The frame is gravity-aligned (z up), in metres, about the middle of the mesh. `arrays` holds, one after another, x,
    y, z (in `step`), u, v (in 1 / `uv_steps`, v down), and the faces' corners, page by page: 32-bit whole numbers, each
    as the difference to the one before it, zigzag-coded, all lowest bytes first; the whole compressed with zlib and
    coded in base64. Textures are JPEG, made smaller so that all pages together have at most 2,048 x 2,048 texels.

    Returns:
        what JSON can hold: `vertices` and `pages` (faces on each) count, `middle` (3,) is where the frame's origin lies
        in the gravity-aligned one, `reach` (3,) half the size of the box around it, `metre` what a visitor takes for
        one, `heading` the direction, radians, that the view from above looks along.
    """
    mesh, atlas = textured.mesh, textured.atlas
    pages = _used_pages(textured)
    rows, corners = np.unique(
        np.concatenate([atlas.faces[atlas.page == page] for page in pages]).ravel(), return_inverse=True
    )
    # Vertices in the order of the faces that use them: neighbours differ little, which compresses well.
    _, first = np.unique(corners, return_index=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows, corners = rows[order], place[corners.ravel()]

    points = mesh.vertices[atlas.vertices[rows]] @ mesh.axis_alignment[:3, :3].T + mesh.axis_alignment[:3, 3]
    low, high = np.quantile(points, [_STRAY, 1 - _STRAY], axis=0)
    middle = (low + high) / 2
    points -= middle
    step = max(_STEP * mesh.extent.radius, float(np.abs(points).max()) / 2**29)
    u, v = np.rint(np.clip(atlas.uv[rows], 0, 1) * _UV_STEPS).astype(np.int64).T
    columns = [*np.rint(points / step).T, u, _UV_STEPS - v, corners]
    gaze = mesh.axis_alignment[:3, :3] @ dollhouse_camera(textured, (4, 3))[1][:3, 2]
    return {
        "arrays": base64.b64encode(zlib.compress(b"".join(map(_planes, columns)))).decode(),
        "vertices": len(rows),
        "pages": [int((atlas.page == page).sum()) for page in pages],
        "step": step,
        "metre": _METRE * mesh.extent.radius,
        "uv_steps": _UV_STEPS,
        "textures": pack_pages(textured),
        "middle": middle.tolist(),
        "reach": ((high - low) / 2).tolist(),
        "heading": float(np.arctan2(gaze[1], gaze[0])),
    }


def pack_pages(textured: TexturedMesh, side: int = _TEXTURE) -> list[str]:
    """The pages that faces lie on as JPEG data URIs, together of at most `side` x `side` texels."""
    pages = _used_pages(textured)
    each = side // int(np.ceil(np.sqrt(len(pages))))
    return [picture_uri(textured.textures[page], each, 88) for page in pages]


def _used_pages(textured: TexturedMesh) -> list[int]:
    return [page for page in range(textured.atlas.pages) if (textured.atlas.page == page).any()]


def pack_cameras(views: ViewSet, middle: Sequence[float]) -> list[dict]:
    """The views' cameras in the frame of `pack_model`: `pose` (3 x 4, row by row, OpenCV axes, metres) and `slopes`, of
    the rays to the image's right and lower edge; the optical axis counts as the image's middle."""
    poses = views.axis_alignment @ views.cam_to_world
    poses[:, :3, 3] -= middle
    focal = np.stack([views.intrinsics[:, 0, 0], views.intrinsics[:, 1, 1]], 1)
    slopes = np.array(views.size) / (2 * focal)
    return [
        {"pose": [float(f"{x:.7g}") for x in pose[:3].ravel()], "slopes": slope.round(5).tolist()}
        for pose, slope in zip(poses, slopes, strict=True)
    ]


def _planes(column: np.ndarray) -> bytes:
    """Whole numbers of less than 2^30 in size in the coding of `pack_model`."""
    change = np.diff(column.astype(np.int64), prepend=0)
    zigzag = ((change << 1) ^ (change >> 63)).astype("<u8").astype("<u4")
    return zigzag.view(np.uint8).reshape(-1, 4).T.tobytes()
