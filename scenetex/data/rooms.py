"""Endless streams of procedural rooms to train on, seen along a walk or all around from one point.

Room i depends on the seed and i alone, whoever renders it.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..panorama.ring import VIEWS, ring_intrinsics, ring_rotations
from ..scene.camera import Camera
from ..synthetic import Room, RoomSettings, describe, make_room, render_room, walk
from ..synthetic.materials import list_swatches
from ..synthetic.palette import FLOORS, WALLS
from ..synthetic.walk import strayed
from ..synthetic.words import vary, vocabulary
from ..views.viewset import ViewSet
from .sample import Sample

WORDINGS = 8
# Horizontal field of view, degrees: ScanNet's is 58, that of phones and depth cameras lies around it.
_FIELD_OF_VIEW = (54.0, 72.0)


@dataclass(frozen=True)
class RoomStream:
    """Rooms 0, 1, 2, ... of a seed, each seen along a walk.

    Attributes:
        seed: another seed, other rooms.
        views: views of each room.
        size: (width, height) of the views, pixels.
        materials: folder of material images by category, to use beside the procedural patterns; None for those alone.
        strayed: share of the views that look up or down from any height, as those that complete a scene do.
    """

    seed: int = 0
    views: int = 16
    size: tuple[int, int] = (256, 192)
    materials: str | None = None
    strayed: float = 0.0

    def __post_init__(self):
        if self.seed < 0 or self.views < 1 or min(self.size) < 8:
            raise InputError(
                f"stream of rooms: seed {self.seed}, {self.views} views of {self.size[0]} x {self.size[1]} pixels; "
                "seed from 0 up, at least one view of 8 x 8"
            )
        if self.materials is not None:
            list_swatches(self.materials)

    def __repr__(self) -> str:
        """By it runs and caches of former versions are found: what came later is named only where it is used."""
        names = ["seed", "views", "size", "materials"] + ["strayed"] * bool(self.strayed)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def sample(self, index: int) -> Sample:
        """Room number `index` (0 or more), rendered with exact depth (the mesh is the room's own, not a scan's)."""
        return self.room_and_sample(index)[1]

    def room_and_sample(self, index: int) -> tuple[Room, Sample]:
        """The same, with the room that is shown; faces of its mesh are those of the views."""
        rng = np.random.default_rng([self.seed, index])
        settings = RoomSettings(swatches=self.materials).coarse()
        # Half of the rooms mix what taste would not, or the words of a style would stand in for those of its floors.
        mixed = {"floor": str(rng.choice(list(FLOORS))), "walls": str(rng.choice(list(WALLS)))}
        room = make_room(int(rng.integers(2**62)), settings, **(mixed if rng.random() < 0.5 else {}))
        camera, poses = self.look(room, rng)
        color, depth, face_id = render_room(room, camera, poses)
        views = ViewSet(
            tuple(range(self.views)),
            np.repeat(camera.intrinsics[None], self.views, 0),
            poses,
            depth,
            face_id,
            room.mesh.face_normals.astype(np.float32),
        )
        wordings = tuple(vary(describe(room.facts, rng), rng) for _ in range(WORDINGS))
        return room, Sample(views, color, (wordings,) * self.views)

    def words(self) -> set[str]:
        """All words that its prompts can hold."""
        return vocabulary()

    def look(self, room: Room, rng: np.random.Generator) -> tuple[Camera, np.ndarray]:
        """The camera that sees a room, and its poses (views, 4, 4)."""
        camera = self.camera(rng)
        poses = walk(room, self.views, rng, camera)
        return camera, strayed(room, poses, self.strayed, rng) if self.strayed else poses

    def camera(self, rng: np.random.Generator) -> Camera:
        """A camera of the stream."""
        width, height = self.size
        focal = 0.5 * width / np.tan(np.radians(rng.uniform(*_FIELD_OF_VIEW)) / 2)
        center = (np.array(self.size) - 1) / 2 + rng.normal(0, 0.006, 2) * width
        return Camera(np.array([[focal, 0, center[0]], [0, focal, center[1]], [0, 0, 1.0]]), width, height)


@dataclass(frozen=True, repr=False)
class RingStream(RoomStream):
    """The same rooms, each seen by a level ring of eight square views from a point where someone would stand.

    Raises:
        InputError: another number of views, views that are not square.
    """

    views: int = VIEWS
    size: tuple[int, int] = (256, 256)

    def __post_init__(self):
        super().__post_init__()
        if self.views != VIEWS or self.size[0] != self.size[1]:
            raise InputError(f"stream of rings: {self.views} views of {self.size}; panoramas are {VIEWS} square views")

    def look(self, room: Room, rng: np.random.Generator) -> tuple[Camera, np.ndarray]:
        """See `RoomStream`; the first view looks in any direction."""
        yaw = rng.uniform(0, 2 * np.pi)
        forward, down = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([0, 0, -1.0])
        poses = np.tile(np.eye(4), (VIEWS, 1, 1))
        poses[:, :3, :3] = np.stack([np.cross(down, forward), down, forward], 1) @ ring_rotations()
        poses[:, :3, 3] = walk(room, 1, rng)[0, :3, 3]
        side = self.size[0]
        return Camera(ring_intrinsics(side), side, side), poses
