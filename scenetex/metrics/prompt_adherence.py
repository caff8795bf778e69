"""Prompt obedience of a model: rooms of asked floors, walls and sofas, baked, and their mean colours compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..pipelines import MVDiffusionPipeline
from ..scene.camera import Camera
from ..scene.mesh import Mesh
from ..synthetic import Room, RoomSettings, make_room, render_room, walk
from ..synthetic.palette import COLORS, FLOORS, WALLS
from ..texture.atlas import Atlas
from ..texture.bake import bake
from ..texture.unwrap import unwrap
from ..views.viewset import ViewSet
from .prompt_colors import mean_color, nearest_color
from .room_scores import VARIANTS, Settings, generate

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
ASKED_SOFAS = ("red", "navy blue", "dark green", "yellow", "pink", "teal", "brown", "light grey")
# What a prompt names, in turn.
_NAMED = (("floor", "walls"), ("walls", "sofa"), ("floor", "walls", "sofa"))
PROMPTS = len(_NAMED) * len(ASKED_FLOORS)
# Each prompt in other company: 3 and 5 are prime to 8.
_WALL_STEP, _SOFA_STEP = 3, 5
_FOCAL = 0.8  # of the width: 64 degrees
_TEXTURE = 512  # texels; mean colours need no more
_SEEN = 0.02  # of the pixels: less of a sofa has no colour to speak of


@dataclass(frozen=True, eq=False)
class Answer:
    """What one part of a room came out like.

    Attributes:
        prompt: number of the prompt that asked for it.
        part: "floor", "walls" or "sofa".
        asked, nearest: names; `nearest` is the one whose colour the baked part is nearest to, None if not seen.
        color, wanted: (3,) float64 sRGB 0..255, mean colour of the part as baked from the model's images, from truth.
    """

    prompt: int
    part: str
    asked: str
    nearest: str | None
    color: np.ndarray
    wanted: np.ndarray

    @property
    def obeyed(self) -> bool:
        return self.nearest == self.asked

    def row(self) -> dict:
        """The same for JSON."""
        colors = {name: [round(float(c), 1) for c in getattr(self, name)] for name in ("color", "wanted")}
        return {"prompt": self.prompt, "part": self.part, "asked": self.asked, "nearest": self.nearest} | colors


def obeyed_prompts(answers: Sequence[Answer]) -> int:
    """Number of prompts of which every part that they name came out nearest to what was asked for."""
    failed = {a.prompt for a in answers if not a.obeyed}
    return len({a.prompt for a in answers} - failed)


def ask_room(
    pipe: MVDiffusionPipeline, settings: Settings, k: int, done: Callable[[], None] = lambda: None
) -> list[Answer]:
    """An answer for each part that one of the prompts names: floor and walls, walls and sofa, or all three.

    The colours to choose from are eight materials' own in this room's light: each times what light makes of the asked
    one. What no view saw does not count.

    Args:
        pipe: a `MVDiffusionPipeline`.
        settings: views, size, seed and how to generate; `rooms` does not matter.
        k: which of the `PROMPTS` prompts.
        done: called when it is done.
    """
    turn, place = divmod(k, len(ASKED_FLOORS))
    asked = {
        "floor": ASKED_FLOORS[place],
        "walls": ASKED_WALLS[(_WALL_STEP * place + turn) % len(ASKED_WALLS)],
        "sofa": ASKED_SOFAS[(_SOFA_STEP * place + turn) % len(ASKED_SOFAS)],
    }
    answers = _ask(pipe, settings, k, {part: asked[part] for part in _NAMED[turn]})
    done()
    return answers


def _ask(pipe: MVDiffusionPipeline, settings: Settings, k: int, asked: dict[str, str]) -> list[Answer]:
    kind, room = asked_room(settings, k, asked)
    images = generate(pipe, room.views, sentence(kind, asked), settings, settings.seed + k, **VARIANTS["generated"])
    return room.answers(images, asked, k)


@dataclass(frozen=True, eq=False)
class AskedRoom:
    """A room of known materials, in whose light others are told apart.

    Attributes:
        mesh: the room.
        atlas: to bake into; mean colours need no large one.
        views: of it.
        faces: (f,) bool of each part that is asked about: those that the views see.
        light: (3,) what light makes of each part's material: its mean colour in a bake of the true images over its own.
    """

    mesh: Mesh
    atlas: Atlas
    views: ViewSet
    faces: dict[str, np.ndarray]
    light: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        mesh: Mesh,
        views: ViewSet,
        truth: Sequence[np.ndarray],
        faces: Mapping[str, np.ndarray],
        materials: Mapping[str, str],
    ) -> "AskedRoom":
        """Of m views, their true images (h, w, 3) uint8, and by part all of its faces and its true material."""
        atlas = unwrap(mesh, _TEXTURE, padding=2)
        seen = np.zeros(len(mesh.faces), bool)
        seen[views.face_id[views.face_id >= 0]] = True
        seen_faces = {part: seen & mask for part, mask in faces.items()}
        true = bake(mesh, atlas, views, list(truth))
        light = {part: mean_color(true, seen_faces[part]) / _color(part, name) for part, name in materials.items()}
        return cls(mesh, atlas, views, seen_faces, light)

    def answers(self, images: list[np.ndarray], asked: Mapping[str, str], k: int) -> list[Answer]:
        """What the parts that the prompt of number k asked for came out like in images (h, w, 3) uint8 of the views."""
        baked = bake(self.mesh, self.atlas, self.views, images)
        answers = []
        for part, name in asked.items():
            names, color = _names(part), mean_color(baked, self.faces[part])
            choices = np.array([np.clip(_color(part, n) * self.light[part], 0, 255) for n in names])
            best = nearest_color(color, choices) if np.isfinite(choices).all() else -1
            wanted = _color(part, name) * self.light[part]
            answers.append(Answer(k, part, name, names[best] if best >= 0 else None, color, wanted))
        return answers


def asked_room(settings: Settings, k: int, asked: Mapping[str, str]) -> tuple[str, AskedRoom]:
    """The kind of a procedural room, and the room, the same for the same seed and k: it really has what is asked."""
    rng = np.random.default_rng([settings.seed, 8, k])
    room, views, truth = _room(rng, settings, k, asked)
    # These rooms know their parts; by normals and height, curtains and pictures would count as walls.
    faces = {part: _faces(room, part) for part in asked}
    return room.facts.kind, AskedRoom.of(room.mesh, views, truth, faces, asked)


def sentence(kind: str, asked: Mapping[str, str]) -> str:
    """A prompt that names the asked parts of a room, and nothing else of it."""
    floor = [f"a floor of {asked['floor']}"] if "floor" in asked else []
    walls = [f"{asked['walls']} walls"] if "walls" in asked else []
    sofa = [f"a {asked['sofa']} sofa"] if "sofa" in asked else []
    first, *rest = floor + walls + sofa
    return f"a {kind} with {', '.join([first, *rest[:-1]])} and {rest[-1]}"


def _room(rng: np.random.Generator, settings: Settings, k: int, asked: Mapping[str, str]) -> tuple[Room, ViewSet, list]:
    """The first room of those drawn that has what was asked for in sight, and its true views."""
    # A kitchen has no carpet, and furniture all along its walls; sofas stand in living rooms.
    kind = "living room" if "sofa" in asked else ("living room", "bedroom")[k % 2]
    look = {"floor": asked.get("floor"), "walls": asked["walls"], "fabric": asked.get("sofa")}
    camera = _camera(settings.size)
    while True:
        room = make_room(int(rng.integers(2**62)), RoomSettings(kind=kind, **look).coarse())
        poses = walk(room, settings.views, rng, camera)
        truth, depth, face_id = render_room(room, camera, poses)
        sofa = _faces(room, "sofa")[face_id] & (face_id >= 0)
        if "sofa" not in asked or sofa.mean() >= _SEEN:
            break
    intrinsics = np.repeat(camera.intrinsics[None], settings.views, 0)
    normals = room.mesh.face_normals.astype(np.float32)
    return room, ViewSet(tuple(range(settings.views)), intrinsics, poses, depth, face_id, normals), list(truth)


def _faces(room: Room, part: str) -> np.ndarray:
    """(f,) bool: faces of a part; of the sofa's name only the end is known."""
    which = [i for i, name in enumerate(room.parts) if name == part or name.endswith(f" {part}")]
    return np.isin(room.face_part, which)


def _names(part: str) -> tuple[str, ...]:
    """Names to choose from."""
    return {"floor": ASKED_FLOORS, "walls": ASKED_WALLS, "sofa": ASKED_SOFAS}[part]


def _color(part: str, name: str) -> np.ndarray:
    """(3,) float64 sRGB 0..255 of a material by itself."""
    looks = {"floor": FLOORS, "walls": WALLS}.get(part)
    return np.array(COLORS[name] if looks is None else looks[name].color, float)


def _camera(size: tuple[int, int]) -> Camera:
    width, height = size
    focal = _FOCAL * width
    return Camera(np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]), width, height)
