"""Back-project images onto the surface: the stage between views and a textured mesh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..process.memory import need
from ..process.threads import one_blas_thread
from ..scene.mesh import Mesh, MeshLike
from ..views.masking import mask_image, mask_views
from ..views.viewset import ViewSet, cast_views
from .align import align
from .atlas import Atlas
from .blend import blend
from .clipping import ShownClipped
from .fill import diffuse, pad
from .passersby import without_passersby
from .photo_reader import Pictures
from .projection import Photo, Surface, photos
from .refine import refine_cameras
from .resolution import as_fine_as_texels
from .selection import Choice, choose, find_exposure
from .subdivide import Patches, patches
from .texels import Texels, rasterize
from .textured_mesh import TexturedMesh
from .twins import surface_faces
from .weld import usual
from .winding import turned_to_views, with_faces_turned
from .working_frame import WorkingFrame

if TYPE_CHECKING:
    import PIL.Image

_PATCHES_ACROSS = 60  # faces longer than this part of the square root of the area are split for all local decisions
_LOOK_PER_WIDTH = 1 / 320  # sigma at which photos are compared: two pixels of a 640-pixel image
# The band that many photos share must not show how they miss each other: sigma between the bands over misregistration.
_BAND_PER_MISS, _BAND_PER_WIDTH = 1.4, (1 / 640, 8 / 640)
# Beyond this misregistration the shared band would show ghosts all the same: fewer photos share it then.
_GHOSTS_PER_WIDTH, _GHOSTS_EXPONENT = 1.25 / 640, 6
_SAME_SHAPE = 0.02  # by how much two sides' ratios may differ: rounding to whole pixels
_TEXEL = 24  # bytes that painting takes for each texel, at the least
_PAINTED = 60  # bytes for each pixel of the photo that is being painted
_RAMP_PER_WIDTH = 3 / 64  # thirty pixels of a 640-pixel image


@one_blas_thread()
def bake(
    mesh: MeshLike,
    atlas: Atlas,
    views: ViewSet,
    images: "Sequence[np.ndarray | PIL.Image.Image] | np.ndarray",
    *,
    masks: Sequence[np.ndarray | None] | None = None,
    refine_poses: bool = False,
    done: Callable[[], None] = lambda: None,
) -> TexturedMesh:
    """Paints an atlas from images seen by calibrated views.

    Per view and texel: visibility by depth test, weights from angle, distance, image border and sharpness. Jointly:
    exposure and vignetting, small shifts within images that bring them onto one texture, outlier rejection, choice of
    views smooth over the surface, two-band blending. What no view saw is
    filled by diffusion over the surface.

    Args:
        mesh: the mesh the views were rendered from (`Mesh`, `trimesh.Trimesh`, ...).
        atlas: its atlas, from `unwrap`.
        views: m views, from `render_views`.
        images: m images, arrays (h, w, 3) uint8 sRGB or float 0..1, or PIL images; of any sizes, which may differ from
            the views' (the intrinsics are scaled), but are of each camera's shape. `Pictures` are read as they are
            needed.
        masks: for each image (h, w) bool, False where its pixels are neither painted nor compared, or None.
        refine_poses: first refine poses and intrinsics photometrically (`refine_cameras`), kept if it lowers the error.
        done: called after each image, for progress bars.

    Raises:
        InputError: counts or sizes that do not match, or views that see nothing of the mesh.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> views = scenetex.render_views(scene, [0, 12], size=(160, 120))
        >>> photos = [scene.frame(i).read_color() for i in views.frame_ids]
        >>> atlas = scenetex.unwrap(scene.mesh, size=512)
        >>> scenetex.bake(scene.mesh, atlas, views, photos)
        TexturedMesh(Mesh(...), Atlas(...), ...% of the texels seen)
    """
    mesh = Mesh.of(mesh)
    if len(atlas.faces) != len(mesh.faces):
        raise InputError(
            f"bake: the atlas has {len(atlas.faces)} faces, the mesh {len(mesh.faces)}; unwrap this very mesh first"
        )
    pictures = as_pictures(images, views)
    hidden = as_masks(masks, pictures, views)
    if any(mask is not None for mask in hidden):
        pictures = Pictures(pictures.sizes, partial(_masked, pictures, hidden))
    views = mask_views(views, hidden)
    turning = None
    if refine_poses:
        refined = refine_cameras(mesh, views, pictures)
        if refined.accepted:
            views = cast_views(mesh, refined.intrinsics, refined.cam_to_world, views.size, views.frame_ids)
            views = mask_views(views, hidden)
        turning = refined.turning
    return paint(mesh, atlas, survey(mesh, views, pictures, turning), done, generated=None)


def _masked(pictures: Pictures, hidden: Sequence[np.ndarray | None], i: int) -> np.ndarray:
    return mask_image(pictures[i], hidden[i])


@dataclass(frozen=True, eq=False)
class Survey:
    """What the images show of a mesh, decided face by face; needs no atlas.

    Attributes:
        patches: the mesh in small faces, in a `WorkingFrame`.
        surface: the same, ready to be projected.
        shots: views with their images, large ones made smaller.
        pictures: the images as they are.
        choice: gains, outliers and the choice of views.
        blur: sigma between the two bands, pixels of the widest of `shots`.
        shared: how far all photos share the lower one, 0 to 1.
        ramp: pixels of the widest of `shots` over which weights grow from image borders and depth steps.
        hidden: (m,) share of each image that something foreign covers, which is left out.
    """

    patches: Patches
    surface: Surface
    shots: list[Photo]
    pictures: Pictures
    choice: Choice
    blur: float
    shared: float
    ramp: float
    hidden: np.ndarray


def survey(
    mesh: Mesh,
    views: ViewSet,
    images: Sequence[np.ndarray],
    turning: np.ndarray | None = None,
    passersby: bool = True,
) -> Survey:
    """First half of `bake`: compares the images on the surface. May run while the mesh is being unwrapped.

    Large images are compared at a smaller size (`Pictures.small`). `turning` is that of `RefinedCameras`; `passersby`:
    people and moved things are looked for, and left out.

    Raises:
        InputError: the views see nothing of the mesh.
    """
    if not (views.face_id >= 0).any():
        raise InputError("bake: no view sees the mesh; check that poses and mesh share one frame and unit (metres)")
    faces = surface_faces(mesh, views)
    area = mesh.face_areas[usual(mesh, faces)].sum()
    work = patches(mesh, float(np.sqrt(area)) / _PATCHES_ACROSS, faces)
    frame = WorkingFrame.of(mesh, views)
    work = replace(work, mesh=frame.mesh(work.mesh))
    pictures = Pictures.of(images)
    width = max(width for width, _ in pictures.small.sizes)
    ramp = width * _RAMP_PER_WIDTH
    # Only the projection turns faces towards who sees them: corners keep their order in the atlas.
    turned = turned_to_views(mesh, views)[work.parent]
    surface, shots = Surface.of(with_faces_turned(work.mesh, turned)), photos(views, pictures.small, frame, turning)
    look = max(width * _LOOK_PER_WIDTH, 0.6)
    exposure = find_exposure(surface, shots, look, ramp)
    shots, hidden = without_passersby(surface, shots, exposure) if passersby else (shots, np.zeros(len(shots)))
    shots = align(surface, shots, exposure)
    choice = choose(surface, shots, look, ramp)
    least, most = (width * share for share in _BAND_PER_WIDTH)
    blur = max(float(np.clip(_BAND_PER_MISS * choice.misregistration, least, most)), 0.6)
    shared = min((_GHOSTS_PER_WIDTH * width / max(choice.misregistration, 1e-6)) ** _GHOSTS_EXPONENT, 1.0)
    return Survey(work, surface, shots, pictures, choice, blur, shared, ramp, hidden)


def paint(
    mesh: Mesh,
    atlas: Atlas,
    seen_by: Survey,
    done: Callable[[], None] = lambda: None,
    behind: TexturedMesh | None = None,
    generated: bool | None = False,
) -> TexturedMesh:
    """Second half of `bake`: blends the images into the atlas's texels and fills the rest.

    What is covered in `behind`, painted into the same atlas before, stays to the bit, and what of that was generated
    stays marked so: the images come in behind it. `generated` tells what they are themselves, generated or photos;
    None: nobody knows.
    """
    need(_TEXEL * atlas.pages * atlas.size**2, f"{atlas.pages} pages of {atlas.size} x {atlas.size} texels:")
    work = seen_by.patches.mesh
    layout = seen_by.patches.layout(atlas)
    texels = rasterize(layout)
    shots = as_fine_as_texels(seen_by.surface, layout, seen_by.shots, seen_by.pictures, seen_by.choice.detail)
    largest = max(width * height for width, height in (shot.size for shot in shots))
    need(_PAINTED * largest, f"photos of {largest / 1e6:,.1f} megapixels:")
    clipped = None if generated else ShownClipped(len(texels))
    color, seen = blend(
        *(seen_by.surface, texels, shots, seen_by.choice, seen_by.blur, seen_by.shared, seen_by.ramp, done), clipped
    )
    marks = None if generated is None else seen & generated
    if behind is not None:
        kept = np.stack(behind.coverage).reshape(-1)[texels.pixel]
        color[kept] = np.stack(behind.textures).reshape(-1, 3)[texels.pixel[kept]]
        seen = seen | kept
        if marks is not None:
            told = np.zeros_like(behind.coverage) if behind.generated is None else np.stack(behind.generated)
            marks[kept] = told.reshape(-1)[texels.pixel[kept]]
    unseen = np.flatnonzero(~seen)
    color[unseen] = texels.interpolate(_continue(work, texels, color, seen)[work.faces], unseen)
    share = None if clipped is None else clipped.share
    share = share if behind is None else behind.shown_clipped
    return replace(_pages(mesh, atlas, texels, color, seen, marks), shown_clipped=share)


def as_pictures(given: "Sequence[np.ndarray | PIL.Image.Image] | np.ndarray", views: ViewSet) -> Pictures:
    """Checked uint8 images, one per view, each of its camera's shape."""
    if len(given) != len(views):
        raise InputError(f"bake: {len(given)} images for {len(views)} views; pass one image per view")
    pictures = given if isinstance(given, Pictures) else Pictures.of(_as_arrays(given, views))
    for i, (width, height) in enumerate(pictures.sizes):
        if not _of_the_views_shape(views, i, (width, height)):
            raise InputError(
                f"bake: the image of frame {views.frame_ids[i]} has shape ({height}, {width}, 3), which is not the "
                f"views' shape {views.size[0]} x {views.size[1]}; render the views at the images' size"
            )
    return pictures


