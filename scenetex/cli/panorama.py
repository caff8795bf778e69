"""``scenetex panorama``: text in, an equirectangular image out: of anything, around a given view, or of a scene."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro

from ..adapters import ADAPTER
from ..bundled import locate_model
from ..errors import InputError
from ..files.output import check_file, write_files
from ..job.generation import Generation
from ..job.keyframe_images import check_finite
from ..job.load_model import load_model
from ..limits import (
    DEVICE,
    GUIDANCE,
    MESH_SCALE,
    POSITION,
    PROMPT,
    ROWS,
    SEED,
    SIDE,
    STEPS,
    THREADS,
    WORDS,
    PathOrName,
    read_position,
)
from ..panorama import VIEWS, panorama_views, pole_views
from ..process.console import say
from ..process.memory import is_out_of_memory
from ..sampling import SchedulerName
from ..scene.image_source import ImageSource, decode_color, image_size
from ..scene.load import load_scene, scene_folder
from ..scene.scene import Scene
from .guarded import guarded
from .parsing import parse


@dataclass(frozen=True)
class PanoramaOptions:
    """Generates a panorama from text: eight views around a point, generated together, stitched to one image."""

    prompt: Annotated[tuple[str, ...], PROMPT, tyro.conf.Positional, tyro.conf.arg(metavar="PROMPT ...")]
    """What there is to see: one text, or eight, one for each 45 degrees to the right."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Image to write, .png or .jpg: equirectangular, twice as wide as high, the first view in the middle."""
    image: Path | None = None
    """First view, a square photo of 90 degrees each way: the rest is painted outwards from it."""
    scene: Path | None = None
    """Scene to make a panorama of: its depth decides where things are. Models that take depth make up a room where none
    is given."""
    allow_outside: bool = False
    """Read files outside the scene's folder where names or symlinks in it lead there; for a scene you trust."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Turn all faces of the mesh around, if they show the cameras their back."""
    position: Annotated[str | None, POSITION] = None
    """Where in the scene to look around from: X,Y,Z in metres; default: the frame with the most room around it."""
    negative_prompt: Annotated[str | None, WORDS] = None
    """What there is not to see."""
    model: Annotated[str, PathOrName] = "mini"
    """Model that generates: a folder in diffusers layout or a Hub id."""
    mvdiffusion_checkpoint: Path | None = None
    """Released MVDiffusion panorama weights (.ckpt or .safetensors) to use as the model's UNet."""
    controlnet: Annotated[str | None, PathOrName] = None
    """Depth ControlNet, folder or Hub id, for panoramas of scenes with models that do not take depth."""
    lora: Annotated[tuple[str, ...], ADAPTER, tyro.conf.UseAppendAction] = ()
    """LoRA to add to the model: a folder, a .safetensors file or a Hub id, with a weight behind a colon if it is not 1:
    loras/oak:0.8. May be given several times (extra [lora])."""
    scheduler: SchedulerName = "default"
    """How noise is taken away: what a model or LoRA for few steps was made for (lcm, tcd, euler-trailing), or
    another. Default: the model's own."""
    reference: Path | None = None
    """Image that says what the whole panorama is to look like; with --ip-adapter."""
    ip_adapter: Annotated[str | None, ADAPTER] = None
    """Weights that let the model look at that image: a folder, a file or a Hub id (h94/IP-Adapter), with a weight as
    for --lora; for Stable Diffusion 1.5 and XL."""
    poles: bool = True
    """Paint what lies above and below the eight views, too, where depth is known; without, colours run together
    there."""
    size: Annotated[int | None, SIDE] = None
    """Side of each view, pixels; default: what the model was trained at."""
    height: Annotated[int | None, ROWS] = None
    """Rows of the panorama; default: twice the size."""
    seed: Annotated[int, SEED] = 0
    """The same seed gives the same panorama, on as many threads."""
    device: Annotated[str, DEVICE] = "auto"
    """Where to generate: auto, cpu, cuda, or cuda:N for one of several GPUs."""
    steps: Annotated[int | None, STEPS] = None
    """Denoising steps; default: the model's own number."""
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    """How closely to follow the prompt; 1 = no guidance; default: the model's own."""
    correspondence: bool = True
    """Let the views attend to each other where they look in the same direction."""
    shared_noise: bool = True
    """Start equal directions from the same noise."""
    fusion: bool = True
    """Let views agree on what they both show at each step; in the last steps, not on fine detail."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    quiet: bool = False
    """No progress bar."""

    def check(self) -> None:
        """Raises InputError for options that do not go together."""
        if self.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise InputError(f"{self.output}: name the image .png or .jpg")
        if len(self.prompt) not in (1, VIEWS):
            raise InputError(f"{len(self.prompt)} prompts; give one in quotes, or {VIEWS}, one for each view")
        if self.height is not None and self.height % 4:
            raise InputError(f"--height {self.height} is no multiple of 4; choose {self.height // 4 * 4}")
        if self.position is not None and self.scene is None:
            raise InputError("--position is for panoramas of scenes; add --scene SCENE")
        if (self.mesh_scale != 1 or self.flip_faces) and self.scene is None:
            raise InputError("--mesh-scale and --flip-faces are for panoramas of scenes; add --scene SCENE")


def main(arguments: list[str] | None = None, program: str = "scenetex panorama") -> int:
    """Runs the command; the exit code: 0, or 2 after bad input."""

    def work() -> int:
        options = parse(PanoramaOptions, program, arguments)
        suffix = options.output.suffix.lower()
        check_file(options.output, _inputs(options))
        panorama = np.round(_panorama(options) * 255).astype(np.uint8)
        quality = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 95]
        write_files({options.output: cv2.imencode(suffix, panorama[..., ::-1], quality)[1].tobytes()})
        say(f"{options.output}: panorama of {panorama.shape[1]} x {panorama.shape[0]} pixels")
        return 0

    return guarded(program, work)


def _inputs(options: PanoramaOptions) -> list[str | Path]:
    """Files and folders that are read."""
    scene = None if options.scene is None else scene_folder(options.scene)
    given = (options.image, scene, locate_model(options.model), options.mvdiffusion_checkpoint, options.controlnet)
    return [path for path in (*given, *_generation(options).added_files) if path is not None]


def _generation(options: PanoramaOptions) -> Generation:
    return Generation.of(vars(options) | {"prompt": options.prompt[0], "panorama": True})


def _panorama(options: PanoramaOptions) -> np.ndarray:
    """(H, 2 H, 3) float32 0..1."""
    image = None if options.image is None else read_square(options.image)
    scene, position = _scene(options)
    generation = _generation(options)
    pipe = load_model(generation)
    from ..data.rooms import RingStream  # with torch, which takes seconds; bad input has been named by now

    pipe.set_progress_bar_config(disable=options.quiet, desc="panorama", leave=False)
    size = pipe.view_size if options.size is None else options.size
    views = None if scene is None else panorama_views(scene, position, size)
    mesh = None if scene is None else scene.mesh
    if pipe.takes_depth and scene is None and image is None:
        # It paints surfaces: without any of the caller's it gets those of a room that the seed makes up.
        room, sample = RingStream(options.seed, size=(size, size)).room_and_sample(0)
        views, mesh = sample.views, room.mesh
        say(f"{options.model} goes by depth: painting a room made up from seed {options.seed}; --scene paints yours")
    if image is not None:
        smaller = size < len(image)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    try:
        made = pipe(
            list(options.prompt) if len(options.prompt) > 1 else options.prompt[0],
            image,
            views,
            size,
            options.height,
            negative_prompt=options.negative_prompt,
            poles=pole_views(mesh, views) if options.poles and mesh is not None else None,
            **generation.sampling.keywords(),
        ).panorama
    except Exception as error:
        if is_out_of_memory(error):
            raise InputError("out of memory; choose a smaller --size or model, or --device cpu") from None
        raise
    check_finite([made], options.model)
    return made


def _scene(options: PanoramaOptions) -> tuple[Scene | None, list[float] | None]:
    """The scene, if there is one, and the position in it, if that is given."""
    if options.scene is None:
        return None, None
    position = None if options.position is None else read_position(options.position, "--position")
    meant = {"mesh_scale": options.mesh_scale, "flip_faces": options.flip_faces}
    scene = load_scene(options.scene, allow_outside=options.allow_outside, **meant)
    check_file(options.output, scene.places())  # they may lie outside
    if scene.skipped and not options.quiet:
        say(f"{scene.name}: {len(scene.skipped)} frames without tracking left out", error=True)
    return scene, position


def read_square(path: Path) -> np.ndarray:
    """A square image: (s, s, 3) uint8 sRGB.

    Raises:
        InputError: a file that cannot be read, is no image, or not square.
    """
    source = ImageSource(path)
    try:
        size = image_size(source, str(path))
    except InputError:
        if not path.is_file():
            raise
        raise InputError(f"{path}: is not an image that can be read; give a PNG or JPEG file") from None
    if size[0] != size[1]:
        raise InputError(f"{path}: {size[0]} x {size[1]} pixels are not square; crop it to 90 degrees each way")
    return decode_color(source, size, str(path), upright=True)
