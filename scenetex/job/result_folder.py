"""The folder of a scene's result: what lies in it under which name; written, read back and checked in one place."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, shown
from ..files.json_file import read_named, read_object
from ..files.manifest import is_whole
from ..scene.camera import resize_intrinsics
from ..scene.image_source import ImageSource, decode_color
from ..texture.atlas import Atlas
from ..texture.glb_writer import encode_png
from ..texture.photo_reader import Pictures
from ..texture.sources import encode_sources
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet
from .options import TextureOptions

REPORT, PREVIEW = "report.json", "preview.png"
TEXTURED = "textured"  # stem of the meshes; of levels of detail with _lod1 and so on behind
GLB, OBJ = f"{TEXTURED}.glb", f"{TEXTURED}.obj"
COLLISION = "collision.glb"
REPAINTED, COMPLETED = "repainted", "completed"  # folders of further views, as `views` is
_VIEWS, _CAMERAS, _SOURCES = "views", "cameras.json", "sources"
_AGAIN = "texture the scene again"
_IMAGES_OF = ("images", "prompt", "negative_prompt", "model", "seed")  # settings that show other images


@dataclass(frozen=True, eq=False)
class ImageCamera:
    """The camera of an image in a result folder.

    Attributes:
        frame_id: of the frame in the scene's trajectory.
        size: (width, height) of the image, pixels.
        intrinsics: (3, 3) float64, for images of that size.
        cam_to_world: (4, 4) float64, OpenCV axes, in the result's own frame, metres.
        keyframe: whether the image is a keyframe's.
    """

    frame_id: int
    size: tuple[int, int]
    intrinsics: np.ndarray
    cam_to_world: np.ndarray
    keyframe: bool = True


class ResultFolder:
    """A folder that `scenetex texture` wrote, or is about to write.

    Args:
        path: the folder.
        views: the folder of its images, where that has another name or place than usual.

    Attributes:
        path, views: these.
    """

    def __init__(self, path: Path, views: Path | None = None):
        self.path = Path(path)
        self.views = self.path / _VIEWS if views is None else Path(views)

    @classmethod
    def around(cls, folder: Path) -> "ResultFolder":
        """The result that a folder is, or the one whose images it holds."""
        folder = Path(folder)
        return cls(folder.absolute().parent, folder) if (folder / _CAMERAS).is_file() else cls(folder)

    @property
    def glb(self) -> Path:
        """The textured mesh."""
        return self.path / GLB

    def page_paths(self, atlas: Atlas) -> Iterator[tuple[Path, Path]]:
        """The pages of the atlas as PNG, each with what tells where its texels come from."""
        for names in zip(atlas.page_names(Path(OBJ).stem), atlas.page_names(_SOURCES), strict=True):
            yield self.path / names[0], self.path / names[1]

    @property
    def report_path(self) -> Path:
        """What was done."""
        return self.path / REPORT

    @property
    def cameras_path(self) -> Path:
        """The images' cameras."""
        return self.views / _CAMERAS

    def read_report(self) -> dict:
        """The report; of what it holds nothing is sure. Raises InputError where it cannot be read or is none."""
        return read_named(self.report_path, _AGAIN, "check the file")

    def known_report(self) -> dict | None:
        """The report, None where there is none that can be read."""
        try:
            return read_object(self.report_path)
        except (OSError, ValueError):
            return None

    def is_finished(self, key: str) -> bool:
        """Whether a whole result with that key lies here."""
        report = self.known_report() or {}
        files = report.get("files")
        if report.get("key") != key or not isinstance(files, list):
            return False
        return all(isinstance(name, str) and (self.path / name).is_file() for name in files) and is_whole(self.path)

    def about_replacing(self, scene: str, options: TextureOptions) -> str | None:
        """What the user should know of a result that is about to be replaced: that it shows other images; None if not.

        Raises:
            InputError: it is another scene's, whose name and that of this result come to the same.
        """
        report = self.known_report() or {}
        settings, whose = report.get("settings"), (report.get("scene"), report.get("name"))
        if not isinstance(settings, dict) or "scene" not in report:
            return None
        if whose != (scene, options.name):
            raise InputError(
                f"{self.path}: is the result of scene {shown(str(whose[0]))}; choose another --name or output folder"
            )
        if options.repainting() and options.base is None:
            return "painted parts of the earlier result anew"
        now = options.settings()
        if all(settings.get(name) == now[name] for name in _IMAGES_OF):
            return None
        before = f"'{shown(str(settings.get('prompt')), 60)}'" if settings.get("prompt") else settings.get("images")
        return f"replaced the earlier result ({shown(str(before), 70)}); --name NAME keeps several side by side"

    def axis_alignment(self) -> np.ndarray:
        """(4, 4) float64 from the result's own frame to the gravity-aligned one of its GLB.

        Raises:
            InputError: the report cannot be read, or does not say.
        """
        try:
            return np.array(self.read_report()["axis_alignment"], np.float64).reshape(4, 4)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(f"{self.report_path}: does not say where up is (axis_alignment); {_AGAIN}") from None

    def read_cameras(self) -> list[ImageCamera]:
        """Cameras of all images, in the trajectory's order. Raises InputError for a file that holds anything else."""
        told = read_named(self.cameras_path, _AGAIN, "pass a folder that scenetex texture wrote")
        return [self._camera(name, about) for name, about in told.items()]

    def _camera(self, name: str, about: object) -> ImageCamera:
        try:
            camera = ImageCamera(
                int(name),
                (int(about["width"]), int(about["height"])),
                np.array(about["intrinsics"], np.float64).reshape(3, 3),
                np.array(about["cam_to_world"], np.float64).reshape(4, 4),
                about.get("keyframe") is not False,
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            camera = None
        if camera is None or not _is_sound(camera):
            raise InputError(f"{self.cameras_path}: camera '{shown(name, 40)}' is not one; {_AGAIN}")
        return camera

    def image_path(self, camera: ImageCamera) -> Path:
        """The file of a camera's image."""
        return self.views / f"{camera.frame_id}.png"

    def read_image(self, camera: ImageCamera) -> np.ndarray:
        """(h, w, 3) uint8 sRGB. Raises InputError for a file that cannot be read, or is not of the camera's size."""
        path = self.image_path(camera)
        return decode_color(ImageSource(path), camera.size, str(path))

    def write_views(self, views: ViewSet, images: Sequence[np.ndarray], keyframe: Sequence[bool]) -> None:
        """Writes the images that were baked as PNG, and their cameras as JSON.

        Args:
            views: the m views.
            images: m images (h, w, 3) uint8 sRGB, whose sizes need not be the views'.
            keyframe: whether each is a keyframe.
        """
        self.views.mkdir()
        pictures = Pictures.of(images)

        def write(i: int) -> None:
            (self.views / f"{views.frame_ids[i]}.png").write_bytes(encode_png(pictures[i]))

        with ThreadPoolExecutor(pictures.at_once) as pool:
            list(pool.map(write, range(len(views))))
        cameras = {
            str(frame): {
                "width": pictures.sizes[i][0],
                "height": pictures.sizes[i][1],
                "intrinsics": resize_intrinsics(views.intrinsics[i], views.size, pictures.sizes[i]).tolist(),
                "cam_to_world": views.cam_to_world[i].tolist(),
                "keyframe": keyframe[i],
            }
            for i, frame in enumerate(views.frame_ids)
        }
        self.cameras_path.write_text(json.dumps(cameras, indent=1) + "\n", encoding="utf-8")

    def write_sources(self, textured: TexturedMesh) -> None:
        """Writes where each texel's colour comes from, an indexed PNG per page, see `texture.sources`."""
        names = textured.atlas.page_names(_SOURCES)
        for name, data in zip(names, encode_sources(textured), strict=True):
            (self.path / name).write_bytes(data)

    def write_report(self, report: dict) -> None:
        """Writes the report, last of all: what it holds is what JSON can hold."""
        self.report_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    def files(self) -> list[str]:
        """Names of all files, with those of the folders they lie in, in the alphabet's order."""
        return sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())


def _is_sound(camera: ImageCamera) -> bool:
    k, pose = camera.intrinsics, camera.cam_to_world
    if not (
        0 <= camera.frame_id < 1 << 63 and min(camera.size) > 0 and np.isfinite(k).all() and np.isfinite(pose).all()
    ):
        return False
    return bool(k[0, 0] > 0 and k[1, 1] > 0 and np.linalg.det(k) and np.linalg.det(pose))
