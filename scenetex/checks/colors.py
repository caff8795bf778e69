"""Are the photos' colours those of the mesh, or are their red and blue swapped?"""

from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import InputError
from ..scene.frame import Frame
from ..scene.scene import Scene
from .finding import Finding
from .look import Look

_PHOTOS = 6  # that are compared
_DARK, _BRIGHT = 90, 250  # red, green and blue together; each: what is darker or brighter has lost its colour
_FEW = 100  # pixels of a photo
_LEAST = 3, 1000  # photos and pixels; fewer tell nothing
_COLOURFUL = 0.02  # spread of the warmth of photos and mesh; less is noise on grey
_SWAPPED = -0.5  # correlation of warmth; sound scans have 0.6 and more
_EACH = 0.75  # of the photos in which it is negative
_SAME_THINGS = 0.4  # correlation of brightness, without which the mesh's colours are something else's: labels, heights


@dataclass(frozen=True)
class ColorAgreement:
    """How the photos' colours are those of the mesh's vertices.

    Attributes:
        correlation: of warmth, red less blue over all three, -1 to 1; the average of each photo, its white balance, is
            taken off first.
        brightness: correlation of red, green and blue together, which the order of channels leaves as it is.
        cold: part of the photos in which the correlation of warmth is negative.
    """

    correlation: float
    brightness: float
    cold: float

    @property
    def swapped(self) -> bool:
        """Whether the same things are seen, with red and blue swapped."""
        return self.correlation < _SWAPPED and self.cold >= _EACH and self.brightness > _SAME_THINGS


def color_agreement(scene: Scene, look: Look) -> ColorAgreement | None:
    """Compares the colours of a few photos with those of the mesh where they see it; None where that tells nothing."""
    colors = scene.mesh.colors
    if colors is None:
        return None
    warmth, brightness = [], []
    shown = np.flatnonzero(look.shows)
    for i in np.unique(shown[np.linspace(0, len(shown) - 1, _PHOTOS).round().astype(int)] if len(shown) else shown):
        photo = _small_colors(look.frames[i], tuple(look.sizes[i].tolist()))
        if photo is None:
            continue
        photo = photo[:: look.step, :: look.step]
        at = i, slice(photo.shape[0]), slice(photo.shape[1])
        face = np.where(look.compared[at] > 0, look.hits[1][at], -1)
        pair = np.stack([photo[face >= 0], colors[scene.mesh.faces[face[face >= 0]]].mean(1)])
        total = pair.sum(2)
        pair, total = (values[:, ((total > _DARK) & (pair.max(2) < _BRIGHT)).all(0)] for values in (pair, total))
        if len(total[0]) >= _FEW:
            warmth.append(_centred((pair[..., 0] - pair[..., 2]) / total))
            brightness.append(_centred(np.log(total)))
    if len(warmth) < _LEAST[0] or sum(part.shape[1] for part in warmth) < _LEAST[1]:
        return None
    every = np.concatenate(warmth, 1)
    if every.std(1).min() < _COLOURFUL:
        return None
    cold = float(np.mean([_correlation(part) < 0 for part in warmth]))
    return ColorAgreement(_correlation(every), _correlation(np.concatenate(brightness, 1)), cold)


def _small_colors(frame: Frame, size: tuple[int, int]) -> np.ndarray | None:
    """(h, w, 3) float32 of the photo at that width and height, or None where it cannot be read."""
    try:
        return cv2.resize(frame.read_color(), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    except InputError:
        return None


def _centred(pair: np.ndarray) -> np.ndarray:
    return pair - pair.mean(1, keepdims=True)


def _correlation(pair: np.ndarray) -> float:
    a, b = pair
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9))


def check_colors(found: ColorAgreement | None) -> Finding | None:
    """What to say of it."""
    if found is None or not found.swapped:
        return None
    return Finding(
        "colours",
        "red and blue of the photos are swapped against the mesh's colours; swap the channels of the photos (they were "
        "written as BGR where RGB belongs), or those of the mesh if its colours are the wrong ones",
    )
