"""What is done when a scene fails: it is recorded beside the results, and the others go on."""

import json
from contextlib import suppress
from pathlib import Path

from ..errors import InputError, plain
from ..files.output import DiskFull, output_folder, remove_folder, write_files
from ..job.stages import Stages
from .outcome import Outcome
from .work_folder import FAILED, Busy, work_folder


def outcome_of_error(error: Exception, name: str, path: Path, seconds: float, stages: Stages) -> Outcome:
    """What an error that ended a scene means for it: another run works on it, the disk is full, or it has failed.

    Args:
        error: what was raised; bugs count, too.
        name, path: of the result, and of the scene.
        seconds: spent on it.
        stages: of the run.
    """
    if isinstance(error, Busy):
        return Outcome(name, path, "busy")
    if isinstance(error, DiskFull):
        return Outcome(name, path, "full", str(error), seconds, stages.failed or "")
    says = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    told = tuple(stages.notes), tuple(stages.warnings)
    return Outcome(name, path, "failed", " ".join(says.split()), seconds, stages.failed or "start", *told)


def record_failure(outcome: Outcome, output: Path, log: str) -> None:
    """Writes `<scene>.failed/failed.json` and `log.txt` beside the results, unless another run works on the scene."""
    about = {"scene": outcome.name, "path": str(outcome.path), "stage": outcome.stage, "message": outcome.says}
    about |= {"seconds": round(outcome.seconds, 3), "notes": outcome.notes, "log": "log.txt"}
    # The failure is known without it: a place that cannot be written to must not end the run.
    with suppress(Busy, InputError), work_folder(output, outcome.name) as work:
        with output_folder(output / (outcome.name + FAILED), "failure record", work_folder=work) as folder:
            write_files(
                {
                    folder / "log.txt": "\n".join(map(plain, log.split("\n"))).encode(),
                    folder / "failed.json": json.dumps(about, indent=2).encode(),
                }
            )


def forget_failure(output: Path, name: str) -> None:
    """Removes the record of an earlier failure: the result called `name` is there now."""
    remove_folder(output / (name + FAILED), "failure record")
