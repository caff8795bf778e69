"""Reads the released MVDiffusion checkpoints, which are untrusted files."""

import pickle
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from ..errors import PICKLE_DAMAGE, InputError
from ..process.memory import ran_out

_PREFIX = "mv_base_model."
_BANDS = "attention.bands"  # frequencies, which half precision would spoil
_STABLE_DIFFUSION_2 = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}
# Released name of each part, as a pattern, and its name here.
_NAMES = (
    (r"^cp_blocks_encoder\.(\d+)\.", r"down_correspondence.\1."),
    (r"^cp_blocks_mid\.", r"mid_correspondence."),
    (r"^cp_blocks_decoder\.(\d+)\.", r"up_correspondence.\1."),
    (r"^(\w+_correspondence[\d.]*\.)attn1\.", r"\1"),
    (r"^(\w+_correspondence[\d.]*\.)pe\.freq_bands$", r"\1attention.bands"),
    (r"^(\w+_correspondence[\d.]*\.)transformer\.attn1\.", r"\1attention."),
    (r"^(\w+_correspondence[\d.]*\.)transformer\.norm1\.", r"\1attention.norm."),
    (r"^(\w+_correspondence[\d.]*\.)transformer\.norm2\.", r"\1norm."),
    (r"^(\w+_correspondence[\d.]*\.)transformer\.ff\.", r"\1feed_forward."),
    (r"^(\w+_correspondence[\d.]*\.)resnet\.bn(\d)\.", r"\1residual.norm\2."),
    (r"^(\w+_correspondence[\d.]*\.)resnet\.", r"\1residual."),
    (r"^condition_conv_in\.", r"condition_branch.conv_in."),
    (r"^condition_downblocks\.", r"condition_branch.down."),
    (r"^condition_upblocks\.", r"condition_branch.up."),
)


def load_mvdiffusion(model_class: type, checkpoint, unet_config: Mapping | None, kind: str, dtype: torch.dtype):
    """See `MultiViewUNet.from_mvdiffusion`."""
    weights, where = read_weights(checkpoint)
    weights = _rename(weights, where)
    if unet_config is None:
        unet_config = _STABLE_DIFFUSION_2
        if weights.get("unet.conv_in.weight", torch.empty(0)).ndim == 4:
            unet_config = {**unet_config, "in_channels": weights["unet.conv_in.weight"].shape[1]}
    config = {key: value for key, value in dict(unet_config).items() if not key.startswith("_")}
    depth = kind == "depth"
    # On the meta device nothing is drawn at random only to be overwritten.
    with torch.device("meta"):
        model = model_class(config, kind=kind, residual_blocks=depth, condition_channels=5 if depth else 0)
    _compare(model.state_dict(), weights, where, kind)
    own = isinstance(checkpoint, Mapping)
    kept = {k: torch.float32 if k.endswith(_BANDS) else dtype for k in weights}
    # A caller's state dict must not change with the model. Of what is cast, no more than one tensor is there twice.
    weights = {k: weights.pop(k).detach().to("cpu", kept[k], copy=own) for k in kept}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def read_weights(checkpoint: str | PathLike | Mapping[str, torch.Tensor]) -> tuple[Mapping, str]:
    """State dict and where it is from, for messages. Nothing but tensors is unpickled.

    Raises:
        InputError: a file that is not there, or none of tensors by name.
    """
    if isinstance(checkpoint, Mapping):
        return checkpoint.get("state_dict", checkpoint), "state dict"
    path = Path(checkpoint)
    if not path.is_file():
        raise InputError(f"{path}: no such file; pass a Lightning .ckpt, a safetensors file or a state dict")
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path), str(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(f"{path}: not a safetensors file ({_line(error)}); download it again") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: not a checkpoint, or one that holds code, which is never run ({_line(error)}); "
            "save its state_dict as safetensors where you trust it"
        ) from None
    except PICKLE_DAMAGE as error:
        if ran_out(error, 4 * path.stat().st_size):
            raise
        raise InputError(f"{path}: not a checkpoint ({_line(error)}); download it again") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return content.get("state_dict", content), str(path)


def _rename(weights: Mapping, where: str) -> dict[str, torch.Tensor]:
    """Keys of the multi-view model only, with the names they have here."""
    if not isinstance(weights, Mapping) or not all(isinstance(k, str) for k in weights):
        raise InputError(f"{where}: state_dict does not map names to tensors")
    if any(k.startswith(_PREFIX) for k in weights):
        weights = {k.removeprefix(_PREFIX): v for k, v in weights.items() if k.startswith(_PREFIX)}
    out = {}
    for key, value in weights.items():
        if not torch.is_tensor(value):
            raise InputError(f"{where}: {key} is a {type(value).__name__}, not a tensor")
        for pattern, name in _NAMES:
            key = re.sub(pattern, name, key)
        out[key] = value.reshape(-1) if key.endswith(_BANDS) else value
    return out


def _compare(expected: Mapping, weights: Mapping, where: str, kind: str) -> None:
    """Raises InputError that names keys which are missing, unknown or of another shape."""
    wrong = []
    missing = [k for k in expected if k not in weights]
    if missing:
        wrong.append(f"misses {_some(missing)}")
    shapes = [
        f"{k} {tuple(weights[k].shape)} instead of {tuple(v.shape)}"
        for k, v in expected.items()
        if k in weights and weights[k].shape != v.shape
    ]
    if shapes:
        wrong.append(f"has another shape for {_some(shapes)}")
    unknown = [k for k in weights if k not in expected]
    if unknown:
        wrong.append(f"has unknown {_some(unknown)}")
    if wrong:
        raise InputError(
            f'{where}: not an MVDiffusion model of kind "{kind}" with this unet_config: it {"; ".join(wrong)}'
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
