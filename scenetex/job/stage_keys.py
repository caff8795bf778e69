"""Content hashes: what each stage's output depends on, so that a rerun does only what is missing."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..bundled import locate_model
from ..errors import InputError
from ..files.folders import files_below
from ..files.json_file import read_json
from ..files.output import write_files
from ..files.reading import open_file
from ..scene.frame import Frame
from ..scene.scene import Scene

if TYPE_CHECKING:
    from .generation import Generation
    from .options import TextureOptions

_PACKAGE = Path(__file__).resolve().parents[1]
# Parts of this package that only generated images depend on, those that only show what came out, and those that no
# result depends on.
_GENERATING = ("correspondence", "models", "panorama", "pipelines", "job/generation.py")
_SHOWING = ("report", "job/results.py")
_APART = (
    *("batch", "cli", "data", "training", "metrics", "synthetic", "__main__.py"),
    *("job/options.py", "job/stage_keys.py", "job/kept_stages.py"),
)
_SOURCES = (".py", ".js", ".css")
# What images do not depend on as long as there are only the keyframes', or as long as they are small.
# Of a frame, what only stages that paint with photos read; of a photo, the file, whose content counts.
_PIXELS = ("color", "depth", "pixels")
_LATER = {"generate": ("between", "upscale", "upscale_tile"), "small": ("upscale", "upscale_tile")}


def stage_keys(scene: Scene, options: "TextureOptions", files: "FileHashes") -> dict[str, str]:
    """Per kept stage, and for the whole result, the hash of this package's code and all that goes into the stage.

    Args:
        scene: what was read; of the photos, the files' bytes count.
        options: of the command.
        files: hashes of files, remembered from earlier runs.

    Raises:
        InputError: a photo that cannot be read.
    """
    shape = content_hash(_code("geometry"), *_parts(scene.mesh))
    unwrap = content_hash("unwrap", shape, options.texture_size, options.texels_per_metre, options.packer)
    keys = {"unwrap": unwrap}
    generation = options.generation()
    cameras = [part for frame in scene.frames for part in _parts(frame, without=_PIXELS)]
    seen = content_hash(shape, *cameras, options.keyframes, generation is None)
    if generation is None:
        seen = content_hash(seen, *(part for frame in scene.frames for part in _photo(frame, files)))
        keys["refine"] = content_hash("refine", seen)
        images = content_hash(seen, options.refine_poses)
    else:
        wanted = _generation_parts(generation, files) | {"code": _code("images")}
        for stage, later in _LATER.items():
            keys[stage] = content_hash(stage, seen, {name: wanted[name] for name in wanted if name not in later})
        images = keys["images"] = content_hash("images", seen, wanted)
    keys["keyframes"] = content_hash("keyframes", seen)
    keys["paint"] = content_hash("paint", unwrap, images)
    shown = options.settings(), _code("showing")
    keys["result"] = content_hash("result", keys["paint"], *_parts(scene, without=("mesh", "frames", "path")), *shown)
    return keys


def content_hash(*parts) -> str:
    """Hash, 32 hex digits, of arrays and of what JSON can hold; paths count as their text."""
    out = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            head, data = (
                f"{part.dtype.str}{part.shape}",
                np.ascontiguousarray(part).data.cast("B") if part.size else b"",
            )
        else:
            head, data = "", json.dumps(part, sort_keys=True, default=str).encode()
        # Lengths keep parts apart.
        out.update(f"{head} {len(data)} ".encode())
        out.update(data)
    return out.hexdigest()


class FileHashes:
    """Hashes of files' contents, computed once as long as a file's size and times of change stay the same.

    Args:
        path: where they are remembered between runs.
    """

    def __init__(self, path: Path):
        self._path, self._changed = path, False
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = None
        self._known: dict[str, list] = known if isinstance(known, dict) else {}
        self._used: dict[str, list] = {}

    def of(self, path: Path, label: str) -> str:
        """The file's hash.

        Raises:
            InputError: the file cannot be read; `label` names it.
        """
        name = os.path.abspath(path)
        if name not in self._used:
            try:
                about = os.stat(path)
                entry = self._known.get(name)
                # Copying tools keep the time of change, but none can keep that of the inode's.
                stamp = [about.st_size, about.st_mtime_ns, about.st_ctime_ns]
                if not isinstance(entry, list) or entry[:3] != stamp or len(entry) != 4:
                    with open_file(path) as file:
                        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
                    entry, self._changed = [*stamp, digest.hexdigest()], True
            except OSError as error:
                raise InputError(f"{label}: cannot be read ({error.strerror or error}); check the file") from None
            self._used[name] = entry
        return self._used[name][3]

    def save(self) -> None:
        """Remembers the files that were asked for."""
        if self._changed:
            write_files({self._path: json.dumps(self._used).encode()})


def _parts(value, without: tuple[str, ...] = ()) -> Iterator:
    """All that a value holds, for `content_hash`: the fields of dataclasses, whichever they are, each after its name.

    Raises:
        TypeError: something that has no content of its own; a stage must not depend on what the hash does not see.
    """
    if is_dataclass(value):
        for field in fields(value):
            if field.name not in without:
                yield field.name
                yield from _parts(getattr(value, field.name))
    elif value is None or isinstance(value, np.ndarray | str | int | float | bool | Path):
        yield value
    elif isinstance(value, tuple | list):
        yield len(value)
        for part in value:
            yield from _parts(part)
    else:
        raise TypeError(f"{type(value).__name__}: tell the content hash what counts of it")


def _photo(frame: Frame, files: FileHashes) -> Iterator:
    """What counts of a frame's photo: the bytes of its file, and how they are read."""
    photo = frame.color
    if photo is None:
        return
    # Published data sets stay as they are, and only scenezoo knows which files hold a photo.
    yield str(photo.path) if photo.codec == "scenezoo" else files.of(photo.path, photo.label(frame.id))
    yield from _parts(photo, without=("path",))


def _generation_parts(generation: "Generation", files: FileHashes) -> dict:
    """The options of `Generation`; of models in folders and files, the contents."""
    parts = asdict(generation) | {"model": locate_model(generation.model)}
    for name in ("model", "mvdiffusion_checkpoint", "controlnet"):
        path = Path(str(parts[name]))
        if parts[name] is not None and path.exists():
            inside = sorted(files_below(path)) if path.is_dir() else [path]
            parts[name] = [(os.path.relpath(p, path), files.of(p, str(p))) for p in inside]
    return parts


@cache
def _code(purpose: str) -> str:
    """Hash of the sources that serve a purpose: what another version made is not taken for what this one makes."""
    files = {path.relative_to(_PACKAGE): path for path in sorted(_PACKAGE.rglob("*")) if path.suffix in _SOURCES}
    return content_hash([(str(name), files[name].read_text("utf-8")) for name in files if _purpose(name) == purpose])


def _purpose(name: Path) -> str | None:
    """What a file of the package, named from there, is for: "geometry", "images", "showing", or None for no result."""
    parts = {name.parts[0], name.as_posix()}
    if parts & set(_APART):
        return None
    return "images" if parts & set(_GENERATING) else "showing" if parts & set(_SHOWING) else "geometry"
