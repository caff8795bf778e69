"""Folders of our making, and what is in them."""

from pathlib import Path

from scenetex.files.manifest import MANIFEST
from scenetex.files.output import output_folder


def listing(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def make(final: Path, text: str = "old", kind: str = "result", **more) -> None:
    """A folder of ours with one file of that text."""
    with output_folder(final, kind, **more) as folder:
        (folder / "report.json").write_text(text)
