"""The small model that comes with the package: `mini` stands for it wherever a model is named."""

from os import PathLike
from pathlib import Path

from .errors import InputError

_MINI = Path(__file__).parent / "weights" / "mini"


def locate_model(model: str | PathLike) -> str | PathLike:
    """`model` itself, or for "mini" the folder of the small model, whatever lies in the working directory.

    Raises:
        InputError: the package was installed without its weights.
    """
    if str(model) != "mini":
        return model
    if not (_MINI / "model_index.json").is_file():
        raise InputError("model 'mini': this installation holds no weights of it; pass a model folder or a Hub id")
    return _MINI
