"""The result that is painted over in parts: read back from its folder, to the bit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import read_bytes
from ..scene.camera import resize_intrinsics
from ..scene.image_source import ImageSource, decode_color
from ..scene.mesh import Mesh
from ..texture.atlas import Atlas
from ..texture.sources import decode_sources
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet, cast_views
from .content_hash import content_hash, parts_of
from .result_folder import ResultFolder

_LAYOUT = ("texture_size", "texels_per_metre", "packer")  # options that an atlas comes from
_MOST_BYTES = 1 << 30  # of the marks of one page
_AGAIN = "texture the scene again, and paint parts of that"


@dataclass(frozen=True, eq=False)
class Base:
    """What a scene was painted with before.

    Attributes:
        mesh: the textured mesh.
        views, images, keyframe: as in `Result`; there may be none.
    """

    mesh: TexturedMesh
    views: ViewSet
    images: list[np.ndarray]
    keyframe: tuple[bool, ...]

    @classmethod
    def of(cls, mesh: TexturedMesh) -> "Base":
        """A mesh of which no views are known."""
        none = np.zeros((0, 3, 3)), np.zeros((0, 4, 4)), (1, 1), ()
        return cls(mesh, cast_views(mesh.mesh, *none), [], ())


def describe_atlas(mesh: Mesh, atlas: Atlas, asked: dict) -> dict:
    """What a report says of an atlas, so that it can be made again: the options it came from, and its hash.

    Args:
        mesh, atlas: the mesh, and its atlas.
        asked: options of the job by name.
    """
    return {name: asked[name] for name in _LAYOUT} | {"hash": _hash(mesh, atlas)}


def layout_options(report: dict, folder: Path) -> dict:
    """The options that the atlas of a result came from, by name.

    Raises:
        InputError: its report does not say.
    """
    told = report.get("atlas")
    if not isinstance(told, dict) or not all(name in told for name in (*_LAYOUT, "hash")):
        raise InputError(f"{folder}: does not say how its atlas was made; {_AGAIN}")
    return {name: told[name] for name in _LAYOUT}


def read_base(folder: ResultFolder, mesh: Mesh, atlas: Atlas, depth_size) -> Base:
    """Reads a result back: its pages from PNG, and where each of their texels came from.

    Args:
        folder: of the result.
        mesh: the scene's.
        atlas: unwrapped as `layout_options` says.
        depth_size: tells the (width, height) of the depth maps that go with images of a (width, height).

    Raises:
        InputError: a result without PNG pages, of another mesh, or one that cannot be read.
    """
    if folder.read_report()["atlas"]["hash"] != _hash(mesh, atlas):
        raise InputError(f"{folder.path}: was made of another mesh, or by another version; {_AGAIN}")
    textures, coverage, generated = [], [], []
    size = (atlas.size, atlas.size)
    for page, marks in zip(*folder.page_paths(atlas.pages), strict=True):
        for path in (page, marks):
            if not path.is_file():
                raise InputError(f"{path}: is not there, but its texels are to be kept; {_AGAIN} (--formats glb,obj)")
        textures.append(decode_color(ImageSource(page), size, str(page)))
        seen, made = decode_sources(read_bytes(marks, _MOST_BYTES), atlas.size, str(marks))
        coverage.append(seen)
        generated.append(made)
    cameras = folder.read_cameras()
    images = [folder.read_image(camera) for camera in cameras]
    texels = folder.read_report().get("texels")
    textured = TexturedMesh(
        mesh,
        atlas,
        tuple(textures),
        tuple(coverage),
        texels if isinstance(texels, int) else None,
        tuple(generated),
    )
    if not cameras:
        return Base.of(textured)
    small = depth_size(cameras[0].size)
    intrinsics = np.stack([camera.intrinsics for camera in cameras])
    views = cast_views(
        mesh,
        resize_intrinsics(intrinsics, cameras[0].size, small),
        np.stack([camera.cam_to_world for camera in cameras]),
        small,
        tuple(camera.frame_id for camera in cameras),
    )
    return Base(textured, views, images, tuple(camera.keyframe for camera in cameras))


def _hash(mesh: Mesh, atlas: Atlas) -> str:
    return content_hash(mesh.vertices, mesh.faces, *parts_of(atlas))
