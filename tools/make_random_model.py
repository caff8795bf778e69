"""Writes a model folder of random weights in the layout of a published one: same files, keys, shapes and settings.

    python tools/make_random_model.py sd2-depth models/random
    scenetex texture scans/kitchen --prompt "a kitchen" --model models/random/model

The paths that real weights take, at their real size, where these cannot be had. Images are noise. With `--width tenth`
everything is as deep, but about a tenth as wide. The safety checker, which is never loaded, is left out.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import diffusers
import torch
import transformers
import tyro
from safetensors.torch import save_file

from scenetex.cli.guarded import guarded
from scenetex.cli.parsing import parse
from scenetex.models import MultiViewUNet
from scenetex.process.console import say
from scenetex.process.interrupt import as_process

Kind = Literal["sd2-depth", "sd15-controlnet", "sdxl-controlnet", "mvdiffusion", "lora", "ip-adapter"]
Width = Literal["full", "tenth"]

_VOCABULARY = 49408
_UNET = dict(sample_size=64, in_channels=4, layers_per_block=2)
# What models of each width have, by part; of the configurations in the published folders, what is not the class's own.
UNETS: dict[str, dict[str, dict[str, Any]]] = {
    "sd2": {
        "full": dict(
            block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20)
        ),
        "tenth": dict(block_out_channels=(32, 64, 128, 128), cross_attention_dim=96, attention_head_dim=(1, 2, 4, 4)),
        "both": _UNET | dict(use_linear_projection=True),
    },
    "sd15": {
        "full": dict(block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768),
        "tenth": dict(block_out_channels=(32, 64, 128, 128), cross_attention_dim=80),
        "both": _UNET | dict(attention_head_dim=8),
    },
    "sdxl": {
        "full": dict(
            block_out_channels=(320, 640, 1280),
            cross_attention_dim=2048,
            attention_head_dim=(5, 10, 20),
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        ),
        "tenth": dict(
            block_out_channels=(32, 64, 128),
            cross_attention_dim=208,
            attention_head_dim=(1, 2, 4),
            addition_time_embed_dim=24,
            projection_class_embeddings_input_dim=272,
        ),
        "both": dict(
            _UNET,
            sample_size=128,
            use_linear_projection=True,
            addition_embed_type="text_time",
            transformer_layers_per_block=(1, 2, 10),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        ),
    },
}
# Width, layers, heads, activation and width of the pooled embedding of the text encoders.
TEXTS: dict[str, dict[str, tuple[int, int, int, str, int]]] = {
    "sd2": {"full": (1024, 23, 16, "gelu", 512), "tenth": (96, 23, 4, "gelu", 48)},
    "sd15": {"full": (768, 12, 12, "quick_gelu", 768), "tenth": (80, 12, 4, "quick_gelu", 80)},
    "sdxl": {"full": (1280, 32, 20, "gelu", 1280), "tenth": (128, 32, 4, "gelu", 128)},
}
_VAE = {"full": (128, 256, 512, 512), "tenth": (32, 32, 64, 64)}


@dataclass
class Arguments:
    """Writes a model folder of random weights in the layout of a published one."""

    kind: tyro.conf.Positional[Kind]
    """sd2-depth, sd15-controlnet, sdxl-controlnet, or mvdiffusion: a Lightning checkpoint to put into sd2-depth; lora
    or ip-adapter: weights to add to a model of --base."""
    output: tyro.conf.Positional[Path]
    """Folder to write to: model/, and for some kinds controlnet/ or depth.ckpt beside it; for lora and ip-adapter the
    published files alone."""
    width: Width = "full"
    """full, or tenth."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Precision of the weights."""
    seed: int = 0
    """Of the weights."""
    base: Literal["sd2", "sd15", "sdxl"] = "sd15"
    """What lora and ip-adapter are for."""


def make_unet(name: str, width: Width, **change: Any) -> diffusers.UNet2DConditionModel:
    """The UNet of sd2, sd15 or sdxl."""
    return diffusers.UNet2DConditionModel(**UNETS[name]["both"] | UNETS[name][width] | change)


