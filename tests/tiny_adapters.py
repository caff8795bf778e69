"""LoRAs and IP-Adapters of random weights, in published layouts, for the tiny pipelines."""

import importlib.util
from pathlib import Path

import torch
from safetensors.torch import save_file

from scenetex.models.multiview_unet import base_unet

FILE = Path(__file__).resolve().parents[1] / "tools" / "make_random_model.py"
spec = importlib.util.spec_from_file_location("make_random_model", FILE)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def kohya(network) -> dict[str, torch.Tensor]:
    """As LCM-LoRA is published."""
    return tool.lora_weights(base_unet(network), 2)


def diffusers_old(network) -> dict[str, torch.Tensor]:
    """As diffusers' training scripts wrote them."""
    return {f"unet.{n}.lora.{part}.weight": w for n, part, w in _layers(network, ("to_q", "to_v"), ("down", "up"))}


def peft(network, part: str = "unet") -> dict[str, torch.Tensor]:
    """As they write them now, for UNets and transformers."""
    ends = ("to_q", "to_v", "attention.to_k", "to_out.0")
    return {f"{part}.{n}.lora_{letter}.weight": w for n, letter, w in _layers(network, ends, ("A", "B"))}


def _layers(network, ends, names):
    torch.manual_seed(5)
    for name, module in base_unet(network).named_modules():
        if name.endswith(ends) and hasattr(module, "weight"):
            out, into = module.weight.shape[:2]
            yield name, names[0], torch.randn(2, into) / into**0.5
            yield name, names[1], torch.randn(out, 2) * 0.3


FORMATS = {"kohya": kohya, "diffusers": diffusers_old, "peft": peft}


def write_lora(weights: dict[str, torch.Tensor], folder: Path) -> Path:
    """A folder with a LoRA in it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, folder / "pytorch_lora_weights.safetensors"
    )
    return folder


def write_ip_adapter(unet, folder: Path, base: str = "sd15") -> Path:
    """A folder as h94/IP-Adapter's, for a UNet."""
    torch.manual_seed(6)
    inner = folder / ("sdxl_models" if base == "sdxl" else "models")
    encoder = tool.make_image_encoder("tenth")
    encoder.save_pretrained(inner / "image_encoder")
    save_file(tool.ip_adapter_weights(base_unet(unet), encoder), inner / f"ip-adapter_{base}.safetensors")
    return folder
