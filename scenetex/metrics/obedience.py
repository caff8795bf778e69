"""Prompt obedience of a model: rooms of asked floors and walls, baked, and their mean colours compared."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..scene.camera import Camera
from ..synthetic import RoomSettings, make_room, render_room, walk
from ..synthetic.palette import FLOORS, WALLS
from ..texture.bake import bake
from ..texture.unwrap import unwrap
from ..views.viewset import ViewSet
from .prompt_colors import mean_color, nearest_color
from .rooms import VARIANTS, Settings, generate

# Colours apart enough to tell, among what floors and walls are really made of.
ASKED_FLOORS = (
    "pine planks",
    "walnut planks",
    "white marble",
    "dark grey carpet",
    "terracotta tiles",
    "red carpet",
    "blue carpet",
    "green carpet",
)
ASKED_WALLS = (
    "white paint",
    "yellow paint",
    "sage green paint",
    "blue paint",
    "red brick",
    "pink paint",
    "teal paint",
    "dark grey paint",
)
# Floors and walls in other company than each other's: 3 is prime to 8.
_WALL_STEP = 3
_FOCAL = 0.8  # of the width: 64 degrees
_TEXTURE = 512  # texels; mean colours need no more


@dataclass(frozen=True, eq=False)
class Answer:
    """What one room came out like.

    Attributes:
        part: "floor" or "walls".
        asked, nearest: names; `nearest` is the one whose colour the baked part is nearest to, None if not seen.
        color, wanted: (3,) float64 sRGB 0..255, mean colour of the part as baked from the model's images, from truth.
    """

    part: str
    asked: str
    nearest: str | None
    color: np.ndarray
    wanted: np.ndarray

    @property
    def obeyed(self) -> bool:
        return self.nearest == self.asked


def ask_room(pipe, settings: Settings, k: int, done: Callable[[], None] = lambda: None) -> list[Answer]:
    """Two answers for one of eight rooms: its floor and its walls, all of which a prompt asks for in one of them.

    The colours to choose from are the eight materials' own in this room's light: each times what light makes of the
    asked one, which is its mean colour in a bake of the true images over its own. What no view saw does not count.

    Args:
        pipe: a `MVDiffusionPipeline`.
        settings: views, size, seed and how to generate; `rooms` does not matter.
        k: which of the rooms.
        done: called when it is done.
    """
    answers = _ask(pipe, settings, k, ASKED_FLOORS[k], ASKED_WALLS[(_WALL_STEP * k) % len(ASKED_WALLS)])
    done()
    return answers


def _ask(pipe, settings: Settings, k: int, floor: str, walls: str) -> list[Answer]:
    rng = np.random.default_rng([settings.seed, 8, k])
    # A kitchen has no carpet, and furniture all along its walls.
    choice = RoomSettings(kind=("living room", "bedroom")[k % 2], floor=floor, walls=walls).coarse()
    room = make_room(int(rng.integers(2**62)), choice)
    camera = _camera(settings.size)
    poses = walk(room, settings.views, rng, camera)
    truth, depth, face_id = render_room(room, camera, poses)
    views = ViewSet(
        tuple(range(settings.views)),
        np.repeat(camera.intrinsics[None], settings.views, 0),
        poses,
        depth,
        face_id,
        room.mesh.face_normals.astype(np.float32),
    )
    images = generate(pipe, views, room.description, settings, settings.seed + k, **VARIANTS["generated"])
    atlas = unwrap(room.mesh, _TEXTURE, padding=2)
    baked, true = (bake(room.mesh, atlas, views, pictures) for pictures in (images, list(truth)))
    parts = (
        ("floor", floor, ASKED_FLOORS, FLOORS),
        ("walls", walls, ASKED_WALLS, WALLS),
    )
    seen = np.zeros(len(room.mesh.faces), bool)
    seen[face_id[face_id >= 0]] = True
    answers = []
    for part, asked, names, looks in parts:
        # These rooms know their parts; by normals and height, curtains and pictures would count as walls.
        faces = seen & (room.face_part == room.parts.index(part))
        color, wanted = (mean_color(mesh, faces) for mesh in (baked, true))
        own = np.array([looks[name].color for name in names], float)
        light = wanted / own[names.index(asked)]
        best = nearest_color(color, np.clip(own * light, 0, 255)) if np.isfinite(light).all() else -1
        answers.append(Answer(part, asked, names[best] if best >= 0 else None, color, wanted))
    return answers


def _camera(size: tuple[int, int]) -> Camera:
    width, height = size
    focal = _FOCAL * width
    return Camera(np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]), width, height)
