"""Normal maps in a GLB, and the smooth normals that they turn."""

from typing import Protocol

import numpy as np

from ..scene.mesh import Mesh
from .tangents import unit_normals


class Buffer(Protocol):
    """What holds a GLB's data."""

    def view(self, data: bytes) -> int: ...


def add_normal_maps(document: dict, buffer: Buffer, images: list[bytes]) -> None:
    """Gives the first materials of a glTF document a normal map each, PNG; those are lit from then on, as unlit ones show
    none. There are no tangents: viewers make MikkTSpace's, as the specification says."""
    for material, image in zip(document["materials"], images, strict=False):
        material.pop("extensions")
        material["normalTexture"] = {"index": len(document["textures"])}
        document["textures"].append({"sampler": 0, "source": len(document["images"])})
        document["images"].append({"bufferView": buffer.view(image), "mimeType": "image/png"})
    if not any("extensions" in material for material in document["materials"]):
        document["extensionsUsed"].remove("KHR_materials_unlit")
    if not document["extensionsUsed"]:
        del document["extensionsUsed"]


def y_up_normals(mesh: Mesh) -> np.ndarray:
    """(n, 3) float64 unit vertex normals as glTF has them, y up."""
    return (unit_normals(mesh) @ mesh.axis_alignment[:3, :3].T)[:, [0, 2, 1]] * [1.0, 1.0, -1.0]
