"""Pictures of a training: the curve of its losses, and grids of images."""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

_SIZE = (960, 540)
_MARGIN = (80, 30, 30, 50)  # left, right, top, bottom
_GREY, _PALE, _LINE = (90, 90, 90), (225, 225, 225), (180, 90, 20)


def draw_losses(rows: list[dict]) -> bytes:
    """A PNG of losses over steps, each a dot, with their smoothed course.

    Args:
        rows: with "step" and "loss", ascending.
    """
    width, height = _SIZE
    left, right, top, bottom = _MARGIN
    image = np.full((height, width, 3), 255, np.uint8)
    if rows:
        step = np.array([row["step"] for row in rows], np.float64)
        loss = np.array([row["loss"] for row in rows], np.float64)
        smooth = gaussian_filter1d(loss, max(len(loss) / 60, 0.5), mode="nearest")
        low, high = np.quantile(loss, [0.0, 0.995])
        ticks = _ticks(low, max(high, low + 1e-6))
        low, high = min(low, ticks[0]), max(high, ticks[-1], low + 1e-6)
        x = left + (step - step[0]) / max(step[-1] - step[0], 1) * (width - left - right)
        y = lambda value: top + (high - np.clip(value, low, high)) / (high - low) * (height - top - bottom)  # noqa: E731
        for tick in ticks:
            cv2.line(image, (left, round(y(tick))), (width - right, round(y(tick))), _PALE, 1, cv2.LINE_AA)
            _write(image, f"{tick:.4g}", (left - 8, round(y(tick)) + 5), 1.0)
        for tick in _ticks(step[0], step[-1]):
            at = left + (tick - step[0]) / max(step[-1] - step[0], 1) * (width - left - right)
            _write(image, f"{tick:g}", (round(at), height - bottom + 22), 0.5)
        for a, b in zip(x, y(loss), strict=True):
            cv2.circle(image, (round(a), round(b)), 1, _PALE, -1, cv2.LINE_AA)
        course = np.stack([x, y(smooth)], 1)
        cv2.polylines(image, [np.round(course * 8).astype(np.int32)], False, _LINE, 2, cv2.LINE_AA, shift=3)
        _write(image, f"loss, last {smooth[-1]:.4f}", (left, top - 10), 0.0)
    _write(image, "step", (width - right, height - 8), 1.0)
    return cv2.imencode(".png", image)[1].tobytes()


def draw_grid(rows: list[np.ndarray]) -> bytes:
    """A PNG of images (n, h, w, 3) uint8 sRGB, one row below the other, with narrow white gaps."""
    gap = 4
    lines = []
    for images in rows:
        padded = np.pad(images, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=255)
        lines.append(np.concatenate(list(padded), 1))
    width = max(line.shape[1] for line in lines)
    lines = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    return cv2.imencode(".png", cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR))[1].tobytes()


def _ticks(low: float, high: float) -> np.ndarray:
    """About five round numbers within low..high."""
    span = max(high - low, 1e-9)
    unit = 10 ** np.floor(np.log10(span / 4))
    unit *= next(k for k in (1, 2, 5, 10) if span / (unit * k) <= 6)
    return np.arange(np.ceil(low / unit), np.floor(high / unit) + 1) * unit


def _write(image: np.ndarray, text: str, corner: tuple[int, int], back: float) -> None:
    """Text whose baseline starts at `corner`, moved left by `back` of its width."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    place = (corner[0] - round(back * width), corner[1])
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _GREY, 1, cv2.LINE_AA)
