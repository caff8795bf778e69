"""Loads pipelines of diffusers other than Stable Diffusion's with a UNet, and a depth ControlNet beside them."""

from collections.abc import Mapping
from inspect import signature
from os import PathLike
from pathlib import Path

import diffusers
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from huggingface_hub import hf_hub_download

from ..errors import InputError, shown
from ..files.json_file import read_object
from ..sampling import KEYWORDS
from .loading import LOAD_ERRORS, check_networks, first_line, is_folder, is_load_error
from .whole_model import check_loaded, check_whole

# What a ControlNet of each class makes of a pipeline whose transformer is of the class that it was made for.
_PIPELINES = {
    "FluxControlNetModel": ("FluxTransformer2DModel", "FluxControlNetPipeline"),
    "QwenImageControlNetModel": ("QwenImageTransformer2DModel", "QwenImageControlNetPipeline"),
    "SD3ControlNetModel": ("SD3Transformer2DModel", "StableDiffusion3ControlNetPipeline"),
    "ZImageControlNetModel": ("ZImageTransformer2DModel", "ZImageControlNetPipeline"),
}


def has_transformer(model: str | PathLike) -> bool:
    """Whether a model is one that `ConsistentViews` is for: its network is a transformer, no UNet."""
    return "transformer" in _index(model)


def load_backbone(model: str | PathLike, controlnet: str | PathLike | None = None, **options) -> DiffusionPipeline:
    """A pipeline from a folder in diffusers layout or a Hub id, with the depth ControlNet that is passed.

    Args:
        options: of diffusers' `from_pretrained`.

    Raises:
        InputError: what cannot be loaded, or is half a model; a ControlNet of another kind of model.
    """
    options = {"dtype": options.pop("torch_dtype", torch.float32)} | options
    index, kind = _index(model), DiffusionPipeline
    if is_folder(model):
        if not index:
            raise InputError(
                f"{model}: has no model_index.json that can be read; pass a model folder in diffusers layout"
            )
        passed = {*options, "controlnet"} if controlnet is not None else {*options}
        parts = [name for name, part in index.items() if isinstance(part, list) and part[:1] != [None]]
        check_whole(Path(model), index, [name for name in parts if name not in passed])
    # Parts that a model does without, such as Stable Diffusion 3's largest text encoder, have to be named.
    options = {name: None for name, part in index.items() if part == [None, None]} | options
    if controlnet is not None:
        name = _class_of(controlnet)
        wanted, pipeline = _PIPELINES.get(name, (None, None))
        found = (index.get("transformer") or (None, None))[1]
        if found != wanted or wanted is None:
            raise InputError(
                f"{shown(str(controlnet), 80)}: a {shown(str(name), 40)} was made for another base than {model}, whose "
                f"network is a {found or 'UNet'}; pass a depth ControlNet for this model"
            )
        options["controlnet"] = _load(getattr(diffusers, name), controlnet, dtype=options["dtype"])
        check_loaded(controlnet, options["controlnet"])
        kind = getattr(diffusers, pipeline)
    pipe = _load(kind, model, **options)
    check_networks(model, pipe.components, set(options))
    return pipe


def sampling_defaults(model: str | PathLike, controlnet: str | PathLike | None = None) -> dict[str, float | None]:
    """Those settings of `Sampling` that the pipeline of a model has its own values of."""
    name = _index(model).get("_class_name")
    if controlnet is not None:
        name = _PIPELINES.get(_class_of(controlnet), (None, name))[1]
    taken = signature(getattr(diffusers, str(name), DiffusionPipeline).__call__).parameters
    values = {setting: taken[word].default for setting, word in KEYWORDS.items() if word in taken}
    if values.get("guidance_scale") is None and "true_cfg_scale" in taken:
        values["guidance_scale"] = taken["true_cfg_scale"].default
    return values


def _load(kind: type, model: str | PathLike, **options):
    """`kind.from_pretrained`, whose errors are said in one line."""
    try:
        return kind.from_pretrained(model, **options)
    except Exception as error:
        if not is_load_error(error):
            raise
        raise InputError(
            f"{model}: cannot be loaded as a {kind.__name__} ({first_line(error)}); check the name and the network, or "
            "pass the folder of a whole model"
        ) from None


def _index(model: str | PathLike) -> Mapping[str, object]:
    """The parts of a model, by name; none of a folder whose index cannot be read.

    Raises:
        InputError: a Hub id of which nothing can be loaded.
    """
    try:
        return _config(model, "model_index.json")
    except InputError:
        raise
    except LOAD_ERRORS as error:
        if Path(model).is_dir():
            return {}
        raise InputError(
            f"{model}: cannot be loaded ({first_line(error)}); check the name and the network, or pass the folder of a "
            "whole model"
        ) from None


def _config(model: str | PathLike, name: str) -> Mapping[str, object]:
    """What a file of a folder or Hub id says in JSON."""
    return read_object(Path(model, name) if is_folder(model) else Path(hf_hub_download(str(model), name)).resolve())


def _class_of(controlnet: str | PathLike) -> str | None:
    """Name of a ControlNet's class.

    Raises:
        InputError: it is none that can be loaded.
    """
    try:
        config = _config(controlnet, "config.json")
    except InputError:
        raise
    except LOAD_ERRORS as error:
        raise InputError(
            f"{controlnet}: cannot be loaded as a ControlNet ({first_line(error)}); check the name and the network"
        ) from None
    return config.get("_class_name")
