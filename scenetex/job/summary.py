"""What a report says: what was done, how much of the surface was seen, and what the run was like."""

import platform
from dataclasses import asdict
from importlib import metadata

import numpy as np

from ..process.memory import peak_memory
from ..scene.scene import Scene
from ..texture.clipping import clipped_texels
from ..texture.own_materials import unpainted
from ..texture.photo_reader import Pictures
from ..texture.sources import texels_by_source
from ..version import __version__
from .base_result import describe_atlas
from .options import TextureOptions
from .run import Result
from .stages import Stages


def summarize(scene: Scene, result: Result, options: TextureOptions, used: dict | None = None) -> dict:
    """The report: what was done, and how much of the surface was seen.

    `used` are options that were left open, as they were used; sizes and densities are those of the result.
    """
    atlas, refinement = result.mesh.atlas, result.refinement
    texels = result.mesh.texels or 0
    bare = sum(len(faces) for _, faces in unpainted(result.mesh.mesh, atlas))
    width, height = max(Pictures.of(result.images).sizes, default=(0, 0))
    settings = options.settings() | (used or {}) | {"texels_per_metre": float(f"{atlas.texels_per_metre:.6g}")}
    if options.panorama:
        settings["image_size"] = f"{width}x{height}"  # square, whatever was asked for
    generated = options.generation() is not None
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
        "holes_closed": scene.closed and asdict(scene.closed),
        "axis_alignment": scene.mesh.axis_alignment.tolist(),
        "faces_without_area": int((atlas.page < 0).sum()) - bare,
        "faces_without_uvs": bare,
        "faces_textured": int((atlas.page >= 0).sum()),
        "texture_pages": atlas.pages,
        "texture_size": atlas.size,
        "charts": len(np.unique(atlas.chart[atlas.chart >= 0])),
        "texels": texels,
        "texels_per_metre": float(f"{atlas.texels_per_metre:.6g}"),
        "texels_seen": seen,
        "coverage": seen,  # what it was called at first
        "texels_by_source": texels_by_source(result.mesh),
        "clipped_texels": clipped_texels(result.mesh),
        "further_views": {
            name: {"views": len(done.views), "reachable_painted": round(done.reachable, 5)}
            for name, done in (("repainted", result.repainted), ("completed", result.completed))
            if done is not None
        },
        "atlas": describe_atlas(scene.mesh, atlas, options),
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


def about_run(stages: Stages, total: float) -> dict:
    """What a run was like so far: seconds per stage and in `total`, stages taken from disk, notes, memory.

    Seconds are of this run alone; but `total_with_reused` has in it what the outputs from disk took to make.
    """
    totals = {"total": total, "total_with_reused": total + sum(stages.earlier.values())}
    return {
        "seconds": {name: round(value, 3) for name, value in (stages.so_far() | totals).items()},
        "reused": sorted(set(stages.reused)),
        "notes": stages.notes,
        "peak_memory_mb": round(peak_memory() / 2**20, 1),
    }
