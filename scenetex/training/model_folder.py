"""Model folders in diffusers layout: what training starts from and what it leaves behind."""

from pathlib import Path

from diffusers import AutoencoderKL, UNet2DConditionModel

from ..errors import InputError
from ..files.folders import check_folder
from ..files.output import output_folder
from ..models import PatchAutoencoder, SurfaceAutoencoder
from ..pipelines import MVDiffusionPipeline
from ..pipelines.loading import LOAD_ERRORS, first_line, quiet_loading
from ..pipelines.multiview import MultiViewPipeline
from ..pipelines.whole_model import check_loaded
from .checkpoint import disk_errors

MODEL = "model"  # what output folders of models are called in their lists
_INDEX = "model_index.json"
_SETTINGS = ("convention", "empty_condition", "partial_condition", "guided_blocks", "default_steps", "default_guidance")


def is_pipeline(model: str) -> bool:
    """Whether `model` is a whole pipeline, a folder or a Hub id, rather than the folder of an autoencoder."""
    return not Path(model).is_dir() or (Path(model) / _INDEX).is_file()


def load_pipeline(model: str, kind: type[MultiViewPipeline] = MVDiffusionPipeline) -> MultiViewPipeline:
    """The pipeline in a folder, or of a Hub id, as one of class `kind`.

    Raises:
        InputError: it cannot be loaded, or is of a kind that cannot be trained.
    """
    with quiet_loading():
        pipe = kind.from_pretrained(model)
    if pipe.text_encoder_2 is not None:
        raise InputError(f"{model}: Stable Diffusion XL cannot be trained; start from one with a single text encoder")
    return pipe


def load_autoencoder(model: str) -> AutoencoderKL:
    """The autoencoder of a model folder, or in a folder of its own.

    Raises:
        InputError: there is none.
    """
    folder = Path(model) / "vae" if (Path(model) / "vae").is_dir() else Path(model)
    check_folder(folder)
    try:
        name = AutoencoderKL.load_config(folder, local_files_only=True).get("_class_name")
        kind = {k.__name__: k for k in (PatchAutoencoder, SurfaceAutoencoder)}.get(name, AutoencoderKL)
        with quiet_loading():
            vae = kind.from_pretrained(folder, local_files_only=True)
        check_loaded(folder, vae)
        return vae
    except InputError:
        raise
    except LOAD_ERRORS as error:
        raise InputError(
            f"{folder}: holds no autoencoder that can be loaded ({first_line(error)}); train one first"
        ) from None


def load_unet(folder: Path) -> UNet2DConditionModel:
    """The UNet in a folder.

    Raises:
        InputError: there is none.
    """
    check_folder(folder)
    try:
        with quiet_loading():
            unet = UNet2DConditionModel.from_pretrained(folder, local_files_only=True)
        check_loaded(folder, unet)
        return unet
    except InputError:
        raise
    except LOAD_ERRORS as error:
        raise InputError(
            f"{folder}: holds no UNet that can be loaded ({first_line(error)}); pass the unet folder of a model"
        ) from None


def with_parts(pipe: MultiViewPipeline, **changes) -> MultiViewPipeline:
    """The pipeline with other parts, or other values of what it was made with."""
    config = {name: pipe.config[name] for name in _SETTINGS}
    return type(pipe)(**pipe.components | config | changes)


def save_pipeline(output: Path, pipe: MultiViewPipeline) -> None:
    """Writes a pipeline's folder, which appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with output_folder(output, MODEL) as partial, disk_errors(), quiet_loading():
        pipe.save_pretrained(partial)


def save_autoencoder(output: Path, vae: AutoencoderKL) -> None:
    """Writes a folder with an autoencoder in ``vae``; as `save_pipeline`."""
    with output_folder(output, MODEL) as partial, disk_errors(), quiet_loading():
        vae.save_pretrained(partial / "vae")
