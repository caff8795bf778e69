"""A tiny Stable Diffusion of random weights, a tiny room for it, and calls of the two."""

import json

import numpy as np
import tiny_scan
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from tiny_unet import make_model, make_unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scenetex.models import MultiViewUNet
from scenetex.pipelines import MVDiffusionPipeline
from scenetex.scene.mesh import Mesh
from scenetex.views.viewset import ViewSet, cast_views

SIZE = (64, 48)


def make_tokenizer(folder) -> CLIPTokenizer:
    """Knows every letter and nothing else."""
    letters = [chr(c) for c in range(97, 123)]
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 16, "tokenizer_class": "CLIPTokenizer"})
    )
    return CLIPTokenizer.from_pretrained(folder)


def text_config(**change) -> CLIPTextConfig:
    options = dict(vocab_size=54, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4)
    return CLIPTextConfig(**options, max_position_embeddings=16, bos_token_id=52, eos_token_id=53, **change)


def make_parts(folder) -> dict:
    """All parts of a pipeline but the UNet."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=2,
        layers_per_block=1,
        sample_size=64,
    ).eval()
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False)
    return {
        "vae": vae,
        "text_encoder": CLIPTextModel(text_config()).eval(),
        "tokenizer": make_tokenizer(folder),
        "scheduler": scheduler,
    }


def make_pipeline(folder, unet=None, **change) -> MVDiffusionPipeline:
    """With a `MultiViewUNet` whose blocks have random weights, unless another UNet is passed."""
    pipe = MVDiffusionPipeline(**{**make_parts(folder), "unet": make_model() if unet is None else unet, **change})
    pipe.set_progress_bar_config(disable=True)
    return pipe


def room_views(m: int = 4, step: float = 0.25, size=SIZE) -> ViewSet:
    """Views of the room of `tiny_scan` that turn by `step` radians and move a little."""
    poses = np.stack([tiny_scan.look(step * i, (0.1 * np.cos(i), 0.1 * np.sin(i), 0.05 * (i % 3))) for i in range(m)])
    intrinsics = tiny_scan.INTRINSICS.copy()
    intrinsics[:2] *= size[0] / 64
    mesh = Mesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES)
    return cast_views(mesh, np.stack([intrinsics] * m), poses, size, tuple(range(0, 10 * m, 10)))


def some_of(views: ViewSet, which) -> ViewSet:
    """Views in another order, or some of them."""
    which = list(which)
    return ViewSet(
        tuple(views.frame_ids[i] for i in which),
        views.intrinsics[which],
        views.cam_to_world[which],
        views.depth[which],
        views.face_id[which],
        views.face_normals,
    )


def run(pipe, views, prompt="a red room", seed=0, steps=3, **options) -> np.ndarray:
    """Images (m, H, W, 3) of a seeded call."""
    generator = torch.Generator().manual_seed(seed)
    return pipe(prompt, views, num_inference_steps=steps, generator=generator, **options).images


__all__ = [
    "MVDiffusionPipeline",
    "MultiViewUNet",
    "make_parts",
    "make_pipeline",
    "make_unet",
    "room_views",
    "run",
    "some_of",
    "text_config",
]
