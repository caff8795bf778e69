"""A closed room of twelve triangles whose colour is a smooth function of place, and exact photos of it."""

from collections.abc import Callable

import numpy as np

from scenetex.scene.mesh import Mesh
from scenetex.views.raycast import RayCaster
from scenetex.views.viewset import ViewSet, cast_views, pixel_rays

LOW, HIGH = np.array([-2.0, -1.5, 0.0]), np.array([2.0, 1.5, 2.4])
# Two triangles per side, fronts inwards.
_SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box(low=LOW, high=HIGH) -> Mesh:
    """The room: 8 vertices, 12 faces that look inwards."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    quads = np.array(_SIDES)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    vertices = np.asarray(low) + corners * (np.asarray(high) - low)
    mesh = Mesh(vertices, faces)
    inwards = vertices.mean(0) - mesh.triangles.mean(1)
    turned = np.einsum("ij,ij->i", mesh.face_normals, inwards) < 0
    return Mesh(vertices, np.where(turned[:, None], faces[:, ::-1], faces))


def smooth_color(points: np.ndarray) -> np.ndarray:
    """(n, 3) sRGB 0..255 at points (n, 3), metres: waves of more than a metre's length."""
    x, y, z = np.asarray(points, float).T
    red = 130 + 60 * np.sin(2.1 * x + 0.4) * np.cos(1.3 * y)
    green = 120 + 50 * np.cos(1.7 * y + z)
    return np.stack([red, green, 125 + 40 * np.sin(1.9 * z - x) + 15 * np.cos(2.5 * y)], 1)


def look_at(eye, target) -> np.ndarray:
    """(4, 4) camera-to-world pose, OpenCV axes, z of the world up in the image."""
    eye, target = np.asarray(eye, float), np.asarray(target, float)
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = eye
    return pose


def pinhole(size: tuple[int, int], focal: float = 0.6) -> np.ndarray:
    """(3, 3) intrinsics of an image of (width, height); `focal` is in widths."""
    f = focal * size[0]
    return np.array([[f, 0, (size[0] - 1) / 2 + 0.7], [0, f, (size[1] - 1) / 2 - 0.4], [0, 0, 1.0]])


def walk_around(count: int = 10, radius: float = 0.7, seed: int = 0) -> np.ndarray:
    """(count, 4, 4) poses on a circle in the room that look across its middle, up and down in turns."""
    rng = np.random.default_rng(seed)
    poses = []
    for k in range(count):
        turn = 2 * np.pi * k / count
        way = np.array([np.cos(turn), np.sin(turn)])
        eye = np.r_[-radius * way, 1.2] + rng.uniform(-0.1, 0.1, 3)
        poses.append(look_at(eye, np.r_[2 * way, (0.2, 1.2, 2.2)[k % 3]]))
    return np.stack(poses)


def photograph(
    mesh: Mesh,
    poses: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    color: Callable[[np.ndarray], np.ndarray] = smooth_color,
) -> list[np.ndarray]:
    """Exact photos, (h, w, 3) uint8: the colour of what each pixel's centre hits, black where that is nothing."""
    caster, out = RayCaster(mesh.vertices, mesh.faces), []
    for k, pose in zip(np.broadcast_to(intrinsics, (len(poses), 3, 3)), poses, strict=True):
        origin, direction = pixel_rays(k, pose, size)
        hit = caster.cast(np.broadcast_to(origin, direction.shape), direction)
        seen = hit["face"] >= 0
        image = np.zeros((len(direction), 3))
        image[seen] = color(origin + hit["distance"][seen, None].astype(float) * direction[seen])
        out.append(np.rint(np.clip(image, 0, 255)).astype(np.uint8).reshape(size[1], size[0], 3))
    return out


def views_of(mesh: Mesh, poses: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> ViewSet:
    """The views of those cameras, with frame ids 0, 1, 2, ..."""
    intrinsics = np.array(np.broadcast_to(intrinsics, (len(poses), 3, 3)))
    return cast_views(mesh, intrinsics, np.asarray(poses), size, tuple(range(len(poses))))


def texel_points(mesh: Mesh, atlas) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n,) in the stack of pages and surface points (n, 3), metres, of all texels on faces."""
    from scenetex.texture.texels import rasterize

    texels = rasterize(atlas)
    return texels.pixel, texels.interpolate(mesh.triangles)
