"""Encoded samples kept on disk: encoding again each time would cost more than the training of a small model."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Generic, TypeVar

import torch
from diffusers import AutoencoderKL
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.nn import functional as F

from ..data.prefetch import prefetch
from ..data.sample import Sample, Source
from ..errors import InputError
from ..files.json_file import parse_json
from ..files.output import naming, write_files
from ..files.reading import check_regular
from ..process.console import bar
from .encoded import Encoded, EncodedDetail

_DECODER = ("decoder.", "post_quant_conv.")  # trained on, it leaves what was encoded as it is
_WHOLE = ("intrinsics", "cam_to_world")  # all else in half precision: at 4 m it tells depths 2 mm apart

Kind = TypeVar("Kind", Encoded, EncodedDetail)


@dataclass(frozen=True, eq=False)
class EncodedCache(Generic[Kind]):
    """Encoded samples of a source, made when they are first needed.

    Attributes:
        source: where samples come from.
        kind: what is kept of a sample.
        encode: makes it.
        folder: where they are kept; belongs to this source, this encoder and this way to encode.
    """

    source: Source
    kind: type[Kind]
    encode: Callable[[Sample], Kind]
    folder: Path

    @classmethod
    def within(
        cls,
        cache: Path,
        source: Source,
        kind: type[Kind],
        encode: Callable[[Sample], Kind],
        vae: AutoencoderKL,
        how: str,
    ) -> "EncodedCache[Kind]":
        """In a folder of `cache` that its source, its encoder and the text `how` decide.

        Raises:
            InputError: `cache` cannot be written to.
        """
        head = f"{source!r} {how} {vae.config.scaling_factor}"
        encoder = [item for item in vae.state_dict().items() if not item[0].startswith(_DECODER)]
        folder = cache / weights_digest(head, encoder)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return cls(source, kind, encode, folder)

    def fill(self, total: int, part: int, parts: int, workers: int, quiet: bool = False) -> None:
        """Makes what is missing of the first `total` samples; of several processes, each makes its part. `quiet`: no
        bar."""
        missing = [i for i in range(part, total, parts) if not self._path(i).is_file()]
        samples = prefetch(self.source, missing, workers)
        for i in bar("encode", iterable=missing, unit="scene", disable=quiet or part > 0 or not missing):
            write_encoded(self._path(i), self.encode(next(samples)))

    def get(self, index: int, choose: Callable[[int], list[int]] | None = None) -> Kind:
        """Sample number `index`, or the views of it that `choose` picks; made now if it is missing or damaged."""
        found = read_encoded(self._path(index), self.kind, choose)
        if found is None:
            write_encoded(self._path(index), self.encode(self.source.sample(index)))
            found = read_encoded(self._path(index), self.kind, choose)
        return found

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:08d}.safetensors"


def weights_digest(head: str, weights: Iterable[tuple[str, torch.Tensor]]) -> str:
    """16 hexadecimal letters that tell named weights, and a text before them, from others."""
    digest = blake2b(head.encode(), digest_size=8)
    for name, value in weights:
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def write_encoded(path: Path, encoded: Encoded | EncodedDetail) -> None:
    """Writes a file that appears whole or not at all; all but the cameras in half precision.

    Raises:
        InputError: it cannot be written.
    """
    told = {}
    if isinstance(encoded, EncodedDetail):
        tensors = {"latents": encoded.latents, "guide": _packed(encoded), "surface": encoded.surface}
    else:
        tensors = {field.name: getattr(encoded, field.name) for field in fields(encoded)}
        told = {"prompts": json.dumps(tensors.pop("prompts"))}
    tensors = {
        name: (value if name in _WHOLE else value.half()).contiguous()
        for name, value in tensors.items()
        if value is not None
    }
    write_files({path: save(tensors, told)})


def read_encoded(path: Path, kind: type[Kind], choose: Callable[[int], Sequence[int]] | None = None) -> Kind | None:
    """What `write_encoded` wrote of this kind; None if there is no such file, or one that cannot be read.

    `choose` is called with the number of views and returns those to read; None reads all.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            total = file.get_slice("latents").get_shape()[0]
            which = list(range(total) if choose is None else choose(total))

            def rows(name: str) -> torch.Tensor:
                part = file.get_slice(name)
                return torch.stack([part[i] for i in which]).float()

            def optional(name: str) -> torch.Tensor | None:
                return rows(name) if name in file.keys() else None

            if kind is EncodedDetail:
                return _unpacked(rows("latents"), rows("guide"), optional("surface"))
            prompts = parse_json(file.metadata()["prompts"])
            tensors = {name: rows(name) for name in ("latents", "guide", "depth", *_WHOLE)}
            return Encoded(**tensors, prompts=tuple(tuple(prompts[i]) for i in which), seen=optional("seen"))
    except InputError:
        raise
    except (OSError, SafetensorError, LookupError, TypeError, ValueError):
        return None


def _packed(encoded: EncodedDetail) -> torch.Tensor:
    """(m, g, h, w), the images of a record in one tensor on the small ones' grid."""
    factor = encoded.large.shape[-1] // encoded.small.shape[-1]
    large, difference = (F.pixel_unshuffle(x, factor) for x in (encoded.large, encoded.difference))
    return torch.cat([large, encoded.small, difference, encoded.told[:, None]], 1)


def _unpacked(latents: torch.Tensor, packed: torch.Tensor, surface: torch.Tensor | None) -> EncodedDetail:
    """The other way round; raises ValueError for what does not come from there."""
    folded = (packed.shape[1] - 4) // 2
    factor = round((folded / 3) ** 0.5)
    if packed.shape[1] != 6 * factor**2 + 4:
        raise ValueError(f"{packed.shape[1]} maps are not those of large and small images")
    large, small, difference, told = packed.split((folded, 3, folded, 1), 1)
    large, difference = (F.pixel_shuffle(x, factor) for x in (large, difference))
    return EncodedDetail(latents, large, small, difference, told[:, 0], surface)
