"""Encoded samples of a source, kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..data.digest import weights_digest
from ..data.prefetch import Source, prefetch
from ..data.sample import Sample
from ..files.output import naming
from ..process.console import bar
from .encoded import Encoded, read_encoded, write_encoded

_DECODER = ("decoder.", "post_quant_conv.")  # trained on, it leaves what was encoded as it is


@dataclass(frozen=True, eq=False)
class EncodedStore:
    """Encoded samples of a source, made when they are first needed.

    Attributes:
        source: where samples come from.
        encode: what is kept of a sample.
        folder: where they are kept; belongs to this source, this encoder and this way to encode.
    """

    source: Source
    encode: Callable[[Sample], Encoded]
    folder: Path

    @classmethod
    def within(cls, cache: Path, source: Source, encode: Callable[[Sample], Encoded], vae, how: str) -> "EncodedStore":
        """A store in a folder of `cache` that its source, its encoder and the text `how` decide.

        Raises:
            InputError: `cache` cannot be written to.
        """
        head = f"{source!r} {how} {vae.config.scaling_factor}"
        encoder = [item for item in vae.state_dict().items() if not item[0].startswith(_DECODER)]
        folder = cache / weights_digest(head, encoder)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return cls(source, encode, folder)

    def fill(self, total: int, part: int, parts: int, workers: int, quiet: bool = False) -> None:
        """Makes what is missing of the first `total` samples; of several processes, each makes its part. `quiet`: no
        bar."""
        missing = [i for i in range(part, total, parts) if not self._path(i).is_file()]
        samples = prefetch(self.source, missing, workers)
        for i in bar("encode", iterable=missing, unit="scene", disable=quiet or part > 0 or not missing):
            write_encoded(self._path(i), self.encode(next(samples)))

    def get(self, index: int, choose: Callable[[int], list[int]] | None = None) -> Encoded:
        """Sample number `index`, or the views of it that `choose` picks; made now if it is missing or damaged."""
        found = read_encoded(self._path(index), choose)
        if found is None:
            write_encoded(self._path(index), self.encode(self.source.sample(index)))
            found = read_encoded(self._path(index), choose)
        return found

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:08d}.safetensors"
