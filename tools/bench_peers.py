"""Textures one scan by scenetex and by what is installed beside it, and scores all alike on photos held out.

    python tools/bench_peers.py SCENE [--mvs-texturing PATH] [--colmap PATH] [--output peers.json]

Every second photo is given to the programs, the others are what their textures are held against. Each is a process of
its own, from start-up to the written files.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peer_inputs import Shot, write_cam_folder, write_colmap, write_nerfstudio, write_ply
from peer_results import find_result

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError, shown
from scenetex.files.output import check_file, write_files
from scenetex.limits import TEXTURE
from scenetex.metrics.held_out import figures, score_held_out
from scenetex.process.console import say
from scenetex.process.interrupt import as_process
from scenetex.scene.load import load_scene
from scenetex.scene.scene import Scene

PROGRAM = "bench_peers.py"
_TOOLS = Path(__file__).resolve().parent
_LOG = "log.txt"
# Runs a program from a small process: the memory of whoever starts one counts as its own at first.
_RUN = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
json.dump([code, time.perf_counter() - start, used], open(sys.argv[1], "w"))
"""
_COLUMNS = {
    "psnr": "PSNR after gain",
    "psnr_aligned": "aligned PSNR",
    "gradient_ratio": "gradient ratio",
    "ssim": "SSIM",
    "drawn": "pixels drawn",
}
_DIGITS = {"psnr": 2, "psnr_aligned": 2, "gradient_ratio": 2, "ssim": 3, "drawn": 2}


@dataclass(frozen=True)
class Options:
    """Textures one scan by scenetex and by what is installed beside it, and scores all alike on photos held out."""

    scene: Annotated[Path, tyro.conf.Positional]
    """The scene, with photos."""
    mvs_texturing: Path | None = None
    """Program of mvs-texturing (texrecon)."""
    colmap: Path | None = None
    """Program of COLMAP, 4 or newer (mesh_texturer)."""
    open3d: bool = True
    """Open3D's project_images_to_albedo, where open3d can be imported."""
    texture_size: Annotated[int, TEXTURE] = 2048
    """Side of a page, texels, for all that can be told."""
    output: Path | None = None
    """JSON file for the figures."""
    work: Path | None = None
    """New folder for inputs, results and logs; default: none is kept."""


@dataclass(frozen=True)
class Peer:
    """A program: its name, and the command that leaves a textured mesh in its folder."""

    name: str
    command: list[str]


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; the exit code: 0, 1 where a program failed, or 2 after bad input."""

    def work() -> int:
        options = parse(Options, PROGRAM, arguments)
        for program in (options.mvs_texturing, options.colmap):
            if program is not None and (not program.is_file() or not os.access(program, os.X_OK)):
                raise InputError(f"{program}: is no program; give the path of its executable")
        if options.output is not None:
            check_file(options.output, [options.scene])
        if options.work is not None and options.work.exists():
            raise InputError(f"{options.work}: exists; name a folder that does not")
        scene = load_scene(options.scene)
        given, held_out = split(scene)
        kept = nullcontext(options.work) if options.work else tempfile.TemporaryDirectory()
        with kept as folder:
            rows = compare(scene, given, held_out, Path(folder).resolve(), options)
        for line in table(rows):
            say(line)
        if options.output is not None:
            about = {"scene": scene.name, "photos": len(given), "held_out": len(held_out), "rows": rows}
            write_files({options.output: (json.dumps(about, indent=2) + "\n").encode()})
        return int(any("failed" in row for row in rows))

    return guarded(PROGRAM, work)


def split(scene: Scene) -> tuple[list[Shot], list[Shot]]:
    """Every second photo, and the others. Raises `InputError` where there are fewer than two."""
    frames = [frame for frame in scene.frames if frame.color]
    if len(frames) < 2:
        raise InputError(f"{scene.path or scene.name}: has {len(frames)} photos; two are needed, one to hold out")
    shots = [Shot(f.id, f.read_color(), f.camera.intrinsics, f.cam_to_world) for f in frames]
    return shots[::2], shots[1::2]


def compare(
    scene: Scene, given: Sequence[Shot], held_out: Sequence[Shot], folder: Path, options: Options
) -> list[dict]:
    """A row for each program: its name and figures, or why it "failed"."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for peer in peers(scene, given, folder, options):
        own = folder / peer.name
        own.mkdir(exist_ok=True)
        row: dict = {"name": peer.name}
        try:
            row["seconds"], row["memory_mb"] = run(peer, own)
            photos, intrinsics, poses = zip(*((s.photo, s.intrinsics, s.cam_to_world) for s in held_out), strict=True)
            row |= figures(score_held_out(find_result(own / "result"), scene.mesh, photos, intrinsics, poses))
        except InputError as error:
            row["failed"] = str(error)
        rows.append(row)
        say(f"{peer.name}: {row.get('failed') or '{seconds:.1f} s'.format(**row)}")
    return rows


