"""Ray casting against a mesh with Embree."""

from weakref import WeakKeyDictionary

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from ..scene.mesh import Mesh


class RayCaster:
    """First hits of rays on a mesh. Faces with a NaN corner are never hit; ids are those of the mesh's own faces."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        """`vertices` (n, 3) float, metres; `faces` (f, 3) int."""
        # A NaN bound would poison Embree's tree: such faces collapse to one finite point, which no ray hits.
        vertices = np.asarray(vertices, np.float32)
        bad = ~np.isfinite(vertices).all(1)
        faces = np.ascontiguousarray(faces, np.int32)
        if bad.any():
            anchor = int(np.argmin(bad))
            vertices = np.where(bad[:, None], vertices[anchor], vertices)
            faces = np.where(bad[faces].any(1)[:, None], anchor, faces).astype(np.int32)
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, np.ascontiguousarray(vertices), faces)

    @classmethod
    def of(cls, mesh: Mesh) -> "RayCaster":
        """That of a mesh about its extent's middle, where float32 is precise however far away the world's origin or a
        stray vertex lies: built once, and kept while the mesh is (some 100 bytes a face)."""
        if mesh not in _OF_MESHES:
            _OF_MESHES[mesh] = cls(mesh.vertices - mesh.extent.middle, mesh.faces)
        return _OF_MESHES[mesh]

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """First hit of each ray.

        Args:
            origins: (n, 3) float, metres.
            directions: (n, 3) float, any length.

        Returns:
            ``face`` (n,) int32, -1 where nothing is hit; ``distance`` (n,) float32 in units of the direction's length;
            ``u``, ``v`` (n,) float32 barycentric weights of the face's second and third corner.
        """
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )
        return {"face": hit["primID"], "distance": hit["tfar"], "u": hit["u"], "v": hit["v"]}

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray | float) -> np.ndarray:
        """Whether each ray hits anything within `reach` (n,), in units of its direction's length: (n,) bool.

        Takes less time than `cast`, which looks for the first hit.
        """
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            dists=np.full(len(origins), reach, np.float32),
            query="OCCLUDED",
        )
        return hit >= 0


_OF_MESHES: WeakKeyDictionary[Mesh, RayCaster] = WeakKeyDictionary()
