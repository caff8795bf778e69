"""Scenes of published data sets, read through scenezoo (the extra `datasets`): `arkitscenes:ROOT#SCENE`.

`ROOT` is where the data set was downloaded to, laid out as it is published; nothing is fetched from the network. Where
a data set has several cameras, the first that is there, and a pinhole, is taken; `#SCENE@CAMERA` names another, in
scenezoo's words (`scannetpp:/data#ID@dslr_undistorted`).

Frames of reference. scenezoo's cameras have OpenCV's axes, its poses lead from world to camera, its depth is in metres.
It turns photos that were taken with the device on its side upright, together with their cameras. Pixel centres lie at
whole numbers but where it hands on COLMAP's intrinsics, whose centres lie at 0.5: the DSLR and `iphone_colmap` of
ScanNet++, which are shifted here.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import numpy as np

from ..errors import InputError, OutsideError, extra
from ..files.reading import bounds_folder, check_inside, libraries_inside, only_inside
from .camera import Camera
from .frame import Frame
from .image_source import ImageSource
from .lens import undistort
from .mesh import Mesh
from .orientation import same_shape
from .pose import checked_intrinsics, rigid
from .scannet import split_lost
from .scene import Scene

_SPEC = re.compile(r"([A-Za-z0-9][\w+-]+):([^#]*)(?:#(.*))?", re.DOTALL)
_HALF_PIXEL = {"dslr", "dslr_undistorted", "dslr_original", "iphone_colmap"}
_UNDISTORTABLE = {"PINHOLE", "SIMPLE_PINHOLE", "OPENCV"}
_ABOVE = ("", "*/", "*/*/")  # where data sets have their scenes' folders
_CAMERA_ITEMS = ("rgb_intrinsics", "world_to_camera")


@dataclass(frozen=True)
class ZooSpec:
    """What `data set:root#scene@camera` says.

    Attributes:
        text: all of it.
        dataset: scenezoo's name of the data set, or one of its other names.
        root: its folder.
        scene: the scene's id; empty if not given.
        camera: scenezoo's frame source, or None for the first that serves.
    """

    text: str
    dataset: str
    root: Path
    scene: str
    camera: str | None


def zoo_spec(path: str | Path) -> ZooSpec | None:
    """The parts of `data set:root#scene`, or None for a path, which what exists always is."""
    match = _SPEC.fullmatch(str(path))
    if not match or Path(path).exists():
        return None
    scene, _, camera = (match[3] or "").partition("@")
    return ZooSpec(str(path), match[1], Path(match[2]).expanduser(), scene.strip(), camera.strip() or None)


@dataclass(frozen=True, eq=False)
class ZooFrame(Frame):
    """A frame whose pixels scenezoo decodes.

    Attributes:
        pixels: where they come from.
    """

    pixels: "ZooPixels | None" = None

    def read_color(self) -> np.ndarray:
        return self.pixels.read(self, "rgb")

    def read_gray(self, shrink: int = 1) -> np.ndarray:
        import cv2

        gray = cv2.cvtColor(self.read_color(), cv2.COLOR_RGB2GRAY)
        size = max(1, gray.shape[1] // shrink), max(1, gray.shape[0] // shrink)
        return gray if shrink == 1 else cv2.resize(gray, size, interpolation=cv2.INTER_AREA)

    def read_depth(self) -> np.ndarray:
        if self.depth is None:
            return super().read_depth()
        return self.pixels.read(self, "depth")


@dataclass(frozen=True, eq=False)
class ZooPixels:
    """A camera of a scene, as scenezoo reads it.

    Attributes:
        spec: what was asked for.
        dataset: scenezoo's reader of the data set.
        options: of its `get_frames`.
        distortion: OpenCV's, of each frame by its id; empty where there is none.
        inside: folder that is not to be left, None if it may be.
    """

    spec: ZooSpec
    dataset: object
    options: dict
    distortion: dict[int, tuple[float, ...]]
    inside: str | None = None

    def batch(self, items: tuple[str, ...], indices: list[int] | None = None):
        """scenezoo's `FrameBatch`."""
        return self.dataset.get_frames(self.spec.scene, indices=indices, items=items, **self.options)

    def read(self, frame: Frame, item: str) -> np.ndarray:
        """The photo ("rgb") or the depth image ("depth") of a frame. Raises `InputError` where it cannot be read."""
        folder = None if self.inside is None else Path(self.inside)
        with only_inside(folder), _errors_of(self.spec, f"frame {frame.id}: "):
            image = getattr(self.batch((item,), [frame.id]), item)[0]
        camera = frame.camera if item == "rgb" else frame.depth_camera
        if image.shape[1::-1] != camera.size:
            raise InputError(
                f"{self.spec.text}: frame {frame.id}: image is {image.shape[1]}x{image.shape[0]}, that of the first "
                f"frame {camera.width}x{camera.height}; leave one camera's images there"
            )
        if frame.id not in self.distortion:
            return image
        return undistort(image, camera.intrinsics, self.distortion[frame.id], depth=item == "depth")


