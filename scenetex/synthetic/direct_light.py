"""Light that comes straight from windows, lamps and the sun, with soft shadows."""

from dataclasses import dataclass

import numpy as np

from .surface import Surface


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


def direct_light(
    light: Window | Lamp | Sun,
    points: np.ndarray,
    normals: np.ndarray,
    surface: Surface,
    panes: np.ndarray,
    shadow_rays: int,
) -> np.ndarray:
    """Linear light that reaches surface points straight from a light.

    Args:
        light: where from.
        points: (n, 3) float32, metres, a little off the surface.
        normals: (n, 3) float32 unit vectors.
        surface: what throws shadows.
        panes: (p,) bool, patches the sun shines through.
        shadow_rays: rays from each point to the light.

    Returns:
        (n, 3) float32 irradiance; 1 makes a white surface as bright as a window of radiance 1.
    """
    return _DIRECT[type(light)](light, points, normals, surface, panes, shadow_rays)


def _from_window(light: Window, origins, normals, surface, panes, count):
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
        squared = _dot(way, way)
        cosines = np.maximum(_dot(way, normals[near]), 0) * np.maximum(-(way @ facing), 0)
        value += cosines / squared**2 * _unblocked(surface.caster, origins[near], way, cosines > 0, 0.999)
    total[near] = value[:, None] * (np.asarray(light.radiance, np.float32) * area / (np.pi * count))
    return total


def _from_lamp(light: Lamp, origins, normals, surface, panes, count):
    value = np.zeros(len(origins), np.float32)
    center = np.asarray(light.center, np.float32)
    count = max(count // 2, 1)  # lamps are smaller than windows: their shadows need fewer
    for i in range(count):
        way = center + np.float32(0.8 * light.radius) * _on_ball(i, count) - origins
        squared = _dot(way, way)
        distance = np.sqrt(squared)
        cosine = np.maximum(_dot(way, normals), 0) / distance
        reach = np.clip((distance - 2 * light.radius) / distance, 0.0, 1)
        value += cosine / np.maximum(squared, 0.02) * _unblocked(surface.caster, origins, way, cosine > 0, reach)
    return value[:, None] * (np.asarray(light.intensity, np.float32) / count)


def _from_sun(light: Sun, origins, normals, surface, panes, count):
    value = np.zeros(len(origins), np.float32)
    lit = np.flatnonzero(normals @ np.asarray(light.direction, np.float32) > 0.02)
    for i in range(count):
        # The sun is drawn wider than it is, as haze makes it: its shadows have soft edges.
        way = (np.asarray(light.direction) + 0.03 * _on_ball(i, count)).astype(np.float32)
        way = np.broadcast_to(way, (len(lit), 3))
        face = surface.caster.cast(origins[lit], way)["face"]
        through = (face >= 0) & panes[surface.face_patch[face]]
        value[lit] += through * np.maximum(_dot(way, normals[lit]), 0)
    return value[:, None] * (np.asarray(light.irradiance, np.float32) / count)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)


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
        limit = reach[index] if isinstance(reach, np.ndarray) else reach
        out[index] = ~caster.blocked(origins[index], way[index], limit)
    return out
