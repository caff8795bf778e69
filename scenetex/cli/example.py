"""``scenetex example``: writes the sample room, which an installed package does not hold but makes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..limits import THREADS
from ..process.console import say
from .guarded import guarded
from .parsing import parse


@dataclass(frozen=True)
class ExampleOptions:
    """Writes the sample room, a scene to try the other commands with: a procedural living room as a scan in ScanNet's
    layout, with mesh, photos, depth, poses and labels. It is made here, from a seed; nothing is downloaded."""

    output: Annotated[Path, tyro.conf.Positional] = Path("sample_room")
    """Folder to write; its name becomes the scene's."""
    threads: Annotated[int | None, THREADS] = None
    """Most threads to compute with; default: all cores."""
    quiet: bool = False
    """No progress bars."""


def main(arguments: list[str] | None = None, program: str = "scenetex example") -> int:
    """Runs the command; the exit code: 0, or 2 where the folder holds something else or cannot be written."""

    def work() -> int:
        options = parse(ExampleOptions, program, arguments)
        from ..synthetic.sample_room import make_sample_room

        room = make_sample_room(options.output, progress=not options.quiet)
        say(f"{options.output}: {room.description}")
        return 0

    return guarded(program, work)