def make_text_encoder(name: str, width: Width, projected: bool = False) -> transformers.PreTrainedModel:
    """The text encoder of sd2 or sd15; for sdxl its second one, the first is that of sd15. `projected`: with a pooled
    embedding in any case, as Stable Diffusion 3 has them."""
    size, layers, heads, activation, pooled = TEXTS[name][width]
    config = transformers.CLIPTextConfig(
        vocab_size=_VOCABULARY,
        hidden_size=size,
        intermediate_size=4 * size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        projection_dim=pooled,
        bos_token_id=_VOCABULARY - 2,
        eos_token_id=_VOCABULARY - 1,
        pad_token_id=1,
    )
    pools = projected or name == "sdxl"
    kind = transformers.CLIPTextModelWithProjection if pools else transformers.CLIPTextModel
    return kind(config)


def make_vae(name: str, width: Width, **change: Any) -> diffusers.AutoencoderKL:
    """The autoencoder of sd2, sd15 or sdxl; `change` as of its configuration."""
    own = dict(scaling_factor=0.13025, sample_size=1024) if name == "sdxl" else dict(scaling_factor=0.18215)
    return diffusers.AutoencoderKL(
        **{"sample_size": 768 if name == "sd2" else 512, "force_upcast": name == "sdxl"} | own | change,
        block_out_channels=_VAE[width],
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )


def make_depth_estimator(width: Width) -> transformers.DPTForDepthEstimation:
    """What Stable Diffusion 2 depth brings to guess depth, which nobody asks it here."""
    full = width == "full"
    return transformers.DPTForDepthEstimation(
        transformers.DPTConfig(
            is_hybrid=True,
            backbone_config=dict(
                model_type="bit",
                layer_type="bottleneck",
                global_padding="same",
                embedding_dynamic_padding=True,
                depths=[3, 4, 9],
                out_features=["stage1", "stage2", "stage3"],
                **({} if full else dict(embedding_size=16, hidden_sizes=[32, 64, 128], num_groups=8)),
            ),
            backbone_featmap_shape=[1, 1024 if full else 128, 24, 24],
            hidden_size=768 if full else 96,
            intermediate_size=3072 if full else 384,
            num_attention_heads=12,
            neck_hidden_sizes=[256, 512, 768, 768] if full else [32, 64, 96, 96],
            fusion_hidden_size=256 if full else 32,
            readout_type="project",
            reassemble_factors=[1, 1, 1, 0.5],
            neck_ignore_stages=[0, 1],
        )
    )


