"""What a report is made of: the painted box, baked from exact photos, some of which are keyframes, and its report."""

from functools import cache
from pathlib import Path

import numpy as np
from painted_box import box, photograph, pinhole, views_of, walk_around

from scenetex import bake, unwrap
from scenetex.job.options import TextureOptions
from scenetex.job.run import Result
from scenetex.job.stages import Stages
from scenetex.job.summary import about_run, summarize
from scenetex.scene.scene import Scene

SIZE = (160, 120)
HOSTILE = """<script>window.hacked=1</script><img src=x onerror="window.hacked=2">'"&amp;</title></script>"""


@cache
def result() -> Result:
    """Six views; the second and the fifth lie between keyframes."""
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]], [3, -2, 1]
    mesh, poses = box().with_axis_alignment(turn), walk_around(6)
    photos = photograph(mesh, poses, pinhole(SIZE), SIZE)
    views = views_of(mesh, poses, pinhole(SIZE), SIZE)
    textured = bake(mesh, unwrap(mesh, 256), views, photos)
    return Result(textured, views, photos, (True, False, True, True, False, True), None, {})


def report(name: str = "room", **options) -> dict:
    """As `texture` tells it; `options` of the command."""
    stages = Stages()
    stages.seconds |= {"load": 0.25, "paint": 2.0, "unwrap": 1.0}
    stages.reused.append("unwrap")
    stages.earlier["unwrap"] = 100.0
    about = summarize(Scene(name, result().mesh.mesh, ()), result(), TextureOptions(Path("out"), **options))
    return about | about_run(stages, 4.5)
