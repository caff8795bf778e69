"""A scene: one mesh and the trajectory that saw it."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InputError
from .frame import Frame
from .mesh import Mesh

_PIXELS = {"color": "photos", "depth": "depth images"}  # what a frame may have


@dataclass(frozen=True)
class ClosedHoles:
    """What closing holes added to a mesh, behind what it had.

    Attributes:
        holes: number of loops that were closed.
        faces, vertices: how many are new.
        area: of the new faces, square metres.
    """

    holes: int
    faces: int
    vertices: int
    area: float

    def __str__(self) -> str:
        return f"{self.holes:,} hole{'s' * (self.holes != 1)} closed, {self.faces:,} faces of {self.area:.3g} m²"


@dataclass(frozen=True, eq=False)
class Scene:
    """A mesh with its posed frames, all in one world frame (metres).

    Attributes:
        name: the scene's name (its folder's).
        mesh: the mesh.
        frames: usable frames in trajectory order (ids ascend).
        skipped: ids of frames left out because tracking was lost (pose not finite).
        path: where it was read from, or None.
        without_photo: names of photos that are not there; their frames were left out.
        damaged: what is wrong with files of frames, or of depth images, that were left out for it, a line each.
        closed: what of the mesh closes holes, see `load_scene`; None where nothing does.
        scan: the scan's own mesh, which labels are of, where `mesh` is another; None where it is that.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room")
        >>> scene
        Scene('sample_room', Mesh(...), 36 frames)
        >>> [frame.id for frame in scene.frames[:3]]
        [0, 12, 24]
    """

    name: str
    mesh: Mesh
    frames: tuple[Frame, ...]
    skipped: tuple[int, ...] = ()
    path: Path | None = field(default=None)
    without_photo: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    closed: ClosedHoles | None = None
    scan: Mesh | None = None

    def __repr__(self) -> str:
        return f"Scene({self.name!r}, {self.mesh!r}, {len(self.frames)} frames)"

    def __str__(self) -> str:
        corners = self.mesh.triangles[np.isfinite(self.mesh.triangles).all((1, 2))].reshape(-1, 3)
        extent = (
            " x ".join(f"{side:.1f}" if side >= 1 else f"{side:.2g}" for side in np.ptp(corners, 0))
            if len(corners)
            else "0"
        )
        lost = f", {len(self.skipped)} more without tracking" if self.skipped else ""
        lost += f", {len(self.without_photo)} more without photo" if self.without_photo else ""
        frames = f"{len(self.frames)} frames{lost}"
        if self.frames:
            first, last = self.frames[0], self.frames[-1]
            counts = {says: sum(getattr(f, kind) is not None for f in self.frames) for kind, says in _PIXELS.items()}
            masks = sum(frame.mask is not None for frame in self.frames)
            counts |= {"masks": masks} if masks else {}
            kinds = [f"{count} {says}" for says, count in counts.items()]
            frames += f", ids {first.id} to {last.id}, {first.camera!r}, with {', '.join(kinds[:-1])} and {kinds[-1]}"
        return "\n".join(
            [
                f"Scene {self.name!r}" + (f", read from {self.path}" if self.path else ""),
                f"mesh: {len(self.mesh.faces):,} faces, {len(self.mesh.vertices):,} vertices, {extent} m",
                f"trajectory: {frames}",
            ]
        )

    @property
    def axis_alignment(self) -> np.ndarray:
        """(4, 4) float64 transform from the scene's frame to a gravity-aligned one (z up); identity if unknown."""
        return self.mesh.axis_alignment

    def aligned(self) -> "Scene":
        """The scene in its gravity-aligned frame (z up): mesh and all poses moved together, no alignment left to do."""
        transform = self.axis_alignment
        frames = tuple(
            replace(
                frame,
                cam_to_world=transform @ frame.cam_to_world,
                depth_cam_to_world=None if frame.depth_cam_to_world is None else transform @ frame.depth_cam_to_world,
            )
            for frame in self.frames
        )
        mesh = self.mesh.transformed(transform).with_axis_alignment(np.eye(4))
        scan = self.scan and self.scan.transformed(transform).with_axis_alignment(np.eye(4))
        return replace(self, mesh=mesh, frames=frames, scan=scan)

    def places(self) -> set[Path]:
        """Where the scene lies: its folder, what links in it lead to, and one image of every folder that has some."""
        images = [image.path for frame in self.frames for image in (frame.color, frame.mask, frame.depth) if image]
        found = set({path.parent: path for path in images}.values())
        if self.path is not None:
            links = self.path.iterdir() if self.path.is_dir() else ()
            found |= {self.path, *(path for path in links if path.is_symlink())}
        return found

    @cached_property
    def _by_id(self) -> dict[int, Frame]:
        return {frame.id: frame for frame in self.frames}

    def frame(self, frame_id: int) -> Frame:
        """The frame of that id. Raises `InputError` for an id that is not there."""
        try:
            return self._by_id[frame_id]
        except KeyError:
            lost = " (its pose is not finite)" if frame_id in self.skipped else ""
            raise InputError(
                f"{self.name}: no frame {frame_id}{lost}; ids run from {self.frames[0].id} to {self.frames[-1].id}"
            ) from None