def tokenizer_files(length: int = 77) -> dict[str, str]:
    """The published files of a tokenizer with as many tokens as the published ones, of which the merged ones are pairs
    of letters in a row, not words."""
    letters = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters += [chr(256 + i) for i in range(256 - len(letters))]
    single = [*letters, *(f"{letter}</w>" for letter in letters)]
    pairs = [(a, b) for a in letters for b in single][: _VOCABULARY - 2 - len(single)]
    start, end = "<|startoftext|>", "<|endoftext|>"
    words = [*single, *("".join(pair) for pair in pairs), start, end]
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end}
    config = special | {"model_max_length": length, "tokenizer_class": "CLIPTokenizer"}
    return {
        "vocab.json": json.dumps({word: i for i, word in enumerate(words)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs),
        "special_tokens_map.json": json.dumps(special, indent=2),
        "tokenizer_config.json": json.dumps(config, indent=2),
    }


def make_tokenizer(length: int = 77) -> transformers.CLIPTokenizer:
    """That of `tokenizer_files`."""
    with tempfile.TemporaryDirectory() as folder:
        _write_texts(Path(folder), tokenizer_files(length))
        return transformers.CLIPTokenizer.from_pretrained(folder)


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def make_controlnet(unet: diffusers.UNet2DConditionModel) -> diffusers.ControlNetModel:
    """A depth ControlNet for a UNet, whose last layers, zeros at the start of training, are random, too."""
    control = diffusers.ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    for weight in control.parameters():
        if not weight.is_meta and not weight.any():
            torch.nn.init.normal_(weight, std=0.02)
    return control


def mvdiffusion_weights(width: Width) -> dict[str, torch.Tensor]:
    """State dict of MVDiffusion's released depth model, by the released names."""
    config = {**UNETS["sd2"]["both"], **UNETS["sd2"][width], "in_channels": 5, "out_channels": 4}
    model = MultiViewUNet(config, kind="depth", residual_blocks=True, condition_channels=5)
    weights = {f"mv_base_model.{_released(name)}": weight for name, weight in model.state_dict().items()}
    return {k: w.reshape(1, 1, -1) if k.endswith("freq_bands") else w for k, w in weights.items()}


def _released(name: str) -> str:
    """The released name of a part of our model."""
    for ours, theirs in _RELEASED_PLACES.items():
        if name.startswith(ours):
            name = theirs + name.removeprefix(ours)
            break
    else:
        return name
    if "cp_blocks" not in name:
        return name
    for ours, theirs in _RELEASED_PARTS.items():
        if ours in name:
            return name.replace(ours, theirs)
    return name


_RELEASED_PLACES = {
    "down_correspondence.": "cp_blocks_encoder.",
    "mid_correspondence.": "cp_blocks_mid.",
    "up_correspondence.": "cp_blocks_decoder.",
    "condition_branch.conv_in.": "condition_conv_in.",
    "condition_branch.down.": "condition_downblocks.",
    "condition_branch.up.": "condition_upblocks.",
}
_RELEASED_PARTS = {
    "attention.bands": "attn1.pe.freq_bands",
    "attention.norm.": "attn1.transformer.norm1.",
    "attention.": "attn1.transformer.attn1.",
    "feed_forward.": "attn1.transformer.ff.",
    "residual.norm": "resnet.bn",
    "residual.": "resnet.",
    ".norm.": ".attn1.transformer.norm2.",
}


def lora_weights(unet: diffusers.UNet2DConditionModel, rank: int = 4) -> dict[str, torch.Tensor]:
    """A LoRA for a UNet, of the layers and names that LCM-LoRA has, as it is published."""
    weights = {}
    for name, module in unet.named_modules():
        if name.endswith(_LORA_LAYERS):
            out, into, *kernel = module.weight.shape
            key = f"lora_unet_{name.replace('.', '_')}"
            weights[f"{key}.lora_down.weight"] = torch.randn(rank, into, *kernel) / into**0.5
            weights[f"{key}.lora_up.weight"] = torch.randn(out, rank, *[1] * len(kernel)) * 0.1
            weights[f"{key}.alpha"] = torch.tensor(float(rank))
    return weights


_LORA_LAYERS = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
)


def make_image_encoder(width: Width) -> transformers.CLIPVisionModelWithProjection:
    """What IP-Adapters for Stable Diffusion 1.5 look at images with."""
    full = width == "full"
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=1280 if full else 64,
            intermediate_size=5120 if full else 128,
            num_hidden_layers=32 if full else 2,
            num_attention_heads=16 if full else 4,
            image_size=224 if full else 56,
            patch_size=14,
            projection_dim=1024 if full else 48,
            hidden_act="gelu",
        )
    )


def ip_adapter_weights(
    unet: diffusers.UNet2DConditionModel, encoder: transformers.CLIPVisionModelWithProjection
) -> dict[str, torch.Tensor]:
    """An IP-Adapter for a UNet, by the published names: layers are numbered as attention is, of which every second one
    reads the prompt."""
    text, seen = unet.config.cross_attention_dim, encoder.config.projection_dim
    weights = {
        "image_proj.proj.weight": torch.randn(4 * text, seen) / seen**0.5,
        "image_proj.proj.bias": torch.zeros(4 * text),
        "image_proj.norm.weight": torch.ones(text),
        "image_proj.norm.bias": torch.zeros(text),
    }
    modules = dict(unet.named_modules())
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(crossing):
        inner = modules[name.removesuffix(".processor")].to_k.weight.shape[0]
        for part in ("to_k_ip", "to_v_ip"):
            weights[f"ip_adapter.{2 * number + 1}.{part}.weight"] = torch.randn(inner, text) / text**0.5
    return weights


