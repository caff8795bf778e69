"""ComfyUI's progress bar and its Cancel button; nothing of either outside ComfyUI."""

from collections.abc import Callable


def bar(total: int) -> Callable[..., None]:
    """What to call after each of `total` steps. It raises what ends ComfyUI's run once Cancel was pressed."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda *step: None
    shown = ProgressBar(max(1, total))

    def done(*step) -> None:
        throw_exception_if_processing_interrupted()
        shown.update(1)

    return done
