"""LoRAs: small weights that are added to those of a model, such as those that make few steps do."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import diffusers
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils import convert_unet_state_dict_to_peft

from ..adapters import Adapter
from ..errors import InputError, InputWarning, extra, shown
from ..models.multiview_unet import base_unet
from ..models.mvdiffusion_weights import read_weights
from .loading import LOAD_ERRORS, first_line
from .weight_files import find_weights

_USUAL = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_MOST_MISSING = 0.5  # of a LoRA's layers, that a model of the same base may lack


def load_loras(pipe: DiffusionPipeline, loras: Sequence[Adapter]) -> None:
    """Adds LoRAs to a pipeline's networks, each with its weight, in place of those it has.

    Raises:
        InputError: peft is not installed; a LoRA that cannot be read, or was made for another base; a pipeline that
            takes none.
    """
    if not loras:
        return
    if find_spec("peft") is None:
        raise InputError(f"a LoRA needs peft; {extra('lora')}")
    if not hasattr(pipe, "load_lora_weights"):
        raise InputError(f"{type(pipe).__name__} takes no LoRA; leave it out, or choose another model")
    names = [f"lora_{number}" for number in range(len(loras))]
    for name, lora in zip(names, loras, strict=True):
        _load(pipe, lora.source, name)
    pipe.set_adapters(names, [lora.weight for lora in loras])


def _load(pipe: DiffusionPipeline, source: str, name: str) -> None:
    file = find_weights(source, "a LoRA", _USUAL).path
    weights, _ = read_weights(file)
    what = shown(source, 120)
    _check_weights(weights, what)
    with _silent():
        try:
            _check_fit(pipe, weights, what)
            given = (file.parent, {"weight_name": file.name}) if file.suffix == ".safetensors" else (weights, {})
            pipe.load_lora_weights(given[0], adapter_name=name, **given[1])
            loaded = any(name in found for found in pipe.get_list_adapters().values())
        except InputError:
            raise
        except LOAD_ERRORS as error:
            raise InputError(
                f"{what}: the LoRA does not fit this model ({first_line(error)}); pass one that was made for its base"
            ) from None
    if not loaded:
        raise InputError(f"{what}: nothing in the LoRA is for this model; pass one that was made for its base")


def _check_weights(weights: Mapping, what: str) -> None:
    """Raises InputError for what is no LoRA, or a damaged one."""
    tensors = isinstance(weights, Mapping) and all(isinstance(value, torch.Tensor) for value in weights.values())
    if not tensors or not any("lora" in str(key).lower() or "lokr" in str(key) for key in weights):
        raise InputError(f"{what}: holds no LoRA; pass one, with weights that are named so")
    for key, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value.float()).all():
            raise InputError(f"{what}: {key} has values that are not finite; get the LoRA anew")


def _check_fit(pipe: DiffusionPipeline, weights: Mapping[str, torch.Tensor], what: str) -> None:
    """Raises InputError for a LoRA whose layers are not those of the network that denoises."""
    part = "transformer" if hasattr(pipe, "transformer") else "unet"
    network = base_unet(getattr(pipe, part))
    config = {"unet_config": network.config} if getattr(pipe, "tokenizer_2", None) and part == "unet" else {}
    found = pipe.lora_state_dict(dict(weights), **config)
    found = found[0] if isinstance(found, tuple) else found
    own = {key.removeprefix(f"{part}."): value for key, value in found.items() if key.startswith(f"{part}.")}
    if own and not any("lora_A" in key for key in own):
        own = convert_unet_state_dict_to_peft(own)
    layers, modules = [key.removesuffix(_DOWN) for key in own if key.endswith(_DOWN)], dict(network.named_modules())
    missing = [layer for layer in layers if layer not in modules]
    for layer in layers:
        # FLUX's first layer takes more where the model is told of depth there; diffusers widens a LoRA for it.
        if layer in modules and f"{layer}{_UP}" in own and not layer.endswith("x_embedder"):
            base = getattr(modules[layer], "base_layer", modules[layer])
            theirs = own[layer + _UP].shape[0], own[layer + _DOWN].shape[1]
            ours = tuple(base.weight.shape[:2]) if getattr(base, "weight", None) is not None else theirs
            if theirs != ours:
                raise InputError(
                    f"{what}: the LoRA was made for another base: it takes {layer} to be {theirs[0]} x {theirs[1]}, "
                    f"which is {' x '.join(map(str, ours))} in this model; pass one for this model"
                )
    if len(missing) > _MOST_MISSING * len(layers):
        raise InputError(
            f"{what}: the LoRA was made for another base: {len(missing)} of its {len(layers)} layers, such as "
            f"{missing[0]}, are not in this model; pass one for this model"
        )
    if missing:
        warnings.warn(
            f"{what}: {len(missing)} of the LoRA's {len(layers)} layers, such as {missing[0]}, are not in this model "
            "and are left out; see whether it was made for its base",
            InputWarning,
            stacklevel=4,
        )


@contextmanager
def _silent() -> Iterator[None]:
    """What diffusers and peft log of a LoRA that does not fit is said in one line instead."""
    level = diffusers.utils.logging.get_verbosity()
    diffusers.utils.logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"peft|diffusers")
            yield
    finally:
        diffusers.utils.logging.set_verbosity(level)
