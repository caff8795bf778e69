"""Times photos to a textured mesh: seconds and memory per stage, on a mesh of many faces too, and of many large photos.

    python tools/bench_texture.py SCENE [--runs 3] [--dense 700000]
    python tools/bench_texture.py SCENE --dense 0 --width 4000 --photos 100

Every run is a process of its own, from start-up to the written GLB and OBJ. CPU seconds are those of the whole process
during a stage, with what runs beside it; they tell of a busy machine what the others do not.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.errors import InputError
from scenetex.process.interrupt import as_process
from scenetex.scene.load import load_scene

PROGRAM = "bench_texture.py"
CHILD = """
import json, resource, sys, time
from contextlib import contextmanager
start = time.perf_counter()
from scenetex.job.run import run_stages
from scenetex.job.stages import Stages
from scenetex.scene.load import load_scene
from scenetex.scene.mesh_file import read_mesh
from dataclasses import replace
scene_path, mesh_path, folder, refine = sys.argv[1:]
stages = {}

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime

@contextmanager
def watch(name, steps=None):
    before = used()
    yield lambda: None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages[name] = [after - earlier for earlier, after in zip(before, used())] + [peak]

scene = load_scene(scene_path)
if mesh_path:
    scene = replace(scene, mesh=replace(read_mesh(mesh_path), axis_alignment=scene.axis_alignment))
loaded, cpu = used()
stages["start and load"] = [loaded - start, cpu, 0]
result = run_stages(scene, refine_poses=refine == "1", stages=Stages(watch))
with watch("export"):
    result.mesh.export(folder + "/textured.glb")
    result.mesh.export(folder + "/textured.obj")
end, cpu = used()
stages["total"] = [end - start, cpu, stages["export"][2]]
sizes = [list(size) for size in sorted(set(getattr(result.images, "sizes", ())))]
print(json.dumps({"faces": len(scene.mesh.faces), "photos": len(result.views), "sizes": sizes, "stages": stages}))
"""


@dataclass(frozen=True)
class Options:
    """Times photos to a textured mesh, unwrap and export included."""

    scene: Annotated[Path, tyro.conf.Positional]
    """The scene, with photos."""
    runs: int = 3
    """Runs of each case; the median is printed."""
    dense: int = 700_000
    """Also time the scene with its mesh subdivided and jittered to at least this many faces; 0: do not."""
    width: int = 0
    """Also time the scene with its photos enlarged to this width, pixels; 0: do not."""
    photos: int = 0
    """So many of them, repeated if there are fewer; 0: as many as there are."""


def main() -> int:
    """Runs the benchmark; the exit code."""

    def work() -> int:
        options = parse(Options, PROGRAM, None)
        if options.runs < 1:
            raise InputError(f"--runs {options.runs} is not a positive number")
        load_scene(options.scene)
        with tempfile.TemporaryDirectory() as folder:
            _case("as it is", options.scene, "", folder, "1", options.runs)
            _case("without pose refinement", options.scene, "", folder, "0", options.runs)
            if options.dense:
                mesh = _dense(options.scene, options.dense, Path(folder))
                _case("dense", options.scene, str(mesh), folder, "1", options.runs)
            if options.width:
                large = _enlarged(options.scene, options.width, options.photos, Path(folder))
                _case("large photos", large, "", folder, "1", options.runs)
        return 0

    return guarded(PROGRAM, work)


def _case(name: str, scene: Path, mesh: str, folder: str, refine: str, runs: int) -> None:
    results = []
    for _ in range(runs):
        command = [sys.executable, "-c", CHILD, str(scene), mesh, folder, refine]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1])
        if done.returncode:
            raise InputError(f"{name}: the run failed, see above")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    first = results[0]
    sizes = ", ".join(f"{width} x {height}" for width, height in first["sizes"])
    print(f"\n{name}: {first['faces']} faces, {first['photos']} photos of {sizes}, median of {runs}")
    print(f"  {'':20s} {'seconds':>9s} {'CPU':>9s} {'peak MB':>9s}")
    for stage in first["stages"]:
        wall, cpu, peak = (
            statistics.median(column) for column in zip(*(r["stages"][stage] for r in results), strict=True)
        )
        print(f"  {stage:20s} {wall:9.2f} {cpu:9.2f} {peak:9.0f}", flush=True)


def _dense(scene: Path, faces: int, folder: Path) -> Path:
    """The scene's mesh with every face split in four until there are enough, and a tenth of a millimetre of noise."""
    import trimesh

    mesh = load_scene(scene).mesh
    vertices, triangles = mesh.vertices, mesh.faces
    while len(triangles) < faces:
        short = faces - len(triangles)
        split = np.arange(len(triangles)) if 3 * len(triangles) <= short else np.arange(-(-short // 3))
        vertices, triangles = trimesh.remesh.subdivide(vertices, triangles, face_index=split)
    vertices = vertices + np.random.default_rng(0).normal(scale=1e-4, size=vertices.shape)
    path = folder / "dense.ply"
    trimesh.Trimesh(vertices, triangles, process=False).export(path)
    return path


def _enlarged(scene: Path, width: int, count: int, folder: Path) -> Path:
    """A copy of a scan of ScanNet's layout with `count` photos, or all, of that width."""
    import cv2

    if not (scene / "color").is_dir():
        raise InputError(f"{scene}: has no folder color; --width takes scans of ScanNet's layout")
    frames = [frame for frame in load_scene(scene).frames if frame.color]
    copy = folder / scene.resolve().name
    shutil.copytree(scene, copy, ignore=shutil.ignore_patterns("color", "depth", "pose"))
    for name in ("color", "pose"):
        (copy / name).mkdir()
    factor = width / frames[0].camera.width
    camera = frames[0].camera.resized((width, round(frames[0].camera.height * factor)))
    about = copy / f"{copy.name}.txt"
    if about.is_file():  # which says what size the intrinsics are for
        kept = [line for line in about.read_text().splitlines() if not line.startswith("color")]
        sizes = [f"colorWidth = {camera.width}", f"colorHeight = {camera.height}"]
        about.write_text("\n".join([*kept, *sizes, ""]))
    np.savetxt(copy / "intrinsic" / "intrinsic_color.txt", np.pad(camera.intrinsics, (0, 1)) + np.diag([0, 0, 0, 1]))
    for number in range(count or len(frames)):
        frame = frames[number % len(frames)]
        photo = cv2.resize(frame.read_color(), camera.size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(copy / "color" / f"{number}.jpg"), photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        np.savetxt(copy / "pose" / f"{number}.txt", frame.cam_to_world)
    return copy


if __name__ == "__main__":
    sys.exit(as_process(main))
