"""Patterns on a plane: known periods are found, and what is no part of the pattern is not taken over."""

import numpy as np

from scenetex.texture.plane_patterns import find_pattern

SPACING = 0.02


def wall(seen_to: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (n, 2), a period of 0.5 x 0.4 m in colour, and what is seen."""
    x, y = (g.ravel() for g in np.meshgrid(np.arange(200), np.arange(125), indexing="ij"))
    places = np.stack([x, y], 1) * SPACING
    wave = np.sin(2 * np.pi * places[:, 0] / 0.5) * np.sign(np.sin(2 * np.pi * places[:, 1] / 0.4))
    return places, (120 + 60 * wave[:, None] * [1, 0.5, 0.2]).astype(np.float32), places[:, 0] < seen_to


def test_a_period_goes_on():
    places, color, seen = wall(2.4)
    found = find_pattern(places, color, seen, SPACING)
    inside = ~seen & (places[:, 1] > 0.2) & (places[:, 1] < 2.3) & (found.certain > 0)
    assert inside.sum() > 0.8 * (~seen).sum() * 0.8 and found.alike.min() > 0.8
    error = found.detail[inside] - (color[inside] - 120)
    assert np.square(error).mean() < 0.15 * np.square(color[inside] - 120).mean()
    assert (found.detail[seen] == 0).all() and (found.certain[seen] == 0).all()


def test_a_poster_is_not_taken_over():
    places, color, seen = wall(2.4)
    poster = (np.abs(places - [1.1, 1.2]) < 0.3).all(1)
    color[poster] = (250, 250, 0)
    found = find_pattern(places, color, seen, SPACING)
    guess = found.detail[~seen & (found.certain > 0)]
    assert np.abs(guess).max() < 110 and (guess[:, 1] - guess[:, 2]).max() < 90


def test_too_little_is_no_pattern():
    places, color, seen = wall(0.3)
    assert find_pattern(places, color, seen, SPACING) is None