def _scheduler(**change: Any) -> Mapping[str, Any]:
    """Settings that all of these schedulers share."""
    return dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1) | change


def make_pipeline(kind: Kind, width: Width) -> diffusers.DiffusionPipeline:
    """The model itself; its ControlNet is made apart."""
    name = {"sd2-depth": "sd2", "sd15-controlnet": "sd15", "sdxl-controlnet": "sdxl", "mvdiffusion": "sd2"}[kind]
    parts: dict[str, Any] = {"vae": make_vae(name, width), "tokenizer": make_tokenizer()}
    ddim = dict(clip_sample=False, set_alpha_to_one=False)
    if name == "sd2":
        return diffusers.StableDiffusionDepth2ImgPipeline(
            **parts,
            unet=make_unet(name, width, in_channels=5),
            text_encoder=make_text_encoder(name, width),
            scheduler=diffusers.DDIMScheduler(**_scheduler(**ddim)),
            depth_estimator=make_depth_estimator(width),
            feature_extractor=transformers.DPTImageProcessor(),
        )
    if name == "sd15":
        return diffusers.StableDiffusionPipeline(
            **parts,
            unet=make_unet(name, width),
            text_encoder=make_text_encoder(name, width),
            scheduler=diffusers.PNDMScheduler(**_scheduler(skip_prk_steps=True, set_alpha_to_one=False)),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return diffusers.StableDiffusionXLPipeline(
        **parts,
        unet=make_unet(name, width),
        text_encoder=make_text_encoder("sd15", width),
        text_encoder_2=make_text_encoder(name, width),
        tokenizer_2=make_tokenizer(),
        scheduler=diffusers.EulerDiscreteScheduler(**_scheduler(timestep_spacing="leading")),
    )


def write(
    kind: Kind,
    output: Path,
    width: Width = "full",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    base: str = "sd15",
) -> None:
    """Writes model/, and controlnet/ or depth.ckpt, into a folder; or what is to be added to a model of `base`."""
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # so that nothing is made in a wider one first
    try:
        if kind in ("lora", "ip-adapter"):
            _write_addition(kind, output, width, base)
            return
        pipe = make_pipeline(kind, width)
        pipe.save_pretrained(output / "model")
        for folder in (output / "model").glob("tokenizer*"):
            (folder / "tokenizer.json").unlink(missing_ok=True)  # what transformers writes now
            _write_texts(folder, tokenizer_files())
        if "controlnet" in kind:
            make_controlnet(pipe.unet).save_pretrained(output / "controlnet")
        if kind == "mvdiffusion":
            del pipe
            content = {"epoch": 9, "global_step": 1, "pytorch-lightning_version": "1.9.0"}
            torch.save(content | {"state_dict": mvdiffusion_weights(width)}, output / "depth.ckpt")
    finally:
        torch.set_default_dtype(before)


def _write_addition(kind: Kind, output: Path, width: Width, base: str) -> None:
    """Writes what is to be added to a model, as its folder is published."""
    with torch.device("meta"):
        unet = make_unet(base, width, **({"in_channels": 5} if base == "sd2" else {}))
    if kind == "lora":
        output.mkdir(parents=True, exist_ok=True)
        save_file(lora_weights(unet), output / "pytorch_lora_weights.safetensors")
        return
    folder = output / ("sdxl_models" if base == "sdxl" else "models")
    encoder = make_image_encoder(width)
    encoder.save_pretrained(folder / "image_encoder")
    save_file(ip_adapter_weights(unet, encoder), folder / f"ip-adapter_{base}.safetensors")


def main() -> int:
    """Runs the command; the exit code."""

    def work() -> int:
        arguments = parse(Arguments, "make_random_model", None)
        dtype = getattr(torch, arguments.dtype)
        write(arguments.kind, arguments.output, arguments.width, dtype, arguments.seed, arguments.base)
        say(f"{arguments.output}: {arguments.kind}, {arguments.width} width, random weights")
        return 0

    return guarded("make_random_model", work)


if __name__ == "__main__":
    sys.exit(as_process(main))
