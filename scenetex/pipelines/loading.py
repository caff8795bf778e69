"""Looks at a model's parts before they are used, so that what is missing or does not fit is said in one line."""

import logging
import pickle
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import diffusers
import huggingface_hub
import torch
import transformers
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors import SafetensorError
from transformers import CLIPTokenizer

from ..bundled import locate_model
from ..errors import InputError, shown
from ..files.folders import check_folder
from ..files.json_file import read_json, read_object
from ..files.reading import check_path
from ..limits import check_device_is_here
from ..models import DetailDecoder, SuperResolutionUNet
from ..models.patch_autoencoder import image_factor
from .conditioning import SURFACE_FIELDS, surface_channels
from .images import Autoencoder
from .near_words import near_words
from .whole_model import check_loaded, check_whole

try:
    from httpx import HTTPError
except ImportError:  # older clients of the Hub use requests, whose errors are OSErrors
    HTTPError = OSError

# What loading raises for files and names that are no good, and for a network that is down.
LOAD_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    EOFError,
    HTTPError,
    SafetensorError,
    pickle.UnpicklingError,
)
_LONGEST = 1 << 20  # tokens of a text; tokenizers that do not know say a number beyond all bounds
_WANTED = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


def check_model(model: str | PathLike, passed: set[str], optional: Collection[str] = ()) -> None:
    """Raises InputError for a model that is a folder without the parts a pipeline needs.

    Args:
        model: folder in diffusers layout, or Hub id.
        passed: names of the parts that are not loaded from there.
        optional: names of parts that are loaded where a folder has them.
    """
    path = Path(model)
    if not is_folder(model):
        return
    index = path / "model_index.json"
    try:
        parts = read_json(index)
    except FileNotFoundError:
        raise InputError(f"{path}: has no model_index.json; pass a model folder in diffusers layout") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{index}: cannot be read ({first_line(error)}); copy the model again") from None
    if not isinstance(parts, dict):
        raise InputError(f"{index}: is not the index of a model; pass a model folder in diffusers layout")
    for name in _WANTED:
        if name not in passed and not (parts.get(name) and (path / name).is_dir()):
            raise InputError(f"{path}: has no {name}; pass the folder of a whole Stable Diffusion model")
    more = [name for name in optional if parts.get(name) not in (None, [None, None])]
    check_whole(path, parts, [name for name in (*_WANTED, *more) if name not in passed])


def is_folder(model: str | PathLike) -> bool:
    """Whether a model is a folder, which libraries can read without waiting, rather than a Hub id.

    Raises:
        InputError: it is neither; a folder with pipes and the like in it.
    """
    check_path(model)
    path = Path(model)
    if path.is_dir():
        check_folder(path)
        return True
    if path.exists() or str(model).count("/") != 1 or str(model).startswith((".", "/", "~")):
        raise InputError(f"{model}: no such model folder; pass a folder in diffusers layout or a Hub id (owner/name)")
    return False


def unet_config(model: str | PathLike) -> dict | None:
    """Configuration of the plain UNet in a model folder; None for a Hub id or another model."""
    try:
        config = read_object(Path(locate_model(model)) / "unet" / "config.json")
    except (OSError, ValueError):
        return None
    return config if config.get("_class_name") == "UNet2DConditionModel" else config.get("unet_config")


