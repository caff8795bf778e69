"""``scenetex train STAGE``: trains the parts of a model on scans or on an endless stream of procedural rooms."""

from ..training.training_options import TrainOptions
from .guarded import guarded
from .parsing import parse


def main(arguments: list[str] | None = None, program: str = "scenetex train") -> int:
    """Runs the command; the exit code: 0, 2 after bad input, 130, 143 or 129 after Ctrl-C, SIGTERM or SIGHUP."""

    def work() -> int:
        options = parse(TrainOptions, program, arguments)
        # PyTorch takes seconds to load: bad options are said before.
        from ..training.training_run import run_training

        run_training(options)
        return 0

    return guarded(program, work)
