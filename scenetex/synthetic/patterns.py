"""Patterns of floors, walls and furniture, painted as seamless tiles of surface colour.

Every painter takes a generator, the tile's (rows, columns), the metres a texel covers and a base colour (3,) in 0..1
gamma space, and returns (rows, columns, 3) float32 in the same space. Details are 8 mm or wider: finer ones could not
be recovered from photos taken across a room.
"""

import math

import numpy as np

from .value_noise import fractal_noise, value_noise


def _cells(shape: tuple[int, int], texel: float, size: float | tuple[float, float]) -> tuple[int, int]:
    """Noise cells of `size` metres (one number, or (rows, columns)) that fit a tile."""
    size = (size, size) if np.isscalar(size) else size
    return tuple(max(round(n * texel / s), 1) for n, s in zip(shape, size, strict=True))


def _count(length: int, texel: float, size: float) -> int:
    """How many elements of about `size` metres repeat over `length` texels."""
    return max(round(length * texel / size), 1)


def _shade(color: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`color` (3,) brightened by `value` (h, w): 0 leaves it, 0.1 is a tenth brighter; shadows turn a little warmer."""
    warm = np.array([0.94, 1.0, 1.07], np.float32)
    return np.clip(np.asarray(color, np.float32) * (1 + value[..., None] * warm), 0, 1)


def paint(rng, shape, texel, color):
    """Rolled wall paint: almost even."""
    cloud = fractal_noise(rng, shape, _cells(shape, texel, 0.3), 3)
    grain = value_noise(rng, shape, _cells(shape, texel, 0.016))
    return _shade(color, 0.006 * cloud + 0.006 * grain)


def plaster(rng, shape, texel, color):
    """Trowelled plaster: soft clouds."""
    cloud = fractal_noise(rng, shape, _cells(shape, texel, 0.25), 4, 0.55)
    return _shade(color, 0.014 * cloud)


def concrete(rng, shape, texel, color):
    """Poured concrete: clouds, and pores of about a centimetre."""
    cloud = fractal_noise(rng, shape, _cells(shape, texel, 0.4), 6, 0.6)
    pores = value_noise(rng, shape, _cells(shape, texel, 0.012))
    return _shade(color, 0.035 * cloud - 0.08 * np.clip(pores - 2.0, 0, 1))


def _wood_grain(rng, shape, texel, stretch: float = 0.5):
    """Grain along the columns: fine fibres over broad bands; (h, w) float32, deviation about 1."""
    fibre = fractal_noise(rng, shape, _cells(shape, texel, (0.02, stretch)), 2, 0.7)
    band = value_noise(rng, shape, _cells(shape, texel, (0.07, stretch * 2)))
    ring = np.sin(2.6 * band + 5.0 * value_noise(rng, shape, _cells(shape, texel, (0.14, stretch * 2))))
    return 0.75 * fibre + 0.55 * ring


def _grain_depth(color) -> float:
    """How much of the grain shows: paint and pale woods hide most of it."""
    return 0.055 if np.mean(color) < 0.75 else 0.025


def wood(rng, shape, texel, color):
    """Furniture wood with the grain along the columns."""
    return _shade(color, _grain_depth(color) * _wood_grain(rng, shape, texel))


def _planks(rng, shape, texel, color, width, length, tone, gap):
    """Boards along the columns, rows shifted against each other."""
    h, w = shape
    rows, per_row = _count(h, texel, width), _count(w, texel, length)
    y = np.arange(h, dtype=np.float32) * rows / h
    row = y.astype(np.int32)
    x = (np.arange(w, dtype=np.float32) * per_row / w)[None] + rng.random(rows, np.float32)[row][:, None]
    board = x.astype(np.int32) % per_row
    tones = rng.standard_normal((rows, per_row), dtype=np.float32)
    fibres = _wood_grain(rng, shape, texel)
    # Every board shows its own piece of the grain.
    shift = rng.integers(0, w, (rows, per_row))
    column = (np.arange(w) + shift[row[:, None], board]) % w
    value = tone * tones[row[:, None], board] + _grain_depth(color) * np.take_along_axis(fibres, column, axis=1)
    edge_y = np.minimum(y % 1, 1 - y % 1) * (h * texel / rows)
    edge_x = np.minimum(x % 1, 1 - x % 1) * (w * texel / per_row)
    edge = np.minimum(edge_y[:, None], edge_x)
    reach = max(0.006, 0.9 * texel)
    return _shade(color, value - gap * np.clip(1 - edge / reach, 0, 1))


def planks(rng, shape, texel, color):
    """A floor of boards."""
    return _planks(rng, shape, texel, color, rng.uniform(0.11, 0.19), rng.uniform(1.1, 1.7), 0.055, 0.35)


def panelling(rng, shape, texel, color):
    """Upright boards on a wall (along the rows)."""
    flipped = _planks(rng, shape[::-1], texel, color, rng.uniform(0.1, 0.15), 4.0, 0.03, 0.25)
    return np.ascontiguousarray(flipped.transpose(1, 0, 2))


def herringbone(rng, shape, texel, color):
    """Parquet blocks of one to four, laid at right angles."""
    h, w = shape
    n = 4
    repeats = _count(w, texel, 0.085 * 2 * n)
    unit = w / (repeats * 2 * n)
    count = repeats * 2 * n
    y, x = np.meshgrid(np.arange(h) / unit, np.arange(w) / unit, indexing="ij")
    i, j = x.astype(np.int32), y.astype(np.int32)
    k = (i - j) % (2 * n)
    across = k < n
    block_i, block_j = np.where(across, i - k, i) % count, np.where(across, j, j - (2 * n - 1 - k)) % count
    along = np.where(across, x - (i - k), y - (j - (2 * n - 1 - k)))
    side = np.where(across, y - j, x - i)
    tones = rng.standard_normal((count, count), dtype=np.float32)
    fibres = _wood_grain(rng, shape, texel, 0.3)
    u = ((along * unit).astype(np.int32) + block_i * 37 + block_j * 91) % w
    v = ((side * unit).astype(np.int32) + block_j * 53 + block_i * 29) % h
    edge = np.minimum(np.minimum(along, n - along), np.minimum(side, 1 - side)) * unit * texel
    value = 0.06 * tones[block_j, block_i] + 0.05 * fibres[v, u] + np.where(across, 0.025, -0.025)
    return _shade(color, (value - 0.3 * np.clip(1 - edge / max(0.006, 0.9 * texel), 0, 1)).astype(np.float32))


def _grid(shape, texel, size, stagger: bool = False):
    """Cells of `size` (rows, columns) metres: row and column index, and the distance to the cell's edge in metres."""
    h, w = shape
    rows, columns = _count(h, texel, size[0]), _count(w, texel, size[1])
    rows += rows % 2 if stagger else 0
    y = np.arange(h, dtype=np.float32) * rows / h
    row = y.astype(np.int32)
    x = np.broadcast_to((np.arange(w, dtype=np.float32) * columns / w)[None], shape)
    if stagger:
        x = x + (row % 2).astype(np.float32)[:, None] / 2
    column = x.astype(np.int32) % columns
    edge_y = np.minimum(y % 1, 1 - y % 1) * (h * texel / rows)
    edge_x = np.minimum(x % 1, 1 - x % 1) * (w * texel / columns)
    return np.broadcast_to(row[:, None], shape), column, np.minimum(edge_y[:, None], edge_x), (rows, columns)


def _joint(image, edge, texel, color, width):
    """Lays joints of `width` metres and `color` over the cell edges."""
    cover = np.clip((width / 2 + texel / 2 - edge) / texel, 0, 1)[..., None]
    return (image * (1 - cover) + np.asarray(color, np.float32) * cover).astype(np.float32)


def _mix(color, other, share):
    return (1 - share) * np.asarray(color, np.float32) + share * np.asarray(other, np.float32)


def tiles(rng, shape, texel, color):
    """Square stone tiles with joints."""
    size = rng.choice([0.25, 0.33, 0.45])
    row, column, edge, count = _grid(shape, texel, (size, size))
    tone = rng.standard_normal(count, dtype=np.float32)[row, column]
    cloud = fractal_noise(rng, shape, _cells(shape, texel, 0.2), 4, 0.6)
    return _joint(
        _shade(color, 0.03 * tone + 0.022 * cloud),
        edge,
        texel,
        _mix(_mix(color, (0, 0, 0), 0.3), (0.78, 0.77, 0.75), 0.3),
        0.010,
    )


def checker(rng, shape, texel, color, other=(0.20, 0.20, 0.21)):
    """Tiles of two colours, in turn."""
    row, column, edge, _ = _grid(shape, texel, (0.3, 0.3))
    cloud = 0.03 * fractal_noise(rng, shape, _cells(shape, texel, 0.2), 4, 0.6)
    dark = ((row + column) % 2 == 1)[..., None]
    image = np.where(dark, _shade(other, 1.5 * cloud), _shade(color, cloud))
    return _joint(image, edge, texel, _mix(color, other, 0.4), 0.008)


def metro(rng, shape, texel, color):
    """Glazed wall tiles laid like bricks."""
    row, column, edge, count = _grid(shape, texel, (0.1, 0.2), stagger=True)
    tone = rng.standard_normal(count, dtype=np.float32)[row, column]
    bevel = np.clip(edge / 0.02, 0, 1)
    return _joint(
        _shade(color, 0.02 * tone + 0.05 * (bevel - 1)),
        edge,
        texel,
        _mix(_mix(color, (0, 0, 0), 0.25), (0.7, 0.69, 0.67), 0.4),
        0.009,
    )


def brick(rng, shape, texel, color):
    """Brickwork in running bond."""
    row, column, edge, count = _grid(shape, texel, (0.085, 0.25), stagger=True)
    tone = rng.standard_normal(count, dtype=np.float32)[row, column]
    rough = fractal_noise(rng, shape, _cells(shape, texel, 0.06), 3, 0.7)
    edge = edge + 0.0015 * rough
    return _joint(_shade(color, 0.09 * tone + 0.05 * rough), edge, texel, _mix(color, (0.80, 0.77, 0.72), 0.75), 0.014)


def marble(rng, shape, texel, color):
    """Polished stone slabs with veins."""
    warp = fractal_noise(rng, shape, _cells(shape, texel, 0.5), 4, 0.55)
    vein = np.exp(-np.abs(warp) / 0.07) + 0.5 * np.exp(
        -np.abs(fractal_noise(rng, shape, _cells(shape, texel, 0.3), 3)) / 0.06
    )
    cloud = fractal_noise(rng, shape, _cells(shape, texel, 0.5), 3)
    image = _shade(color, 0.02 * cloud - 0.16 * vein)
    _, _, edge, _ = _grid(shape, texel, (0.6, 0.6))
    return _joint(image, edge, texel, _mix(color, (0.6, 0.6, 0.6), 0.4), 0.008)


def terrazzo(rng, shape, texel, color):
    """Chips of mixed stone in cement."""
    image = _shade(color, 0.02 * fractal_noise(rng, shape, _cells(shape, texel, 0.3), 3))
    chips = np.array([[0.75, 0.62, 0.50], [0.45, 0.42, 0.40], [0.86, 0.82, 0.76], [0.62, 0.44, 0.36]], np.float32)
    for chip in _mix(chips, np.asarray(color, np.float32), 0.35):
        spot = value_noise(rng, shape, _cells(shape, texel, 0.02))
        cover = np.clip((spot - 1.35) * 4, 0, 1)[..., None]
        image = image * (1 - cover) + chip * cover
    return image.astype(np.float32)


def carpet(rng, shape, texel, color):
    """Cut pile: fine tufts, and soft shading where feet have been."""
    tuft = value_noise(rng, shape, _cells(shape, texel, 0.016))
    fleck = fractal_noise(rng, shape, _cells(shape, texel, 0.05), 2)
    tread = fractal_noise(rng, shape, _cells(shape, texel, 0.5), 2)
    return _shade(color, 0.04 * tuft + 0.025 * fleck + 0.025 * tread)


def fabric(rng, shape, texel, color):
    """Coarse woven upholstery."""
    warp = value_noise(rng, shape, _cells(shape, texel, (0.008, 0.02)))
    weft = value_noise(rng, shape, _cells(shape, texel, (0.02, 0.008)))
    return _shade(color, 0.014 * warp + 0.014 * weft)


def leather(rng, shape, texel, color):
    """Smooth hide with worn clouds."""
    return _shade(color, 0.022 * fractal_noise(rng, shape, _cells(shape, texel, 0.12), 4, 0.55))


def smooth(rng, shape, texel, color):
    """Lacquer, ceramics, metal, plastic: next to no pattern."""
    return _shade(color, 0.006 * fractal_noise(rng, shape, _cells(shape, texel, 0.1), 2))


def _motif(rng, shape, texel, color, cover, contrast):
    """Prints `cover` (h, w) 0..1 on paper of `color`, darker on light paper and lighter on dark."""
    color = np.asarray(color, np.float32)
    ink = color * (1 - contrast) if color.mean() > 0.45 else _mix(color, (1, 1, 1), contrast)
    image = color * (1 - cover[..., None]) + np.clip(ink, 0, 1) * cover[..., None]
    return np.clip(image * (1 + 0.008 * value_noise(rng, shape, _cells(shape, texel, 0.03))[..., None]), 0, 1)


def striped_wallpaper(rng, shape, texel, color):
    """Upright stripes."""
    count = _count(shape[1], texel, rng.uniform(0.12, 0.24))
    phase = np.arange(shape[1], dtype=np.float32) * count / shape[1] % 1
    softness = 0.5 * texel * count / (shape[1] * texel) * 2
    line = np.clip((0.25 - np.abs(phase - 0.5)) / softness + 0.5, 0, 1)
    return _motif(rng, shape, texel, color, np.broadcast_to(line[None], shape), 0.13)


def trellis_wallpaper(rng, shape, texel, color):
    """Ogees: a lattice of curved diamonds."""
    rows, columns = _count(shape[0], texel, 0.34), _count(shape[1], texel, 0.24)
    y = np.arange(shape[0], dtype=np.float32)[:, None] * (2 * np.pi * rows / shape[0])
    x = np.arange(shape[1], dtype=np.float32)[None] * (2 * np.pi * columns / shape[1])
    field = np.cos(x) + np.cos(y) + 0.18 * np.cos(2 * x)
    line = np.clip(1.6 - np.abs(field - 0.1) * 7, 0, 1)
    dot = np.clip((field - 1.55) * 6, 0, 1)
    return _motif(rng, shape, texel, color, np.maximum(line, dot), 0.2)


def leafy_wallpaper(rng, shape, texel, color):
    """Sprigs of leaves, every other row shifted."""
    rows, columns = _count(shape[0], texel, 0.17) // 2 * 2 or 2, _count(shape[1], texel, 0.15)
    y = np.arange(shape[0], dtype=np.float32)[:, None] * rows / shape[0]
    x = (
        np.arange(shape[1], dtype=np.float32)[None] * columns / shape[1]
        + (y.astype(np.int32) % 2).astype(np.float32) / 2
    )
    u, v = (x % 1 - 0.5) * 0.15, (y % 1 - 0.5) * 0.17
    cover = np.zeros(shape, np.float32)
    for angle, reach in ((1.57, 0.032), (0.5, 0.028), (2.64, 0.028), (-0.5, 0.025), (3.64, 0.025)):
        c, s = math.cos(angle), math.sin(angle)
        a, b = u * c + v * s - reach, v * c - u * s
        inside = 1 - (a / (reach * 0.9)) ** 2 - (b / 0.011) ** 2
        cover = np.maximum(cover, np.clip(inside * 3, 0, 1))
    return _motif(rng, shape, texel, color, cover, 0.22)
