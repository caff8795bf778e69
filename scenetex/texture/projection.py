"""Which surface points a photo shows, where, and how well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from ..scene.camera import resize_intrinsics
from ..scene.mesh import Mesh, used_vertices
from ..views.viewset import ViewSet
from .photo_reader import Pictures
from .rolling_shutter import rolling_shift
from .scatter import scatter
from .working_frame import WorkingFrame

NEAREST = 0.05  # metres of the working frame, as all lengths here; nothing nearer to a camera is believed
# A point may lie so far behind the plane that a pixel shows, and so far for each metre of depth: rays are exact to much
# less, and a rug's pile is more.
_BEHIND, _BEHIND_PER_METRE = np.float32(0.001), np.float32(0.0005)
_GRAZING = 0.05  # cosine between surface normal and viewing direction below which a view tells nothing


@dataclass(frozen=True, eq=False)
class Photo:
    """One view with its image, ready to be projected into. Points are in a `WorkingFrame`.

    Attributes:
        pictures, index: where its image is, and its number there.
        intrinsics: (3, 3) float64 of the image.
        world_to_cam: (4, 4) float64.
        center: (3,) float32 camera position.
        depth: (h', w') float32, rendered from the mesh; may be of another size than the image.
        depth_unit: metres of the working frame are those of `depth` over this.
        clearance: (h', w') float32, distance to the next image border or depth step, pixels of `depth`.
        scale: how many of its pixels count as one where blurs, ramps and distances are given for all photos: 1 for the
            widest of them.
        tilt: (h', w', 2) float16, the part by which 1 / depth grows along the surface seen from pixel to pixel of
            `depth`, to the right and downwards.
        shift: (rows, columns, 2) float32 lattice over the image, pixels: where it shows a point beside where its camera
            says, see `rolling_shutter.py` and `align.py`; None: nowhere.
    """

    pictures: Pictures
    index: int
    intrinsics: np.ndarray
    world_to_cam: np.ndarray
    center: np.ndarray
    depth: np.ndarray
    depth_unit: float
    clearance: np.ndarray
    tilt: np.ndarray
    scale: float = 1.0
    shift: np.ndarray | None = None

    @property
    def image(self) -> np.ndarray:
        """(h, w, 3) uint8 sRGB; may have to be read."""
        return self.pictures[self.index]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the image, pixels."""
        return self.pictures.sizes[self.index]

    def within(self, pictures: Pictures) -> "Photo":
        """The same photo among `pictures` of other sizes."""
        size = pictures.sizes[self.index]
        across, down = size[0] / self.size[0], size[1] / self.size[1]
        return replace(
            self,
            pictures=pictures,
            intrinsics=resize_intrinsics(self.intrinsics, self.size, size),
            scale=self.scale * across,
            shift=None if self.shift is None else self.shift * np.float32([across, down]),
        )


@dataclass(frozen=True, eq=False)
class Sight:
    """Points one photo shows.

    Attributes:
        index: (k,) positions in the queried points.
        u, v: (k,) float32 pixel coordinates in the image.
        clearance: (k,) float32 pixels.
    """

    index: np.ndarray
    u: np.ndarray
    v: np.ndarray
    clearance: np.ndarray


def photos(
    views: ViewSet, images: Sequence[np.ndarray], frame: WorkingFrame, turning: np.ndarray | None = None
) -> list[Photo]:
    """Pairs views with their images, in the working frame; `turning` as in `RefinedCameras`."""
    pictures, out = Pictures.of(images), []
    widest = max(width for width, _ in pictures.sizes)
    for i, size in enumerate(pictures.sizes):
        pose = frame.pose(views.cam_to_world[i])
        intrinsics = resize_intrinsics(views.intrinsics[i], views.size, size)
        out.append(
            Photo(
                pictures=pictures,
                index=i,
                intrinsics=intrinsics,
                world_to_cam=np.linalg.inv(pose),
                center=pose[:3, 3].astype(np.float32),
                depth=views.depth[i],
                depth_unit=frame.unit,
                clearance=clearance(views.depth[i] / np.float32(frame.unit)),
                tilt=_tilt(views, i),
                scale=size[0] / widest,
                shift=None if turning is None or not turning[i].any() else rolling_shift(turning[i], intrinsics, size),
            )
        )
    return out


