"""Generating again with less at a time where memory ran out."""

import gc
from collections.abc import Callable
from typing import Protocol, TypeVar

from ..errors import InputError
from ..process.memory import is_out_of_memory

LEAST_JOINT = 4  # views that the pipeline can still generate together
_ATTENTION = 128  # megabytes, half of what attention takes on a GPU by itself
_LEAST_ATTENTION = 8

T = TypeVar("T")


class Frugal(Protocol):
    """What can make do with less memory, such as a pipeline."""

    def save_memory(self, megabytes: int) -> None:
        """Attention takes no more than that from now on."""


def with_less_memory(
    pipe: Frugal, views: int, joint_views: int, call: Callable[[int], T], note: Callable[[str], None]
) -> T:
    """Calls with `joint_views`, and with half as many views at a time and half the attention memory while that fails.

    Attention memory does not change the images; fewer joint views do, a little.

    Args:
        pipe: the pipeline that `call` runs; its attention memory is lowered for good.
        views: how many views there are.
        joint_views: most views to denoise at once.
        call: generates with that many joint views.
        note: told, in words, what was changed.

    Raises:
        InputError: the least number of joint views is too many.
    """
    attention = _ATTENTION
    while True:
        try:
            return call(joint_views)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if min(views, joint_views) <= LEAST_JOINT and attention < _LEAST_ATTENTION:
                raise InputError(
                    "out of memory even with as few views at a time as possible; choose a smaller image size or model, "
                    "or free some memory"
                ) from None
        # The error is gone by now, and with it the tensors that its traceback held.
        _collect()
        before, joint_views = joint_views, min(joint_views, max(LEAST_JOINT, min(views, joint_views) // 2))
        less = f"{joint_views} instead of {before} joint views" if joint_views < before else "less attention memory"
        note(f"out of memory while generating; tried again with {less}")
        pipe.save_memory(attention)
        attention //= 4


def _collect() -> None:
    """Gives back what nothing refers to any more, on the GPU too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
