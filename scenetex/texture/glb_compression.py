"""Compressed geometry of a GLB: which codec, whether it is there, and what it is told."""

import warnings
from collections import Counter
from importlib.util import find_spec
from types import ModuleType

import numpy as np

from ..errors import InputError, InputWarning, extra
from .glb_draco import draco_glb
from .glb_meshopt import meshopt_glb
from .glb_rounding import Grid, uv_exponent

COMPRESSIONS = ("none", "draco", "meshopt")
_MODULES = {"draco": "DracoPy", "meshopt": "meshopt"}


def check_compression(compress: str, said: str = "compress") -> None:
    """Raises InputError for a compression that is unknown or not installed; `said` is how it was asked for."""
    if compress not in COMPRESSIONS:
        raise InputError(f"{said} {compress!r} is unknown; choose none, draco or meshopt")
    module = _MODULES.get(compress)
    if module and find_spec(module) is None:
        raise InputError(f"{said} {compress} needs {module}, which is not installed; {extra('compress')}")


def codec(compress: str) -> ModuleType | None:
    """The library that compresses; None for "none"."""
    check_compression(compress)
    if compress == "draco":
        import DracoPy

        return DracoPy
    if compress == "meshopt":
        import meshopt

        return meshopt
    return None


def compressed(glb: bytes, compress: str, positions: np.ndarray, uv: np.ndarray, size: int) -> bytes:
    """A GLB of ours, rounded and compressed.

    Args:
        glb: the file.
        compress: "none", "draco" or "meshopt".
        positions: (n, 3) all that are in it, for one grid.
        uv: (m, 2) all that are in it.
        size: of the textures, texels.
    """
    library = codec(compress)
    if library is None:
        return glb
    grid, exponent = Grid.of(positions), uv_exponent(uv, size)
    if compress == "meshopt":
        return meshopt_glb(library, glb, {"POSITION": grid.exponent, "TEXCOORD_0": exponent})
    return draco_glb(library, glb, grid, exponent)[0]


def compressed_as_it_is(glb: bytes, compress: str) -> bytes:
    """Somebody's GLB, compressed: by meshopt to the bit, by Draco with rounded positions. What Draco cannot hold stays
    as it is, with a warning."""
    library = codec(compress)
    if library is None:
        return glb
    try:
        if compress == "meshopt":
            return meshopt_glb(library, glb, {})
        data, left = draco_glb(library, glb, None, None)
    except (LookupError, ValueError, TypeError, AttributeError):  # JSON of any shape, where nothing is painted
        data, left = glb, ["it is damaged"]
    if left:
        reasons = ", ".join(f"{count} as {reason}" for reason, count in Counter(left).items())
        warnings.warn(f"{compress}: parts of the GLB stay uncompressed: {reasons}", InputWarning, stacklevel=2)
    return data
