"""How generating gets by with less memory."""

import pytest
import torch

from scenetex import InputError
from scenetex.job.less_memory import with_less_memory


class Pipe:
    def __init__(self):
        self.attention = []

    def save_memory(self, megabytes):
        self.attention.append(megabytes)


@pytest.mark.parametrize(
    ("views", "fits", "tried"), [(30, 16, [16]), (30, 9, [16, 8]), (6, 5, [16, 4]), (20, 4, [16, 8, 4])]
)
def test_half_as_many_views_at_a_time_until_they_fit(views, fits, tried):
    calls, notes, pipe = [], [], Pipe()

    def generate(joint):
        calls.append(joint)
        if min(joint, views) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "images"

    assert with_less_memory(pipe, views, 16, generate, notes.append) == "images"
    assert calls == tried and len(notes) == len(tried) - 1
    assert pipe.attention == [128, 32, 8][: len(notes)]


def test_less_attention_memory_may_do():
    pipe = Pipe()

    def generate(joint):
        if not pipe.attention or pipe.attention[-1] > 40:
            raise MemoryError
        return joint

    assert with_less_memory(pipe, 3, 16, generate, lambda note: None) == 4
    assert pipe.attention == [128, 32]


def test_what_never_fits_is_bad_input():
    def generate(joint):
        raise MemoryError

    with pytest.raises(InputError, match=r"out of memory even with as few views .* choose a smaller image size"):
        with_less_memory(Pipe(), 9, 16, generate, lambda note: None)


def test_other_errors_pass():
    def generate(joint):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        with_less_memory(Pipe(), 9, 16, generate, lambda note: None)


def test_the_images_that_failed_are_let_go():
    import gc
    import weakref

    class Tensor: ...

    alive = []

    def generate(joint):
        assert not any(reference() for reference in alive), "held by the error's traceback"
        tensor = Tensor()
        alive.append(weakref.ref(tensor))
        if len(alive) < 3:
            raise MemoryError
        return "images"

    gc.disable()
    try:
        assert with_less_memory(Pipe(), 40, 16, generate, lambda note: None) == "images"
    finally:
        gc.enable()
