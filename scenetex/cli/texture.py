"""``scenetex texture``: scenes in, folders with textured meshes, images, a report and a preview out."""

from pathlib import Path

from ..batch.batch_run import run_alone, run_batch
from ..batch.scenes import find_scenes, shard_of
from ..batch.work_folder import FAILED, SEEDS, STAGES, check_output
from ..files.output import check_apart
from ..job.options import TextureOptions
from ..report.overview import check_overview
from ..scene.load import scene_folder, scene_name
from .guarded import guarded
from .parsing import parse


def check_results(paths: list[Path], options: TextureOptions) -> None:
    """Raises InputError if what the command, or another shard of it, writes would lie in or over what it reads, or over
    what somebody else wrote."""
    check_output(options.output)
    names = (options.result_name(scene_name(path)) for path in paths)
    results = [
        options.output / place for name in names for place in (name, name + FAILED, name + SEEDS, Path(STAGES, name))
    ]
    check_apart(results, [*map(scene_folder, paths), *options.inputs()])
    check_overview(options.output, options.report)


def main(arguments: list[str] | None = None, program: str = "scenetex texture") -> int:
    """Runs the command; the exit code: 0, 1 if a scene of several failed, 2 after bad input, 130 or 143 if stopped."""

    def work() -> int:
        options = parse(TextureOptions, program, arguments)
        # Whatever the shard, the output is kept apart from all scenes.
        scenes = find_scenes(options.scenes, options.list, options.root, None, options.output, options.name)
        paths = shard_of(scenes, options.shard)
        check_results(scenes, options)
        return run_batch(paths, options, program) if options.is_batch() else run_alone(paths[0], options)

    return guarded(program, work)
