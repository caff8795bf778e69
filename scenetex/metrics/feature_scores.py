"""FID, Inception Score and CLIP score by torchmetrics, with weights from local files: nothing is downloaded."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import PICKLE_DAMAGE, InputError, extra
from ..files.folders import check_folder
from ..limits import check_text
from ..process.memory import ran_out

_TOGETHER = 16  # images that a network works on at a time
_SPLITS = 10
_INCEPTION = (
    "download weights-inception-2015-12-05-6726825d.pth of torch-fidelity's release v0.2.0 on GitHub, and pass its path"
)
_CLIP = "download a CLIP model, such as openai/clip-vit-large-patch14 from the Hub, and pass its folder"


def frechet_distance(real: Sequence[np.ndarray], images: Sequence[np.ndarray], weights: str | Path) -> float:
    """Frechet Inception distance (Heusel et al. 2017) of images to real ones, 2,048 features; lower is better.

    It is biased upwards for few images: compare only sets of the same number, best of thousands.

    Args:
        real, images: at least 2 images each, (h, w, 3) uint8.
        weights: file of the Inception v3 that FID is defined by, as torch-fidelity publishes it.

    Raises:
        InputError: torchmetrics or torch-fidelity are missing, fewer images, a weight file that is absent or another's.
    """
    _check_count("FID", 2, real, images)
    network = _inception(weights, "2048")
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=network)
    for pictures, is_real in ((real, True), (images, False)):
        for batch in _batches(pictures):
            metric.update(batch, real=is_real)
    return float(metric.compute())


def inception_score(images: Sequence[np.ndarray], weights: str | Path) -> tuple[float, float]:
    """Inception Score (Salimans et al. 2016): mean and standard deviation over ten splits; higher is better.

    Args and Raises as in `frechet_distance`; of fewer than 20 images there is one split, deviation NaN.
    """
    _check_count("Inception Score", 2, images)
    network = _inception(weights, "logits_unbiased")
    import torch
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it keeps the features of all images
        metric = InceptionScore(feature=network, splits=_SPLITS if len(images) >= 2 * _SPLITS else 1)
        for batch in _batches(images):
            metric.update(batch)
        # The splits are drawn from torch's global generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mean, deviation = metric.compute()
    return float(mean), float(deviation)


def clip_score(images: Sequence[np.ndarray], prompts: Sequence[str], model: str | Path) -> float:
    """CLIP score (Hessel et al. 2021): mean of 100 cos(image, prompt), at least 0; higher is better.

    Args:
        images: (h, w, 3) uint8.
        prompts: one per image.
        model: folder of a CLIP model in transformers layout.

    Raises:
        InputError: torchmetrics is missing, numbers that differ, a folder that is absent or holds another model.
    """
    metrics = _torchmetrics()
    _check_count("CLIP score", 1, images)
    if len(prompts) != len(images):
        raise InputError(f"CLIP score: {len(prompts)} prompts for {len(images)} images; pass one per image")
    for prompt in prompts:
        check_text(prompt, "prompt")
    if not Path(model).is_dir():
        raise InputError(f"{model}: no such folder; {_CLIP}")
    metric = metrics.multimodal.CLIPScore(model_name_or_path=lambda: _clip(model))
    for start, batch in zip(range(0, len(images), _TOGETHER), _batches(images), strict=True):
        metric.update(batch, list(prompts[start : start + _TOGETHER]))
    return float(metric.compute())


def _torchmetrics():
    try:
        import torchmetrics.multimodal
    except (ImportError, RuntimeError) as error:
        raise _not_importable(error) from None
    return torchmetrics


def _not_importable(error: Exception) -> InputError:
    # A torchvision that was built for another torch raises RuntimeError.
    return InputError(
        f"torchmetrics and torch-fidelity cannot be imported ({str(error).splitlines()[0]}); "
        f"{extra('metrics')}, with a torchvision of the same build as torch"
    )


def _check_count(name: str, least: int, *sets: Sequence[np.ndarray]) -> None:
    for images in sets:
        if len(images) < least:
            raise InputError(f"{name}: {len(images)} images are too few; pass at least {least}")


def _batches(images: Sequence[np.ndarray]):
    """(n, 3, h, w) uint8 tensors of up to 16 images."""
    import torch

    for start in range(0, len(images), _TOGETHER):
        stack = np.stack([np.asarray(image) for image in images[start : start + _TOGETHER]])
        yield torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def _inception(weights: str | Path, feature: str):
    """The network FID is defined by, which gives `feature`."""
    _torchmetrics()
    try:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: F401
        from torchmetrics.image.fid import NoTrainInceptionV3
    except (ImportError, RuntimeError) as error:
        raise _not_importable(error) from None
    if not Path(weights).is_file():
        raise InputError(f"{weights}: no such file; {_INCEPTION}")
    try:
        # torch-fidelity would run what a pickle asks for: a file with anything but tensors stops here.
        torch.load(weights, map_location="cpu", weights_only=True)
        network = NoTrainInceptionV3("inception-v3-compat", [feature], str(weights))
    except PICKLE_DAMAGE as error:
        if ran_out(error, 4 * Path(weights).stat().st_size):
            raise
        raise InputError(f"{weights}: does not hold the weights of FID's Inception v3; {_INCEPTION}") from None
    network.num_features = 2048  # else FID tries a picture to find out
    return network


def _clip(folder: str | Path):
    """Model and processor for torchmetrics."""
    from transformers import CLIPModel, CLIPProcessor

    class Features(CLIPModel):
        """Newer transformers return the projected features as `pooler_output`, torchmetrics takes them bare."""

        def get_image_features(self, *args, **kwargs):
            return _bare(super().get_image_features(*args, **kwargs))

        def get_text_features(self, *args, **kwargs):
            return _bare(super().get_text_features(*args, **kwargs))

    from ..pipelines.loading import LOAD_ERRORS, first_line, quiet_loading

    check_folder(folder)
    try:
        with quiet_loading():
            model = Features.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
            return model, CLIPProcessor.from_pretrained(str(folder), local_files_only=True)
    except LOAD_ERRORS as error:
        raise InputError(f"{folder}: cannot be loaded as a CLIP model ({first_line(error)}); {_CLIP}") from None


def _bare(features):
    return getattr(features, "pooler_output", features)
