"""A folder of scans to train on: scenes in ScanNet layout, with prompts."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from ..files.reading import only_inside, read_text
from ..limits import check_words
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
        views: frames in a run, fewer where a scene has fewer; those without any depth are left out.
        seed: of the choice of runs.
        least: views that a run must have in the end.
        allow_outside: read files outside a scene's folder where names or symlinks in it lead there.

    Raises:
        InputError: a folder without scenes, or with a scene without prompts.
    """

    folder: str
    size: tuple[int, int] = (256, 192)
    depth: str = "rendered"
    views: int = 16
    seed: int = 0
    least: int = field(default=1, repr=False)
    allow_outside: bool = field(default=False, repr=False)

    def __post_init__(self):
        for scene in self.scenes:
            if not _prompt_files(scene):
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
        files = [path for scene in self.scenes for path in _prompt_files(scene)]
        return {word for path in files for sentence in self._sentences(path) for word in split_words(sentence)}

    def sample(self, index: int) -> Sample:
        """Run number `index`.

        Raises:
            InputError: a scene that cannot be read, one without photos or prompts, or with too few frames with depth.
        """
        folder = self.scenes[index % len(self.scenes)]
        scene = _load(folder, self.allow_outside)
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
        if len(seen) < self.least:
            raise InputError(
                f"{folder}: {len(seen)} of the frames {run[0].id} to {run[-1].id} have {self.depth} depth, but a step "
                f"takes {self.least}; check that poses and mesh share one frame and unit, or leave the scene out"
            )
        images = np.stack([cv2.resize(run[i].read_color(), self.size, interpolation=cv2.INTER_AREA) for i in seen])
        prompts = tuple(self._prompts(folder, run[i].id) for i in seen)
        return Sample(views.at(seen), images, prompts)

    def _prompts(self, scene: Path, frame: int) -> tuple[str, ...]:
        """The sentences for a frame: its own, or the scene's; file names may have leading zeros."""
        files = _prompt_files(scene)
        own = [path for path in files if path.stem.isdigit() and int(path.stem) == frame]
        found = own or [path for path in files if path.parent == scene]
        if not found:
            raise InputError(f"{scene}: frame {frame} has no prompt; add prompt/{frame}.txt or prompt.txt")
        return self._sentences(found[0])

    def _sentences(self, path: Path) -> tuple[str, ...]:
        scene = path.parent if path.name == "prompt.txt" else path.parent.parent
        with only_inside(None if self.allow_outside else scene):
            return _sentences(path)


@lru_cache(maxsize=4)
def _load(folder: Path, allow_outside: bool) -> Scene:
    return load_scene(folder, allow_outside=allow_outside)


def _prompt_files(scene: Path) -> list[Path]:
    """The scene's own file first."""
    return [path for path in (scene / "prompt.txt", *sorted((scene / "prompt").glob("*.txt"))) if path.is_file()]


def _sentences(path: Path) -> tuple[str, ...]:
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
    except ValueError:
        raise InputError(f"{path}: is no text in UTF-8; save it as such, one sentence a line") from None
    sentences = tuple(line for line in lines if line)
    if not sentences:
        raise InputError(f"{path}: is empty; write a sentence about what is seen")
    for number, sentence in enumerate(sentences, 1):
        check_words(sentence, f"{path}: sentence {number}")
    return sentences


def _sensor_depth(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32, the depth image as the colour camera sees it at `size`; the nearest of what falls on a pixel."""
    depth, camera = frame.read_depth(), frame.depth_camera
    # Finer than the depth image's, a grid of pixels would have holes between its points.
    grid = tuple(min(pair) for pair in zip(size, camera.size, strict=True))
    pose = frame.cam_to_world if frame.depth_cam_to_world is None else frame.depth_cam_to_world
    origin, direction = pixel_rays(camera.intrinsics, pose, camera.size)
    valid = depth.ravel() > 0
    points = origin + depth.ravel()[valid, None] * direction[valid]
    to_camera = np.linalg.inv(frame.cam_to_world)
    points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    points = points[points[:, 2] > 0]
    k = resize_intrinsics(frame.camera.intrinsics, frame.camera.size, grid)
    column, row = (np.rint(points[:, :2] / points[:, 2:] * [k[0, 0], k[1, 1]] + k[:2, 2])).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < grid[0]) & (row < grid[1])
    out = np.full((grid[1], grid[0]), np.inf, np.float32)
    np.minimum.at(out, (row[inside], column[inside]), points[inside, 2].astype(np.float32))
    return cv2.resize(np.where(np.isfinite(out), out, 0), size, interpolation=cv2.INTER_NEAREST)
