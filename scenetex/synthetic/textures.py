"""All materials of a room on one page with their reduced copies, looked up by surface coordinates."""

from dataclasses import dataclass

import cv2
import numpy as np

MAX_LEVELS = 5


@dataclass(frozen=True, eq=False)
class Material:
    """A seamless tile of surface colour.

    Attributes:
        image: (h, w, 3) uint8, sRGB; columns run along s, rows along t.
        period: (2,) metres the tile covers along s and t.
    """

    image: np.ndarray
    period: tuple[float, float]

    @property
    def mean(self) -> np.ndarray:
        """(3,) float64 mean colour, sRGB 0..255."""
        return self.image.reshape(-1, 3).mean(0)


@dataclass(frozen=True, eq=False)
class TexturePage:
    """Materials packed into one image.

    Attributes:
        image: (h, w, 3) uint8 sRGB.
        origin: (m, levels, 2) float32 page column and row of each material's first texel at each level.
        size: (m, levels, 2) float32 columns and rows.
        texel: (m,) float32 metres per texel at level 0.
    """

    image: np.ndarray
    origin: np.ndarray
    size: np.ndarray
    texel: np.ndarray

    def sample(self, material: np.ndarray, turns: np.ndarray, footprint: np.ndarray | None = None) -> np.ndarray:
        """Bilinear colour of `material` (n,) at `turns` (n, 2), in periods along s and t: (n, 3) float32 0..255.

        `footprint` (n,), metres: the width that one sample stands for; the pattern is averaged over about that width
        (trilinear). None looks at the pattern itself.
        """
        turns = turns - np.floor(turns)
        if footprint is None:
            return self._level(material * self.levels, turns)
        level = np.log2(np.maximum(footprint / self.texel[material], 1.0)).astype(np.float32)
        level = np.minimum(level, np.float32(self.levels - 1.001))
        low = level.astype(np.int32)
        row = material * self.levels + low
        out = self._level(row, turns)
        out += (level - low)[:, None] * (self._level(row + 1, turns) - out)
        return out

    @property
    def levels(self) -> int:
        """Number of levels of each material."""
        return self.origin.shape[1]

    def _level(self, row: np.ndarray, fraction: np.ndarray) -> np.ndarray:
        """Colours at `fraction` (n, 2) in 0..1 of the tiles in `row` (n,) = material * levels + level."""
        pixel = fraction * np.take(self.size.reshape(-1, 2), row, axis=0)
        pixel += np.take(self.origin.reshape(-1, 2), row, axis=0)
        # Half a texel off: centres lie at whole numbers. The tiles' padding catches what falls off either end.
        pixel -= np.float32(0.5)
        return lookup(self.image, pixel).astype(np.float32)


def lookup(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Bilinear values of `image` (h, w, c) at `pixel` (n, 2) float32 columns and rows; (n, c) of the image's type."""
    # OpenCV maps are images themselves, of at most 32767 rows.
    columns = 2048
    count = len(pixel)
    rows = -(-count // columns)
    if count % columns:
        pixel = np.concatenate([pixel, np.zeros((rows * columns - count, 2), np.float32)])
    maps = pixel.reshape(rows, columns, 2)
    out = cv2.remap(image, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(rows * columns, -1)[:count]


def pack_materials(materials: list[Material]) -> TexturePage:
    """Packs tiles and their halved copies, each padded by a wrapped row and column on every side."""
    pyramids = [_pyramid(m.image) for m in materials]
    levels = MAX_LEVELS
    size = np.array([[image.shape[1::-1] for image in pyramid] for pyramid in pyramids], np.int64)
    origin, width, height = pack_rectangles(size.reshape(-1, 2) + 2)
    page = np.zeros((height, width, 3), np.uint8)
    flat = [image for pyramid in pyramids for image in pyramid]
    for (x, y), image in zip(origin, flat, strict=True):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="wrap")
        page[y : y + padded.shape[0], x : x + padded.shape[1]] = padded
    texel = [m.period[0] / m.image.shape[1] for m in materials]
    return TexturePage(
        page,
        (origin.reshape(-1, levels, 2) + 1).astype(np.float32),
        size.astype(np.float32),
        np.array(texel, np.float32),
    )


def _pyramid(image: np.ndarray) -> list[np.ndarray]:
    out = [image]
    for _ in range(MAX_LEVELS - 1):
        h, w = out[-1].shape[:2]
        out.append(cv2.resize(out[-1], (max(w // 2, 1), max(h // 2, 1)), interpolation=cv2.INTER_AREA))
    return out


def pack_rectangles(size: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Shelf packing of rectangles `size` (n, 2) columns and rows: origins (n, 2) int64, page width and height."""
    width = int(max(size[:, 0].max(), np.sqrt(1.1 * size.prod(1).sum())))
    origin = np.zeros((len(size), 2), np.int64)
    x = y = shelf = 0
    for i in np.lexsort((-size[:, 0], -size[:, 1])):
        w, h = size[i]
        if x + w > width:
            x, y, shelf = 0, y + shelf, 0
        origin[i] = x, y
        x += w
        shelf = max(shelf, h)
    return origin, width, int(y + shelf)