def _of_the_views_shape(views: ViewSet, i: int, size: tuple[int, int]) -> bool:
    """Whether an image is of the shape of its view, or of another one in which the camera's pixels are square: views of
    cameras of several shapes are all rendered in one."""
    ratio = size[0] / size[1] * views.size[1] / views.size[0]
    pixel = views.intrinsics[i][0, 0] / views.intrinsics[i][1, 1] * ratio
    return min(abs(ratio - 1), abs(pixel - 1)) <= _SAME_SHAPE


def _as_arrays(given: "Sequence[np.ndarray | PIL.Image.Image] | np.ndarray", views: ViewSet) -> list[np.ndarray]:
    """Checked uint8 images."""
    out = []
    for frame, image in zip(views.frame_ids, map(np.asarray, given), strict=True):
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise InputError(f"bake: the image of frame {frame} has shape {image.shape}, expected (h, w, 3)")
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            raise InputError(f"bake: the image of frame {frame} holds {image.dtype}; pass uint8, or float within 0..1")
        if image.dtype != np.uint8:
            image = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        out.append(np.ascontiguousarray(image))
    return out


def as_masks(given: Sequence[np.ndarray | None] | None, images: Pictures, views: ViewSet) -> list[np.ndarray | None]:
    """Checked masks, one per image."""
    masks: list[np.ndarray | None] = [None] * len(images)
    if given is not None:
        masks = [None if mask is None else np.asarray(mask) for mask in given]
    if len(masks) != len(images):
        raise InputError(f"bake: {len(masks)} masks for {len(images)} images; pass one per image, or None")
    for frame, mask, size in zip(views.frame_ids, masks, images.sizes, strict=True):
        if mask is not None and (mask.shape != size[::-1] or mask.dtype != bool):
            raise InputError(
                f"bake: the mask of frame {frame} is {mask.shape} of {mask.dtype}, its image {size[::-1]}; "
                "pass bool of the image's size"
            )
    return masks


