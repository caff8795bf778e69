"""Schedulers by the names that options have for them, in place of a model's own."""

from inspect import signature
from typing import get_args

import diffusers
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import SchedulerMixin

from ..errors import InputError
from ..sampling import SchedulerName

# Class and settings of each; with trailing timesteps few steps begin at pure noise, as distilled models are trained.
_TRAILING = {"timestep_spacing": "trailing"}
_DIFFUSION: dict[str, tuple[type[SchedulerMixin], dict[str, object]]] = {
    "ddim": (diffusers.DDIMScheduler, {}),
    "ddim-trailing": (diffusers.DDIMScheduler, _TRAILING),
    "dpm++": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler-ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "euler-trailing": (diffusers.EulerDiscreteScheduler, _TRAILING),
    "lcm": (diffusers.LCMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
}
_FLOW: dict[str, tuple[type[SchedulerMixin], dict[str, object]]] = {
    "euler": (diffusers.FlowMatchEulerDiscreteScheduler, {}),
    "lcm": (diffusers.FlowMatchLCMScheduler, {}),
}
# Settings that say which noise levels a model was trained at, and what it predicts.
_LEVELS = (
    *("beta_start", "beta_end", "beta_schedule", "trained_betas", "num_train_timesteps", "prediction_type"),
    *("rescale_betas_zero_snr", "shift", "use_dynamic_shifting", "base_shift", "max_shift", "base_image_seq_len"),
    *("max_image_seq_len", "shift_terminal", "time_shift_type"),
)


def set_scheduler(pipe: DiffusionPipeline, name: SchedulerName) -> None:
    """Gives a pipeline another scheduler, of the same noise levels and prediction; "default" leaves it its own.

    Raises:
        InputError: a name that is not known, or a scheduler that is not for this kind of model.
    """
    if name not in get_args(SchedulerName):
        raise InputError(f"scheduler '{name}' is not known; choose {', '.join(get_args(SchedulerName))}")
    if name == "default":
        return
    known = _FLOW if is_flow(pipe.scheduler) else _DIFFUSION
    if name not in known:
        raise InputError(
            f"scheduler '{name}' is not for {type(pipe).__name__}, a model of flow matching; choose "
            f"{', '.join(['default', *known])}"
        )
    kind, settings = known[name]
    config, taken = pipe.scheduler.config, signature(kind.__init__).parameters
    # diffusers takes another class's default for its own where a configuration does not say otherwise.
    levels = {key: config[key] for key in _LEVELS if key in config and key in taken}
    pipe.register_modules(scheduler=kind.from_config(config, **levels | settings))


def is_flow(scheduler: SchedulerMixin) -> bool:
    """Whether a scheduler is one of flow matching, whose models predict nothing but the velocity."""
    return scheduler.config.get("prediction_type") == "flow_prediction" or "shift" in scheduler.config


def check_steps(scheduler: SchedulerMixin, steps: int | None) -> None:
    """Raises InputError for more steps than a scheduler for distilled models knows."""
    most = scheduler.config.get("original_inference_steps")
    if most is not None and steps is not None and steps > most:
        raise InputError(
            f"num_inference_steps {steps}: {type(scheduler).__name__} is for few steps; pass 4 to 8, {most} at most"
        )
