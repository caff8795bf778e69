"""Baked, view-independent light: soft windows, lamps and sun with shadows, one bounce, and the rest as ambient.

The result is stored in gamma space, where a surface's colour times its light is the picture's colour: rendering needs
no power function, and the true colour of a surface point does not depend on who looks at it.
"""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from .surface import Lattice, Surface, sample_lattice

GAMMA = 2.2
_LIFT = 0.004  # metres that rays start off their surface
_MARGIN = 2  # keeps the filters' shifts inside the page


@dataclass(frozen=True)
class Window:
    """A rectangle that shines evenly to one side.

    Attributes:
        corner, edge_a, edge_b: (3,) metres; it shines along edge_a x edge_b.
        radiance: (3,) linear light.
    """

    corner: tuple[float, float, float]
    edge_a: tuple[float, float, float]
    edge_b: tuple[float, float, float]
    radiance: tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A ball that shines evenly; what lies inside `radius` around it casts no shadow of its light.

    Attributes:
        center: (3,) metres.
        radius: metres.
        intensity: (3,) linear light at one metre.
    """

    center: tuple[float, float, float]
    radius: float
    intensity: tuple[float, float, float]


@dataclass(frozen=True)
class Sun:
    """Sunlight that enters where it meets a window pane.

    Attributes:
        direction: (3,) unit vector towards the sun.
        irradiance: (3,) linear light on a surface that faces it.
    """

    direction: tuple[float, float, float]
    irradiance: tuple[float, float, float]


def bake_light(
    surface: Surface,
    albedo: np.ndarray,
    lights: list,
    panes: np.ndarray,
    rays: int,
    shadow_rays: int,
    brightness: float,
    progress: bool = False,
) -> np.ndarray:
    """The light page of a surface.

    Args:
        surface: the room.
        albedo: (p, 3) float, mean linear reflectance of each patch.
        lights: `Window`, `Lamp` and `Sun` objects.
        panes: (p,) bool, patches the sun shines through.
        rays: rays to gather the bounce light of one sample with.
        shadow_rays: shadow rays of one sample to each light.
        brightness: how bright a white wall should look on average, gamma space 0..1.
        progress: show a progress bar.

    Returns:
        (h, w, 3) float32: light times tint in gamma space, indexed by `Surface.light_origin`.
    """
    caster = surface.caster
    lattice = sample_lattice(surface.grids, surface.light_shape, inset=2 * _LIFT)
    origins = (lattice.points + _LIFT * lattice.normals).astype(np.float32)
    normals = lattice.normals.astype(np.float32)
    direct = np.zeros(normals.shape, np.float32)
    for light in lights:
        direct += _DIRECT[type(light)](light, origins, normals, caster, surface, panes, shadow_rays)
    area = (surface.mesh.face_areas, surface.face_patch, len(albedo))
    patch_area = np.bincount(area[1], area[0], area[2])
    weight = (patch_area / lattice.shape.prod(1))[lattice.patch]
    reflected = direct * albedo[lattice.patch] * (surface.glow == 0)[lattice.patch, None]
    mean_albedo = (albedo * patch_area[:, None]).sum(0) / patch_area.sum()
    ambient = (reflected * weight[:, None]).sum(0) / weight.sum() / (1 - np.minimum(mean_albedo, 0.8))
    bounce, buried = _gather(surface, caster, lattice, origins, normals, reflected, ambient * albedo, rays, progress)
    page = TilePages(surface, lattice)
    bounce = page.blur(bounce, ~buried, ((1, 1.0), (1, 0.5), (2, 0.5)))
    light = page.fill(direct + bounce, ~buried, ambient)
    return page.to_image(_develop(light, weight * ~buried, brightness), surface)


def _develop(light: np.ndarray, weight: np.ndarray, brightness: float) -> np.ndarray:
    """Exposes and compresses linear light (n, 3) and takes it to gamma space."""
    mean = (light * weight[:, None]).sum(0) / weight.sum()
    # Eyes and cameras balance the light's colour, though not all of it.
    light = light / (mean / mean.mean()) ** 0.75
    luminance = light.mean(1)
    # Strongly coloured walls would otherwise tint everything, and themselves most, beyond what their colour is called.
    light = 0.55 * light + 0.45 * luminance[:, None]
    order = np.argsort(luminance)
    rank = np.cumsum(weight[order])
    median = luminance[order[np.searchsorted(rank, 0.55 * rank[-1])]]
    light = light / max(median, 1e-9)
    # Shadows are lifted and highlights held back about the median, as a camera's tone curve does.
    light = light**0.85 * (1 + 0.10) / (1 + 0.10 * light)
    return (brightness * light ** (1 / GAMMA)).astype(np.float32)


def _from_window(light: Window, origins, normals, caster, surface, panes, count):
    corner, a, b = (np.asarray(v, np.float32) for v in (light.corner, light.edge_a, light.edge_b))
    facing = np.cross(a, b)
    area = np.linalg.norm(facing)
    facing /= area
    near = np.flatnonzero((origins - corner) @ facing > 1e-3)
    total = np.zeros((len(origins), 3), np.float32)
    value = np.zeros(len(near), np.float32)
    for i in range(count):
        # One low-discrepancy set for all samples: no noise, and its many faint shadow edges run together.
        u, v = (0.5 + i * 0.7548776662) % 1, (0.5 + i * 0.5698402910) % 1
        way = corner + np.float32(u) * a + np.float32(v) * b - origins[near]
        squared = (way**2).sum(1)
        cosines = np.maximum((way * normals[near]).sum(1), 0) * np.maximum(-(way @ facing), 0)
        value += cosines / squared**2 * _unblocked(caster, origins[near], way, cosines > 0, 0.999)
    total[near] = value[:, None] * (np.asarray(light.radiance, np.float32) * area / (np.pi * count))
    return total


def _from_lamp(light: Lamp, origins, normals, caster, surface, panes, count):
    value = np.zeros(len(origins), np.float32)
    center = np.asarray(light.center, np.float32)
    count = max(count // 2, 1)
    for i in range(count):
        way = center + np.float32(0.8 * light.radius) * _on_ball(i, count) - origins
        squared = (way**2).sum(1)
        distance = np.sqrt(squared)
        cosine = np.maximum((way * normals).sum(1), 0) / distance
        reach = np.clip((distance - 2 * light.radius) / distance, 0.0, 1)
        value += cosine / np.maximum(squared, 0.02) * _unblocked(caster, origins, way, cosine > 0, reach)
    return value[:, None] * (np.asarray(light.intensity, np.float32) / count)


def _from_sun(light: Sun, origins, normals, caster, surface, panes, count):
    value = np.zeros(len(origins), np.float32)
    lit = np.flatnonzero(normals @ np.asarray(light.direction, np.float32) > 0.02)
    for i in range(count):
        # The sun is drawn wider than it is, as haze makes it: its shadows have soft edges.
        way = (np.asarray(light.direction) + 0.03 * _on_ball(i, count)).astype(np.float32)
        way = np.broadcast_to(way, (len(lit), 3))
        face = caster.cast(origins[lit], way)["face"]
        through = (face >= 0) & panes[surface.face_patch[face]]
        value[lit] += through * np.maximum((way * normals[lit]).sum(1), 0)
    return value[:, None] * (np.asarray(light.irradiance, np.float32) / count)


def _on_ball(i: int, count: int) -> np.ndarray:
    """The i-th of `count` evenly spread points on the unit ball's surface (a Fibonacci lattice): (3,) float32."""
    z = 1 - (2 * i + 1) / count
    angle, radius = i * 2.3999632297, np.sqrt(max(1 - z * z, 0.0))
    return np.array([radius * np.cos(angle), radius * np.sin(angle), z], np.float32)


