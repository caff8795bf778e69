"""The result that is painted over in parts: read back from its folder, to the bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files.reading import read_bytes
from ..limits import check_options
from ..scene.camera import resize_intrinsics
from ..scene.image_source import ImageSource, decode_color
from ..scene.mesh import Mesh
from ..scene.scene import Scene
from ..texture.atlas import Atlas
from ..texture.photo_reader import Pictures
from ..texture.sources import decode_sources
from ..texture.texels import rasterize
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import cast_views
from .bake_stages import lay_out
from .content_hash import content_hash, parts_of
from .options import TextureOptions
from .photo_stages import depth_size
from .repainting import Base
from .result_folder import ResultFolder
from .stages import Stages

_LAYOUT = ("texture_size", "texels_per_metre", "packer", "uvs")  # options that an atlas comes from
_MOST_BYTES = 1 << 30  # of the marks of one page
_AGAIN = "texture the scene again, and paint parts of that"


class BaseFolder:
    """A folder with a result of which parts are painted anew.

    Args:
        folder: of the result.

    Raises:
        InputError: there is none, or its report does not say how its atlas was made.
    """

    def __init__(self, folder: ResultFolder):
        self._folder = folder
        self._report = folder.read_report()
        self._atlas = self._report.get("atlas")
        if isinstance(self._atlas, dict):
            self._atlas = {"uvs": "new", **self._atlas}  # earlier versions knew no other
        if not isinstance(self._atlas, dict) or not all(name in self._atlas for name in (*_LAYOUT, "hash")):
            raise InputError(f"{folder.path}: does not say how its atlas was made; {_AGAIN}")
        settings = self._report.get("settings")
        if isinstance(settings, dict) and settings.get("faces") is not None:
            raise InputError(f"{folder.path}: has a simplified mesh (--faces); {_AGAIN}, without --faces")

    @property
    def key(self) -> str:
        """The hash of all that the result depends on."""
        return str(self._report.get("key"))

    def like(self, options: TextureOptions) -> TextureOptions:
        """Options with which the same atlas is made.

        Raises:
            InputError: the report names values that options cannot have.
        """
        found = replace(options, **{name: self._atlas[name] for name in _LAYOUT})
        check_options(found)
        return found

    def read(self, scene: Scene, stages: Stages) -> Base:
        """The result, to the bit.

        Raises:
            InputError: a result without PNG pages, of another mesh, or one that cannot be read.
        """
        folder, atlas = self._folder, lay_out(scene, stages, *(self._atlas[name] for name in _LAYOUT))
        if self._atlas["hash"] != atlas_hash(scene.mesh, atlas):
            raise InputError(f"{folder.path}: was made of another mesh, or by another version; {_AGAIN}")
        textures, marks = [], []
        for page, sources in folder.page_paths(atlas):
            for path in (page, sources):
                if not path.is_file():
                    raise InputError(f"{path}: is not there, but its texels are to stay; {_AGAIN} (--formats glb,obj)")
            textures.append(decode_color(ImageSource(page), (atlas.size, atlas.size), str(page)))
            marks.append(self._marks(sources, atlas))
        texels = len(rasterize(atlas))
        coverage, generated = zip(*marks, strict=True)
        mesh = TexturedMesh(scene.mesh, atlas, tuple(textures), coverage, texels, generated)
        return self._with_views(mesh)

    def _marks(self, path: Path, atlas: Atlas) -> tuple[np.ndarray, np.ndarray]:
        """Coverage and what was generated, of a page."""
        seen, generated = decode_sources(read_bytes(path, _MOST_BYTES), str(path))
        if seen.shape != (atlas.size, atlas.size):
            raise InputError(f"{path}: is {seen.shape[1]} texels wide, but its page {atlas.size}; {_AGAIN}")
        return seen, generated

    def _with_views(self, mesh: TexturedMesh) -> Base:
        cameras = self._folder.read_cameras()
        if not cameras:
            return Base.of(mesh)
        images = Pictures([camera.size for camera in cameras], lambda i: self._folder.read_image(cameras[i]))
        for _ in images:  # what is damaged is said before the work
            pass
        small = depth_size(tuple(map(max, zip(*images.sizes, strict=True))), len(images))
        intrinsics = np.stack([resize_intrinsics(camera.intrinsics, camera.size, small) for camera in cameras])
        poses = np.stack([camera.cam_to_world for camera in cameras])
        views = cast_views(mesh.mesh, intrinsics, poses, small, tuple(camera.frame_id for camera in cameras))
        return Base(mesh, views, images, tuple(camera.keyframe for camera in cameras))


def find_base(options: TextureOptions, scene: str) -> BaseFolder | None:
    """The result of a scene that options paint parts of anew; None = there is none yet.

    Raises:
        InputError: the one that they name is not there, or cannot be gone on from.
    """
    own = options.result_name(scene)
    if options.base is None:
        folder = ResultFolder(options.output / own)
        return BaseFolder(folder) if folder.known_report() is not None else None
    named, inside = ResultFolder(options.base), ResultFolder(options.base / own)
    # A folder of results has one for each scene.
    return BaseFolder(inside if inside.report_path.is_file() and not named.report_path.is_file() else named)


def describe_atlas(mesh: Mesh, atlas: Atlas, options: TextureOptions) -> dict:
    """What a report says of an atlas, so that it can be made again: the options it came from, and its hash."""
    return {name: getattr(options, name) for name in _LAYOUT} | {"hash": atlas_hash(mesh, atlas)}


def atlas_hash(mesh: Mesh, atlas: Atlas) -> str:
    """The hash of a mesh's faces and where they lie in its atlas."""
    return content_hash(mesh.vertices, mesh.faces, *parts_of(atlas))
