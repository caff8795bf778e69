"""Colour profiles (ICC) for tests, written tag by tag, and the analytic truth that they describe."""

import struct
from collections.abc import Sequence

import numpy as np

# x and y of white, red, green and blue, and the curve: a gamma, or None for sRGB's.
SRGB = ((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), None)
DISPLAY_P3 = ((0.3127, 0.3290), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06), None)
ADOBE_RGB = ((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), 563 / 256)
PROPHOTO = ((0.3457, 0.3585), (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), 1.8)
REC_2020_LINEAR = ((0.3127, 0.3290), (0.708, 0.292), (0.170, 0.797), (0.131, 0.046), 1.0)
SRGB_GAMMA_22 = (*SRGB[:4], 2.2)
SPACES = {
    "p3": DISPLAY_P3,
    "adobe": ADOBE_RGB,
    "prophoto": PROPHOTO,
    "linear 2020": REC_2020_LINEAR,
    "srgb 2.2": SRGB_GAMMA_22,
}
_D50 = np.array([0.9642, 1.0, 0.8249])


def light_of(value: np.ndarray, gamma: float | None) -> np.ndarray:
    """0..1 to light 0..1."""
    if gamma is not None:
        return value**gamma
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_of(value: np.ndarray, space) -> np.ndarray:
    """The truth: values (..., 3) of 0..1 in a space to sRGB's of 0..255, not rounded."""
    light = light_of(value, space[4]) @ (np.linalg.inv(under_d50(SRGB)) @ under_d50(space)).T
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def under_d50(space) -> np.ndarray:
    """(3, 3) CIE XYZ of red, green and blue in columns, white adapted to D50 (Bradford)."""
    white, *colors = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in space[:4])
    colors = np.stack(colors, 1)
    colors = colors * np.linalg.solve(colors, white)
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    return np.linalg.inv(cone) @ np.diag((cone @ _D50) / (cone @ white)) @ cone @ colors


def rgb_profile(space, version: int = 4, curve: str = "function") -> bytes:
    """A profile of a space; its curve as a "function", a "gamma" or a "table" of 4096 points."""
    tone = {"function": _function(space[4]), "gamma": _gamma(space[4] or 2.2), "table": _table(space[4])}[curve]
    tags = {b"wtpt": _xyz(_D50)}
    for letter, column in zip("rgb", under_d50(space).T, strict=True):
        tags |= {f"{letter}XYZ".encode(): _xyz(column), f"{letter}TRC".encode(): tone}
    return written(tags, b"mntr", b"RGB ", b"XYZ ", version)


def grey_profile(gamma: float) -> bytes:
    return written({b"wtpt": _xyz(_D50), b"kTRC": _gamma(gamma)}, b"mntr", b"GRAY", b"XYZ ", 2)


def cmyk_profile(lab_of_paper: Sequence[float], lab_of_inks: Sequence[Sequence[float]]) -> bytes:
    """Inks as a table (`lut16`) of two points a channel: one ink alone has its L*a*b*, more of them are black."""
    corners = []
    for at in range(16):
        inks = [k for k in range(4) if at >> (3 - k) & 1]
        lab = lab_of_paper if not inks else lab_of_inks[inks[0]] if len(inks) == 1 else (0, 0, 0)
        # ICC.1 version 2: L* of 100 is 0xFF00, a* and b* of 0 are 0x8000.
        corners += [round(lab[0] / 100 * 0xFF00), *(round((v + 128) * 256) for v in lab[1:])]
    unit = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 16]
    table = b"mft2" + bytes(4) + struct.pack(">4B9i2H", 4, 3, 2, 0, *unit, 2, 2)
    table += struct.pack(">2H", 0, 65535) * 4 + struct.pack(f">{len(corners)}H", *corners)
    table += struct.pack(">2H", 0, 65535) * 3
    return written({b"wtpt": _xyz(_D50), b"A2B0": table, b"A2B1": table}, b"prtr", b"CMYK", b"Lab ", 2)


def table_profile() -> bytes:
    """Red, green and blue as a table that turns every colour into one: L*a*b* of 50, 0, 0."""
    unit = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 16]
    table = b"mft2" + bytes(4) + struct.pack(">4B9i2H", 3, 3, 2, 0, *unit, 2, 2)
    table += struct.pack(">2H", 0, 65535) * 3 + struct.pack(">3H", 0x7F80, 0x8000, 0x8000) * 8
    table += struct.pack(">2H", 0, 65535) * 3
    return written({b"wtpt": _xyz(_D50), b"A2B0": table, b"A2B1": table}, b"scnr", b"RGB ", b"Lab ", 2)


def written(tags: dict[bytes, bytes], kind: bytes, space: bytes, connection: bytes, version: int) -> bytes:
    text = b"test\0"
    wide = "test".encode("utf-16-be")
    name = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    if version == 4:
        name = b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide
    tags = {b"desc": name, b"cprt": name if version == 4 else b"text" + bytes(4) + text} | tags
    rows, body, start = b"", b"", 132 + 12 * len(tags)
    for key, data in tags.items():
        rows += key + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI", start + len(body), 0x4300000 if version == 4 else 0x2100000) + kind + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + rows + body


def _fixed(values) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def _xyz(values) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def _function(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"para" + bytes(8) + _fixed([gamma])
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed([2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045])


def _table(gamma: float | None) -> bytes:
    points = np.rint(65535 * light_of(np.linspace(0, 1, 4096), gamma)).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(points)) + points.tobytes()
