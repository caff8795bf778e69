"""How images are sampled: the settings that options of commands, jobs and pipelines share."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from .limits import GUIDANCE, SEED, STEPS, check_options

# What diffusers calls a setting, and what the configuration of our pipelines calls their own value of it.
KEYWORDS = {"steps": "num_inference_steps", "guidance_scale": "guidance_scale"}
MODELS_OWN = {"steps": "default_steps", "guidance_scale": "default_guidance"}
# What options call schedulers, see `pipelines.schedulers`; "default" is the one in the model's folder.
SchedulerName = Literal[
    "default", "ddim", "ddim-trailing", "dpm++", "euler", "euler-ancestral", "euler-trailing", "lcm", "tcd", "unipc"
]


@dataclass(frozen=True)
class Sampling:
    """Settings of the denoising.

    Attributes:
        seed: of the noise, 0 or more; the same seed gives the same images on as many threads of the same machine; other
            numbers of threads add in another order, which single pixels show.
        steps, guidance_scale: None = the model's own; a guidance of 1 or less is none.
        correspondence: views attend to each other where they show the same surface.
        shared_noise: corresponding places of different views start from the same noise.
        fusion: at each step, views agree on the clean latents they are heading for, in the end on pixels.

    Raises:
        InputError: a value out of range.

    Example:
        >>> import scenetex
        >>> scenetex.Sampling(seed=7, steps=20).fusion
        True
        >>> scenetex.Sampling(steps=0)
        Traceback (most recent call last):
            ...
        scenetex.errors.InputError: steps 0 is out of range; choose 1 to 1000
    """

    seed: Annotated[int, SEED] = 0
    steps: Annotated[int | None, STEPS] = None
    guidance_scale: Annotated[float | None, GUIDANCE] = None
    correspondence: bool = True
    shared_noise: bool = True
    fusion: bool = True

    def __post_init__(self) -> None:
        check_options(self, flags=False)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Sampling":
        """The settings among options by name, whatever else there is; those that are not there stay as they are."""
        return cls(**{f.name: options[f.name] for f in fields(cls) if f.name in options})

    @property
    def guided(self) -> bool:
        """Whether negative prompts count."""
        return self.guidance_scale is not None and self.guidance_scale > 1

    def keywords(self) -> dict[str, Any]:
        """What pipelines are called with, by the names of diffusers: what is left to the model is left out, and the
        generator is a new one every time."""
        import torch

        chosen = {keyword: getattr(self, name) for name, keyword in KEYWORDS.items()}
        return {keyword: value for keyword, value in chosen.items() if value is not None} | {
            "generator": torch.Generator().manual_seed(self.seed),
            "correspondence": self.correspondence,
            "shared_noise": self.shared_noise,
            "fusion": self.fusion,
        }
