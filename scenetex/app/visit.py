"""What one visitor of the page has: scans that were dropped, results, and what is shown and handed out of them."""

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from ..batch.outcome import Outcome
from ..files.reading import MESH_BYTES, read_text
from ..job.result_folder import COMPLETED, OBJ, REPAINTED, TEXTURED, ResultFolder
from ..report.page import PAGE
from ..scene.load import load_scene
from ..scene.regions import regions
from .archive import unpack_scan
from .offered import Offered

_MOST_SHOWN = 60  # images in the gallery


@dataclass(frozen=True)
class Shown:
    """What a run gives.

    Attributes:
        page: the result's report, HTML that needs nothing else, with the model in a viewer.
        glb: the model.
        obj: OBJ, its material and its pages, as one .zip.
        images: what was baked, and further views, each with what to call it.
        said: the run in a line, then its warnings and notes, a line each.
    """

    page: str
    glb: Path
    obj: Path
    images: list[tuple[str, str]]
    said: str


@dataclass(frozen=True)
class Visit:
    """One visitor.

    Attributes:
        home: a folder for this visitor alone.
        offered: scans of this machine.
        dropped: folders of the scans that were dropped, by the names that they are shown by.
    """

    home: Path
    offered: Offered
    dropped: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, homes: Path, session: str, offered: Offered) -> "Visit":
        """The visitor of a session; browsers make up its name, so that it is no name for a folder."""
        return cls(homes / _digest(session), offered)

    def output(self, name: str) -> Path:
        """Folder for the results of a scan; no two scans share one, whatever they are called."""
        return self.home / "results" / _digest(str(self.path(name)))

    def drop(self, archive: Path) -> str:
        """Takes in a scan; the name that it is shown by. Raises InputError as `unpack_scan`."""
        folder = unpack_scan(archive, self.home / "scans")
        name, number = f"{folder.name} (dropped)", 1
        while name in self.dropped:
            number += 1
            name = f"{folder.name} (dropped, {number})"
        self.dropped[name] = folder
        return name

    def path(self, name: str) -> Path:
        """Where a scan lies. Raises InputError as `Offered.path`."""
        return self.dropped[name] if name in self.dropped else self.offered.path(name)

    def look(self, name: str) -> tuple[str, list[str]]:
        """What a scan is, in a line, and the names of its regions. Raises InputError for one that cannot be read."""
        scene = load_scene(self.path(name), allow_outside=False)
        photos = sum(frame.color is not None for frame in scene.frames)
        said = f"{len(scene.mesh.faces):,} faces, {len(scene.frames):,} frames, {photos:,} photos"
        return said, list(regions(scene))

    def show(self, name: str, outcome: Outcome) -> Shown:
        """What a run on the scan of that name has made."""
        result = ResultFolder(self.output(name) / outcome.name)
        folders = {"": result.views, "anew: ": result.path / REPAINTED, "completed: ": result.path / COMPLETED}
        images = [
            (str(further.image_path(camera)), f"{kind}frame {camera.frame_id}")
            for kind, views in folders.items()
            if (further := ResultFolder(result.path, views)).cameras_path.is_file()
            for camera in further.read_cameras()
            if camera.keyframe or kind
        ]
        lines = [f"{outcome.name}: {outcome.says}, {outcome.seconds:.0f} s", *outcome.warnings, *outcome.notes]
        page = read_text(result.path / PAGE, MESH_BYTES)
        return Shown(page, result.glb, self._zip(result), images[:_MOST_SHOWN], "\n".join(map(self.plain, lines)))

    def plain(self, said: object) -> str:
        """What was said in one line, without where this visitor's folder lies."""
        return " ".join(str(said).replace(f"{self.home}{os.sep}", "").split())

    def end(self) -> None:
        """Removes all of it."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _zip(self, result: ResultFolder) -> Path:
        """The OBJ and what belongs to it."""
        path = result.path.parent / f"{result.path.name}-obj.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            pages = [*result.path.glob(f"{TEXTURED}.png"), *result.path.glob(f"{TEXTURED}_*.png")]
            for file in (result.path / OBJ, (result.path / OBJ).with_suffix(".mtl"), *sorted(pages)):
                archive.write(file, file.name)
        return path


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
