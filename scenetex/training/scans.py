"""A folder of scans to train on: scenes in ScanNet layout, with prompts."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from ..scene.camera import resize_intrinsics
from ..scene.frame import Frame
from ..scene.load import load_scene
from ..scene.scene import Scene
from ..synthetic.words import split_words
from ..views.viewset import pixel_rays, render_views
from .sample import Sample

# As in MVDiffusion: every 20th frame of the video; of thinner ones, every frame.
_STRIDE = 20


@dataclass(frozen=True)
class ScanFolder:
    """Runs of frames of scanned scenes: number i is a run of scene i modulo their number, which the seed and i draw.

    Prompts stand in ``<scene>/prompt/<frame id>.txt``, or for all frames in ``<scene>/prompt.txt``, one a line.

    Attributes:
        folder: holds the scenes' folders.
        size: (width, height) of the views, pixels.
        depth: "rendered", ray-cast from the mesh, or "sensor", the depth images seen from the colour camera.
        views: frames in a run, fewer where a scene has fewer.
        seed: of the choice of runs.

    Raises:
        InputError: a folder without scenes, or with a scene without prompts.
    """

    folder: str
    size: tuple[int, int] = (256, 192)
    depth: str = "rendered"
    views: int = 16
    seed: int = 0

    def __post_init__(self):
        for scene in self.scenes:
            if not (scene / "prompt.txt").is_file() and not any((scene / "prompt").glob("*.txt")):
                raise InputError(
                    f"{scene}: has no prompts; write prompt.txt, one sentence a line, or prompt/<frame id>.txt"
                )

    @property
    def scenes(self) -> list[Path]:
        """The scenes' folders, by name."""
        try:
            found = sorted(p for p in Path(self.folder).iterdir() if p.is_dir() and not p.name.startswith("."))
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be read ({error.strerror}); give a folder of scenes") from None
        if not found:
            raise InputError(f"{self.folder}: holds no scenes; give a folder with one ScanNet-layout folder per scene")
        return found

    def words(self) -> set[str]:
        """All words of the prompts."""
        texts = (
            path.read_text(errors="replace")
            for scene in self.scenes
            for path in (scene / "prompt.txt", *(scene / "prompt").glob("*.txt"))
            if path.is_file()
        )
        return {word for text in texts for word in split_words(text)}

    def sample(self, index: int) -> Sample:
        """Run number `index`.

        Raises:
            InputError: a scene that cannot be read, one without photos or prompts, or whose depth is all zero.
        """
        folder = self.scenes[index % len(self.scenes)]
        scene = _load(folder)
        frames = [frame for frame in scene.frames if frame.color is not None]
        if not frames:
            raise InputError(f"{folder}: has no photos to train on; add color/<frame>.jpg, or leave the scene out")
        gaps = np.diff([frame.id for frame in frames])
        stride = max(1, round(_STRIDE / max(float(np.median(gaps)), 1))) if len(gaps) else 1
        rng = np.random.default_rng([self.seed, index])
        start = int(rng.integers(max(len(frames) - (self.views - 1) * stride, 1)))
        run = frames[start::stride][: self.views]
        views = render_views(scene, [frame.id for frame in run], self.size)
        if self.depth == "sensor":
            views = replace(views, depth=np.stack([_sensor_depth(frame, self.size) for frame in run]))
        seen = [i for i, depth in enumerate(views.depth) if (depth > 0).any()]
        if not seen:
            raise InputError(
                f"{folder}: depth is zero everywhere in frames {run[0].id} to {run[-1].id}; check that poses and mesh "
                "share one frame and unit, or leave the scene out"
            )
        images = np.stack([cv2.resize(run[i].read_color(), self.size, interpolation=cv2.INTER_AREA) for i in seen])
        prompts = tuple(_prompts(folder, run[i].id) for i in seen)
        return Sample(views.at(seen), images, prompts)


@lru_cache(maxsize=4)
def _load(folder: Path) -> Scene:
    return load_scene(folder)


def _prompts(scene: Path, frame: int) -> tuple[str, ...]:
    """The sentences for a frame: its own, or the scene's; file names may have leading zeros."""
    own = [path for path in (scene / "prompt").glob("*.txt") if path.stem.isdigit() and int(path.stem) == frame]
    path = own[0] if own else scene / "prompt.txt"
    try:
        sentences = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        raise InputError(f"{scene}: frame {frame} has no prompt; add prompt/{frame}.txt or prompt.txt") from None
    sentences = tuple(line for line in sentences if line)
    if not sentences:
        raise InputError(f"{path}: is empty; write a sentence about what is seen")
    return sentences


def _sensor_depth(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32, the depth image as the colour camera sees it at `size`; the nearest of what falls on a pixel."""
    depth, camera = frame.read_depth(), frame.depth_camera
    pose = frame.cam_to_world if frame.depth_cam_to_world is None else frame.depth_cam_to_world
    origin, direction = pixel_rays(camera.intrinsics, pose, camera.size)
    valid = depth.ravel() > 0
    points = origin + depth.ravel()[valid, None] * direction[valid]
    to_camera = np.linalg.inv(frame.cam_to_world)
    points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    points = points[points[:, 2] > 0]
    k = resize_intrinsics(frame.camera.intrinsics, frame.camera.size, size)
    column, row = (np.rint(points[:, :2] / points[:, 2:] * [k[0, 0], k[1, 1]] + k[:2, 2])).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < size[0]) & (row < size[1])
    out = np.full(size[0] * size[1], np.inf, np.float32)
    np.minimum.at(out, row[inside] * size[0] + column[inside], points[inside, 2].astype(np.float32))
    return np.where(np.isfinite(out), out, 0).reshape(size[1], size[0])
