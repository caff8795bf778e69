"""Look at a textured mesh: ray-cast renders with exact bilinear texture lookup, no lighting."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..process.threads import threads
from ..scene.extent import extent_of
from ..views.raycast import RayCaster
from ..views.viewset import pixel_rays
from .atlas import Atlas
from .lookup import sample_pages
from .textured_mesh import TexturedMesh

# Rows per task: the arrays of one band stay in the cache.
_BAND = 32


def render_textured(
    textured: TexturedMesh,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    cull_backfaces: bool = False,
    background: tuple[int, int, int] = (0, 0, 0),
) -> np.ndarray:
    """Renders the mesh with its texture colours as they are.

    Args:
        textured: the mesh.
        intrinsics: (3, 3) pixels, pixel centres at whole numbers.
        cam_to_world: (4, 4) OpenCV axes, metres.
        size: (width, height), pixels.
        cull_backfaces: leave out faces that turn their back to the camera: a room seen from outside opens up.
        background: RGB where no surface is hit.

    Returns:
        (h, w, 3) uint8 sRGB.
    """
    pages = [textured.textures]
    return render_paintings(textured, pages, intrinsics, cam_to_world, size, cull_backfaces, background)[0]


def render_paintings(
    textured: TexturedMesh,
    paintings: Sequence[Sequence[np.ndarray]],
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    cull_backfaces: bool = False,
    background: tuple[int, int, int] = (0, 0, 0),
) -> list[np.ndarray]:
    """`render_textured` for other pages than the mesh's own, several of them, seen by one camera; an image for each.

    Args:
        textured: the mesh and its atlas.
        paintings: pages for the atlas, as `TexturedMesh.textures` has them.
        intrinsics, cam_to_world, size, cull_backfaces, background: as in `render_textured`.
    """
    mesh, atlas = textured.mesh, textured.atlas
    # Seen from its centre a camera has float32 precision to spare, wherever in the world the scene lies.
    camera = np.array(cam_to_world, np.float64)
    vertices = mesh.vertices - camera[:3, 3]
    camera[:3, 3] = 0.0
    drawn = atlas.page >= 0
    if cull_backfaces:
        drawn = drawn & (np.einsum("ij,ij->i", mesh.face_cross, vertices[mesh.faces[:, 0]]) < 0)
    drawn = np.flatnonzero(drawn)
    images = [np.empty((size[1], size[0], 3), np.uint8) for _ in paintings]
    for image in images:
        image[:] = background
    if len(drawn):
        caster = RayCaster(vertices, mesh.faces[drawn])
        _shade(list(zip(images, paintings, strict=True)), atlas, caster, drawn, intrinsics, camera)
    return images


def render_many(
    textured: TexturedMesh,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    background: tuple[int, int, int] = (0, 0, 0),
) -> Iterator[np.ndarray]:
    """`render_textured` from m cameras, one after another: the mesh is made ready for rays only once.

    Args:
        textured, size, background: as in `render_textured`; at least one face has texture.
        intrinsics: (m, 3, 3).
        cam_to_world: (m, 4, 4).
    """
    mesh, drawn = textured.mesh, np.flatnonzero(textured.atlas.page >= 0)
    middle = extent_of(mesh.triangles[drawn]).middle
    caster = RayCaster(mesh.vertices - middle, mesh.faces[drawn])
    for k, pose in zip(intrinsics, cam_to_world, strict=True):
        image = np.empty((size[1], size[0], 3), np.uint8)
        image[:] = background
        camera = np.array(pose, np.float64)
        camera[:3, 3] -= middle
        _shade([(image, textured.textures)], textured.atlas, caster, drawn, k, camera)
        yield image


def _shade(
    painted: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]],
    atlas: Atlas,
    caster: RayCaster,
    drawn: np.ndarray,
    intrinsics: np.ndarray,
    camera: np.ndarray,
) -> None:
    """Paints what the camera (4, 4) sees of pages over images of one size; `drawn` (n,) are the faces that the caster
    holds."""
    height, width = painted[0][0].shape[:2]

    def band(top: int) -> None:
        shifted = np.array(intrinsics, np.float64)
        shifted[1, 2] -= top
        rows = min(_BAND, height - top)
        origin, direction = pixel_rays(shifted, camera, (width, rows))
        hit = caster.cast(np.broadcast_to(origin, direction.shape), direction)
        seen = hit["face"] >= 0
        where = drawn[hit["face"][seen]], hit["u"][seen], hit["v"][seen]
        for image, pages in painted:
            colors = sample_pages(atlas, pages, *where)
            image[top : top + rows][seen.reshape(rows, width)] = np.clip(np.rint(colors), 0, 255)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(band, range(0, height, _BAND)))


def sample_texture(textured: TexturedMesh, faces: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear texture colours at points on faces.

    Texel centres lie at (i + 0.5) / size, v points up, and lookups beyond the outermost centres repeat the edge.

    Args:
        textured: the mesh.
        faces: (n,) int, faces of the mesh that carry texture (page >= 0).
        u, v: (n,) barycentric weights of the faces' second and third corner.

    Returns:
        (n, 3) float32, 0 to 255.
    """
    return sample_pages(textured.atlas, textured.textures, faces, u, v)