def clearance(depth: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest border, hole or depth step, in pixels of the depth map."""
    solid = depth > 0
    for axis in (0, 1):
        a, b = (depth[:-1], depth[1:]) if axis == 0 else (depth[:, :-1], depth[:, 1:])
        step = np.abs(a - b) > 0.03 + 0.02 * np.minimum(a, b)
        if axis == 0:
            solid[:-1] &= ~step
            solid[1:] &= ~step
        else:
            solid[:, :-1] &= ~step
            solid[:, 1:] &= ~step
    framed = cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_3)[1:-1, 1:-1]


def _tilt(views: ViewSet, view: int) -> np.ndarray:
    """(h, w, 2) float16 slopes for `Photo`: along a plane 1 / depth is linear in the pixel.

    Where ``n . x = d`` in the camera's frame, ``1 / z = n . K^-1 (u, v, 1) / d``.
    """
    to_world = views.cam_to_world[view][:3, :3]
    normal = views.face_normals[views.face_id[view]] @ (to_world @ np.linalg.inv(views.intrinsics[view]))
    height, width = normal.shape[:2]
    row, column = np.ogrid[:height, :width]
    offset = normal[..., 0] * column + normal[..., 1] * row + normal[..., 2]
    # A face seen from its edge would reach to anywhere within half a pixel.
    offset = np.copysign(np.maximum(np.abs(offset), _GRAZING), offset)
    return (normal[..., :2] / offset[..., None]).astype(np.float16)


@dataclass(frozen=True, eq=False)
class Surface:
    """What projecting a mesh needs of it, in float32 and a `WorkingFrame`.

    Attributes:
        faces: (f, 3) int32.
        vertices, vertex_normals: (n, 3) float32.
        centers, normals: (f, 3) float32 per face.
        reach: (f,) float32 from a face's centre to its farthest corner, metres.
    """

    faces: np.ndarray
    vertices: np.ndarray
    vertex_normals: np.ndarray
    centers: np.ndarray
    normals: np.ndarray
    reach: np.ndarray

    @cached_property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(f, 6) float32 normals and centres side by side; (f,) products of the two; (f,) squares of the latter."""
        product = np.einsum("ij,ij->i", self.normals, self.centers)
        square = np.einsum("ij,ij->i", self.centers, self.centers)
        return np.concatenate([self.normals, self.centers], 1), product, square

    @classmethod
    def of(cls, mesh: Mesh) -> "Surface":
        """From a welded mesh."""
        centers = mesh.triangles.mean(1)
        reach = np.linalg.norm(mesh.triangles - centers[:, None], axis=2).max(1)
        fields = mesh.vertices, mesh.vertex_normals, centers, mesh.face_normals, reach
        return cls(mesh.faces, *(np.ascontiguousarray(field, np.float32) for field in fields))

    @classmethod
    def of_points(cls, points: np.ndarray, normals: np.ndarray, reach: np.ndarray | None = None) -> "Surface":
        """Points (n, 3) with normals (n, 3): vertices, and middles of faces that reach as far as `reach` (n,) says."""
        points, normals = points.astype(np.float32), normals.astype(np.float32)
        reach = np.zeros(len(points), np.float32) if reach is None else reach
        return cls(np.zeros((0, 3), np.int32), points, normals, points, normals, reach)

    def scattered(self, count: int) -> "Surface":
        """Points spread evenly over its faces, in random order."""
        corners = self.vertices[self.faces]
        doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        face, points = scatter(corners, doubled, count)
        return Surface.of_points(points, self.normals[face])

    def of_faces(self, chosen: np.ndarray) -> "Surface":
        """Some of its faces (k,) alone, in that order."""
        used, corners = used_vertices(self.faces[chosen])
        of_faces = self.centers[chosen], self.normals[chosen], self.reach[chosen]
        faces = corners.astype(np.int32)
        return Surface(faces, self.vertices[used], self.vertex_normals[used], *of_faces)

    def part(self, count: int) -> "Surface":
        """The first so many of its points."""
        return Surface.of_points(self.vertices[:count], self.vertex_normals[:count])


def facing(surface: Surface, photo: Photo) -> np.ndarray:
    """Faces whose front looks at the camera and which lie within the image, or nearly: (k,) ascending indices."""
    # With c the centre of the camera and p of a face, n (c - p) against |c - p|, in products of whole matrices.
    normals_centers, offset, square = surface.planes
    camera = np.zeros((6, 2), np.float32)
    camera[:3, 0] = camera[3:, 1] = photo.center
    toward, along = (normals_centers @ camera).T
    toward -= offset
    apart = square - 2 * along + np.float32(photo.center @ photo.center)
    index = np.flatnonzero((toward > 0) & (toward * toward > np.float32(_GRAZING**2) * apart))
    reach = surface.reach[index]
    pixel = _affine(photo.intrinsics @ photo.world_to_cam[:3], surface.centers[index])
    z = pixel[:, 2]
    near = np.maximum(z, np.float32(NEAREST))
    margin = reach / near * np.float32(photo.intrinsics[0, 0])
    inside = z > -reach
    for axis, size in enumerate(photo.size):
        at = pixel[:, axis] / near
        inside &= (at > -margin) & (at < size + margin)
    return index[inside | (np.abs(z) <= reach)]


def _affine(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 3) points times a (3, 4) matrix, by OpenCV: threaded matrix products of this shape stall on busy machines."""
    if not len(points):
        return np.zeros((0, 3), np.float32)  # where OpenCV gives None
    return cv2.transform(points[:, None], matrix.astype(np.float32))[:, 0]


@dataclass(frozen=True, eq=False)
class Aspect:
    """How one photo meets every vertex of a mesh, visible or not. All of it may be interpolated within faces.

    Attributes:
        pixel: (n, 3) float32 homogeneous pixel coordinates; the third is camera z, metres.
        cosine: (n,) float32 between vertex normal and viewing direction, at least a grazing one.
        resolution: (n,) float32 pixels per metre of surface, geometric mean over both directions.
        slack: (n,) float32 metres a point may lie behind the depth map and still count as seen: grows with depth
            (noise of pose and mesh) and slant (depth changes within a pixel).
    """

    pixel: np.ndarray
    cosine: np.ndarray
    resolution: np.ndarray
    slack: np.ndarray


def aspect(surface: Surface, photo: Photo) -> Aspect:
    """The photo's `Aspect` of the surface's vertices."""
    k = photo.intrinsics.astype(np.float32)
    local = _affine(photo.world_to_cam[:3], surface.vertices)
    turned = _affine(np.c_[photo.world_to_cam[:3, :3], np.zeros(3)], surface.vertex_normals)
    z = np.maximum(local[:, 2], np.float32(NEAREST))
    # The viewing direction in the camera's frame is the point itself.
    distance = np.sqrt(np.einsum("ij,ij->i", local, local))
    cosine = np.clip(-np.einsum("ij,ij->i", local, turned) / np.maximum(distance, 1e-9), _GRAZING, 1)
    # Along a plane camera z changes by z^2 (|nx| + |ny|) / (focal length * distance of the plane) from pixel to pixel.
    focal = k[0, 0] * np.float32(photo.depth.shape[1] / photo.size[0])
    plane = distance * np.maximum(cosine, 2 * _GRAZING)
    slope = z * z * (np.abs(turned[:, 0]) + np.abs(turned[:, 1])) / (focal * np.maximum(plane, 1e-9))
    return Aspect(
        pixel=_affine(np.c_[k, np.zeros(3)], local),
        cosine=cosine,
        resolution=np.sqrt(k[0, 0] * k[1, 1] * cosine) / z,
        slack=0.003 + 0.001 * z + 0.6 * slope,
    )


def sight(photo: Photo, pixel: np.ndarray, slack: np.ndarray) -> Sight:
    """Those points the photo shows, by depth test: within the slack of the depth map, and not behind the plane of the
    face that the nearest pixel shows, which hides what is under a rug or just beyond a sofa's front edge.

    Args:
        photo: the photo.
        pixel: (n, 3) float32 homogeneous pixel coordinates, as in `Aspect`.
        slack: (n,) float32 metres.
    """
    width, height = photo.size
    rows, columns = photo.depth.shape
    z = pixel[:, 2]
    scale = 1 / np.maximum(z, np.float32(NEAREST))
    u, v = pixel[:, 0] * scale, pixel[:, 1] * scale
    inside = (z > NEAREST) & (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    index = np.flatnonzero(inside)
    if len(index) < len(z):
        z, u, v, slack = z[index], u[index], v[index], slack[index]
    row, column = v, u
    if (rows, columns) != (height, width):
        row = ((v + 0.5) * np.float32(rows / height) - 0.5).clip(0, rows - 1)
        column = ((u + 0.5) * np.float32(columns / width) - 0.5).clip(0, columns - 1)
    down, right = (row + 0.5).astype(np.int32), (column + 0.5).astype(np.int32)
    at = down * np.int32(columns) + right
    rendered = photo.depth.ravel()[at] / np.float32(photo.depth_unit)
    tilt = photo.tilt.reshape(-1, 2)[at].astype(np.float32)
    nearer = 1 + tilt[:, 0] * (column - right) + tilt[:, 1] * (row - down)
    in_front = (z - _BEHIND - _BEHIND_PER_METRE * z) * nearer <= rendered
    seen = np.flatnonzero((rendered > 0) & (z <= rendered + slack) & in_front)
    u, v = u[seen], v[seen]
    if photo.shift is not None:
        step = sample(photo.shift, *on_lattice(photo.shift.shape, (height, width), u, v))
        u, v = u + step[:, 0], v + step[:, 1]
    pixels = np.float32(min(width / columns, height / rows))  # of the image in one of the depth map
    return Sight(index[seen], u, v, photo.clearance.ravel()[at[seen]] * pixels)


def points_seen(points: Surface, photo: Photo) -> tuple[Aspect, Sight]:
    """The photo's `Aspect` of points, as `Surface.of_points`, and which of them it shows."""
    at, front = aspect(points, photo), facing(points, photo)
    seen = sight(photo, at.pixel[front], at.slack[front])
    return at, replace(seen, index=front[seen.index])


def on_lattice(lattice: tuple[int, ...], image: tuple[int, ...], u: np.ndarray, v: np.ndarray):
    """Columns and rows, float32, of pixels u, v in a lattice whose outer nodes lie on the image's outermost pixels."""
    across, down = ((lattice[k] - 1) / max(image[k] - 1, 1) for k in (1, 0))
    return u * np.float32(across), v * np.float32(down)


def sample(image: np.ndarray, u: np.ndarray, v: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Image values (n, c) float32 or uint8 at pixel coordinates u, v (n,) float32; borders repeat."""
    # cv2.remap wants a rectangle whose sides fit 16 bits.
    width = 4096
    height = -(-len(u) // width)
    grid = np.zeros((2, height * width), np.float32)
    grid[0, : len(u)], grid[1, : len(v)] = u, v
    grid = grid.reshape(2, height, width)
    if not height:
        return np.zeros((0, image.shape[2] if image.ndim == 3 else 1), image.dtype)
    out = cv2.remap(image, grid[0], grid[1], interpolation, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(height * width, -1)[: len(u)]
