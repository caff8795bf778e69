"""Released MVDiffusion checkpoints: the reference's own outputs, and files that are not what they say."""

import json
import pickle
from pathlib import Path
from random import Random

import numpy as np
import pytest
import safetensors.torch
import torch

from scenetex import InputError
from scenetex.correspondence import from_depth, from_rotation
from scenetex.models import MultiViewUNet, mvdiffusion_weights

TINY = {
    "in_channels": 5,
    "out_channels": 4,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


@pytest.fixture(scope="module")
def fixtures() -> Path:
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "fixtures" / "mvdiffusion"
    if not folder.is_dir():
        pytest.skip("needs the reference's outputs in ../shared/fixtures, which are not part of the repository")
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("case", "tolerance"),
    [("D1_generation", (1e-4, 3e-5)), ("D2_interpolation", (5e-4, 3e-5)), ("P1_pano", (1e-3, 1e-4))],
)
def test_outputs_of_the_reference(fixtures, case, tolerance, dtype):
    manifest = json.loads((fixtures / "manifest.json").read_text())
    about = manifest["models"][manifest["cases"][case]["model"]]
    kind = {"depth": "depth", "pano": "panorama"}[about["kind"]]
    model = MultiViewUNet.from_mvdiffusion(fixtures / about["weights"], unet_config=about["unet_config"], kind=kind)
    arrays = {k: torch.from_numpy(v) for k, v in np.load(fixtures / f"{case}.npz").items()}
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in arrays.items() if k.startswith("in_")}
    if kind == "depth":
        views = from_depth(given["in_depths"], given["in_K"], given["in_poses"], convention="mvdiffusion", overlap=0.3)
    else:
        image = tuple(8 * s for s in given["in_latents"].shape[-2:])
        views = from_rotation(given["in_K"], given["in_R"], image_shape=image, convention="mvdiffusion")
    with torch.no_grad():
        found = model.to(dtype)(
            sample=given["in_latents"],
            timestep=given["in_timestep"],
            encoder_hidden_states=given["in_prompt_embd"],
            correspondence=views,
            condition=given.get("in_condition"),
        ).sample
    truth = arrays["out_float64"]
    assert found.dtype == dtype
    error = (found.double() - truth).abs().max() / truth.square().mean().sqrt()
    assert error < tolerance[dtype == torch.float64]


@pytest.mark.parametrize("kind", ["depth", "panorama"])
def test_full_size_checkpoints_fit(fixtures, kind):
    """All keys and shapes of the real checkpoints, without their bulk; the default configuration is theirs."""
    shapes = json.loads((fixtures / f"keys_sd2_{kind.removesuffix('rama')}.json").read_text())
    with torch.device("meta"):
        weights = {k: torch.empty(shape) for k, shape in shapes.items()}
    weights = mvdiffusion_weights._rename(weights, "test")
    config = {**mvdiffusion_weights._STABLE_DIFFUSION_2, "in_channels": 5 if kind == "depth" else 4}
    with torch.device("meta"):
        depth = kind == "depth"
        model = MultiViewUNet(config, kind=kind, residual_blocks=depth, condition_channels=5 if depth else 0)
    mvdiffusion_weights._compare(model.state_dict(), weights, "test", kind)


def released(kind: str = "depth") -> dict[str, torch.Tensor]:
    """A tiny checkpoint with the released names, made from those here."""
    torch.manual_seed(0)
    depth = kind == "depth"
    model = MultiViewUNet(TINY, kind=kind, residual_blocks=depth, condition_channels=5 if depth else 0)
    names = [
        ("down_correspondence.", "cp_blocks_encoder."),
        ("mid_correspondence.", "cp_blocks_mid."),
        ("up_correspondence.", "cp_blocks_decoder."),
        ("condition_branch.conv_in.", "condition_conv_in."),
        ("condition_branch.down.", "condition_downblocks."),
        ("condition_branch.up.", "condition_upblocks."),
        ("attention.bands", "pe.freq_bands"),
        ("attention.norm.", "transformer.norm1."),
        ("attention.", "transformer.attn1."),
        ("feed_forward.", "transformer.ff."),
        ("residual.norm", "resnet.bn"),
        ("residual.", "resnet."),
    ]
    out = {}
    for key, value in model.state_dict().items():
        added = not key.startswith("unet.")
        for here, there in names if added else ():
            if there.startswith(("pe", "transformer")) and there in key:
                continue
            key = key.replace(here, there)
        if added and "cp_blocks" in key:
            head, part = key.rsplit(".norm.", 1) if ".norm." in key else (None, None)
            key = f"{head}.transformer.norm2.{part}" if head else key
            if depth:
                key = key.replace(".transformer.", ".attn1.transformer.").replace(".pe.", ".attn1.pe.")
        out[f"mv_base_model.{key}"] = value.reshape(1, 1, -1) if key.endswith("freq_bands") else value
    return out


