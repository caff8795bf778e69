"""The small model's parts, untrained: of sizes that train and run on a laptop."""

from collections.abc import Iterable

from diffusers import DDIMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from ..models import PatchUNet, SuperResolutionUNet, SurfaceAutoencoder
from ..pipelines.conditioning import surface_channels

SMALL_STEPS, SMALL_GUIDANCE = 16, 2.0
_MAX_WORDS = 48
_TEXT_WIDTH = 192
_START, _END, _UNKNOWN = "<start>", "<end>", "<unknown>"


def small_autoencoder(latent_channels: int) -> SurfaceAutoencoder:
    """Factor 8; its decoder is told the surface."""
    return SurfaceAutoencoder(latent_channels=latent_channels)


def small_unet(latent_channels: int) -> PatchUNet:
    """Takes noisy latents and surface maps, in patches of 2 x 2 cells; looks at the text and at itself on the coarser
    of its two grids."""
    return PatchUNet(
        sample_size=32,
        in_channels=latent_channels + surface_channels(8),
        out_channels=latent_channels,
        block_out_channels=(144, 224),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def small_super_resolution(latents: int, text_width: int = _TEXT_WIDTH) -> SuperResolutionUNet:
    """Images four times as large, for `latents` channels and text embeddings of `text_width`; looks at the text on the
    coarsest grid only, which is still as fine as the small model's finest."""
    unet = UNet2DConditionModel(
        sample_size=128,
        in_channels=latents,
        out_channels=latents,
        block_out_channels=(48, 96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    # Enlarged before they are encoded, the small images lose next to nothing in the latents.
    return SuperResolutionUNet.from_unet(unet, factor=4, enlarge=4)


def small_text_encoder(tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """Two layers over whole words."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=_TEXT_WIDTH,
            intermediate_size=2 * _TEXT_WIDTH,
            projection_dim=_TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=_MAX_WORDS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def word_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, in lower case; hyphens and punctuation stand apart. Others are `unk_token`."""
    vocabulary = [_END, _START, _UNKNOWN, *sorted(set(words))]
    model = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=_UNKNOWN))
    model.normalizer = normalizers.Lowercase()
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    model.post_processor = TemplateProcessing(single=f"{_START} $A {_END}", special_tokens=[(_START, 1), (_END, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=model,
        bos_token=_START,
        eos_token=_END,
        unk_token=_UNKNOWN,
        pad_token=_END,
        model_max_length=_MAX_WORDS,
    )


def small_scheduler() -> DDIMScheduler:
    """Velocity prediction down to pure noise, so that bright and dark rooms come out bright and dark (Lin et al.,
    "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )
