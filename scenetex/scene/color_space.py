"""Colours of a photo that are not sRGB's, as its header says them elsewhere than in a colour profile (ICC)."""

from collections.abc import Iterator
from contextlib import suppress

from PIL import ExifTags, Image

_SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue; x and y
_SRGB_GAMMA = 1 / 2.2
_ROUNDING = 0.02
_SRGB_CODES = 1, 13  # primaries and transfer of ITU-T H.273
_PRIMARIES = {9: "Rec. 2020", 11: "DCI-P3", 12: "Display P3"}
_LARGEST_CHUNK = 1 << 24
_ADOBE_RGB, _UNCALIBRATED = 2, 65535  # EXIF's ColorSpace


def other_colors(image: Image.Image, file) -> str | None:
    """What the colours of an image, open and not yet decoded, are in: "CMYK", "Adobe RGB (EXIF)", ...; None for sRGB.

    A PNG's chunks count in the order that its third edition gives them: cICP, iCCP, sRGB, gAMA and cHRM.
    """
    if image.mode in ("CMYK", "LAB"):
        return image.mode
    if image.format == "PNG":
        return _of_png(image, file)
    return None if "icc_profile" in image.info else _of_exif(image)


def _of_png(image: Image.Image, file) -> str | None:
    codes = next((data for name, data in _chunks(file) if name == b"cICP" and len(data) == 4), None)
    if codes is not None:
        return None if tuple(codes[:2]) == _SRGB_CODES else f"{_PRIMARIES.get(codes[0], 'other colours')} (cICP)"
    if "icc_profile" in image.info or "srgb" in image.info:
        return None
    gamma = image.info.get("gamma", _SRGB_GAMMA)
    if abs(gamma - _SRGB_GAMMA) > _ROUNDING:
        return f"a gamma of {1 / max(gamma, 1e-5):.2g} (gAMA)"
    primaries = image.info.get("chromaticity", _SRGB_PRIMARIES)
    same = all(abs(a - b) <= _ROUNDING for a, b in zip(primaries, _SRGB_PRIMARIES, strict=True))
    return None if same else "primaries of their own (cHRM)"


def _chunks(file) -> Iterator[tuple[bytes, bytes]]:
    """A PNG's chunks before its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        length = int.from_bytes(head[:4], "big")
        if length > _LARGEST_CHUNK:
            return
        yield head[4:], file.read(length) if head[4:] == b"cICP" else file.seek(length, 1) and b""
        file.seek(4, 1)


def _of_exif(image: Image.Image) -> str | None:
    if "exif" not in image.info:
        return None
    with suppress(Exception):  # a damaged tag is none
        exif = Image.Exif()
        exif.load(image.info["exif"])
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        # The "option file" of DCF 2.0, by which most cameras mark Adobe RGB.
        option = exif.get_ifd(ExifTags.IFD.Interop).get(1)
        if space == _ADOBE_RGB or (space == _UNCALIBRATED and str(option).startswith("R03")):
            return "Adobe RGB (EXIF)"
    return None
