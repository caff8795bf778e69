"""Makes a procedural room and scans it into a folder of ScanNet's layout.

    python tools/make_room.py --seed 42 --room.kind "living room" --output scenes/sample_room

The folder's room.json holds the recipe: `scenetex.synthetic.read_room` rebuilds the room from it, with the true colour
of every surface point.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.process.console import say
from scenetex.process.interrupt import as_process
from scenetex.synthetic import RoomSettings, ScanSettings, make_room, write_scan


@dataclass
class Arguments:
    """Makes a procedural room and scans it into a folder of ScanNet's layout."""

    output: Path
    """Folder to write; its name becomes the scene's."""
    seed: int = 42
    """Every seed is another room."""
    room: RoomSettings = field(default_factory=RoomSettings)
    """The room."""
    scan: ScanSettings = field(default_factory=ScanSettings)
    """Its scan."""


def main() -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        arguments = parse(Arguments, "make_room", None)
        room = make_room(arguments.seed, arguments.room, progress=True)
        write_scan(room, arguments.output, arguments.scan, progress=True)
        say(f"{arguments.output}: {room.description}")
        return 0

    return guarded("make_room", work)


if __name__ == "__main__":
    sys.exit(as_process(main))
