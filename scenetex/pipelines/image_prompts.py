"""Image prompts: a reference image that says what is to be painted, by IP-Adapters of Stable Diffusion 1.5 and XL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.models.embeddings import ImageProjection
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from PIL import Image
from transformers import CLIPVisionModelWithProjection

from ..adapters import Adapter
from ..errors import InputError, shown
from ..files.json_file import read_object
from ..models.multiview_unet import base_unet
from ..models.mvdiffusion_weights import read_weights
from ..scene.image_source import ImageSource, decode_alpha, decode_color, image_header
from .loading import LOAD_ERRORS, first_line
from .weight_files import WeightFile, find_weights
from .whole_model import check_loaded

if TYPE_CHECKING:
    from .consistent_views import ConsistentViews

# Where published folders have their weights, by the base, and the image encoder that they look with.
_USUAL = {
    "sd15": ("ip-adapter_sd15.safetensors", "models/ip-adapter_sd15.safetensors"),
    "sdxl": ("ip-adapter_sdxl.safetensors", "sdxl_models/ip-adapter_sdxl.safetensors"),
}
_ENCODERS = ("image_encoder", "../models/image_encoder", "../sdxl_models/image_encoder")
_ENCODER_FILES = ("config.json", "model.safetensors")
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, of its pixels


def read_reference(path: Path) -> np.ndarray:
    """A reference image, upright, what is transparent in it white: (h, w, 3) uint8 sRGB.

    Raises:
        InputError: a file that cannot be read, or is no image.
    """
    source, label = ImageSource(path), str(path)
    header = image_header(source, label)
    image = decode_color(source, header.size, label, upright=True)  # by the size as it is stored
    opaque = decode_alpha(source, (image.shape[1], image.shape[0]), label)
    return image if opaque is None else np.where(opaque[..., None], image, np.uint8(255))


def load_reference(pipe: "DiffusionPipeline | ConsistentViews", adapter: Adapter, image: np.ndarray) -> None:
    """Has a pipeline go by an image, (h, w, 3) uint8, in all calls that are given none of their own.

    Raises:
        InputError: weights that cannot be read, or were made for another base; a pipeline that takes none.
    """
    inner = getattr(pipe, "pipe", pipe)
    what = shown(adapter.source, 120)
    if not hasattr(inner, "unet") or not hasattr(inner, "load_ip_adapter"):
        raise InputError(
            f"{type(inner).__name__} takes no reference image here; leave --reference out, or choose Stable Diffusion "
            "1.5 or XL"
        )
    base = "sdxl" if getattr(inner, "text_encoder_2", None) is not None else "sd15"
    file = find_weights(adapter.source, "an IP-Adapter", _USUAL[base])
    weights = _read(file.path, what)
    _check_fit(inner, weights, what)
    encoder = _load_encoder(file, weights, what).to(inner.device, inner.unet.dtype)
    inner.register_modules(image_encoder=encoder)
    try:
        inner.load_ip_adapter(weights, None, None, image_encoder_folder=None)
    except LOAD_ERRORS as error:
        raise InputError(
            f"{what}: the IP-Adapter does not fit this model ({first_line(error)}); pass one that was made for its base"
        ) from None
    inner.set_ip_adapter_scale(adapter.weight)
    pipe.reference = image


def pixels_of(image: Any, encoder: CLIPVisionModelWithProjection) -> torch.Tensor:
    """(1, 3, s, s) of what CLIP looks at: the middle of an image, its shorter side resized to s.

    Args:
        image: PIL, or (h, w, 3) uint8 or float 0..1.

    Raises:
        InputError: something else.
    """
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3:
        bytes_ = image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
        image = Image.fromarray(bytes_)
    if not isinstance(image, Image.Image):
        raise InputError(
            f"ip_adapter_image is a {type(image).__name__}; pass a PIL image, or (h, w, 3) uint8 or float 0..1"
        )
    side, (width, height) = encoder.config.image_size, image.size
    scale = side / min(width, height)
    size = max(side, int(width * scale)), max(side, int(height * scale))
    small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in size)
    values = np.asarray(small.crop((left, top, left + side, top + side)), np.float32) / 255
    values = (values - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)[None].to(encoder.device, encoder.dtype)


def embed_images(pipe: DiffusionPipeline, images: Any, halves: int) -> list[torch.Tensor]:
    """What the UNet is told of images, for each IP-Adapter: (g, i, ...) of g guidance halves, the negative one first,
    and i images.

    Args:
        images: one, or a list with an image, or a list of images, for each IP-Adapter.

    Raises:
        InputError: not as many as there are IP-Adapters, or what is no image.
    """
    layers = base_unet(pipe.unet).encoder_hid_proj.image_projection_layers
    images = images if isinstance(images, list | tuple) else [images]
    if len(images) != len(layers):
        raise InputError(f"ip_adapter_image: {len(images)} images for {len(layers)} IP-Adapters; pass one for each")
    if pipe.image_encoder is None:
        raise InputError("ip_adapter_image: the pipeline has no image_encoder; pass ip_adapter_image_embeds instead")
    found = []
    for image, layer in zip(images, layers, strict=True):
        several = image if isinstance(image, list | tuple) else [image]
        pixels = torch.cat([pixels_of(one, pipe.image_encoder) for one in several])
        positive, negative = _encoded(pipe.image_encoder, pixels, isinstance(layer, ImageProjection))
        found.append(torch.stack([negative, positive][-halves:]))
    return found


def given_embeddings(pipe: DiffusionPipeline, embeds: Sequence[torch.Tensor], halves: int) -> list[torch.Tensor]:
    """The same of embeddings as diffusers takes them: for each IP-Adapter (i, ...), or (2 i, ...), negative ones first.

    Raises:
        InputError: not as many as there are IP-Adapters, or of another width.
    """
    layers = base_unet(pipe.unet).encoder_hid_proj.image_projection_layers
    tensors = isinstance(embeds, list | tuple) and all(isinstance(e, torch.Tensor) and e.ndim > 1 for e in embeds)
    if not tensors or len(embeds) != len(layers):
        raise InputError(f"ip_adapter_image_embeds: pass a list with a tensor for each of {len(layers)} IP-Adapters")
    found = []
    for value in embeds:
        value = value.to(pipe.unet.device, pipe.unet.dtype)
        both = value.chunk(2) if halves > 1 and len(value) % 2 == 0 else (torch.zeros_like(value), value)
        found.append(torch.stack(both[-halves:]))
    return found


def _encoded(
    encoder: CLIPVisionModelWithProjection, pixels: torch.Tensor, pooled: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """What an encoder says of images, and of none, as IP-Adapters were trained: pooled, or in all places."""
    if pooled:
        embeds = encoder(pixels).image_embeds
        return embeds, torch.zeros_like(embeds)
    hidden = (encoder(p, output_hidden_states=True).hidden_states[-2] for p in (pixels, torch.zeros_like(pixels)))
    positive, negative = hidden
    return positive, negative


def _read(path: Path, what: str) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of an IP-Adapter in their two parts, as published files hold them, nested or not."""
    flat, _ = read_weights(path)
    parts: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in flat.items() if isinstance(flat, Mapping) else ():
        inside = value.items() if isinstance(value, Mapping) else [(None, value)]
        for key, tensor in inside:
            part, _, rest = (str(name) if key is None else f"{name}.{key}").partition(".")
            if part in parts and isinstance(tensor, torch.Tensor):
                parts[part][rest] = tensor
    if not all(parts.values()):
        raise InputError(f"{what}: holds no IP-Adapter; pass one, with weights named image_proj and ip_adapter")
    for part, tensors in parts.items():
        for key, tensor in tensors.items():
            if not torch.isfinite(tensor.float()).all():
                raise InputError(f"{what}: {part}.{key} has values that are not finite; get the IP-Adapter anew")
    return parts