_DIRECT = {Window: _from_window, Lamp: _from_lamp, Sun: _from_sun}


def _unblocked(caster, origins, way, wanted, reach) -> np.ndarray:
    """1.0 where the ray meets nothing before `reach` of `way`, for the rays that are `wanted`; else 0. (n,) float32."""
    out = np.zeros(len(origins), np.float32)
    index = np.flatnonzero(wanted)
    if len(index):
        hit = caster.cast(origins[index], way[index])
        limit = reach[index] if isinstance(reach, np.ndarray) else reach
        out[index] = (hit["face"] < 0) | (hit["distance"] > limit)
    return out


def _gather(surface, caster, lattice, origins, normals, reflected, ambient, rays, progress):
    """Light that comes from the room's surfaces (n, 3), and which samples are buried inside solids (n,) bool."""
    n = len(origins)
    total = np.zeros((n, 3), np.float32)
    inside = np.zeros(n, np.float32)
    helper = np.where(np.abs(normals[:, :1]) < 0.9, np.float32([1, 0, 0]), np.float32([0, 1, 0]))
    tangent = np.cross(normals, helper)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    bitangent = np.cross(normals, tangent)
    face_normals = surface.mesh.face_normals.astype(np.float32)
    ambient = ambient.astype(np.float32)
    # A patch of sunlight is small and bright: as it is, it would leave blotches where few rays happen to meet it.
    reflected = np.minimum(reflected, 8 * reflected.mean(0))
    limit = (surface.light_shape - 1).astype(np.float32)
    # Cosine-distributed directions from one lattice, dealt out to each 3 x 3 block of samples: blurring over the block
    # then gathers the whole lattice.
    share = (lattice.row % 3 * 3 + lattice.column % 3).astype(np.float32)
    for i in tqdm(range(rays), desc="light", unit="ray", disable=not progress):
        u = (i + (share + np.float32(0.5)) / 9) / rays
        angle = (np.float32(0.6180339887) * (i * 9 + share)) % 1 * np.float32(2 * np.pi)
        radius, height = np.sqrt(u), np.sqrt(1 - u)
        way = (radius * np.cos(angle))[:, None] * tangent + (radius * np.sin(angle))[:, None] * bitangent
        way += height[:, None] * normals
        hit = caster.cast(origins, way)
        face = hit["face"]
        seen = face >= 0
        back = seen & ((way * face_normals[face]).sum(1) > 0)
        front = np.flatnonzero(seen & ~back)
        inside += back
        at = face[front]
        patch = surface.face_patch[at]
        point = np.ones((len(front), 4), np.float32)
        point[:, :3] = origins[front] + hit["distance"][front, None] * way[front]
        cell = np.einsum("nij,nj->ni", surface.face_map[at, 2:], point) - surface.light_origin[patch]
        cell = np.clip(np.rint(cell), 0, limit[patch]).astype(np.int64)
        sample = lattice.start[patch] + cell[:, 0] * lattice.shape[patch, 1] + cell[:, 1]
        total[front] += reflected[sample] + ambient[patch]
    return total / rays, inside > 0.5 * rays


