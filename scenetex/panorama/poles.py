"""What a panorama shows where no view looks: around the poles."""

import numpy as np


def fill_pole(color: np.ndarray, seen: np.ndarray) -> None:
    """Lets the colours of the rim run smoothly together at the pole above it, in place.

    Seen from the pole in stereographic projection the unseen cap is about a disc. On a disc the smoothest surface with
    given values at the rim is known in closed form: the rim's k-th harmonic, times the radius to the power k.

    Args:
        color: (h, w, c) float, equirectangular; row 0 is next to the pole.
        seen: (h, w) bool. Where the upper half of a column is not seen at all, it is left as it is.
    """
    h, w = seen.shape
    rim = np.argmax(seen, 0)
    if not seen[: h // 2].any(0).all() or not rim.any():
        return
    radius = np.tan((np.arange(h) + 0.5) * (np.pi / h) / 2)
    harmonics = np.fft.rfft(color[rim, np.arange(w)], axis=0)
    # At radii as far apart as rows are; in between, linearly.
    levels = np.linspace(0, 1, int(rim.max()) + 2)
    fade = levels[:, None] ** np.arange(len(harmonics))
    disc = np.fft.irfft(fade[:, :, None] * harmonics, n=w, axis=1)
    for column in range(w):
        rows = np.arange(rim[column])
        place = radius[rows] / radius[rim[column]] * (len(levels) - 1)
        below = np.floor(place).astype(int)
        part = (place - below)[:, None]
        color[rows, column] = (1 - part) * disc[below, column] + part * disc[below + 1, column]
