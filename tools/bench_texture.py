"""Times photos to a textured mesh: seconds per stage, peak memory, and the same on a mesh of many faces.

    python tools/bench_texture.py SCENE [--runs 3] [--dense 700000]

Every run is a process of its own, from start-up to the written GLB and OBJ.
"""

import json
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
from scenetex.scene.load import load_scene

PROGRAM = "bench_texture.py"
CHILD = """
import json, resource, sys, time
start = time.perf_counter()
from scenetex import run_stages
from scenetex.scene.load import load_scene
from scenetex.scene.mesh_file import read_mesh
from dataclasses import replace
scene_path, mesh_path, folder, refine = sys.argv[1:]
scene = load_scene(scene_path)
if mesh_path:
    scene = replace(scene, mesh=replace(read_mesh(mesh_path), axis_alignment=scene.axis_alignment))
loaded = time.perf_counter()
result = run_stages(scene, refine_poses=refine == "1")
finished = time.perf_counter()
result.mesh.export(folder + "/textured.glb")
result.mesh.export(folder + "/textured.obj")
end = time.perf_counter()
seconds = {"start and load": loaded - start, **result.seconds, "export": end - finished, "total": end - start}
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"faces": len(scene.mesh.faces), "photos": len(result.views), "seconds": seconds, "memory": memory}))
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
    print(f"\n{name}: {first['faces']} faces, {first['photos']} photos, median of {runs}")
    for stage in first["seconds"]:
        times = [r["seconds"][stage] for r in results]
        print(f"  {stage:20s} {statistics.median(times):7.2f} s   ({min(times):.2f} to {max(times):.2f})")
    print(f"  {'peak memory':20s} {statistics.median(r['memory'] for r in results):7.0f} MB", flush=True)


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


if __name__ == "__main__":
    sys.exit(main())
