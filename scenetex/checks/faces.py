"""Are faces turned towards the cameras that see them?"""

from dataclasses import replace

import numpy as np

from ..scene.scene import Scene
from ..texture.winding import looks, turned_away, with_faces_turned
from .finding import Finding
from .look import Look

_SOME, _ALL = 0.03, 0.97  # of the area of faces


def turn_faces(scene: Scene, look: Look) -> tuple[Scene, float]:
    """The scene with faces turned towards who sees them, and the part of its area, 0 to 1, that these are.

    Result: the scene itself where its winding is right, as far as it is seen.
    """
    face = look.hits[1]
    frame, row, column = np.nonzero(face >= 0)
    turned = turned_away(scene.mesh, *looks(scene.mesh, face[frame, row, column], look.cam_to_world[frame, :3, 3]))
    area = np.nan_to_num(scene.mesh.face_areas)
    share = float(area[turned].sum() / max(area.sum(), 1e-300))
    return (replace(scene, mesh=with_faces_turned(scene.mesh, turned)) if turned.any() else scene), share


def check_faces(share: float) -> Finding | None:
    """What to say of the part of the area that had to be turned."""
    if share < _SOME:
        return None
    if share > _ALL:
        return Finding(
            "faces",
            "all faces turn their back to the cameras; they are painted from the side that is seen; add --flip-faces, "
            "or invert the mesh's normals",
        )
    return Finding(
        "faces",
        f"{100 * share:.0f} % of the mesh's area is wound the other way round than the rest; it is painted from the "
        "side that is seen; make the mesh's normals consistent",
    )