class TilePages:
    """Samples of all patches laid out on one page, so that filters run over every patch's tile at once."""

    def __init__(self, surface: Surface, lattice: Lattice):
        width, height = surface.light_size
        origin = surface.light_origin[lattice.patch]
        self._index = (
            (origin[:, 1] + lattice.column + _MARGIN) * (width + 2 * _MARGIN) + origin[:, 0] + lattice.row + _MARGIN
        )
        self._shape = height + 2 * _MARGIN, width + 2 * _MARGIN
        self._patch = np.full(self._shape, -1, np.int32)
        self._patch.ravel()[self._index] = lattice.patch
        self._lattice = lattice

    def _neighbours(self, step: int = 1, falloff: float = 0.5):
        """For each of 8 neighbours, `step` away: page index, whether it is of the same patch, its weight."""
        patch = self._patch.ravel()
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dx or dy:
                    other = self._index + step * (dy * self._shape[1] + dx)
                    yield other, patch[other] == self._lattice.patch, np.float32(falloff ** (abs(dx) + abs(dy)))

    def blur(self, value: np.ndarray, valid: np.ndarray, steps: tuple[tuple[int, float], ...]) -> np.ndarray:
        """`value` (n, 3) smoothed over its tile by 3 x 3 kernels.

        For each of `steps`: how far apart the kernel's taps lie, and how much less each step from its middle weighs.

        Samples that are not valid take no part and stay as they are.
        """
        for step, falloff in steps:
            page = np.zeros((self._patch.size, 4), np.float32)
            page[self._index, :3] = value * valid[:, None]
            page[self._index, 3] = valid
            total = page[self._index].copy()
            for other, same, weight in self._neighbours(step, falloff):
                total += page[other] * (same * weight)[:, None]
            value = np.where(valid[:, None], total[:, :3] / np.maximum(total[:, 3:], 1e-9), value)
        return value

    def fill(self, value: np.ndarray, valid: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Samples that are not valid take their neighbours' mean, three rings deep; beyond, `rest` (3,)."""
        value = np.where(valid[:, None], value, 0).astype(np.float32)
        neighbours = list(self._neighbours())
        for _ in range(3):
            page = np.zeros((self._patch.size, 4), np.float32)
            page[self._index, :3] = value
            page[self._index, 3] = valid
            total = np.zeros((len(value), 4), np.float32)
            for other, same, weight in neighbours:
                total += page[other] * (same * weight)[:, None]
            found = ~valid & (total[:, 3] > 0)
            value[found] = total[found, :3] / total[found, 3:]
            valid = valid | found
        return np.where(valid[:, None], value, rest.astype(np.float32))

    def to_image(self, value: np.ndarray, surface: Surface) -> np.ndarray:
        """(h, w, 3) float32 page of `value` (n, 3) times the tint; glowing patches take their own brightness."""
        glow = surface.glow[self._lattice.patch]
        value = np.where(glow[:, None] > 0, glow[:, None], value) * surface.tint[self._lattice.patch]
        page = np.zeros((self._patch.size, 3), np.float32)
        page[self._index] = value
        return np.ascontiguousarray(page.reshape(*self._shape, 3)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