def peers(scene: Scene, given: Sequence[Shot], folder: Path, options: Options) -> list[Peer]:
    """Writes what the programs read; those that are there."""
    split_scene, mesh = folder / "scene", folder / "mesh.ply"
    write_nerfstudio(split_scene, given, scene.mesh)
    write_ply(mesh, scene.mesh)
    size, baselines = str(options.texture_size), str(_TOOLS / "peer_baselines.py")
    texture = [sys.executable, str(_TOOLS / "texture_scene.py"), str(split_scene), "--images", "photos"]
    texture += ["--formats", "obj", "--texture-size", size, "--no-preview", "--quiet"]
    found = [
        Peer("scenetex", [*texture, "--output", _result(folder, "scenetex")]),
        Peer("mean of vertices", _baseline(baselines, "mean", split_scene, _result(folder, "mean of vertices"), size)),
    ]
    if options.open3d and find_spec("open3d"):
        found.append(Peer("Open3D", _baseline(baselines, "open3d", split_scene, _result(folder, "Open3D"), size)))
    if options.mvs_texturing is not None:
        write_cam_folder(folder / "cams", given)
        prefix = str(Path(_result(folder, "mvs-texturing")) / "textured")
        program = str(options.mvs_texturing.resolve())
        found.append(Peer("mvs-texturing", [program, str(folder / "cams"), str(mesh), prefix]))
    if options.colmap is not None:
        write_colmap(folder / "colmap", given)
        command = [str(options.colmap.resolve()), "mesh_texturer", "--workspace_path", str(folder / "colmap")]
        command += ["--input_path", str(mesh), "--output_path", _result(folder, "COLMAP")]
        found.append(Peer("COLMAP", command))
    return found


def run(peer: Peer, folder: Path) -> tuple[float, float]:
    """Seconds and peak memory, MB, of a program. Raises `InputError` where it fails, with the last that it said."""
    log, used = folder / _LOG, folder / "used.json"
    used.unlink(missing_ok=True)
    with log.open("wb") as said:
        command = [sys.executable, "-I", "-S", "-c", _RUN, str(used), *peer.command]
        subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, check=False)
    code, seconds, memory = json.loads(used.read_text()) if used.is_file() else (1, 0.0, 0.0)
    if code:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise InputError(f"ended with {code}: {shown(lines[-1]) if lines else 'it said nothing'}")
    return round(seconds, 2), round(memory, 1)


def table(rows: Sequence[dict]) -> list[str]:
    """Lines of Markdown."""
    heads = ["", *_COLUMNS.values(), "seconds", "memory, MB"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        if "failed" in row:
            cells = ["failed", *[""] * (len(heads) - 2)]
        else:
            cells = ["-" if row[key] is None else f"{row[key]:.{_DIGITS[key]}f}" for key in _COLUMNS]
            cells += [f"{row['seconds']:.1f}", f"{row['memory_mb']:.0f}"]
        lines.append("| " + " | ".join([row["name"], *cells]) + " |")
    return lines


def _baseline(program: str, kind: str, scene: Path, output: str, size: str) -> list[str]:
    return [sys.executable, program, kind, str(scene), output, size]


def _result(folder: Path, name: str) -> str:
    """The folder that a program's result goes to, made anew."""
    path = folder / name / "result"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return str(path)


if __name__ == "__main__":
    sys.exit(as_process(main))
