"""A procedural furnished room with an exact surface and a known colour at every point of it."""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..scene.mesh import Mesh
from ..views.raycast import RayCaster
from .closest_point import ClosestFace
from .describe import Facts, describe
from .direct_light import Sun
from .furnish import KINDS, furnish
from .light import GAMMA, bake_light
from .materials import draw_swatch, find_look, list_swatches, paint_materials
from .palette import COLORS, NOUNS, STYLES, Look
from .piece import choose_decor
from .plan import Plan, build_shell, make_plan
from .surface import Surface, build_surface
from .textures import Material, TexturePage, lookup, pack_materials

_PIECE = 1 << 14


@dataclass(frozen=True)
class RoomSettings:
    """What to build, where it is not left to the seed, and how finely.

    Attributes:
        kind: "living room", "bedroom", "study", "dining room" or "kitchen"; None draws one.
        style: "scandinavian", "modern", "rustic", "classic" or "colourful"; None draws one.
        floor: a name in `palette.FLOORS`, such as "oak planks"; None draws one that suits the style.
        walls: a name in `palette.WALLS`, such as "sage green paint"; None draws one that suits the style.
        fabric: a name in `palette.COLORS`, of sofas and beds; None draws one that suits the style.
        texel: metres per texel of the materials.
        light_texel: metres between light samples.
        light_rays: rays that gather the bounce light of one sample.
        shadow_rays: shadow rays from one sample to each light.
        swatches: folder of material images by category, to use in place of some patterns; None for patterns only.
    """

    kind: str | None = None
    style: str | None = None
    floor: str | None = None
    walls: str | None = None
    fabric: str | None = None
    texel: float = 0.004
    light_texel: float = 0.06
    light_rays: int = 24
    shadow_rays: int = 12
    swatches: str | None = None

    def coarse(self) -> "RoomSettings":
        """The same room for small pictures in great number: coarser materials and light, many times faster to build."""
        return replace(self, texel=0.008, light_texel=0.17, light_rays=9, shadow_rays=4)


@dataclass(frozen=True, eq=False)
class Room:
    """A furnished room. Its own frame has z up and the floor at z = 0; metres.

    Attributes:
        seed, settings: what it was made from; the same ones make the same room.
        surface: the exact surface, in the room's frame.
        textures: its materials.
        light: (h, w, 3) float32 light page, see `light.bake_light`.
        hidden: (p,) bool, patches that nobody can see: inside of something or behind a wall.
        parts: what each part of `Surface.part` is called: "floor", "ceiling", "walls", "window", "door", "skirting",
            then the furniture's names, empty for things not worth a word.
        plan: outline, doors and windows.
        obstacles: footprints (4, 2) of the furniture and of the door's swing.
        facts: what a sentence about the room may say.
        world_from_room: (4, 4) rigid transform to the frame that `true_color`, `write_scan` and their mesh use.
    """

    seed: int
    settings: RoomSettings
    surface: Surface
    textures: TexturePage
    light: np.ndarray
    hidden: np.ndarray
    parts: tuple[str, ...]
    plan: Plan
    obstacles: tuple[np.ndarray, ...]
    facts: Facts
    world_from_room: np.ndarray = field(default_factory=lambda: np.eye(4))

    @property
    def mesh(self) -> Mesh:
        """The exact mesh in the room's frame."""
        return self.surface.mesh

    @property
    def description(self) -> str:
        """One sentence about the room; `describe` words others."""
        return describe(self.facts, np.random.default_rng([self.seed, 99]))

    @property
    def caster(self) -> RayCaster:
        """Casts rays at the exact mesh, in the room's frame."""
        return self.surface.caster

    @cached_property
    def face_part(self) -> np.ndarray:
        """(f,) int32 index into `parts` of each face."""
        return self.surface.part[self.surface.face_patch]

    @cached_property
    def closest(self) -> ClosestFace:
        """Finds the nearest point of the exact mesh, in the room's frame, among faces that can be seen."""
        return ClosestFace(self.mesh, ~self.hidden[self.surface.face_patch])

    def surface_color(
        self, points: np.ndarray, face_ids: np.ndarray, footprint: np.ndarray | None = None
    ) -> np.ndarray:
        """True colour of surface points: material times light, the same from every side.

        Args:
            points: (n, 3) float, metres, room frame, on the faces.
            face_ids: (n,) int, the face each lies on.
            footprint: (n,) float, metres; averages the material over about that width. None for the point itself.

        Returns:
            (n, 3) float32, sRGB 0..255.
        """
        out = np.empty((len(points), 3), np.float32)
        # In pieces that stay in the processor's cache.
        for i in range(0, len(points), _PIECE):
            part = slice(i, i + _PIECE)
            out[part] = self._color(points[part], face_ids[part], None if footprint is None else footprint[part])
        return out

    def _color(self, points, face_ids, footprint):
        face_map = np.take(self.surface.face_map, face_ids, axis=0)
        where = np.einsum("nij,nj->ni", face_map[..., :3], points.astype(np.float32, copy=False)) + face_map[..., 3]
        color = self.textures.sample(self.surface.face_material[face_ids], where[:, :2], footprint)
        color *= lookup(self.light, where[:, 2:])
        return _shoulder(color)

    def true_color(self, points: np.ndarray) -> np.ndarray:
        """True colour at the surface points nearest to `points` (n, 3), metres, world frame: (n, 3) float32 0..255."""
        room_from_world = np.linalg.inv(self.world_from_room)
        return self.color_at(np.asarray(points, np.float64) @ room_from_world[:3, :3].T + room_from_world[:3, 3])

    def color_at(self, points: np.ndarray) -> np.ndarray:
        """`true_color` for points in the room's frame."""
        nearest, faces, _ = self.closest(points)
        return self.surface_color(nearest, faces)


