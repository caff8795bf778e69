"""A sheet of what several seeds make of one scene: a row for each seed, the same keyframes below each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import shown
from .preview import FAINT, GAP, INK, LINE, MARGIN, PAPER, WIDTH, fit

MOST_COLUMNS = 5
_ROW_NAME = 100  # pixels
_LONGEST_PROMPT = 150  # characters of it that are shown


def seed_sheet(
    rows: Mapping[int, Sequence[np.ndarray]], frame_ids: Sequence[int], prompt: str, about: str
) -> np.ndarray:
    """A picture to choose a seed by.

    Args:
        rows: by seed, its images (h, w, 3) uint8 sRGB, one for each of the frames.
        frame_ids: of the m frames, of which at most `MOST_COLUMNS` are shown, evenly.
        prompt: what the images were generated from.
        about: how.

    Returns:
        (H, 1840, 3) uint8 sRGB.
    """
    count = min(len(frame_ids), MOST_COLUMNS)
    shown_frames = np.unique(np.linspace(0, len(frame_ids) - 1, count).round().astype(int))
    height, width = next(iter(rows.values()))[0].shape[:2]
    tile_width = (WIDTH - 2 * MARGIN - _ROW_NAME - GAP * (MOST_COLUMNS - 1)) // MOST_COLUMNS
    tile = tile_width, max(1, round(tile_width * min(height / width, 2.0)))
    top = MARGIN + 3 * LINE
    sheet = Image.new("RGB", (WIDTH, top + len(rows) * (tile[1] + GAP) - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(x: int, y: int, text: str, ink: tuple[int, int, int], size: int = 15) -> None:
        draw.text((x, y), text, ink, ImageFont.load_default(size), anchor="lm")

    write(MARGIN, MARGIN + LINE // 2, shown(prompt, _LONGEST_PROMPT), INK)
    write(MARGIN, MARGIN + LINE + LINE // 2, about, FAINT)
    columns = [MARGIN + _ROW_NAME + i * (tile[0] + GAP) for i in range(len(shown_frames))]
    for x, frame in zip(columns, shown_frames, strict=True):
        write(x, top - LINE // 2, f"frame {frame_ids[frame]}", FAINT)
    for i, (seed, images) in enumerate(rows.items()):
        y = top + i * (tile[1] + GAP)
        write(MARGIN, y + tile[1] // 2, "seed", FAINT)
        write(MARGIN, y + tile[1] // 2 + LINE, _number(seed), INK, 22 if seed < 10**6 else 9)
        for x, frame in zip(columns, shown_frames, strict=True):
            sheet.paste(Image.fromarray(fit(images[frame], tile)), (x, y))
    return np.asarray(sheet)


def _number(seed: int) -> str:
    """In lines where it is long: the font knows no narrower one."""
    text = str(seed)
    return text if len(text) <= 16 else f"{text[:10]}\n{text[10:]}"
