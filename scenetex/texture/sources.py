"""Where the colour of each texel comes from: in numbers, and as pages in false colours that can be read back."""

import io
from dataclasses import replace

import numpy as np

from ..errors import InputError
from .fill import pad
from .textured_mesh import TexturedMesh

# What a texel of a page of sources can be, by its index. Blue, orange and purple are after the palette of Okabe and Ito
# (2008), the blue a little darker: so the colour-blind tell them apart.
NOTHING, PHOTO, GENERATED, FILLED = range(4)
COLORS = {"photo": (0, 86, 166), "generated": (230, 159, 0), "filled": (204, 121, 167)}
_PALETTE = np.array([(32, 33, 36), *COLORS.values()], np.uint8)
_MOST_PIXELS = 1 << 30


def texels_by_source(textured: TexturedMesh) -> dict[str, int]:
    """How many texels show photos, generated images, and what was filled in where no view saw anything."""
    seen = sum(int(page.sum()) for page in textured.coverage)
    generated = sum(int(page.sum()) for page in textured.generated or ())
    return {"photo": seen - generated, "generated": generated, "filled": max(0, (textured.texels or seen) - seen)}


def source_pages(textured: TexturedMesh) -> np.ndarray:
    """(pages, size, size) uint8: `NOTHING` outside of charts, else `PHOTO`, `GENERATED` or `FILLED`.

    Where nobody told what the images were, they count as photos.
    """
    pages = np.where(textured.atlas.charted, np.uint8(FILLED), np.uint8(NOTHING))
    for page, seen in zip(pages, textured.coverage, strict=True):
        page[seen] = PHOTO
    for page, made in zip(pages, textured.generated or (), strict=False):
        page[made] = GENERATED
    return pages


def in_false_colors(textured: TexturedMesh) -> TexturedMesh:
    """The same mesh, its pages painted in `COLORS` of what each texel's colour comes from."""
    pages = tuple(pad(_PALETTE[page], page != NOTHING) for page in source_pages(textured))
    return replace(textured, textures=pages)


def encode_sources(textured: TexturedMesh) -> list[bytes]:
    """One indexed PNG per page: its indices are those of `source_pages`, its palette shows them in false colours."""
    from PIL import Image

    files = []
    for page in source_pages(textured):
        image, file = Image.fromarray(page), io.BytesIO()
        image.putpalette(_PALETTE.tobytes())
        image.save(file, "PNG", bits=2)
        files.append(file.getvalue())
    return files


def decode_sources(data: bytes, label: str = "sources.png") -> tuple[np.ndarray, np.ndarray]:
    """What `encode_sources` wrote of a page: (size, size) bool `coverage` and `generated`, as in `TexturedMesh`.

    Args:
        data: the PNG.
        label: what errors call it.

    Raises:
        InputError: it is no such image, or damaged.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            sound = image.mode == "P" and image.width == image.height and image.width**2 <= _MOST_PIXELS
            page = np.asarray(image) if sound else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        page = None
    if page is None or page.max(initial=0) > FILLED:
        raise InputError(f"{label}: does not say where texels come from, or is damaged; texture the scene again")
    return (page == PHOTO) | (page == GENERATED), page == GENERATED
