"""Patterns that repeat on a plane: planks, tiles, wallpaper. What is unseen is taken over from where they repeat."""

import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

_LIGHT = 0.3  # metres: what is smoother is light
_FINE = 0.05  # metres: what is finer is grain
_SHORTEST = 0.1  # metres of a shift
_NEAR = 0.02  # of the light's window has to be known
_FAINT = 6.0  # grey levels
_PEAKS, _SHIFTS = 300, 60  # shifts that are looked at, and the best of them, that are used
_OVERLAP = 0.1  # of the known cells
_SOFT = 0.5  # cells: photos come sharpened
_ROUNDS = 4
_CHOOSY = 25.0
_FEWEST = 0.5  # square metres that are known
_LOOKS, _JUDGES, _GOOD, _ODD = 2, 12, 0.5, 6.0
_MOST_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class Pattern:
    """What a plane's n texels are, taken apart.

    Attributes:
        base: (n, 3) float32, the light and what else is smooth, where seen.
        detail: (n, 3) float32, what comes on top of it, where unseen.
        certain: (n,) float32 0..1, how alike what is taken over and what is known are; 0 where nothing is.
        alike: (n,) float32 0..1, how well the pattern repeats at best; the less the fainter it is.
    """

    base: np.ndarray
    detail: np.ndarray
    certain: np.ndarray
    alike: np.ndarray


def find_pattern(places: np.ndarray, color: np.ndarray, seen: np.ndarray, spacing: float) -> Pattern | None:
    """Continues the detail of a plane by the shifts at which it repeats (after He and Sun 2012, "Statistics of patch
    offsets for image completion").

    Args:
        places: (n, 2) metres along the plane.
        color: (n, 3) float32 0..255, read where `seen` (n,).
        spacing: metres between texels.
    """
    low = places.min(0)
    cell = 1.25 * spacing
    shape = np.ceil((places.max(0) - low) / cell).astype(int) + 1
    if shape.prod() > _MOST_CELLS:
        cell *= float(np.sqrt(shape.prod() / _MOST_CELLS))
        shape = np.ceil((places.max(0) - low) / cell).astype(int) + 1
    at = np.rint((places - low) / cell).astype(int)
    number = at[:, 0] * shape[1] + at[:, 1]
    count = np.bincount(number[seen], minlength=shape.prod()).reshape(shape).astype(np.float32)
    image = np.stack([np.bincount(number[seen], color[seen, c], shape.prod()) for c in range(3)], 1)
    known = count > 0
    # Where a surface ends, and where sight of it does, photos show a little of what lies beside it.
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if inner.sum() * cell**2 < _FEWEST:
        return None
    image = (image.reshape(*shape, 3) / np.maximum(count, 1)[..., None]).astype(np.float32)
    wanted = np.zeros(shape, bool)
    wanted.reshape(-1)[number[~seen]] = True
    wanted &= ~known
    usual, shortest = inner, max(2, round(_SHORTEST / cell))
    for _ in range(_LOOKS):
        light = _smooth(image, usual, _LIGHT / cell)
        over = np.where(known[..., None], image - light, 0)
        shifts, alike = _repeats(np.where(usual[..., None], over, 0), usual, shortest)
        usual = inner & ~_odd(over, usual, known, _judges(shifts, alike), _FINE / cell)
        if usual.sum() * cell**2 < _FEWEST:
            return None
    light = _smooth(image, usual, _LIGHT / cell)
    over = np.where(usual[..., None], image - light, 0)
    coarse = np.where(usual[..., None], _smooth(over, usual, _FINE / cell), 0)
    over = coarse + np.where(usual[..., None], _smooth(over - coarse, usual, _SOFT), 0)
    strength = float(np.square(over[usual]).mean())
    alike = alike * strength / (strength + _FAINT**2)
    detail, certain = _taken_over(over, coarse, usual, wanted, shifts[:_SHIFTS], alike[:_SHIFTS])
    row, column = at[:, 0], at[:, 1]
    trust = float(alike.max(initial=0))
    near = _blur(usual.astype(np.float32), _LIGHT / cell)[row, column, None] > _NEAR
    base = np.where(near, color * (1 - trust) + light[row, column] * trust, color)
    return Pattern(base, detail[row, column], certain[row, column], np.full(len(color), trust, np.float32))


def _smooth(image: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    weight = _blur(known.astype(np.float32), sigma)
    return _blur(image * known[..., None], sigma) / np.maximum(weight, 1e-6)[..., None]


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)


