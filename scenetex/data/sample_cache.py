"""Samples of a source kept on disk as they are: rendering a room again costs more than training a small model on it."""

import json
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..files.json_file import parse_json
from ..files.output import naming, write_files
from ..files.reading import check_regular
from ..views.viewset import ViewSet
from .sample import Sample, Source


@dataclass(frozen=True)
class CachedSource:
    """A source whose samples are made once and then read.

    Attributes:
        source: where samples come from; must give the same sample each time.
        folder: where they are kept; belongs to this source.
    """

    source: Source
    folder: Path

    @classmethod
    def within(cls, cache: Path, source: Source) -> "CachedSource":
        """Kept in a folder of `cache` that the source decides.

        Raises:
            InputError: `cache` cannot be written to.
        """
        folder = cache / f"samples-{blake2b(repr(source).encode(), digest_size=8).hexdigest()}"
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return cls(source, folder)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the views, pixels."""
        return self.source.size

    def sample(self, index: int) -> Sample:
        """Sample number `index`, read; made and kept if it is missing or damaged."""
        path = self.folder / f"{index:08d}.safetensors"
        found = _read(path)
        if found is None:
            found = self.source.sample(index)
            write_files({path: _bytes(found)})
        return found

    def words(self) -> set[str]:
        """All words that its prompts can hold."""
        return self.source.words()

    def __repr__(self) -> str:
        # What it gives is what the source gives: stores of encoded samples are the same for both.
        return repr(self.source)


_VIEWS = ("intrinsics", "cam_to_world", "depth", "face_id", "face_normals", "axis_alignment")


def _bytes(sample: Sample) -> bytes:
    tensors = {"images": sample.images} | {name: getattr(sample.views, name) for name in _VIEWS}
    told = {"frames": json.dumps(sample.views.frame_ids), "prompts": json.dumps(sample.prompts)}
    return save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, told)


def _read(path: Path) -> Sample | None:
    """None if there is no such file, or one that cannot be read."""
    try:
        check_regular(path)
        with safe_open(path, "np") as file:
            told = file.metadata()
            views = ViewSet(tuple(parse_json(told["frames"])), *(file.get_tensor(name) for name in _VIEWS))
            return Sample(views, file.get_tensor("images"), tuple(tuple(p) for p in parse_json(told["prompts"])))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
