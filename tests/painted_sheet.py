"""A small textured mesh whose true colour is known at every point: a wavy sheet painted by its own x and y."""

import numpy as np

from scenetex.scene.mesh import Mesh
from scenetex.texture.atlas import Atlas
from scenetex.texture.textured_mesh import TexturedMesh


def true_color(points: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB at points (n, 3) of the sheet; linear in x and y, so bilinear texture lookup reproduces it."""
    x, y = points[:, 0], points[:, 1]
    return np.stack([20 + 200 * x, 30 + 180 * y, 240 - 100 * x - 100 * y], 1)


def painted_sheet(pages: int = 1, size: int = 64, cells: int = 6, origin=(0.0, 0.0, 0.0), dirty: bool = False):
    """`TexturedMesh` over the unit square (plus `origin`), strips of it on `pages` pages.

    `dirty` adds what scans have: a face without area, a face with a NaN corner, a vertex no face uses.
    """
    axis = np.linspace(0, 1, cells * pages + 1)
    x, y = np.meshgrid(axis, np.linspace(0, 1, cells + 1), indexing="ij")
    local = np.stack([x.ravel(), y.ravel(), 0.1 * np.sin(5 * x.ravel())], 1)
    i, j = np.meshgrid(np.arange(cells * pages), np.arange(cells), indexing="ij")
    a = (i * (cells + 1) + j).ravel()
    b, c, d = a + cells + 1, a + cells + 2, a + 1
    faces = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1).reshape(-1, 3)
    page = np.repeat(i.ravel() // cells, 2)

    # Each page gets its own uv rows; the strip lies inside a margin of 4 texels, narrower than high to tell u from v.
    margin = 4 / size
    uv, rows, owners, start = [], np.empty_like(faces), [], 0
    for p in range(pages):
        used, corner = np.unique(faces[page == p], return_inverse=True)
        rows[page == p] = corner.reshape(-1, 3) + start
        start += len(used)
        owners.append(used)
        uv.append(np.stack([margin + (local[used, 0] * pages - p) * 0.6, margin + local[used, 1] * 0.8], 1))
    if dirty:
        nan = len(local)
        local = np.concatenate([local, [[np.nan] * 3, [0.5, 0.5, 0.0]]])
        faces = np.concatenate([[[0, 1, 1]], faces[:5], [[0, nan, 1]], faces[5:]])
        rows = np.concatenate([[[-1] * 3], rows[:5], [[-1] * 3], rows[5:]])
        page = np.concatenate([[-1], page[:5], [-1], page[5:]])

    v, u = np.meshgrid(1 - (np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size, indexing="ij")
    textures = []
    for p in range(pages):
        points = np.stack([((u - margin) / 0.6 + p) / pages, (v - margin) / 0.8], -1).reshape(-1, 2)
        textures.append(np.clip(np.rint(true_color(points)), 0, 255).astype(np.uint8).reshape(size, size, 3))
    atlas = Atlas(
        uv=np.concatenate(uv).astype(np.float32),
        faces=rows.astype(np.int32),
        vertices=np.concatenate(owners).astype(np.int32),
        page=page.astype(np.int32),
        chart=page.astype(np.int32),
        size=size,
        pages=pages,
        texels_per_metre=0.8 * size,
    )
    mesh = Mesh(local + np.asarray(origin, np.float64), faces.astype(np.int32))
    coverage = tuple(np.ones((size, size), bool) for _ in range(pages))
    return TexturedMesh(mesh, atlas, tuple(textures), coverage)