def _check_fit(pipe: DiffusionPipeline, weights: Mapping[str, Mapping[str, torch.Tensor]], what: str) -> None:
    """Raises InputError for an IP-Adapter of another base, or of a kind that looks at faces alone."""
    if "proj.weight" not in weights["image_proj"] and "latents" not in weights["image_proj"]:
        raise InputError(f"{what}: an IP-Adapter for faces, which looks with other networks; pass a plain or plus one")
    unet = base_unet(pipe.unet)
    ours = {
        tuple(processor_of.shape)
        for name, processor_of in unet.state_dict().items()
        if name.endswith("attn2.to_k.weight") or name.endswith("attn2.to_k.base_layer.weight")
    }
    count = sum(not name.endswith("attn1.processor") for name in unet.attn_processors)
    theirs = [tuple(w.shape) for key, w in weights["ip_adapter"].items() if key.endswith("to_k_ip.weight")]
    if len(theirs) != count or not set(theirs) <= ours:
        sizes = ", ".join(sorted({str(shape[-1]) for shape in theirs}))
        raise InputError(
            f"{what}: the IP-Adapter was made for another base: it has {len(theirs)} layers for texts {sizes} wide, "
            f"this model {count} for {unet.config.cross_attention_dim}; pass one for this model"
        )


def _load_encoder(
    file: WeightFile, weights: Mapping[str, Mapping[str, torch.Tensor]], what: str
) -> CLIPVisionModelWithProjection:
    """The image encoder that lies beside an IP-Adapter and is of the width that it was trained with."""
    pooled = "proj.weight" in weights["image_proj"]
    wanted = weights["image_proj"]["proj.weight" if pooled else "proj_in.weight"].shape[1]
    setting = "projection_dim" if pooled else "hidden_size"
    seen: Sequence[str] = ()
    for folder in _ENCODERS:
        config = file.beside(f"{folder}/{_ENCODER_FILES[0]}")
        if config is None:
            continue
        try:
            width = read_object(config).get(setting)
            if width == wanted and file.beside(f"{folder}/{_ENCODER_FILES[1]}") is not None:
                encoder = CLIPVisionModelWithProjection.from_pretrained(config.parent, use_safetensors=True).eval()
                check_loaded(config.parent, encoder)
                return encoder
        except InputError:
            raise
        except LOAD_ERRORS as error:
            raise InputError(
                f"{config.parent}: cannot be loaded as an image encoder ({first_line(error)}); copy it again"
            ) from None
        seen = (*seen, f"{folder} of {width}")
    raise InputError(
        f"{what}: no image_encoder with a {setting} of {wanted} beside the IP-Adapter"
        f"{' (' + ', '.join(seen) + ')' if seen else ''}; copy that folder, too"
    )
