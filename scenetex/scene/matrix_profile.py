"""Colour profiles (ICC.1:2022) of three primaries and a curve: written for what says its colours without a profile, and
read for pixels of 16 bits, which Pillow's LittleCMS does not take."""

import struct

import numpy as np

_D50 = np.array([0.9642, 1.0, 0.8249])  # the white of all profiles
_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue; x and y
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_FULL = 65535
_MOST_TAGS = 200
# Parameters of the functions (`para`) that a curve may be, as many as each kind has.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}


def matrix_profile(primaries: tuple[float, ...], gamma: float | None) -> bytes:
    """A profile of colours whose `primaries` are x and y of white, red, green and blue; `gamma` None: sRGB's curve.

    Raises:
        ValueError: primaries that are none: on one line, or without a white between them.
    """
    curve = b"para" + bytes(4)
    curve += struct.pack(">HH", 3, 0) if gamma is None else struct.pack(">HH", 0, 0)
    curve += _fixed(*(_SRGB_CURVE if gamma is None else (gamma,)))
    text = "scenetex".encode("utf-16-be")
    name = b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(text), 28) + text
    tags = {b"desc": name, b"cprt": name, b"wtpt": b"XYZ " + bytes(4) + _fixed(*_D50)}
    for letter, column in zip((b"r", b"g", b"b"), _colorants(primaries).T, strict=True):
        tags |= {letter + b"XYZ": b"XYZ " + bytes(4) + _fixed(*column), letter + b"TRC": curve}
    rows, body, start = b"", b"", 132 + 12 * len(tags)
    for key, data in tags.items():
        rows += key + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12x4s28x", start + len(body), bytes(4), 0x4300000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    return (head + _fixed(*_D50)).ljust(128, b"\0") + struct.pack(">I", len(tags)) + rows + body


def read_matrix_profile(profile: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """What 16-bit pixels mean: (3, 65536) float32 light 0..1 of each channel's values, and the (3, 3) float32 matrix
    that leads from there to the light of sRGB's channels. Of a grey profile all channels are one.

    None for a profile of tables, or a damaged one.
    """
    try:
        tags = _tags(profile)
        if any(name.startswith(b"A2B") for name in tags):
            return None
        if b"kTRC" in tags:
            return np.repeat(_curve(tags[b"kTRC"])[None], 3, 0), np.eye(3, dtype=np.float32)
        if profile[20:24] != b"XYZ ":
            return None
        curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        matrix = np.linalg.solve(_colorants(_SRGB), np.array(columns, np.float64).T / 65536)
        return curves, matrix.astype(np.float32)
    except (struct.error, KeyError, ValueError):
        return None


def _fixed(*values: float) -> bytes:
    """Numbers of 16 bits before and behind the point."""
    return struct.pack(f">{len(values)}i", *(int(np.clip(round(v * 65536), -(1 << 31), (1 << 31) - 1)) for v in values))


def _colorants(primaries: tuple[float, ...]) -> np.ndarray:
    """(3, 3): CIE XYZ under D50 of red, green and blue, in columns, by the Bradford transform."""
    xy = np.array(primaries, np.float64).reshape(4, 2)
    if not (xy[:, 1] > 0).all():
        raise ValueError("no primaries")
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    white, colors = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(colors)) < 1e-6:
        raise ValueError("no primaries")
    share = np.linalg.solve(colors, white)
    if not (share > 0).all():
        raise ValueError("white is not between the primaries")
    to_d50 = np.linalg.solve(_BRADFORD, ((_BRADFORD @ _D50) / (_BRADFORD @ white))[:, None] * _BRADFORD)
    return to_d50 @ (colors * share)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    rows = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(min(count, _MOST_TAGS))]
    return {name: profile[at : at + size] for name, at, size in rows}


def _curve(tag: bytes) -> np.ndarray:
    """(65536,) float32 light of the values of 16 bits."""
    value = np.arange(_FULL + 1) / _FULL
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return value.astype(np.float32)
        if count == 1:
            return (value ** (struct.unpack_from(">H", tag, 12)[0] / 256)).astype(np.float32)
        points = np.frombuffer(tag, ">u2", count, 12) / _FULL
        return np.interp(value, np.linspace(0, 1, count), points).astype(np.float32)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, *rest = np.array(struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)) / 65536
    a, b, c, d, e, f = (*rest, *(0.0,) * (6 - len(rest))) if rest else (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if kind in (1, 2):  # a line of no slope below where the power begins
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    with np.errstate(all="ignore"):  # a damaged profile may say anything
        power = np.maximum(a * value + b, 0) ** g + e
    return np.clip(np.nan_to_num(np.where(value >= d, power, c * value + f)), 0, 1).astype(np.float32)
