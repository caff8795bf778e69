"""``scenetex check``: does a scan fit together: mesh, poses, intrinsics, photos, depth?"""

import io
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from ..errors import InputError
from ..files.output import check_file, write_files
from ..files.seal import is_sealed, seal
from ..limits import KEYFRAMES, MESH_SCALE, THREADS
from ..process.console import say
from ..scene.load import load_scene, scene_folder, scene_name
from .guarded import guarded
from .parsing import parse


@dataclass(frozen=True)
class CheckOptions:
    """Looks whether a scan's mesh, poses, intrinsics, photos and depth fit each other, as scenetex texture does before
    it begins. Prints what it finds, with the likely cure, and draws the mesh's edges over four photos, above the mesh's
    depth and the sensor's. The exit code is 0 also with findings, unless --strict makes it 1; 2 if the scan cannot be
    read."""

    scene: Annotated[Path, tyro.conf.Positional]
    """The scene, as for scenetex texture."""
    allow_outside: bool = False
    """Read files outside the scene's folder where names or symlinks in it lead there; for a scene you trust."""
    mesh_scale: Annotated[float, MESH_SCALE] = 1.0
    """Factor on the mesh's vertices, not on the poses: 0.001 for a mesh in millimetres."""
    flip_faces: bool = False
    """Turn all faces of the mesh around, if they show the cameras their back."""
    keyframes: Annotated[str, KEYFRAMES] = "auto"
    """Look at these frames alone, every:N or ids like 0,16,32, as scenetex texture does; otherwise all are taken."""
    strict: bool = False
    """End with exit code 1 if anything is found."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The picture, .png; default: <scene name>-check.png in this folder, which replaces only an earlier picture of this
    command."""
    picture: bool = True
    """Draw the picture."""
    json: Path | None = None
    """JSON file for findings and figures."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""


def main(arguments: list[str] | None = None, program: str = "scenetex check") -> int:
    """Runs the command; the exit code: 0, 1 if anything was found and --strict is given, 2 after bad input."""

    def work() -> int:
        from ..checks import check_scene

        options = parse(CheckOptions, program, arguments)
        picture = _picture_path(options) if options.picture else None
        named = [path for path in (picture, options.json) if path is not None]
        if len({os.path.realpath(path) for path in named}) < len(named):
            raise InputError(f"{options.json}: is the picture, too; name another file for --json")
        for path in named:
            check_file(path, [scene_folder(options.scene)])
        meant = {"mesh_scale": options.mesh_scale, "flip_faces": options.flip_faces}
        scene = load_scene(options.scene, allow_outside=options.allow_outside, **meant)
        for path in named:
            check_file(path, scene.places())  # they may lie outside
        checks = check_scene(scene, options.keyframes)
        for line in _table(scene, checks):
            say(line)
        files = {}
        if picture is not None:
            files[picture] = _png(replace(scene, frames=checks.frames), checks)
        if options.json is not None:
            files[options.json] = (json.dumps({"scene": scene.name, **checks.report()}, indent=2) + "\n").encode()
        write_files(files)
        if picture is not None:
            say(f"{picture}: the mesh's edges over the photos")
        return int(options.strict and bool(checks.findings))

    return guarded(program, work)


def _picture_path(options: CheckOptions) -> Path:
    """Where the picture goes. Raises InputError for a name that is no PNG's, or somebody else's file."""
    if options.output is not None:
        if options.output.suffix.lower() != ".png":
            raise InputError(f"{options.output}: name the picture .png")
        return options.output
    path = Path(f"{scene_name(options.scene)}-check.png")
    if os.path.lexists(path) and not is_sealed(path):
        raise InputError(f"{path}: is there already and no picture of this command; name another with --output")
    return path


def _png(scene, checks) -> bytes:
    from PIL import Image

    from ..checks.picture import check_picture

    out = io.BytesIO()
    Image.fromarray(check_picture(scene, checks.findings)).save(out, "PNG")
    return seal(out.getvalue())


def _table(scene, checks) -> list[str]:
    """What was measured, and what was found, line by line."""
    from ..checks.plausibility import describe_left_out

    figures, frames = checks.figures, describe_left_out(scene)
    if checks.fell_back:
        frames += "; those of --keyframes tell too little, all are looked at"
    elif len(checks.frames) < len(scene.frames):
        frames += f"; looked at are the {len(checks.frames)} of --keyframes"
    rows = [("frames", frames), ("mesh", _mesh(scene, figures))]
    if figures.get("photo_agreement") is not None:
        error = f"error {figures['photo_error']:.1f} grey levels"
        rows.append(("photos agree", f"{figures['photo_agreement']:.2f} of 1 along the mesh's depth, {error}"))
    elif figures.get("photos_compared"):
        rows.append(("photos agree", "cannot be told: too little is seen from two sides"))
    if figures.get("depth_ratio") is not None:
        near = f"{100 * figures['depth_near']:.0f} % of the pixels within a tenth"
        rows.append(("sensor depth", f"{figures['depth_ratio']:.3g} times the mesh's, {near}"))
    if figures.get("color_agreement") is not None:
        rows.append(("colours agree", f"{figures['color_agreement']:.2f} of 1 with the mesh's own"))
    lines = [f"{name:13} {said}" for name, said in rows]
    found = [f"{finding.check:13} {finding.message}" for finding in checks.findings]
    return [f"{scene.name}:", *lines, *(["", "What does not fit:", *found] if found else ["", "Nothing found."])]


def _mesh(scene, figures: dict) -> str:
    said = f"{len(scene.mesh.faces):,} faces"
    if "longest_side" in figures:
        said += f", {figures['longest_side']:.3g} m across, in {100 * figures['mesh_in_view']:.0f} % of the view"
    return said
