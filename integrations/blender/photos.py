"""The photos of cameras: their background images, as photogrammetry importers and camera matching leave them."""

from dataclasses import dataclass
from pathlib import Path

import bpy

from .errors import AddonError

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


@dataclass(frozen=True)
class Photo:
    """An image file, in bytes.

    Attributes:
        size: (width, height) in pixels.
        suffix: of its name.
        data: of the file.
    """

    size: tuple[int, int]
    suffix: str
    data: bytes


def photo_of(camera: bpy.types.Object) -> Photo | None:
    """The first background image that a camera shows, if it has one.

    Raises:
        AddonError: a film, or an image whose file is not there or of a kind that scenetex does not read.
    """
    backgrounds = [b for b in camera.data.background_images if b.show_background_image]
    backgrounds = [b for b in backgrounds if (b.image if b.source == "IMAGE" else b.clip)]
    if not backgrounds:
        return None
    image = backgrounds[0].image
    if backgrounds[0].source != "IMAGE" or image.source != "FILE":
        raise AddonError(f"camera '{camera.name}': its background is no single image; give it one")
    if image.file_format not in _SUFFIXES:
        raise AddonError(f"camera '{camera.name}': {image.name} is {image.file_format}; save it as JPEG or PNG")
    if image.packed_file is not None:
        data = bytes(image.packed_file.data)
    else:
        path = Path(bpy.path.abspath(image.filepath, library=image.library))
        if not path.is_file():
            raise AddonError(f"camera '{camera.name}': its photo {path} is not there; find missing files")
        data = path.read_bytes()
    width, height = image.size
    if not width or not height:
        raise AddonError(f"camera '{camera.name}': its photo {image.name} cannot be read; save it again")
    return Photo((width, height), _SUFFIXES[image.file_format], data)
