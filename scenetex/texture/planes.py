"""The large planes of a scene: floor, walls, ceiling, table tops."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_THICK = 0.006, 0.04  # metres off the plane, at least allowed and at most; in between, as even as the surface is
_ALIGNED = np.cos(np.radians(18))
_MOST, _TRIED = 40, 300
_LEAST = 0.002  # of all surface


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane and what lies on it.

    Attributes:
        holds: (k,) bool, which pieces of surface.
        middle: (3,) a point of it.
        axes: (2, 3) unit vectors along it.
        thick: metres off it, to which it reaches.
    """

    holds: np.ndarray
    middle: np.ndarray
    axes: np.ndarray
    thick: float

    def flat(self, places: np.ndarray) -> np.ndarray:
        """(n, 2) coordinates of places (n, 3) along the plane."""
        return (places - self.middle) @ self.axes.T

    def reaches(self, places: np.ndarray) -> np.ndarray:
        """(n,) bool: places (n, 3) that lie in it: pieces of surface may hold the front of a frame, too."""
        return np.abs((places - self.middle) @ np.cross(*self.axes)) < self.thick


def find_planes(place: np.ndarray, normal: np.ndarray, weight: np.ndarray) -> Iterator[Plane]:
    """Planes that k pieces of surface lie on, the largest first; each piece lies on one at most.

    Args:
        place, normal: (k, 3) float32, metres, unit.
        weight: (k,) their areas.
    """
    left = np.ones(len(place), bool)
    for _ in range(_MOST):
        rest = np.flatnonzero(left)
        if not len(rest):
            return
        tried = rest[:: max(1, len(rest) // _TRIED)]
        size = np.array([weight[_on(place, normal, left, place[i], normal[i])].sum() for i in tried])
        best = tried[int(size.argmax())]
        if size.max() < _LEAST * weight.sum():
            return
        middle, across = place[best], normal[best]
        for _ in range(2):
            on = _on(place, normal, left, middle, across)
            if not on.any():
                break
            middle = np.average(place[on], axis=0, weights=weight[on])
            spread = (place[on] - middle) * np.sqrt(weight[on])[:, None]
            least = np.linalg.svd(spread.T @ spread)[0][:, 2]
            across = least if least @ across > 0 else -least
        off = np.abs((place[on] - middle) @ across)
        thick = float(np.clip(4 * np.median(off), *_THICK)) if len(off) else 0.0
        on = _on(place, normal, left, middle, across, thick)
        if not on.any():
            left[best] = False
            continue
        left &= ~on
        aside = np.eye(3)[np.abs(across).argmin()]
        first = np.cross(across, aside)
        first /= np.linalg.norm(first)
        yield Plane(on, middle, np.stack([first, np.cross(across, first)]), thick)


def _on(place, normal, left, middle, across, thick=_THICK[1]) -> np.ndarray:
    return left & (normal @ across > _ALIGNED) & (np.abs((place - middle) @ across) < thick)
