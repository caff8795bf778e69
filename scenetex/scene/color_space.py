"""What a photo's header says of its colours: as a profile (ICC), found or made, or a name where none can say it."""

from collections.abc import Iterator
from contextlib import suppress

from PIL import ExifTags, Image

from .matrix_profile import matrix_profile

_SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue; x and y
_ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_ADOBE_GAMMA = 563 / 256
_SRGB_GAMMA = 1 / 2.2
_ROUNDING = 0.005
_UNSPECIFIED = 2
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
# Primaries by their code in ITU-T H.273, as above.
_PRIMARIES = {
    1: _SRGB_PRIMARIES,
    _UNSPECIFIED: _SRGB_PRIMARIES,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
# Curves by their code there: a gamma, or None for sRGB's, for which those of video are taken, as Firefox does.
_TRANSFERS = {1: None, _UNSPECIFIED: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}
_BEYOND_WHITE = {16: "high dynamic range (PQ)", 18: "high dynamic range (HLG)"}
_LARGEST_CHUNK = 1 << 24
_ADOBE_SPACE, _UNCALIBRATED = 2, 65535  # EXIF's ColorSpace


def stated_colors(image: Image.Image, file) -> tuple[bytes | None, str | None]:
    """The profile of an image, open and not yet decoded, and the name of colours that nothing here can convert.

    Both None for sRGB, or where nothing is said. A PNG's chunks count in the order that its third edition gives them,
    as in browsers: cICP, iCCP, sRGB, gAMA and cHRM. A profile goes before EXIF.
    """
    profile = image.info.get("icc_profile") or None
    if image.mode == "CMYK":
        return profile, None if profile else "CMYK"
    if image.format == "PNG":
        return _of_png(image, file, profile)
    if profile is None and _is_adobe_rgb(image):
        return matrix_profile(_ADOBE_RGB, _ADOBE_GAMMA), None
    return profile, None


def coded_colors(codes: tuple[int, int]) -> tuple[bytes | None, str | None]:
    """The same of codes for primaries and transfer (ITU-T H.273)."""
    primaries, transfer = _PRIMARIES.get(codes[0]), codes[1]
    if transfer in _BEYOND_WHITE:
        return None, _BEYOND_WHITE[transfer]
    if primaries is None or transfer not in _TRANSFERS:
        return None, f"colours of codes {codes[0]} and {codes[1]} (ITU-T H.273)"
    gamma = _TRANSFERS[transfer]
    if primaries == _SRGB_PRIMARIES and gamma is None:
        return None, None
    return matrix_profile(primaries, gamma), None


def _of_png(image: Image.Image, file, profile: bytes | None) -> tuple[bytes | None, str | None]:
    codes = next((data for name, data in _chunks(file) if name == b"cICP" and len(data) == 4), None)
    if codes is not None:
        return coded_colors((codes[0], codes[1]))
    if profile is not None or "srgb" in image.info:
        return profile, None
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity", _SRGB_PRIMARIES)
    same = all(abs(a - b) <= _ROUNDING for a, b in zip(primaries, _SRGB_PRIMARIES, strict=True))
    usual = gamma is None or abs(gamma - _SRGB_GAMMA) <= _ROUNDING  # so are PNGs of sRGB without the chunk of its name
    if same and usual:
        return None, None
    try:
        return matrix_profile(primaries, None if usual else 1 / gamma), None
    except (ValueError, ZeroDivisionError, OverflowError):
        return None, "primaries and a gamma that make no sense (cHRM, gAMA)"


def _chunks(file) -> Iterator[tuple[bytes, bytes]]:
    """A PNG's chunks before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        length = int.from_bytes(head[:4], "big")
        if length > _LARGEST_CHUNK:
            return
        yield head[4:], file.read(length) if head[4:] == b"cICP" else file.seek(length, 1) and b""
        file.seek(4, 1)


def _is_adobe_rgb(image: Image.Image) -> bool:
    if "exif" not in image.info:
        return False
    with suppress(Exception):  # a damaged tag is none
        exif = Image.Exif()
        exif.load(image.info["exif"])
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        if space != _UNCALIBRATED:
            return space == _ADOBE_SPACE
        # The "option file" of DCF 2.0, by which most cameras mark Adobe RGB.
        return str(exif.get_ifd(ExifTags.IFD.Interop).get(1)).startswith("R03")
    return False
