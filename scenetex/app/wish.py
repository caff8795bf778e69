"""What somebody asks for on the page, and the options of ``scenetex texture`` that say the same."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, shown
from ..job.options import TextureOptions
from ..limits import check_options, read_paint

SENTENCE, PHOTOS = "a sentence", "its photos"


@dataclass(frozen=True)
class Setup:
    """What the page was started with, and nobody chooses on it.

    Attributes:
        model, controlnet, device: as of ``scenetex texture``.
    """

    model: str = "mini"
    controlnet: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        source: what to paint with, `SENTENCE` or `PHOTOS`.
        prompt: the sentence; "" = none.
        only: names of regions that alone are painted anew; none = all.
        paint: regions with words of their own, "REGION: WORDS" a line.
        complete: paint what no image saw, too.
        views: keyframes; 0 = as many as it takes.
        steps: of the denoising; 0 = the model's own number.
        seed, texture_size, image_size: as of ``scenetex texture``.
    """

    source: str = SENTENCE
    prompt: str = ""
    only: tuple[str, ...] = ()
    paint: str = ""
    complete: bool = False
    views: int = 0
    steps: int = 0
    seed: int = 0
    texture_size: int | str = 2048
    image_size: str = "256x192"

    def options(self, output: Path, setup: Setup, regions: Collection[str]) -> TextureOptions:
        """The options.

        Args:
            output: folder of the results.
            setup: what the page was started with.
            regions: names of the scan's; boxes may be named beside them, files may not.

        Raises:
            InputError: what does not go together, is out of range, or names no region of the scan.
        """
        prompt, paint = self.prompt.strip(), tuple(line.strip() for line in self.paint.splitlines() if line.strip())
        parts, size = bool(self.only or paint), str(self.texture_size).strip()
        if self.source == SENTENCE and not prompt and not parts:
            raise InputError(f"no sentence: type what the room is to look like, or paint with '{PHOTOS}'")
        if self.source == PHOTOS and prompt and not parts and not self.complete:
            raise InputError(
                f"a sentence, but '{PHOTOS}' are chosen: choose '{SENTENCE}', a region, or to complete what they lack"
            )
        for name in (*self.only, *(read_paint(line, "region")[0] for line in paint)):
            if name not in regions and not name.startswith("box:"):
                raise InputError(f"region '{shown(name, 60)}' is not in this scan; it has {_some(regions)}")
        options = TextureOptions(
            output=output,
            images="photos" if self.source == PHOTOS else "auto",
            prompt=prompt or None,
            only=self.only,
            paint=paint,
            complete=self.complete,
            keyframes=str(self.views) if self.views else "auto",
            steps=self.steps or None,
            seed=self.seed,
            texture_size=int(size) if size.isdecimal() else size,
            image_size=self.image_size,
            model=setup.model,
            controlnet=setup.controlnet,
            device=setup.device,
            preview=False,
            report=True,
        )
        check_options(options)
        options.check()
        return options


def _some(regions: Collection[str]) -> str:
    named = sorted(regions)
    return ", ".join(named[:8]) + (", ..." if len(named) > 8 else "") if named else "none"
