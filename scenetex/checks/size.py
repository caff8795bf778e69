"""Is the scene as large as a room?"""

import numpy as np

from ..scene.mesh import Mesh
from ..scene.scene import Scene
from .finding import Finding

UNITS = {0.001: "millimetres", 0.01: "centimetres", 0.0254: "inches", 0.3048: "feet", 1000.0: "kilometres"}  # metres
_ROOM = 0.5, 200.0  # metres, longest side: from a desk to a church
_ONE_THING = 0.1  # metres that cameras move around one thing, at least
_USUAL = 6.0  # metres
_GUESSED = 0.001, 0.01, 1000.0  # units that a size alone tells
_STRAYS = 1, 99  # percentiles; what lies outside does not count


def check_size(scene: Scene, fits: bool = False) -> Finding | None:
    """Whether mesh and cameras together are in another unit than metres; `fits`: photos or depth agree on the mesh."""
    side = longest_side(scene.mesh)
    if _ROOM[0] <= side <= _ROOM[1] or side == 0:
        return None
    unit = min(_GUESSED, key=lambda factor: abs(np.log(side * factor / _USUAL)))
    moved = float(np.ptp([f.cam_to_world[:3, 3] for f in scene.frames], axis=0).max())
    if fits and side < _ROOM[0] and moved > _ONE_THING:
        return None
    said = f"the mesh is {_metres(side)} across"
    if not _ROOM[0] <= side * unit <= _ROOM[1]:
        return Finding("size", f"{said}: no room; are mesh and poses in metres?")
    if is_room(moved * 3) and moved < side < 1e9 and side / moved > 50:
        cure = f"its unit looks like {UNITS[unit]} and the poses' like metres; add --mesh-scale {unit:g}"
        return Finding("size", f"{said}, the cameras' way {_metres(moved)}; {cure}")
    return Finding("size", f"{said}: mesh and poses look to be in {UNITS[unit]}; write both in metres (times {unit:g})")


def longest_side(mesh: Mesh) -> float:
    """Metres along the axis of the mesh's largest extent, strays left out."""
    corners = mesh.vertices[np.unique(mesh.faces)] if len(mesh.faces) else mesh.vertices[:0]
    corners = corners[np.isfinite(corners).all(1)]
    if not len(corners):
        return 0.0
    low, high = np.percentile(corners, _STRAYS, axis=0)
    return float((high - low).max())


def _metres(length: float) -> str:
    return f"{length:,.0f} m" if length >= 100 else f"{length:.3g} m"


def is_room(side: float) -> bool:
    """Whether something of that size, metres, may be a room."""
    return _ROOM[0] <= side <= _ROOM[1]
