"""A mesh for scenes that come without one: their depth images, fused by Open3D (the extra `fusion`).

The surface is the zero level of a truncated signed distance, averaged over all depth images on a sparse grid of voxels.
It is not kept anywhere: who wants to load it again faster writes it down once, as
`trimesh.Trimesh(scene.mesh.vertices, scene.mesh.faces, process=False).export(folder / "mesh.ply")`.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning, extra
from .frame import Frame
from .mesh import Mesh, used_vertices
from .mesh_file import find_mesh, mesh_files, read_mesh

VOXEL = 0.02  # metres: some 200,000 faces for a furnished room
_TRUNCATION = 4.0  # voxels; thicker shells round edges off, thinner ones lose to a sensor's noise
_FARTHEST = 6.0  # metres, where depth sensors are off by more than a voxel
_FAR = 1000.0  # metres from the world's origin, from where on float32 is coarse
_MOST_IMAGES = 1000  # spread over the trajectory: neighbours in a video see the same
_BLOCK = 8  # voxels on the side of a block of the grid
_FIRST_BLOCKS = 4096  # the grid grows as it needs
_SPECK = 100  # faces; smaller loose pieces are noise
# A surface cut from a grid has steps and slivers, of which unwrapping would make charts of their own. Smoothed a little
# and with three in ten faces, it is as near to the truth, and is unwrapped in a quarter of the time.
_SMOOTHINGS = 5
_KEPT_FACES = 0.3


def read_or_fuse_mesh(folder: Path, name: str, frames: Sequence[Frame], besides: Path | None = None) -> Mesh:
    """The folder's mesh (see `find_mesh`), or, where it has no mesh file, one that is fused from the frames' depth.

    Raises:
        InputError: what `find_mesh` and `read_mesh` say, or `fuse` if there is no mesh but depth.
    """
    if mesh_files(folder, besides) or not any(frame.depth for frame in frames):
        return read_mesh(find_mesh(folder, name, besides))
    mesh = fuse(frames, str(folder))
    warnings.warn(
        f"{folder}: no mesh; fused one of {len(mesh.faces)} faces from the depth images; to load faster, save it there "
        "as mesh.ply",
        InputWarning,
        stacklevel=2,
    )
    return mesh


def fuse(frames: Sequence[Frame], where: str, voxel: float = VOXEL) -> Mesh:
    """Fuses the depth images of posed frames into one mesh.

    Args:
        frames: those with depth are used, evenly spread ones if there are more than a thousand.
        where: what errors name.
        voxel: side of a voxel, metres, which is about the length of the mesh's shortest edges.

    Returns:
        Mesh in the frames' world, its faces towards the cameras, small loose pieces left out, without colours. The
        same frames give the same mesh, to the order of its faces.

    Raises:
        InputError: Open3D is not there or does not load, a depth image that cannot be read, no surface within 6 m.
    """
    o3d = _open3d(where)
    Tensor, Image, double = o3d.core.Tensor, o3d.t.geometry.Image, o3d.core.float64
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight"), (o3d.core.float32, o3d.core.float32), ((1,), (1,)), voxel, _BLOCK, _FIRST_BLOCKS
    )
    frames = [frame for frame in frames if frame.depth]
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MOST_IMAGES)).round().astype(int))
    # Open3D works in float32: far from the world's origin, about the cameras.
    home = np.median([frame.depth_cam_to_world[:3, 3] for frame in frames], axis=0)
    home = np.round(home) if np.abs(home).max() > _FAR else np.zeros(3)
    for frame in (frames[i] for i in chosen):
        depth = frame.read_depth()
        if not ((depth > 0) & (depth < _FARTHEST)).any():
            continue
        image = Image(Tensor(np.ascontiguousarray(depth)))
        pose = frame.depth_cam_to_world.copy()
        pose[:3, 3] -= home
        world_to_cam = Tensor(np.linalg.inv(pose), double)
        intrinsics = frame.depth_camera.intrinsics
        blocks = grid.compute_unique_block_coordinates(
            image, Tensor(intrinsics, double), world_to_cam, 1.0, _FARTHEST, _TRUNCATION
        )
        # Where a voxel falls in the image, Open3D cuts the fraction of a pixel off instead of rounding it.
        rounding = intrinsics + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        grid.integrate(blocks, image, Tensor(rounding, double), world_to_cam, 1.0, _FARTHEST, _TRUNCATION)
    # What a single image shows is kept: frames may be few, and far between.
    mesh = grid.extract_triangle_mesh(weight_threshold=0.5) if grid.hashmap().size() else None
    if mesh is None or "indices" not in mesh.triangle or not len(mesh.triangle.indices):
        raise InputError(f"{where}: depth images show no surface within {_FARTHEST:g} m; check their unit")
    vertices, faces = _tidy(mesh.vertex.positions.numpy().astype(np.float64), mesh.triangle.indices.numpy())
    mesh = _simplified(o3d, vertices, faces)
    return replace(mesh, vertices=mesh.vertices + home) if home.any() else mesh


def _open3d(where: str):
    try:
        import open3d
    except (ImportError, OSError) as error:
        if getattr(error, "name", None) == "open3d":
            raise InputError(
                f"{where}: no mesh; put the scan's .ply, .obj or .glb there, or, to fuse one from its depth "
                f"images, {extra('fusion')}"
            ) from None
        said = " ".join(str(error).split())
        raise InputError(
            f"{where}: no mesh, and Open3D, which could fuse one, does not load ({said}); install what it lacks "
            "(Debian: apt install libusb-1.0-0 libgl1 libgomp1), or put a mesh there"
        ) from None
    return open3d


def _simplified(o3d, vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    mesh = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(vertices), o3d.utility.Vector3iVector(faces))
    mesh = mesh.filter_smooth_taubin(_SMOOTHINGS).simplify_quadric_decimation(math.ceil(_KEPT_FACES * len(faces)))
    return Mesh(np.array(mesh.vertices), np.array(mesh.triangles, np.int32))


def _tidy(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without specks, and in an order that does not depend on which thread was first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    start, end = faces[:, [0, 1]].T
    more, last = faces[:, [1, 2]].T
    edges = np.concatenate([start, more]), np.concatenate([end, last])
    graph = coo_matrix((np.ones(len(edges[0]), bool), edges), shape=(len(vertices),) * 2)
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    count = np.bincount(piece)
    faces = faces[count[piece] >= min(_SPECK, count.max())]
    used, faces = used_vertices(faces)
    vertices = vertices[used]
    order = np.lexsort(vertices.T)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    faces = place[faces]
    # Turned so that the smallest corner comes first, which leaves the front where it is.
    turn = (faces.argmin(1)[:, None] + np.arange(3)) % 3
    faces = np.take_along_axis(faces, turn, 1)
    return vertices[order], faces[np.lexsort(faces.T[::-1])].astype(np.int32)