def load_zoo(spec: ZooSpec, name: str) -> Scene:
    """Reads a scene of a data set through scenezoo. Frame ids are scenezoo's frame numbers.

    Raises:
        InputError: scenezoo is not there or does not load, no such data set, folder, scene or camera, no mesh, no
            pinhole camera, or whatever scenezoo says of the files.
    """
    scenezoo = _scenezoo(spec)
    about = scenezoo.get_dataset_info(spec.dataset)
    for part, what in (("mesh", "mesh"), ("frames", "camera frames")):
        if part not in about.capabilities:
            raise InputError(f"{spec.text}: {about.name} has no {what}, and cannot be textured; use another data set")
    if not spec.root.is_dir():
        raise InputError(f"{spec.root}: no such folder; give the one {about.name} was downloaded to")
    with _errors_of(spec):
        # Splits and labels, which scenezoo would download, are not needed.
        dataset = scenezoo.get_dataset(spec.dataset, spec.root, offline=True)
    if not spec.scene:
        raise InputError(f"{spec.text}: names no scene; give {spec.dataset}:{spec.root}#ID{_known(dataset)}")
    if bounds_folder() is not None:
        _check_scene(spec)
    try:
        with _errors_of(spec):
            mesh = dataset.get_mesh(spec.scene)
    except InputError:
        known = _ids(dataset)
        if known and spec.scene not in known:
            raise InputError(f"{spec.root}: {about.name} has no scene {spec.scene!r}{_known(dataset)}") from None
        raise
    frames, skipped = _frames(*_camera(spec, dataset, about))
    mesh = _mesh(mesh, spec).with_axis_alignment(_alignment(dataset, about, spec))
    return Scene(name, mesh, frames, skipped, spec.root)


def _check_scene(spec: ZooSpec) -> None:
    """Raises InputError for a scene whose id, or a link in whose folder, leads out of the data set: Open3D opens meshes
    by itself."""
    parts = Path(spec.scene).parts
    if not parts or os.path.isabs(spec.scene) or ".." in parts:
        raise InputError(f"{spec.text}: leads out of the folder {spec.root}; give the id of a scene in it")
    for above in _ABOVE:
        for folder in spec.root.glob(above + escape(spec.scene)):
            check_inside(folder)
            for parent, folders, names in os.walk(folder):
                for path in (os.path.join(parent, name) for name in (*folders, *names)):
                    if os.path.islink(path):
                        check_inside(path)


def _scenezoo(spec: ZooSpec):
    try:
        import scenezoo
    except ImportError as error:
        if error.name != "scenezoo":
            raise InputError(f"{spec.text}: scenezoo does not load ({error}); install what it lacks") from None
        raise InputError(f"{spec.text}: no such file or folder; data sets need scenezoo: {extra('datasets')}") from None
    with suppress(ImportError, OSError):  # what it reads while it is loaded is nobody's data
        import open3d  # noqa: F401
    if spec.dataset.lower() not in scenezoo.list_datasets(include_aliases=True):
        names = ", ".join(scenezoo.list_datasets())
        raise InputError(f"{spec.text}: no data set is called {spec.dataset!r}; there are {names}")
    return scenezoo


@contextmanager
def _errors_of(spec: ZooSpec, where: str = "") -> Iterator[None]:
    """Whatever scenezoo, and the readers behind it, make of missing and damaged files, as an `InputError`."""
    try:
        with libraries_inside():
            yield
    except InputError:
        raise
    except ImportError as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{spec.text}: a part of scenezoo does not load ({said}); {extra('datasets')} (on Debian, "
            "too: apt install libusb-1.0-0 libgl1 libgomp1)"
        ) from None
    except Exception as error:
        said = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
        raise InputError(
            f"{spec.text}: {where}scenezoo cannot read it: {said or type(error).__name__}; check the download"
        ) from None


def _ids(dataset) -> list[str]:
    with suppress(Exception):  # lists of scenes may only be on the network
        return [str(i) for i in dataset.get_ids()]
    return []


def _known(dataset) -> str:
    ids = _ids(dataset)
    more = f", ... ({len(ids)} in all)" if len(ids) > 4 else ""
    return f"; there are {', '.join(ids[:4])}{more}" if ids else ""