def check_parts(
    unet: UNet2DConditionModel,
    vae: Autoencoder,
    upscale_unet: SuperResolutionUNet | None,
    detail_decoder: DetailDecoder | None,
) -> None:
    """Raises InputError for parts of a pipeline that were not made for each other; the UNet without its blocks."""
    wanted, latent = unet.config.in_channels, vae.config.latent_channels
    surface = surface_channels(image_factor(vae))
    if wanted - latent not in (0, 1, surface):
        raise InputError(
            f"the UNet takes {wanted} channels; pass one that takes {latent}, {latent + 1} with depth, or "
            f"{latent + surface} with depth, normals and heights"
        )
    if upscale_unet is not None and upscale_unet.unet.config.in_channels != latent:
        raise InputError(
            f"the super-resolution UNet takes {upscale_unet.unet.config.in_channels} channels, but the autoencoder "
            f"gives {latent}; pass one that was trained with this autoencoder"
        )
    if detail_decoder is not None and detail_decoder.config.latent_channels != latent:
        raise InputError(
            f"the detail decoder takes {detail_decoder.config.latent_channels} channels, but the autoencoder gives "
            f"{latent}; pass one that was trained with this autoencoder"
        )
    if detail_decoder is not None and detail_decoder.config.guide_channels not in (0, SURFACE_FIELDS):
        raise InputError(
            f"the detail decoder is told {detail_decoder.config.guide_channels} maps of the surface, of which there "
            f"are {SURFACE_FIELDS}; pass one that takes those, or none"
        )
    if None not in (upscale_unet, detail_decoder) and upscale_unet.config.factor != detail_decoder.config.factor:
        raise InputError(
            f"the super-resolution UNet enlarges {upscale_unet.config.factor} times, the detail decoder "
            f"{detail_decoder.config.factor} times; pass two that were trained for the same"
        )


def check_tokenizer(tokenizer: CLIPTokenizer) -> None:
    """Raises InputError for a tokenizer that knows no end or no words, or whose table of near words is damaged."""
    if tokenizer.model_max_length > _LONGEST:
        raise InputError(
            "the tokenizer does not say how many tokens are read (model_max_length); copy its folder again"
        )
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise InputError("the tokenizer knows no words; copy its folder again")
    near_words(tokenizer)


def resolve_device(device: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: a device that is unknown, or absent.
    """
    check_device_is_here(device, "device")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def is_load_error(error: Exception) -> bool:
    """Whether an error says that files are no good, and not that the program is; tokenizers' have no class of their
    own."""
    return isinstance(error, LOAD_ERRORS) or type(error) is Exception


def first_line(error: Exception) -> str:
    """What an error of another library says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")


def load_controlnet(model: str | PathLike, **options) -> ControlNetModel:
    """A depth ControlNet from a folder or a Hub id; `options` of diffusers' `from_pretrained`.

    Raises:
        InputError: a folder or Hub id that cannot be loaded.
    """
    is_folder(model)
    try:
        name = ControlNetModel.load_config(model).get("_class_name", ControlNetModel.__name__)
        if name != ControlNetModel.__name__:
            raise InputError(
                f"{shown(str(model), 80)}: a {shown(str(name), 40)} was made for another base than Stable Diffusion "
                "with a UNet; pass a depth ControlNet for this model"
            )
        network = ControlNetModel.from_pretrained(model, **options)
    except InputError:
        raise
    except LOAD_ERRORS as error:
        raise InputError(
            f"{model}: cannot be loaded as a ControlNet ({first_line(error)}); check the name and the network"
        ) from None
    check_loaded(model, network)
    return network


def check_networks(model: str | PathLike, parts: Mapping[str, object], passed: Collection[str]) -> None:
    """Raises InputError for a pipeline's networks for which a model's folder had not all weights; `passed` ones were
    not loaded from there."""
    for name, part in parts.items():
        if isinstance(part, torch.nn.Module) and name not in passed:
            check_loaded(Path(model) / name, part)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Silences progress bars and what the libraries log while a command line loads a model; errors still come up."""
    libraries = [diffusers.utils.logging, transformers.utils.logging]
    hub = huggingface_hub.utils.logging
    levels, waiting = [library.get_verbosity() for library in libraries], hub.get_verbosity()
    hub.set_verbosity_error()
    for library in libraries:
        library.set_verbosity(logging.CRITICAL)
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        hub.set_verbosity(waiting)
        for library, level in zip(libraries, levels, strict=True):
            library.set_verbosity(level)
            library.enable_progress_bar()