@pytest.mark.parametrize("kind", ["depth", "panorama"])
@pytest.mark.parametrize("form", ["dict", "lightning", "safetensors", "bare"])
def test_every_form_of_checkpoint_loads_the_same(tmp_path, kind, form):
    weights = released(kind)
    source = weights
    if form == "lightning":
        source = tmp_path / "model.ckpt"
        torch.save({"state_dict": {**weights, "vae.weight": torch.zeros(3)}, "epoch": 3}, source)
    elif form == "safetensors":
        source = str(tmp_path / "model.safetensors")
        safetensors.torch.save_file(weights, source)
    elif form == "bare":
        source = {k.removeprefix("mv_base_model."): v for k, v in weights.items()}
    model = MultiViewUNet.from_mvdiffusion(source, unet_config=TINY, kind=kind)
    block = "mv_base_model.cp_blocks_encoder.1." + ("attn1." if kind == "depth" else "")
    assert torch.equal(
        model.down_correspondence[1].attention.to_k.weight, weights[block + "transformer.attn1.to_k.weight"]
    )
    assert torch.equal(model.down_correspondence[1].norm.bias, weights[block + "transformer.norm2.bias"])
    assert model.dtype == torch.float32 and (model.condition_branch is None) == (kind == "panorama")
    # The caller's weights are his own.
    with torch.no_grad():
        model.unet.conv_in.weight.add_(1)
    assert torch.equal(
        weights["mv_base_model.unet.conv_in.weight"], released(kind)["mv_base_model.unet.conv_in.weight"]
    )


def test_wrong_keys_and_shapes_are_named():
    weights = released()
    del weights["mv_base_model.cp_blocks_mid.attn1.pe.freq_bands"]
    weights["mv_base_model.unet.conv_in.weight"] = torch.zeros(32, 4, 3, 3)
    weights["mv_base_model.unet.extra"] = torch.zeros(1)
    with pytest.raises(ValueError) as error:
        MultiViewUNet.from_mvdiffusion(weights, unet_config=TINY)
    message = str(error.value)
    assert "misses mid_correspondence.attention.bands" in message
    assert "unet.conv_in.weight (32, 4, 3, 3) instead of (32, 5, 3, 3)" in message
    assert "unknown unet.extra" in message and "\n" not in message


def test_panorama_is_not_a_depth_model():
    with pytest.raises(InputError, match=r'not an MVDiffusion model of kind "depth".*misses .* and \d+ more'):
        MultiViewUNet.from_mvdiffusion(released("panorama"), unet_config=TINY, kind="depth")


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": released(), "hyper_parameters": Bomb()}, "bomb.ckpt")
    Path("bare.ckpt").write_bytes(pickle.dumps(Bomb(), 2))
    for name in ("bomb.ckpt", "bare.ckpt"):
        with pytest.raises(InputError, match=f"{name}: .*never run"):
            MultiViewUNet.from_mvdiffusion(name, unet_config=TINY)
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.ckpt", b"", "not a checkpoint"),
        ("text.ckpt", b"version https://git-lfs.github.com/spec/v1\n", "not a checkpoint"),
        ("cut.ckpt", b"PK\x03\x04" + b"\0" * 60, "not a checkpoint"),
        ("text.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "not a safetensors file"),
        ("empty.safetensors", b"", "not a safetensors file"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}") as error:
        MultiViewUNet.from_mvdiffusion(tmp_path / name, unet_config=TINY)
    assert "\n" not in str(error.value)


def test_contents_that_are_no_weights(tmp_path):
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(InputError, match="holds a list"):
        MultiViewUNet.from_mvdiffusion(tmp_path / "list.ckpt", unet_config=TINY)
    with pytest.raises(InputError, match="no such file"):
        MultiViewUNet.from_mvdiffusion(tmp_path / "absent.ckpt", unet_config=TINY)
    with pytest.raises(InputError, match="is a str, not a tensor"):
        MultiViewUNet.from_mvdiffusion({"unet.conv_in.weight": "x"}, unet_config=TINY)
    with pytest.raises(InputError, match="does not map names"):
        MultiViewUNet.from_mvdiffusion({"state_dict": [1]}, unet_config=TINY)
    with pytest.raises(InputError, match="kind 'video'"):
        MultiViewUNet.from_mvdiffusion(released(), unet_config=TINY, kind="video")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damage_anywhere_is_bad_input(tmp_path):
    """Whatever bytes are lost: torch's reader believes much of what the pickle in the file says."""
    torch.save({"state_dict": {"a": torch.zeros(3), "b": torch.ones(2, 2)}}, tmp_path / "small.ckpt")
    whole, path, rng = (tmp_path / "small.ckpt").read_bytes(), tmp_path / "damaged.ckpt", Random(0)
    start = whole.index(b"\x80\x02")
    inner = start, whole.index(b"PK", start)
    for turn in range(240):
        data, (first, last) = bytearray(whole), inner if turn % 4 else (0, len(whole))
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(first, last)] = rng.randrange(256)
        path.write_bytes(data if turn % 5 else data[: rng.randrange(len(data))])
        # Read or refused, it is no model of this configuration.
        with pytest.raises(InputError) as error:
            MultiViewUNet.from_mvdiffusion(path, unet_config=TINY)
        assert "\n" not in str(error.value)