def _camera(spec: ZooSpec, dataset, about) -> tuple:
    """The camera that was asked for, or the first that serves: its pixels, all its poses, its first frame's images."""
    sources = {source.name: source for source in about.spec.frame_sources}
    if spec.camera is not None and spec.camera not in sources:
        raise InputError(f"{spec.text}: {about.name} has no camera {spec.camera!r}; there are {', '.join(sources)}")
    chosen = [spec.camera] if spec.camera else list(sources)
    if not spec.camera:
        chosen = [name for name in chosen if set(sources[name].camera_models) <= _UNDISTORTABLE]
        # Undistorted photos, where they are published, come before the raw ones.
        chosen.sort(key=lambda name: sources[name].camera_models != ("PINHOLE",))
    failed: InputError | None = None
    for name in chosen:
        options = {} if len(sources) == 1 else {"source": name}
        pixels = ZooPixels(spec, dataset, options, {}, bounds_folder())
        has_depth = "depth" in sources[name].items
        for camera, images in [(("depth_intrinsics",), ("rgb", "depth"))] * has_depth + [((), ("rgb",))]:
            try:
                with _errors_of(spec):
                    cameras = pixels.batch((*_CAMERA_ITEMS, *camera))
                    if not len(cameras.indices):
                        raise InputError(f"{spec.text}: camera {name} has no frame with a pose; use another scan")
                    first = pixels.batch(images, cameras.indices[:1].tolist())
            except OutsideError:
                raise
            except InputError as error:
                failed = failed or error
                continue
            if (cameras.camera_model or "PINHOLE") not in _UNDISTORTABLE:
                raise InputError(f"{spec.text}: camera {name} is {cameras.camera_model}, not a pinhole; use another")
            return pixels, cameras, first
    raise failed or InputError(f"{spec.text}: {about.name} has no pinhole camera; use another data set")


def _frames(pixels: ZooPixels, cameras, first) -> tuple[tuple[ZooFrame, ...], tuple[int, ...]]:
    spec, half = pixels.spec, 0.5 if pixels.options.get("source") in _HALF_PIXEL else 0.0
    size = first.rgb.shape[2], first.rgb.shape[1]
    where = [f"{spec.text}: frame {i}: pose" for i in cameras.indices]
    to_camera = np.asarray(cameras.world_to_camera, np.float64)
    tracked, skipped, to_camera = split_lost(cameras.indices.tolist(), to_camera, where, Path(spec.text))
    at = {int(i): k for k, i in enumerate(cameras.indices)}
    place = ImageSource(spec.root, codec="scenezoo")
    frames = []
    for i, pose in zip(tracked, np.linalg.inv(to_camera), strict=True):
        matrix = np.asarray(cameras.rgb_intrinsics[at[i]], np.float64)
        matrix[:2, 2] -= half
        camera = Camera(checked_intrinsics(matrix, f"{spec.text}: frame {i}"), *size)
        distortion = cameras.distortion[at[i]] if cameras.distortion is not None else ()
        if np.any(distortion):
            pixels.distortion[i] = tuple(float(value) for value in distortion)
        depth = None if first.depth is None else first.depth[0]
        own = None if cameras.depth_intrinsics is None else cameras.depth_intrinsics[at[i]]
        depth_camera = _depth_camera(camera, depth, own, half)
        frames.append(
            ZooFrame(
                id=i,
                cam_to_world=pose,
                camera=camera,
                color=place,
                depth=place if depth_camera else None,
                depth_camera=depth_camera,
                depth_cam_to_world=pose if depth_camera else None,
                pixels=pixels,
            )
        )
    frames.sort(key=lambda frame: frame.id)
    return tuple(frames), skipped


def _depth_camera(camera: Camera, depth: np.ndarray | None, intrinsics: np.ndarray, half: float) -> Camera | None:
    """The camera of depth images like `depth` (h, w): its own, or the photos' where that is known more exactly, and
    depth is of their shape."""
    if depth is None:
        return None
    size = depth.shape[1], depth.shape[0]
    if half and same_shape(size, camera.size):
        return camera.resized(size)
    return None if intrinsics is None else Camera(np.asarray(intrinsics, np.float64), *size)


def _mesh(mesh, spec: ZooSpec) -> Mesh:
    """Open3D's mesh as ours."""
    vertices, faces = np.array(mesh.vertices), np.array(mesh.triangles, np.int32)
    if not len(faces) or not np.isfinite(vertices[faces]).all((1, 2)).any():
        raise InputError(f"{spec.text}: its mesh has no faces, or no finite one; download it again")
    colors = np.rint(np.clip(mesh.vertex_colors, 0, 1) * 255).astype(np.uint8) if mesh.has_vertex_colors() else None
    return Mesh(vertices, faces, colors)


def _alignment(dataset, about, spec: ZooSpec) -> np.ndarray:
    """ScanNet's `axisAlignment`; the world's z is up in the other data sets."""
    if about.name == "scannetv2":
        with suppress(Exception):  # a test scene has none
            return rigid(np.array(dataset.get_alignment(spec.scene), np.float64).reshape(4, 4), spec.text)
    return np.eye(4)
