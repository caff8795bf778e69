"""The frame that photos are compared and projected in: about the scene's middle, at the scale of a room."""

from dataclasses import dataclass

import numpy as np

from ..scene.mesh import Mesh
from ..views.viewset import ViewSet

# Lengths that this folder compares with are metres of a scene whose surface cameras see from this far, in the middle.
_MIDDLE_DEPTH = 2.0


@dataclass(frozen=True, eq=False)
class WorkingFrame:
    """Where float32 suffices and thresholds hold: about the scene's middle, at the scale of a room.

    Attributes:
        origin: (3,) float64 of the world's frame.
        unit: length in the world that is a metre here.
    """

    origin: np.ndarray
    unit: float

    @classmethod
    def of(cls, mesh: Mesh, views: ViewSet) -> "WorkingFrame":
        """For views of a mesh."""
        return cls(mesh.extent.middle, (views.middle_depth or _MIDDLE_DEPTH) / _MIDDLE_DEPTH)

    def points(self, world: np.ndarray) -> np.ndarray:
        """(n, 3) float64 positions here of points in the world."""
        return (world - self.origin) / self.unit

    def mesh(self, mesh: Mesh) -> Mesh:
        """Vertices and faces here."""
        return Mesh(self.points(mesh.vertices), mesh.faces)

    def pose(self, cam_to_world: np.ndarray) -> np.ndarray:
        """(4, 4) float64 camera's pose here."""
        pose = np.array(cam_to_world, np.float64)
        pose[:3, 3] = self.points(pose[:3, 3])
        return pose

    def world_pose(self, pose: np.ndarray) -> np.ndarray:
        """(4, 4) float64 pose in the world of a camera's pose here."""
        pose = np.array(pose, np.float64)
        pose[:3, 3] = pose[:3, 3] * self.unit + self.origin
        return pose