def _continue(mesh: Mesh, texels: Texels, color: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(v, 3) float32 vertex colours: means of the seen texels around, diffused over the rest of the surface."""
    # Each texel counts for the corner it is nearest to.
    b = texels.bary[seen]
    nearest = np.argmax(np.concatenate([1 - b.sum(1, keepdims=True), b], 1), axis=1)
    vertex = mesh.faces[texels.face[seen], nearest]
    count = np.bincount(vertex, minlength=len(mesh.vertices))
    total = np.stack([np.bincount(vertex, color[seen, c], len(mesh.vertices)) for c in range(3)], 1)
    return diffuse(mesh.vertices, mesh.faces, total / np.maximum(count, 1)[:, None], count > 0).astype(np.float32)


def _pages(
    mesh: Mesh, atlas: Atlas, texels: Texels, color: np.ndarray, seen: np.ndarray, generated: np.ndarray | None
) -> TexturedMesh:
    """Writes the texels into padded pages."""
    texture = texels.spread(np.round(color).astype(np.uint8), atlas)
    pages = tuple(pad(page, mask) for page, mask in zip(texture, texels.charted(atlas), strict=True))
    marked = None if generated is None else tuple(texels.spread(generated, atlas))
    return TexturedMesh(mesh, atlas, pages, tuple(texels.spread(seen, atlas)), len(texels), marked)