def _shoulder(color: np.ndarray, knee: float = 200.0) -> np.ndarray:
    """Bends what is brighter than `knee` softly towards 255, as film does; in place."""
    bright = color > knee
    color[bright] = 255 - (255 - knee) * np.exp((knee - color[bright]) / (255 - knee))
    return color


def make_room(seed: int, settings: RoomSettings | None = None, progress: bool = False, **changes) -> Room:
    """Builds the room of a seed. The seed decides plan, furniture, colours and light; quality changes none of them.

    Args:
        seed: any non-negative number.
        settings: what to build; default `RoomSettings()`.
        progress: show a progress bar.
        changes: fields of `RoomSettings` to set.

    Raises:
        InputError: a name the settings do not know, or a quality that is not positive.
    """
    try:
        settings = replace(settings or RoomSettings(), **changes)
    except TypeError:
        known = ", ".join(asdict(RoomSettings()))
        raise InputError(f"make_room: {', '.join(changes)}: room settings are {known}") from None
    _check(seed, settings)
    choice, building, pattern = (np.random.default_rng([seed, part]) for part in range(3))
    kind = settings.kind or str(choice.choice(KINDS))
    style = settings.style or str(choice.choice(list(STYLES)))
    decor = choose_decor(choice, style)
    decor = replace(decor, fabric=settings.fabric or decor.fabric)
    # Nobody lays carpet in a kitchen.
    floors = tuple(n for n in STYLES[style].floors if kind != "kitchen" or "carpet" not in n)
    names = {
        "floor": settings.floor or _draw_name(choice, floors),
        "walls": settings.walls or _draw_name(choice, STYLES[style].walls),
    }
    looks = {part: find_look(part, name) for part, name in names.items()}
    swatches = _draw_swatches(np.random.default_rng([seed, 3]), settings, looks, names)
    # Most rooms are seen by day, some by lamp light, some by both.
    mood = choice.random()
    day, lamp = (1.0, 0.0) if mood < 0.55 else (0.75, 0.6) if mood < 0.8 else (0.05, 1.0)
    turned = bool(choice.random() < 0.5)
    plan = make_plan(building, kind)
    shell, lights = build_shell(plan, decor, day, turned)
    furniture = furnish(building, plan, kind, decor, lamp)
    lights += [light for piece in furniture.pieces for light in piece.lights]
    if day > 0.5 and choice.random() < 0.6:
        lights.append(_sun(choice, plan, day))
    materials = paint_materials(
        pattern, decor, looks["floor"], looks["walls"], furniture.images, settings.texel, swatches
    )
    slots = {slot: i for i, slot in enumerate(materials)}
    patches = [*shell.values(), *(piece.patches for piece in furniture.pieces)]
    periods = np.array([m.period for m in materials.values()])
    surface = build_surface(patches, slots, periods, settings.light_texel)
    parts = (*shell, *(piece.name for piece in furniture.pieces))
    brightness = float(choice.uniform(0.74, 0.86) if day > 0.5 else choice.uniform(0.62, 0.74))
    light, hidden = bake_light(
        surface,
        _reflectance(surface, list(materials.values())),
        lights,
        surface.part == parts.index("window"),
        settings.light_rays,
        settings.shadow_rays,
        brightness,
        progress,
    )
    facts = Facts(
        kind=kind,
        style=style,
        floor=names["floor"],
        walls=names["walls"],
        furniture=tuple(dict.fromkeys(name for name in parts[len(shell) :] if name)),
        light=_light_name(day, lights),
    )
    obstacles = tuple(furniture.obstacles)
    page = pack_materials(list(materials.values()))
    return Room(seed, settings, surface, page, light, hidden, parts, plan, obstacles, facts)


