"""Correspondence blocks in a folder of their own: of another kind, for a UNet that is there already."""

import json
from pathlib import Path

from diffusers import UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import DAMAGE, InputError
from ..files.folders import check_folder
from ..files.json_file import read_object
from ..process.memory import ran_out
from .multiview_unet import MultiViewUNet

_CONFIG, _WEIGHTS = "config.json", "blocks.safetensors"
_SETTINGS = {"kind": str, "residual_blocks": bool, "condition_channels": int, "expansion": int}
# What blocks have whose folder was written before it was told.
_BEFORE = {"expansion": 4}
_BASE = "unet."


def save_blocks(unet: MultiViewUNet, folder: Path) -> None:
    """Writes all of `unet` but its base UNet into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = {name: value for name, value in unet.state_dict().items() if not name.startswith(_BASE)}
    save_file({name: value.contiguous() for name, value in blocks.items()}, folder / _WEIGHTS)
    told = json.dumps({name: unet.config[name] for name in _SETTINGS}, indent=2)
    (folder / _CONFIG).write_text(told + "\n", encoding="utf-8")


def load_blocks(folder: Path, base: UNet2DConditionModel) -> MultiViewUNet:
    """The blocks in a folder around a base UNet, which is taken as it is, not copied.

    Raises:
        InputError: a folder that holds no such blocks, or those of another UNet.
    """
    check_folder(folder)
    try:
        settings = _settings(read_object(folder / _CONFIG))
        weights = load_file(folder / _WEIGHTS)
        model = MultiViewUNet.from_unet(base, **settings)
        missing, unknown = model.load_state_dict(weights, strict=False)
    except InputError:
        raise
    except (*DAMAGE, SafetensorError) as error:
        if ran_out(error, 4 * sum(path.stat().st_size for path in folder.glob("*"))):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{folder}: holds no blocks that fit the UNet ({reason[0][:160]}); copy it again") from None
    wrong = [name for name in missing if not name.startswith(_BASE)] + list(unknown)
    if wrong:
        raise InputError(f"{folder}: {wrong[0]} is missing or not of this UNet's blocks; copy it again")
    return model


def _settings(told: dict) -> dict:
    """Those of the blocks. Raises ValueError, or KeyError, for what is none."""
    told = _BEFORE | told
    for name, kind in _SETTINGS.items():
        if type(told[name]) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    return {name: told[name] for name in _SETTINGS}
