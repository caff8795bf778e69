"""Baked, view-independent light: soft windows, lamps and sun with shadows, one bounce, and the rest as ambient.

The result is stored in gamma space, where a surface's colour times its light is the picture's colour: rendering needs
no power function, and the true colour of a surface point does not depend on who looks at it.
"""

import numpy as np

from ..process.console import bar
from .direct_light import direct_light
from .light_filters import TilePages
from .surface import Surface, sample_lattice

GAMMA = 2.2
_LIFT = 0.004  # metres that rays start off their surface


def bake_light(
    surface: Surface,
    albedo: np.ndarray,
    lights: list,
    panes: np.ndarray,
    rays: int,
    shadow_rays: int,
    brightness: float,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
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
        Light times tint in gamma space (h, w, 3) float32, indexed by `Surface.light_origin`; and which patches nobody
        can see (p,) bool, because they lie inside something or behind a wall.
    """
    lattice = sample_lattice(surface.grids, surface.light_shape, inset=2 * _LIFT)
    origins = (lattice.points + _LIFT * lattice.normals).astype(np.float32)
    normals = lattice.normals.astype(np.float32)
    direct = np.zeros(normals.shape, np.float32)
    for light in lights:
        direct += direct_light(light, origins, normals, surface, panes, shadow_rays)
    patch_area = np.bincount(surface.face_patch, surface.mesh.face_areas, len(albedo))
    weight = (patch_area / lattice.shape.prod(1))[lattice.patch]
    reflected = direct * albedo[lattice.patch] * (surface.glow == 0)[lattice.patch, None]
    mean_albedo = (albedo * patch_area[:, None]).sum(0) / patch_area.sum()
    ambient = (reflected * weight[:, None]).sum(0) / weight.sum() / (1 - np.minimum(mean_albedo, 0.8))
    bounce, buried = _gather(surface, lattice, origins, normals, reflected, ambient * albedo, rays, progress)
    page = TilePages(surface, lattice)
    bounce = page.blur(bounce, ~buried, ((1, 1.0), (1, 0.5), (2, 0.5)))
    light = page.fill(direct + bounce, ~buried, ambient)
    hidden = np.bincount(lattice.patch, ~buried, len(albedo)) == 0
    return page.to_image(_develop(light, weight * ~buried, brightness), surface), hidden


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


def _gather(surface, lattice, origins, normals, reflected, ambient, rays, progress):
    """Light that comes from the room's surfaces (n, 3), and which samples are buried inside solids (n,) bool."""
    n = len(origins)
    total = np.zeros((n, 3), np.float32)
    front_hits = np.zeros(n, np.int32)
    helper = np.where(np.abs(normals[:, :1]) < 0.9, np.float32([1, 0, 0]), np.float32([0, 1, 0]))
    tangent = np.cross(normals, helper)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    bitangent = np.cross(normals, tangent)
    face_normals = surface.mesh.face_normals.astype(np.float32)
    ambient = ambient.astype(np.float32)
    # A patch of sunlight is small and bright: as it is, it would leave blotches where few rays happen to meet it.
    reflected = np.minimum(reflected, 8 * reflected.mean(0))
    limit = (surface.light_shape - 1).astype(np.float32)
    light_map = np.ascontiguousarray(surface.face_map[:, 2:])
    # Cosine-distributed directions from one lattice, dealt out to each 3 x 3 block of samples: blurring over the block
    # then gathers the whole lattice.
    share = (lattice.row % 3 * 3 + lattice.column % 3).astype(np.float32)
    for i in bar("light", iterable=range(rays), unit="ray", disable=not progress):
        u = (i + (share + np.float32(0.5)) / 9) / rays
        angle = (np.float32(0.6180339887) * (i * 9 + share)) % 1 * np.float32(2 * np.pi)
        radius, height = np.sqrt(u), np.sqrt(1 - u)
        way = (radius * np.cos(angle))[:, None] * tangent + (radius * np.sin(angle))[:, None] * bitangent
        way += height[:, None] * normals
        hit = surface.caster.cast(origins, way)
        face = hit["face"]
        seen = face >= 0
        front = np.flatnonzero(seen & (np.einsum("ij,ij->i", way, np.take(face_normals, face, axis=0)) <= 0))
        front_hits[front] += 1
        at = face[front]
        patch = surface.face_patch[at]
        point = np.ones((len(front), 4), np.float32)
        point[:, :3] = origins[front] + hit["distance"][front, None] * way[front]
        cell = np.einsum("nij,nj->ni", light_map[at], point) - surface.light_origin[patch]
        cell = np.clip(np.rint(cell), 0, limit[patch]).astype(np.int64)
        sample = lattice.start[patch] + cell[:, 0] * lattice.shape[patch, 1] + cell[:, 1]
        total[front] += reflected[sample] + ambient[patch]
    # In the room, every ray ends on a front; inside a solid on backs, and behind a wall mostly nowhere.
    return total / rays, front_hits < 0.5 * rays