def _check(seed: int, settings: RoomSettings) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"make_room: seed {seed!r} is not a whole number from 0 up")
    for name, known in (("kind", KINDS), ("style", tuple(STYLES)), ("fabric", tuple(COLORS))):
        value = getattr(settings, name)
        if value is not None and value not in known:
            raise InputError(f"make_room: {name} {value!r} is not known; choose from {', '.join(known)}")
    for name in ("texel", "light_texel", "light_rays", "shadow_rays"):
        if not getattr(settings, name) > 0:
            raise InputError(f"make_room: {name} {getattr(settings, name)} must be greater than 0")


def _draw_name(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    """One of `names`, the first likelier than the last."""
    weight = np.linspace(1.5, 0.7, len(names))
    return str(rng.choice(names, p=weight / weight.sum()))


def _draw_swatches(rng, settings: RoomSettings, looks: dict, names: dict) -> dict[str, np.ndarray]:
    """Swatch images for some slots; the names of floor and walls then say what their swatch shows."""
    if settings.swatches is None:
        return {}
    found, out = list_swatches(settings.swatches), {}
    for slot, look in looks.items():
        asked = getattr(settings, slot) is not None
        drawn = draw_swatch(rng, look, found) if rng.random() < 0.6 and not asked else None
        if drawn is not None:
            color, out[slot] = drawn
            names[slot] = f"{color} {NOUNS[look.pattern]}"
    for slot, category in (("fabric", "fabric"), ("wood", "wood"), ("wood2", "wood"), ("leather", "leather")):
        drawn = draw_swatch(rng, Look("", (0, 0, 0), (category,)), found) if rng.random() < 0.6 else None
        if drawn is not None:
            out[slot] = drawn[1]
    return out


def _reflectance(surface: Surface, materials: list[Material]) -> np.ndarray:
    """(p, 3) mean linear reflectance of each patch."""
    mean = np.array([m.mean for m in materials]) / 255
    return ((mean[surface.material] * surface.tint) ** GAMMA).astype(np.float32)


def _light_name(day: float, lights: list) -> str:
    if day < 0.5:
        return "lamp light"
    if day < 1:
        return "daylight and lamps"
    return "sunlight" if any(isinstance(light, Sun) for light in lights) else "daylight"


def _sun(rng: np.random.Generator, plan: Plan, day: float) -> Sun:
    """A sun that shines through one of the windows."""
    windows = [o for o in plan.openings if o.kind == "window"]
    frame = plan.frames[windows[int(rng.integers(len(windows)))].wall]
    turn, height = rng.uniform(-0.9, 0.9), rng.uniform(0.45, 0.85)
    outward = frame[:2, 1] * np.cos(turn) + frame[:2, 0] * np.sin(turn)
    toward = np.array([*(outward * np.cos(height)), np.sin(height)])
    return Sun(tuple(toward), tuple(np.array([1.0, 0.88, 0.70]) * 5.0 * day))
