"""What a run leaves in a scene's folder: meshes, images with their cameras, a report, a preview."""

import json
import os
import platform
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, shown
from ..files.json_file import read_object
from ..files.manifest import is_whole
from ..process.threads import threads
from ..scene.camera import resize_intrinsics
from ..scene.scene import Scene
from ..texture.glb_writer import encode_png
from ..version import __version__
from .run import Result
from .stages import Stages

if TYPE_CHECKING:
    from .options import TextureOptions

REPORT = "report.json"
_IMAGES_OF = ("images", "prompt", "negative_prompt", "model", "seed")  # settings that show other images


def write_results(
    folder: Path, scene: Scene, result: Result, options: "TextureOptions", stages: Stages, key: str, start: float
) -> dict:
    """Writes everything but the report, whose content is returned; `write_report` adds it once all times are known.

    Args:
        folder: where to; it exists and is empty.
        scene: what was textured.
        result: what came out.
        options: of the command.
        stages: of the run.
        key: hash of all that the result depends on, for later runs.
        start: of the run, as `time.perf_counter` told.
    """
    with stages.stage("export"):
        for suffix in options.suffixes():
            extra = {"texture_format": options.texture_format} if suffix == "glb" else {}
            result.mesh.export(folder / f"textured.{suffix}", **extra)
    with stages.stage("views"):
        write_views(result, folder / "views")
    if options.preview:
        from ..report.preview import contact_sheet

        with stages.stage("preview"):
            (folder / "preview.png").write_bytes(encode_png(contact_sheet(result.views, result.images, result.mesh)))
    report = summarize(scene, result, options, stages.used)
    if options.report:
        from ..report.page import shown_frames, write_page

        with stages.stage("report", len(shown_frames(result.keyframe))) as done:
            write_page(folder, result, lambda: report | about_run(stages, time.perf_counter() - start), done)
    files = sorted(os.path.relpath(path, folder) for path in folder.rglob("*") if path.is_file())
    return report | {"key": key, "files": files}


def write_report(folder: Path, report: dict, stages: Stages, total: float) -> None:
    """Adds what the run itself was like and writes `report.json`; `total` are seconds from start to end."""
    (folder / REPORT).write_text(json.dumps(report | about_run(stages, total), indent=2) + "\n")


def about_run(stages: Stages, total: float) -> dict:
    """What a run was like so far: seconds per stage and in `total`, stages taken from disk, notes, memory.

    Seconds are of this run alone; but `total_with_reused` has in it what the outputs from disk took to make.
    """
    totals = {"total": total, "total_with_reused": total + sum(stages.earlier.values())}
    return {
        "seconds": {name: round(value, 3) for name, value in (stages.so_far() | totals).items()},
        "reused": sorted(set(stages.reused)),
        "notes": stages.notes,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def finished(folder: Path, key: str) -> dict | None:
    """The report of a whole result with that key, or None."""
    try:
        report = read_object(folder / REPORT)
        if report["key"] == key and all((folder / name).is_file() for name in report["files"]) and is_whole(folder):
            return report
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def about_earlier(folder: Path, scene: Scene, options: "TextureOptions") -> str | None:
    """What the user should know of a result that is about to be replaced: that it shows other images; None if not.

    Raises:
        InputError: it is another scene's, whose name and that of this result come to the same.
    """
    try:
        report = read_object(folder / REPORT)
        settings = dict(report["settings"])
        whose = report["scene"], report.get("name")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if whose != (scene.name, options.name):
        raise InputError(
            f"{folder}: is the result of scene {shown(str(whose[0]))}; choose another --name or output folder"
        )
    now = options.settings()
    if all(settings.get(name) == now[name] for name in _IMAGES_OF):
        return None
    before = f"'{shown(str(settings.get('prompt')), 60)}'" if settings.get("prompt") else settings.get("images")
    return f"replaced the earlier result ({shown(str(before), 70)}); --name NAME keeps several side by side"


def write_views(result: Result, folder: Path) -> None:
    """The images that were baked as PNG, and their cameras as JSON."""
    folder.mkdir()
    views, (height, width) = result.views, result.images[0].shape[:2]
    intrinsics = resize_intrinsics(views.intrinsics, views.size, (width, height))

    def write(i: int) -> None:
        (folder / f"{views.frame_ids[i]}.png").write_bytes(encode_png(result.images[i]))

    with ThreadPoolExecutor(threads()) as pool:
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


def summarize(scene: Scene, result: Result, options: "TextureOptions", used: dict | None = None) -> dict:
    """The report: what was done, and how much of the surface was seen.

    `used` are options that were left open, as they were used; sizes and densities are those of the result.
    """
    atlas, refinement = result.mesh.atlas, result.refinement
    texels = result.mesh.texels or 0
    height, width = result.images[0].shape[:2]
    settings = options.settings() | (used or {}) | {"texels_per_metre": float(f"{atlas.texels_per_metre:.6g}")}
    if options.panorama:
        settings["image_size"] = f"{width}x{height}"  # square, whatever was asked for
    generated = options.source != "photos"
    libraries = ["numpy", "scipy", "opencv-python-headless", "uvunwrap", "embreex"]
    libraries += ["torch", "diffusers", "transformers"] * generated
    seen = round(sum(int(c.sum()) for c in result.mesh.coverage) / max(texels, 1), 5)
    return {
        "scene": scene.name,
        "name": options.name,
        **(
            {name: settings[name] for name in ("prompt", "model", "seed", "steps", "guidance_scale")}
            if generated
            else {}
        ),
        "frames": len(scene.frames),
        "frames_without_tracking": len(scene.skipped),
        "frames_without_photo": len(scene.without_photo),
        "images": len(result.views),
        "image_size": [width, height],
        "keyframes": sum(result.keyframe),
        "vertices": len(scene.mesh.vertices),
        "faces": len(scene.mesh.faces),
        "axis_alignment": scene.mesh.axis_alignment.tolist(),
        "faces_without_area": int((atlas.page < 0).sum()),
        "faces_textured": int((atlas.page >= 0).sum()),
        "texture_pages": atlas.pages,
        "texture_size": atlas.size,
        "charts": len(np.unique(atlas.chart[atlas.chart >= 0])),
        "texels": texels,
        "texels_per_metre": float(f"{atlas.texels_per_metre:.6g}"),
        "texels_seen": seen,
        "coverage": seen,  # what it was called at first
        "pose_refinement": refinement
        and {
            "accepted": refinement.accepted,
            "error_before": round(refinement.error_before, 3),
            "error_after": round(refinement.error_after, 3),
        },
        "checks": result.checks and result.checks.report(),
        "settings": settings,
        "versions": {
            "scenetex": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in libraries},
        },
    }