def _repeats(over: np.ndarray, known: np.ndarray, shortest: int) -> tuple[np.ndarray, np.ndarray]:
    """Shifts (s, 2) at which the detail is most like itself, best first, and (s,) its correlation with itself there."""
    shape = over.shape[:2]
    size = [next_fast_len(2 * n - 1, real=True) for n in shape]
    inside = rfft2(known.astype(np.float32), size)
    squares = rfft2((over**2).sum(2), size)
    overlap = irfft2(np.abs(inside) ** 2, size)
    energy = irfft2(np.conj(inside) * squares, size)  # of what lies at the shifted place
    back = np.roll(energy[::-1, ::-1], (1, 1), (0, 1))
    product = sum(irfft2(np.abs(rfft2(over[..., c], size)) ** 2, size) for c in range(3))
    alike = 2 * product / np.maximum(energy + back, 1e-3 * max(energy.max(), 1e-9))
    alike[overlap < max(50, _OVERLAP * known.sum())] = -1
    row, column = (np.fft.fftfreq(n, 1 / n).round().astype(int) for n in size)
    alike[(np.abs(row) < shortest)[:, None] & (np.abs(column) < shortest)[None]] = -1
    alike[(np.abs(row) >= shape[0])] = -1
    alike[:, (np.abs(column) >= shape[1])] = -1
    wrapped = np.pad(alike.astype(np.float32), shortest, mode="wrap")
    highest = cv2.dilate(wrapped, np.ones((2 * (shortest // 2) + 1,) * 2))[shortest:-shortest, shortest:-shortest]
    peak = (alike >= highest - 1e-6) & (alike > -1)
    r, c = np.nonzero(peak)
    order = np.argsort(-alike[r, c], kind="stable")[:_PEAKS]
    r, c = r[order], c[order]
    return np.stack([row[r], column[c]], 1), alike[r, c].clip(0, 1)


def _judges(shifts: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Of the good shifts the shortest: from everywhere some lead to what is known."""
    good = shifts[alike >= _GOOD * alike.max(initial=0)]
    return good[np.argsort(np.linalg.norm(good, axis=1), kind="stable")][:_JUDGES]


def _odd(over, usual, known, shifts, sigma) -> np.ndarray:
    """(h, w) bool: known cells that are no part of the pattern, such as a frame, a switch, what stands before it: at no
    shift they are like what lies there."""
    smooth = _smooth(over, known, sigma / 2)
    misses = []
    for shift in np.concatenate([shifts, -shifts]):
        miss = np.square(_moved(smooth, shift) - smooth).sum(2)
        misses.append(np.where(_moved(usual, shift), miss, np.nan).astype(np.float32))
    if not misses:
        return np.zeros_like(known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cells from which no shift leads anywhere
        middle = np.nanmedian(np.stack(misses), 0)
    told = known & np.isfinite(middle)
    if not told.any():
        return np.zeros_like(known)
    miss = cv2.GaussianBlur(np.where(told, middle, 0), (0, 0), sigma)
    return told & (miss > max(_ODD * float(np.median(miss[told])), 60.0))


def _moved(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """What lies at `shift` (2,) from each cell; 0 where that is outside."""
    out = np.zeros_like(image)
    into, of = [], []
    for step, side in zip(shift, image.shape, strict=False):
        into.append(slice(max(0, -step), min(side, side - step)))
        of.append(slice(max(0, step), min(side, side + step)))
    out[tuple(into)] = image[tuple(of)]
    return out


def _taken_over(over, coarse, known, wanted, shifts, alike) -> tuple[np.ndarray, np.ndarray]:
    """Detail (h, w, 3) of the wanted cells: grain in full, what is coarser as far as it is likely to fit; and (h, w)
    how likely that is. Few shifts do most: those that tell most come first."""
    fine = over - coarse
    certain, there = np.zeros(known.shape, np.float32), known.copy()
    certain[known] = 1
    fine, coarse = fine.copy(), coarse.copy()
    for _ in range(_ROUNDS):
        have, left = there.copy(), list(range(len(shifts)))
        before = int((wanted & ~there).sum())
        while left:
            todo = wanted & ~there
            gains = [(_moved(have, shifts[k]) & todo).sum() * np.exp(_CHOOSY * alike[k]) for k in left]
            best = int(np.argmax(gains))
            if gains[best] == 0:
                break
            k = left.pop(best)
            fits = _moved(have, shifts[k]) & todo
            fine[fits] = _moved(fine, shifts[k])[fits]
            coarse[fits] = alike[k] * _moved(coarse, shifts[k])[fits]
            certain[fits] = alike[k] * _moved(certain, shifts[k])[fits]
            there |= fits
        if int((wanted & ~there).sum()) in (0, before):
            break
    return np.where(wanted[..., None], fine + coarse, 0), np.where(wanted, certain, 0)
