"""``scenetex texture``: scenes in, folders with textured meshes, images, a report and a preview out."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .batch.run import run_alone, run_batch
from .batch.scenes import find_scenes
from .batch.workplace import FAILED
from .bundled import locate_model
from .cli import guarded, parse
from .errors import InputError
from .generation import Generation
from .options import GUIDANCE, MESH_SCALE, SEED, STEPS, TEXTURE, THREADS, Between, PathOrName, check_options
from .output import check_apart
from .pipeline import parse_keyframes
from .scene.load import scene_folder, scene_name
from .signals import terminable

FORMATS = ("glb", "obj")
# Options that say how and where to work, not what comes out.
_WORK = (
    "scenes",
    "list",
    "root",
    "allow_outside",
    "strict",
    "shard",
    "output",
    "workers",
    "threads",
    "ray",
    "time_limit",
    "quiet",
)


@dataclass(frozen=True)
class TextureOptions:
    """Textures scanned scenes from text or photos: mesh and camera trajectory in; GLB and OBJ with a UV atlas out."""

    output: Path
    """Folder for the results; each scene gets a folder of its name in it."""
    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE ...")] = ()
    """Scenes: ScanNet folders (extracted, or with .sens), or folders with transforms.json."""
    list: Path | None = None
    """Text file with one scene per line; names in the folder --root, if that is given."""
    root: Path | None = None
    """Folder of scenes: every folder in it is one, unless --list says which."""
    allow_outside: bool = False
    """Read files outside a scene's folder where names or symlinks in it lead there; for scenes you trust."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Turn all faces of the mesh around, if they show the cameras their back."""
    strict: bool = False
    """Take warnings of what does not fit (scenetex check) for errors, before anything is baked."""
    shard: str | None = None
    """I/N: only every Nth scene from the Ith on, I from 0 to N-1; for arrays of cluster jobs."""
    workers: Annotated[int, Between(0, 1024)] = 0
    """Processes that work on scenes side by side; 0: one scene after another, on all cores."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with, in each process; default: all cores, with --workers one."""
    ray: str | None = None
    """Ray cluster to work on: its address, or local for one on this machine (extra [batch])."""
    time_limit: Annotated[float | None, Between(0, 1e9, ("least",))] = None
    """Seconds that a scene may take, loading a model not counted; a scene that takes longer has failed."""
    images: Literal["auto", "photos", "generated", "panorama"] = "auto"
    """What to paint with: the trajectory's own photos, or images generated from a prompt, for views along the
    trajectory or all around one point of it (panorama). Auto: generated if there is a prompt, else photos."""
    prompt: str | None = None
    """What the room is to look like."""
    negative_prompt: str | None = None
    """What it is not to look like."""
    model: Annotated[str, PathOrName] = "mini"
    """Model that generates: a folder in diffusers layout or a Hub id."""
    mvdiffusion_checkpoint: Path | None = None
    """Released MVDiffusion weights (.ckpt or .safetensors) to use as the model's UNet."""
    controlnet: Annotated[str | None, PathOrName] = None
    """Depth ControlNet, folder or Hub id, for models that do not take depth."""
    keyframes: str = "auto"
    """Frames to use: auto (photos: all, or the best 120 of more), all, a number, every:N, or ids like 0,16,32."""
    between: Annotated[int, Between(0, 1000)] = 1
    """Views to generate between any two consecutive keyframes."""
    seed: Annotated[int, SEED] = 0
    """The same seed gives the same images, on as many threads."""
    device: str = "auto"
    """Where to generate: auto, cpu or cuda."""
    steps: Annotated[int | None, STEPS] = None
    """Denoising steps; default: the model's own number."""
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    """How closely to follow the prompt; 1 = no guidance; default: the model's own."""
    image_size: str = "256x192"
    """Size of generated images, WIDTHxHEIGHT, pixels; the views of a panorama are square, as wide as that."""
    joint_views: Annotated[int, Between(4, 10_000)] = 16
    """Most views to generate at once; fewer need less memory."""
    correspondence: bool = True
    """Let the views attend to each other where they show the same surface."""
    shared_noise: bool = True
    """Start places that show the same surface from the same noise."""
    fusion: bool = True
    """Let views agree on their shared surface at each step; after the first third of the steps, not on fine detail.
    Let larger images agree in everything."""
    upscale: Annotated[int, Between(1, 16)] = 1
    """Make the generated images this many times larger: what the model was trained for (4, say), or 1."""
    upscale_tile: Annotated[int | None, Between(8, 65536)] = None
    """Side of tiles to do that in, pixels; bounds the memory. Default: whole images."""
    refine_poses: bool = True
    """Refine camera poses, focal length and centre against the mesh where that lowers the error."""
    texture_size: Annotated[int, TEXTURE] = 2048
    """Side of a texture page, texels."""
    texels_per_metre: Annotated[float | None, Between(0, 100_000, ("least",))] = None
    """Texel density to keep, on as many pages as it takes; default: the highest that one page holds."""
    packer: Literal["uvunwrap", "xatlas"] = "uvunwrap"
    """What cuts and packs the charts."""
    formats: str = "glb,obj"
    """What to write, comma-separated: glb, obj."""
    texture_format: Literal["jpeg", "png"] = "jpeg"
    """Texture inside the GLB."""
    preview: bool = True
    """Write preview.png, a contact sheet."""
    report: bool = False
    """Write report.html, the result in a viewer with its keyframes, and an index of all scenes."""
    align: bool = False
    """Apply the scene's axisAlignment to mesh and poses, so that the OBJ is gravity-aligned too."""
    quiet: bool = False
    """No progress bars."""

    def suffixes(self) -> tuple[str, ...]:
        """What `formats` lists. Raises InputError for what is not in `FORMATS`."""
        parts = tuple(part.strip().lower() for part in self.formats.split(",") if part.strip())
        for part in parts:
            if part not in FORMATS:
                raise InputError(f"--formats: '{part}' is not a format; choose from {','.join(FORMATS)}")
        if not parts:
            raise InputError(f"--formats is empty; choose from {','.join(FORMATS)}")
        return parts

    @property
    def source(self) -> str:
        """What to paint with: "photos", "generated" or "panorama"."""
        if self.images == "auto":
            return "photos" if self.prompt is None else "generated"
        return self.images

    @property
    def panorama(self) -> bool:
        """Whether to generate the views of a panorama."""
        return self.source == "panorama"

    def generation(self) -> Generation | None:
        """How to generate, from the options of the same names; None for photos.

        Raises:
            InputError: options that do not go together, or are out of range.
        """
        if self.source == "photos":
            for name, unset in (("prompt", None), ("upscale", 1)):
                if getattr(self, name) != unset:
                    raise InputError(f"--{name} is for generated images; add --images generated, or panorama")
            return None
        if self.prompt is None:
            raise InputError(f"--images {self.images} needs a text; add --prompt '...'")
        size = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", self.image_size.strip())
        if not size or "0" in size.groups():
            raise InputError(f"--image-size '{self.image_size}' is not understood; give WIDTHxHEIGHT, like 256x192")
        given = {f.name: getattr(self, f.name) for f in fields(Generation)}
        return Generation(**given | {"image_size": (int(size[1]), int(size[2]))})

    def settings(self) -> dict:
        """What decides on the result, ready for JSON."""
        given = {name: value for name, value in asdict(self).items() if name not in _WORK} | {"images": self.source}
        return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}

    def inputs(self) -> tuple[Path, ...]:
        """Files and folders that are read beside the scenes; Hub ids look like such, but nothing lies there."""
        models = () if self.source == "photos" else (locate_model(self.model), self.controlnet)
        return tuple(Path(path) for path in (*models, self.mvdiffusion_checkpoint, self.list) if path is not None)

    def check(self) -> None:
        """Raises InputError for options that are out of range or do not go together."""
        check_options(self)
        self.suffixes()
        self.generation()
        parse_keyframes(self.keyframes)

    def is_batch(self) -> bool:
        """Whether a failure is recorded and the other scenes go on, or ends the command."""
        return (
            len(self.scenes) != 1
            or bool(self.workers)
            or any((self.list, self.root, self.shard, self.ray, self.time_limit))
        )


def check_results(paths: list[Path], options: TextureOptions) -> None:
    """Raises InputError if what the command writes would lie in or over what it reads."""
    results = [options.output / (scene_name(path) + end) for path in paths for end in ("", FAILED)]
    check_apart(results, [*map(scene_folder, paths), *options.inputs()])
    if options.report:
        from .report.overview import check_overview

        check_overview(options.output)


def main(arguments: list[str] | None = None, program: str = "scenetex texture") -> int:
    """Runs the command; the exit code: 0, 1 if a scene of several failed, 2 after bad input, 130 or 143 if stopped."""

    def work() -> int:
        options = parse(TextureOptions, program, arguments)
        options.check()
        if options.report:
            from .report.overview import check_overview

            check_overview(options.output)
        paths = find_scenes(options.scenes, options.list, options.root, options.shard, options.output)
        check_results(paths, options)
        return run_batch(paths, options, program) if options.is_batch() else run_alone(paths[0], options)

    with terminable() as stopped:
        code = guarded(program, work)
    return stopped.code or code
