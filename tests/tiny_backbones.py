"""Pipelines of diffusers with a depth ControlNet, of random weights and of a size for tests."""

import diffusers
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
from tiny_pipeline import make_parts, make_tokenizer, make_unet, text_config
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def letters(length: int = 16) -> PreTrainedTokenizerFast:
    """A tokenizer that knows every letter and nothing else."""
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *(chr(c) for c in range(97, 123))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    named = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **named)
    made.chat_template = TEMPLATE
    return made


def make_vae(channels: int = 4, **change) -> AutoencoderKL:
    """Makes images of 4 pixels a cell; `change` as of its configuration."""
    options = dict(
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=2,
        layers_per_block=1,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.06,
        scaling_factor=1.5,
    )
    return AutoencoderKL(**options | {"latent_channels": channels} | change).eval()


def woken(network: torch.nn.Module) -> torch.nn.Module:
    """A ControlNet, whose output layers start at zero, with small random weights in their place."""
    for weight in network.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.05)
    return network.eval()


def stable_diffusion_3(folder):
    sizes = dict(sample_size=32, patch_size=2, in_channels=8, num_layers=2, attention_head_dim=8)
    sizes |= dict(num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=64)
    encoders = [CLIPTextModelWithProjection(text_config(projection_dim=32)).eval() for _ in range(2)]
    return diffusers.StableDiffusion3ControlNetPipeline(
        transformer=diffusers.SD3Transformer2DModel(out_channels=8, **sizes).eval(),
        controlnet=woken(diffusers.SD3ControlNetModel(force_zeros_for_pooled_projection=False, **sizes)),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make_vae(8),
        text_encoder=encoders[0],
        tokenizer=make_tokenizer(folder / "first"),
        text_encoder_2=encoders[1],
        tokenizer_2=make_tokenizer(folder / "second"),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def stable_diffusion_3_5(folder):
    """With the normalisation and the second attention that it has beside 3's."""
    pipe = stable_diffusion_3(folder)
    options = {**pipe.transformer.config, "qk_norm": "rms_norm", "dual_attention_layers": (0,)}
    pipe.transformer = diffusers.SD3Transformer2DModel.from_config(options).eval()
    return pipe


def _flux_parts(folder, in_channels: int):
    sizes = dict(patch_size=1, in_channels=in_channels, num_layers=1, num_single_layers=1, attention_head_dim=16)
    sizes |= dict(num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8])
    t5 = T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    parts = dict(
        transformer=diffusers.FluxTransformer2DModel(guidance_embeds=True, out_channels=16, **sizes).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=make_vae(4),
        text_encoder=CLIPTextModel(text_config()).eval(),
        tokenizer=make_tokenizer(folder / "clip"),
        text_encoder_2=T5EncoderModel(t5).eval(),
        tokenizer_2=letters(),
    )
    return parts, sizes


def flux(folder):
    parts, sizes = _flux_parts(folder, 16)
    control = diffusers.FluxControlNetModel(guidance_embeds=True, **sizes)
    return diffusers.FluxControlNetPipeline(controlnet=woken(control), **parts)


def flux_depth(folder):
    """FLUX.1 Depth, whose transformer itself takes the control image."""
    return diffusers.FluxControlPipeline(**_flux_parts(folder, 32)[0])


def z_image(folder):
    common = dict(all_patch_size=(2,), all_f_patch_size=(1,), dim=32, n_refiner_layers=1, n_heads=2, n_kv_heads=2)
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4, n_layers=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[256, 64, 64], **common
    )
    control = diffusers.ZImageControlNetModel(
        control_layers_places=[0, 1], control_refiner_layers_places=[0], control_in_dim=4, **common
    )
    text = Qwen3Config(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        head_dim=8,
        num_key_value_heads=2,
    )
    for network in (transformer, control):
        for name, weight in network.named_parameters():
            if "pad_token" in name:
                torch.nn.init.normal_(weight, std=0.02)
    return diffusers.ZImageControlNetPipeline(
        transformer=transformer.eval(),
        controlnet=woken(control),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make_vae(4),
        text_encoder=Qwen3Model(text).eval(),
        tokenizer=letters(),
    )


def qwen_image(folder):
    sizes = dict(patch_size=2, in_channels=16, num_layers=2, attention_head_dim=16, num_attention_heads=2)
    sizes |= dict(out_channels=4, joint_attention_dim=16, axes_dims_rope=(8, 4, 4))
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    text = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=64)
    sight = dict(depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=16)
    config = Qwen2_5_VLConfig(
        text_config=text | dict(num_key_value_heads=2, rope_scaling=rope, rope_theta=1e6),
        vision_config=sight,
        vocab_size=64,
        vision_end_token_id=1,
        vision_start_token_id=1,
        vision_token_id=1,
    )
    channels = dict(latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[1.5, 2.0, 1.0, 0.5])
    return diffusers.QwenImageControlNetPipeline(
        transformer=diffusers.QwenImageTransformer2DModel(guidance_embeds=False, **sizes).eval(),
        controlnet=woken(diffusers.QwenImageControlNetModel(**sizes)),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=24, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True], **channels
        ).eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=letters(1024),
    )


def stable_diffusion(folder):
    parts, unet = make_parts(folder), make_unet(in_channels=4)
    return diffusers.StableDiffusionControlNetPipeline(
        **parts,
        unet=unet,
        controlnet=woken(diffusers.ControlNetModel.from_unet(unet)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


BACKBONES = {
    "Stable Diffusion": stable_diffusion,
    "Stable Diffusion 3": stable_diffusion_3,
    "Stable Diffusion 3.5": stable_diffusion_3_5,
    "FLUX": flux,
    "FLUX Depth": flux_depth,
    "Z-Image": z_image,
    "Qwen-Image": qwen_image,
}


def make_backbone(name: str, folder) -> diffusers.DiffusionPipeline:
    """A pipeline by its name in `BACKBONES`; the same weights every time."""
    torch.manual_seed(0)
    pipe = BACKBONES[name](folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe
