"""The small model's parts fit each other, are as small as promised, and read words."""

import torch
from tiny_training import TOKENIZER

from scenetex.models.patch_autoencoder import image_factor
from scenetex.pipelines import MVDiffusionPipeline
from scenetex.training.small_model import (
    small_autoencoder,
    small_scheduler,
    small_super_resolution,
    small_text_encoder,
    small_unet,
    word_tokenizer,
)


def test_parts_fit_each_other_and_the_package():
    parts = {
        "vae": small_autoencoder(8),
        "text_encoder": small_text_encoder(TOKENIZER),
        "tokenizer": TOKENIZER,
        "unet": small_unet(8),
        "scheduler": small_scheduler(),
        "upscale_unet": small_super_resolution(8),
    }
    pipe = MVDiffusionPipeline(**parts)
    assert pipe.takes_depth and image_factor(pipe.vae) == 8
    assert small_super_resolution(8).unet.config.cross_attention_dim == pipe.text_encoder.config.hidden_size
    numbers = sum(p.numel() for part in parts.values() if isinstance(part, torch.nn.Module) for p in part.parameters())
    assert 2 * numbers < 50e6, "in half precision, with blocks to come, at most 60 MB"


def test_noise_runs_from_next_to_none_to_pure():
    plan = small_scheduler()
    assert plan.alphas_cumprod[-1] == 0 and plan.alphas_cumprod[0] > 0.999
    plan.set_timesteps(20)
    assert plan.timesteps[0] == 999 and plan.config.prediction_type == "v_prediction"


def test_words_are_whole_and_in_lower_case():
    tokenizer = word_tokenizer(["red", "room", "a", ",", "-", "lit"])
    ids = tokenizer("A red, lamp-lit ROOM").input_ids
    back = tokenizer.convert_ids_to_tokens(ids)
    assert back == ["<start>", "a", "red", ",", "<unknown>", "-", "lit", "room", "<end>"]
    padded = tokenizer("red", padding="max_length", max_length=tokenizer.model_max_length).input_ids
    assert len(padded) == 48 and set(padded[2:]) == {tokenizer.eos_token_id}
    assert tokenizer.model_max_length == small_text_encoder(tokenizer).config.max_position_embeddings
    again = word_tokenizer(["lit", "-", ",", "a", "room", "red", "red"])
    assert again.get_vocab() == tokenizer.get_vocab(), "the order of words does not matter"


def test_a_tokenizer_comes_back_from_its_folder(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    loaded = type(TOKENIZER).from_pretrained(tmp_path)
    text = "a light-filled kitchen with oak planks, TV bench and zebras"
    assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert loaded.unk_token_id == TOKENIZER.unk_token_id and loaded.model_max_length == 48
