"""``scenetex texture``: scenes in, folders with textured meshes, images, a report and a preview out."""

import json
import platform
import re
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from . import __version__
from .cli import guarded, parse
from .errors import InputError
from .generation import Generation
from .output import output_folder
from .pipeline import Result, run_stages
from .scene.camera import resize_intrinsics
from .scene.load import load_scene
from .scene.scene import Scene

FORMATS = ("glb", "obj")


@dataclass(frozen=True)
class TextureOptions:
    """Textures scanned scenes from text or photos: mesh and camera trajectory in; GLB and OBJ with a UV atlas out."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Scenes: ScanNet folders (extracted, or with .sens), or folders with transforms.json."""
    output: Path
    """Folder for the results; each scene gets a folder of its name in it."""
    images: Literal["photos", "generated"] = "photos"
    """What to paint with: the trajectory's own photos, or images generated from a prompt."""
    prompt: str | None = None
    """What the room is to look like."""
    negative_prompt: str | None = None
    """What it is not to look like."""
    model: str = "mini"
    """Model that generates: a folder in diffusers layout or a Hub id."""
    mvdiffusion_checkpoint: Path | None = None
    """Released MVDiffusion weights (.ckpt or .safetensors) to use as the model's UNet."""
    controlnet: str | None = None
    """Depth ControlNet, folder or Hub id, for models that do not take depth."""
    keyframes: str = "auto"
    """Frames to use: auto (photos: all, or the best 120 of more), all, a number, every:N, or ids like 0,16,32."""
    between: int = 1
    """Views to generate between any two consecutive keyframes."""
    seed: int = 0
    """The same seed gives the same images."""
    device: str = "auto"
    """Where to generate: auto, cpu or cuda."""
    steps: int = 50
    """Denoising steps."""
    guidance_scale: float = 9.0
    """How closely to follow the prompt; 1 = no guidance."""
    image_size: str = "256x192"
    """Size of generated images, WIDTHxHEIGHT, pixels."""
    joint_views: int = 16
    """Most views to generate at once; fewer need less memory."""
    correspondence: bool = True
    """Let the views attend to each other where they show the same surface."""
    shared_noise: bool = True
    """Start places that show the same surface from the same noise."""
    fusion: bool = True
    """Let views agree on their shared surface during the first half of the steps."""
    refine_poses: bool = True
    """Refine camera poses, focal length and centre against the mesh where that lowers the error."""
    texture_size: int = 2048
    """Side of a texture page, texels."""
    texels_per_metre: float | None = None
    """Texel density to keep, on as many pages as it takes; default: the highest that one page holds."""
    packer: Literal["uvunwrap", "xatlas"] = "uvunwrap"
    """What cuts and packs the charts."""
    formats: str = "glb,obj"
    """What to write, comma-separated: glb, obj."""
    texture_format: Literal["jpeg", "png"] = "jpeg"
    """Texture inside the GLB."""
    preview: bool = True
    """Write preview.png, a contact sheet."""
    align: bool = False
    """Apply the scene's axisAlignment to mesh and poses, so that the OBJ is gravity-aligned too."""
    quiet: bool = False
    """No progress bars."""


def main(arguments: list[str] | None = None, program: str = "scenetex texture") -> int:
    """Runs the command; the exit code: 0, or 2 after bad input."""

    def work() -> int:
        options = parse(TextureOptions, program, arguments)
        formats, generation = _formats(options), _generation(options)
        code = 0
        for path in options.scenes:
            code = max(code, guarded(program, lambda path=path: _one(path, options, formats, generation)))
            if code == 130:
                break
        return code

    return guarded(program, work)


def _formats(options: TextureOptions) -> list[str]:
    if not options.scenes:
        raise InputError("no scene given; name at least one scene folder")
    formats = [part.strip().lower() for part in options.formats.split(",") if part.strip()]
    for part in formats:
        if part not in FORMATS:
            raise InputError(f"--formats: '{part}' is not a format; choose from {','.join(FORMATS)}")
    if not formats:
        raise InputError(f"--formats is empty; choose from {','.join(FORMATS)}")
    return formats


def _generation(options: TextureOptions) -> Generation | None:
    """How to generate, None for photos; the options of the same names."""
    if options.images == "photos":
        if options.prompt is not None:
            raise InputError("--prompt is for generated images; add --images generated")
        return None
    if options.prompt is None:
        raise InputError("--images generated needs a text; add --prompt '...'")
    size = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", options.image_size.strip())
    if not size or "0" in size.groups():
        raise InputError(f"--image-size '{options.image_size}' is not understood; give WIDTHxHEIGHT, like 256x192")
    given = {f.name: getattr(options, f.name) for f in fields(Generation)}
    return Generation(**given | {"image_size": (int(size[1]), int(size[2]))})


def _one(path: Path, options: TextureOptions, formats: list[str], generation: Generation | None) -> int:
    """Textures one scene into its folder, which appears whole or not at all."""
    start = time.perf_counter()
    scene = load_scene(path, align=options.align)
    loaded = time.perf_counter()
    if not options.quiet and scene.skipped:
        print(f"{scene.name}: {len(scene.skipped)} frames without tracking left out", file=sys.stderr)
    with output_folder(options.output / scene.name) as folder:
        result = run_stages(
            scene,
            generation=generation,
            keyframes=options.keyframes,
            refine_poses=options.refine_poses,
            texture_size=options.texture_size,
            texels_per_metre=options.texels_per_metre,
            packer=options.packer,
            progress=not options.quiet,
        )
        finished = time.perf_counter()
        for suffix in formats:
            if suffix == "glb":
                result.mesh.export(folder / "textured.glb", texture_format=options.texture_format)
            else:
                result.mesh.export(folder / "textured.obj")
        exported = time.perf_counter()
        write_views(result, folder / "views")
        written = time.perf_counter()
        seconds = {"load": loaded - start, **result.seconds, "export": exported - finished, "views": written - exported}
        if options.preview:
            from .preview import contact_sheet
            from .texture.gltf import encode_png

            (folder / "preview.png").write_bytes(encode_png(contact_sheet(result.views, result.images, result.mesh)))
            seconds["preview"] = time.perf_counter() - written
        seconds["total"] = time.perf_counter() - start
        report = summarize(scene, result, seconds, options)
        (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(
        f"{options.output / scene.name}: {report['faces']} faces, {len(result.views)} "
        f"{'photos' if generation is None else 'generated images'}, "
        f"{100 * report['coverage']:.1f} % of the texels seen, {seconds['total']:.1f} s"
    )
    return 0


def write_views(result: Result, folder: Path) -> None:
    """The images that were baked as PNG, and their cameras as JSON."""
    from .texture.gltf import encode_png

    folder.mkdir()
    views, (height, width) = result.views, result.images[0].shape[:2]
    intrinsics = resize_intrinsics(views.intrinsics, views.size, (width, height))

    def write(i: int) -> None:
        (folder / f"{views.frame_ids[i]}.png").write_bytes(encode_png(result.images[i]))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(len(views))))
    cameras = {
        str(frame): {
            "width": width,
            "height": height,
            "intrinsics": intrinsics[i].tolist(),
            "cam_to_world": views.cam_to_world[i].tolist(),
            "keyframe": result.keyframe[i],
        }
        for i, frame in enumerate(views.frame_ids)
    }
    (folder / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n")


def summarize(scene: Scene, result: Result, seconds: dict[str, float], options: TextureOptions) -> dict:
    """The report: what was done, how long it took, how much of the surface was seen."""
    atlas, refinement = result.mesh.atlas, result.refinement
    texels = result.mesh.texels or 0
    settings = {f.name: asdict(options)[f.name] for f in fields(options) if f.name not in ("scenes", "output", "quiet")}
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    generated = options.images == "generated"
    libraries = ["numpy", "scipy", "opencv-python-headless", "uvunwrap", "embreex"]
    libraries += ["torch", "diffusers", "transformers"] * generated
    return {
        "scene": scene.name,
        **({name: settings[name] for name in ("prompt", "model", "seed", "steps")} if generated else {}),
        "frames": len(scene.frames),
        "frames_without_tracking": len(scene.skipped),
        "images": len(result.views),
        "keyframes": sum(result.keyframe),
        "vertices": len(scene.mesh.vertices),
        "faces": len(scene.mesh.faces),
        "faces_without_area": int((atlas.page < 0).sum()),
        "texture_pages": atlas.pages,
        "texture_size": atlas.size,
        "charts": len(np.unique(atlas.chart[atlas.chart >= 0])),
        "texels": texels,
        "texels_per_metre": round(atlas.texels_per_metre, 2),
        "coverage": round(sum(int(c.sum()) for c in result.mesh.coverage) / max(texels, 1), 5),
        "pose_refinement": refinement
        and {
            "accepted": refinement.accepted,
            "error_before": round(refinement.error_before, 3),
            "error_after": round(refinement.error_after, 3),
        },
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "settings": settings,
        "versions": {
            "scenetex": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in libraries},
        },
    }
