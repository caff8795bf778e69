"""Whether a model's folder is whole: each of its parts with its configuration, its weights and its words."""

from collections.abc import Collection, Mapping
from math import prod
from os import PathLike
from pathlib import Path

import torch
from safetensors import safe_open

from ..errors import InputError, shown
from ..files.json_file import read_named

_WEIGHTS = (".safetensors", ".bin", ".pt", ".ckpt", ".msgpack", ".h5")
_SHARDS = ".index.json"
# What a tokenizer's words are in: one of these sets of files.
_WORDS = ({"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"vocab.txt"})
_MORE_WORDS = (".model", ".tiktoken")  # or one that is named so
_PREPARING = ("Processor", "Extractor", "ProcessorPil")  # they are made anew from what they lack


def check_whole(model: Path, index: Mapping[str, object], names: Collection[str]) -> None:
    """Raises InputError for a folder that lacks one of the parts `names`, or of a part a file without which it is none.

    Args:
        index: of the folder, model_index.json: library and class of each part.
    """
    for name in names:
        kind = index.get(name)
        if not (model / name).is_dir():
            raise InputError(f"{model}: has no {name}; pass the folder of a whole model")
        word = str(kind[1]) if isinstance(kind, list) and len(kind) > 1 else ""
        missing = _missing(model / name, word)
        if missing:
            raise InputError(f"{model}: has no {name}/{shown(missing, 80)}; copy the folder again, the whole of it")


def check_loaded(folder: str | PathLike, network: torch.nn.Module) -> None:
    """Raises InputError for a network for which some weights were not in its folder; libraries leave such out, or make
    them up."""
    left_out = [name for name, weight in network.named_parameters() if weight.is_meta]
    if left_out and not hasattr(network, "_hf_hook"):  # what is offloaded lies elsewhere
        raise InputError(
            f"{folder}: the weights lack {len(left_out)} tensors, such as {left_out[0]}; copy the folder again"
        )
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files or left_out or getattr(network, "is_quantized", False) or hasattr(network, "hf_quantizer"):
        return
    wanted, found = sum(weight.numel() for weight in network.parameters()), sum(map(_numbers, files))
    if found < wanted:
        raise InputError(f"{folder}: the weights hold {found} numbers of {wanted}; copy the folder again")


def _numbers(file: Path) -> int:
    """How many numbers the tensors of a safetensors file hold."""
    with safe_open(file, "pt") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())


def _missing(folder: Path, kind: str) -> str | None:
    """The name of a file that a part of a class, by name, lacks; None of a whole one."""
    files = {path.name for path in folder.iterdir() if path.stat().st_size}  # what is empty says nothing
    if kind.endswith(_PREPARING):
        return None
    if "Token" in kind:
        if "tokenizer_config.json" not in files:
            return "tokenizer_config.json"
        known = any(words <= files for words in _WORDS) or any(name.endswith(_MORE_WORDS) for name in files)
        begun = [min(words - files) for words in _WORDS if words & files and words - files]
        return None if known else (begun or ["tokenizer.json"])[0]
    config = "scheduler_config.json" if kind.endswith("Scheduler") else "config.json"
    if config not in files:
        return config
    # Lists of files in other formats often stay behind where those are left out.
    kinds = [kind for kind in _WEIGHTS if any(name.endswith(kind) for name in files)]
    for name in sorted(files):
        if name.endswith(_SHARDS) and (not kinds or name.removesuffix(_SHARDS).endswith(kinds[0])):
            places = read_named(folder / name, "copy it again").get("weight_map")
            shards = {str(shard) for shard in places.values()} if isinstance(places, dict) else set()
            if shards - files:
                return min(shards - files)
    if config == "config.json" and not any(name.endswith(_WEIGHTS) for name in files):
        return "safetensors file"
    return None
