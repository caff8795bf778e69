"""The sample room: which room it is, where it lies, and how it is made where it lies nowhere."""

from pathlib import Path

from .room import Room, RoomSettings, make_room
from .scan_writer import RECIPE, write_scan

NAME = "sample_room"
SEED, SETTINGS = 42, RoomSettings(kind="living room")


def find_sample_room() -> Path | None:
    """The folder of the sample room: in the checkout that this package is a part of, or in the working directory, in
    ``scenes/`` or where ``scenetex example`` puts it. None where it is in none of these."""
    for folder in (Path(__file__).parents[2] / "scenes", Path("scenes"), Path()):
        if (folder / NAME / RECIPE).is_file():
            return (folder / NAME).absolute()
    return None


def make_sample_room(folder: str | Path, progress: bool = False) -> Room:
    """Makes the room and scans it into a folder, which takes half a minute.

    Args:
        folder: where to write; its name is the scene's. It appears whole or not at all.
        progress: show progress bars.

    Raises:
        InputError: as `write_scan`.
    """
    return write_scan(make_room(SEED, SETTINGS, progress=progress), folder, progress=progress)
