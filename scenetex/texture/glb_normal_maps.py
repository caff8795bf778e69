"""Normal maps in a GLB, and the smooth normals and tangents that they are told by."""

from typing import Protocol

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas
from .tangents import tangents, unit_normals


class Buffer(Protocol):
    """What holds a GLB's data."""

    def view(self, data: bytes) -> int: ...


def add_normal_maps(document: dict, buffer: Buffer, images: list[bytes]) -> None:
    """Gives the first materials of a glTF document a normal map each, PNG; those are lit from then on, as unlit ones
    show none."""
    for material, image in zip(document["materials"], images, strict=False):
        material.pop("extensions")
        material["normalTexture"] = {"index": len(document["textures"])}
        document["textures"].append({"sampler": 0, "source": len(document["images"])})
        document["images"].append({"bufferView": buffer.view(image), "mimeType": "image/png"})
    if not any("extensions" in material for material in document["materials"]):
        document["extensionsUsed"].remove("KHR_materials_unlit")
    if not document["extensionsUsed"]:
        del document["extensionsUsed"]


def y_up_frames(mesh: Mesh, atlas: Atlas) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (n, 3) and tangents (n, 4) float64 of the n rows of an atlas as glTF has them, y up."""
    turn = mesh.axis_alignment[[0, 2, 1], :3] * [[1.0], [1.0], [-1.0]]
    tangent = tangents(mesh, atlas)
    normal = unit_normals(mesh)[atlas.vertices]
    return normal @ turn.T, np.concatenate([tangent[:, :3] @ turn.T, tangent[:, 3:]], 1)
