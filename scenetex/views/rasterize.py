"""What cameras see of a mesh by PyTorch3D's rasteriser, many views at once, on a GPU where there is one.

PyTorch3D's image coordinates run from the image's middle to the left and up, one unit for half its shorter side, and
pixel i covers the places i to i + 1: pixel (u, v) has its centre at (W / 2 - u - 1 / 2, H / 2 - v - 1 / 2), in units of
half the shorter side.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..limits import check_device_is_here
from ..process.memory import need

if TYPE_CHECKING:
    import torch

_NEAR = 1e-6  # of the mesh's unit; what is nearer to the camera is not seen
_GUARD = 1.1  # of the image's sides, to which faces are cut: far beyond them float32 would place them wrongly
_SLACK = 1e-12  # squared image distance by which faces reach over their edges, so that none falls between two of them
_BINS = 16 * 16  # parts of the image for which PyTorch3D lists faces on a GPU
_MEMORY = 1 << 30  # bytes of those lists
_WORKED_ON = 160  # bytes of a pixel while its view is rasterised


def rasterize(
    vertices: np.ndarray,
    faces: np.ndarray,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    size: tuple[int, int],
    device: str = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and faces of m views; the same as ray casting's, but for pixels on an edge of a face.

    Args:
        vertices: (n, 3) float; faces with one that is not finite are not seen.
        faces: (f, 3) int.
        intrinsics: (m, 3, 3) float, pixels of this size, whose centres are at whole numbers.
        cam_to_world: (m, 4, 4) float, OpenCV axes.
        size: (width, height), pixels.
        device: "cpu", "cuda", "cuda:N", or "auto": a GPU where there is one.

    Returns:
        depth (m, h, w) float32, camera z, 0 = nothing there; face (m, h, w) int32, -1 = nothing there.

    Raises:
        InputError: a device that is unknown, or absent; no PyTorch3D.
    """
    _check(device)
    import torch

    here = "cuda" if torch.cuda.is_available() else "cpu"
    place = torch.device(here if device == "auto" else device)
    corners = torch.from_numpy(np.asarray(vertices, np.float64)[faces]).to(place)
    m, at_once = len(intrinsics), max(1, _MEMORY // (4 * _BINS * max(1, len(faces))))
    need(size[0] * size[1] * (8 * m + _WORKED_ON * min(m, at_once)), f"{m} views of {size[0]} x {size[1]} pixels:")
    depths, ids = [np.zeros((0, *size[::-1]), np.float32)], [np.zeros((0, *size[::-1]), np.int32)]
    for start in range(0, m, at_once):
        cameras = [torch.from_numpy(np.array(c, np.float64)).to(place) for c in (intrinsics, cam_to_world)]
        found = _rasterize(corners, *(c[start : start + at_once] for c in cameras), size)
        depths.append(found[0].float().cpu().numpy())
        ids.append(found[1].int().cpu().numpy())
    return np.concatenate(depths), np.concatenate(ids)


def _rasterize(
    corners: "torch.Tensor", intrinsics: "torch.Tensor", cam_to_world: "torch.Tensor", size: tuple[int, int]
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Depth and faces (m, h, w) of views that are rasterised together."""
    import torch
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    seen, owners = [], []
    for k, pose in zip(intrinsics, cam_to_world, strict=True):
        image, owner = _visible(_to_image(corners, k, pose, size), size)
        if not len(owner):
            image, owner = corners.new_ones(1, 3, 3), owner.new_zeros(1)  # a face without an area, which nobody sees
        seen.append(image)
        owners.append(owner)
    meshes = Meshes(
        [image.reshape(-1, 3).float() for image in seen],
        [torch.arange(3 * len(image), device=image.device).reshape(-1, 3) for image in seen],
    )
    found = rasterize_meshes(
        meshes,
        image_size=size[::-1],
        blur_radius=_SLACK,
        faces_per_pixel=1,
        perspective_correct=True,
        clip_barycentric_coords=True,
        max_faces_per_bin=max(len(image) for image in seen),
    )[0][..., 0]
    faces = torch.where(found < 0, found, torch.cat(owners)[found.clamp(min=0)])
    depth = [_depth(corners, k, pose, face) for k, pose, face in zip(intrinsics, cam_to_world, faces, strict=True)]
    return torch.stack(depth), faces


def _to_image(
    corners: "torch.Tensor", k: "torch.Tensor", pose: "torch.Tensor", size: tuple[int, int]
) -> "torch.Tensor":
    """(f, 3, 3) corners as (x z, y z, z): PyTorch3D's image coordinates times depth, which lie on straight lines where
    the corners do, behind the camera, too."""
    import torch

    pixels = (corners - pose[:3, 3]) @ pose[:3, :3] @ k.T  # columns are (u z, v z, z)
    half = min(size) / 2
    middle = pixels.new_tensor([(side - 1) / 2 for side in size])
    return torch.cat([(middle * pixels[..., 2:] - pixels[..., :2]) / half, pixels[..., 2:]], -1)


def _visible(image: "torch.Tensor", size: tuple[int, int]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Those parts of the faces that are before the camera, and in the image or near it.

    Returns:
        (t, 3, 3) corners as (x, y, z), and (t,) the faces that they are of.
    """
    import torch

    owner = image.isfinite().all(-1).all(-1).nonzero()[:, 0]
    image = image[owner]
    reach = [_GUARD * side / min(size) for side in size]
    # Distances to the planes, positive inside.
    planes = image.new_tensor(
        [[0, 0, 1, -_NEAR], *([sign * (i == 0), sign * (i == 1), reach[i], 0] for i in (0, 1) for sign in (-1, 1))]
    )
    for plane in planes:
        inside = image @ plane[:3] + plane[3] > 0
        whole, cut = inside.all(1), inside.any(1) & ~inside.all(1)
        parts, of = _cut(image[cut], inside[cut], plane)
        owner = torch.cat([owner[whole], owner[cut][of]])
        image = torch.cat([image[whole], parts])
    return torch.cat([image[..., :2] / image[..., 2:], image[..., 2:]], -1), owner


def _cut(image: "torch.Tensor", inside: "torch.Tensor", plane: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """What a plane leaves of triangles (t, 3, 3) that cross it: one for each with one corner `inside`, two for each
    with two; and which triangle each is of."""
    import torch

    two = inside.sum(1) == 2
    odd = torch.where(two[:, None], ~inside, inside).int().argmax(1)  # the corner that is alone on its side
    order = (odd[:, None] + odd.new_tensor([0, 1, 2])) % 3
    turned = image.gather(1, order[..., None].expand(-1, -1, 3))
    height = turned @ plane[:3] + plane[3]
    a, b, c = turned.unbind(1)
    share = height[:, :1] / (height[:, :1] - height[:, 1:])  # of the way from a to b and to c
    on_b, on_c = a + share[:, :1] * (b - a), a + share[:, 1:] * (c - a)
    one = torch.stack([a, on_b, on_c], 1)[~two]
    pairs = [torch.stack(corners, 1)[two] for corners in ((on_b, b, c), (on_b, c, on_c))]
    of = [which.nonzero()[:, 0] for which in (~two, two, two)]
    return torch.cat([one, *pairs]), torch.cat(of)


def _depth(corners: "torch.Tensor", k: "torch.Tensor", pose: "torch.Tensor", face: "torch.Tensor") -> "torch.Tensor":
    """(h, w) depth of the faces' planes at the centres of the pixels that see them: what is left of a cut face, in
    float32, would tell it less exactly."""
    import torch

    h, w = face.shape
    v, u = torch.meshgrid(*(torch.arange(side, device=face.device, dtype=k.dtype) for side in (h, w)), indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], -1) @ torch.linalg.inv(k).T
    seen = face >= 0
    local = (corners[face[seen]] - pose[:3, 3]) @ pose[:3, :3]
    a, b, c = local.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    depth = (normal * a).sum(-1) / (normal * rays[seen]).sum(-1)
    # At an edge of a face that is seen from the side, its plane may be met far from it.
    z = local[..., 2]
    found = torch.zeros_like(u)
    found[seen] = depth.nan_to_num().clamp(z.amin(1).clamp(min=_NEAR), z.amax(1))
    return found


def _check(device: str) -> None:
    """Raises InputError where PyTorch3D is not installed, or the device not there."""
    if find_spec("pytorch3d") is None:
        raise InputError('backend "pytorch3d": PyTorch3D is not installed; docs/install.md says how to build it')
    check_device_is_here(device, "device")
