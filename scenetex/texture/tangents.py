"""The frames that a normal map's vectors are in: MikkTSpace's, which glTF and most programs go by."""

import numpy as np

from ..scene.mesh import Mesh
from .atlas import Atlas
from .texels import Texels


def unit_normals(mesh: Mesh) -> np.ndarray:
    """(n, 3) float64 unit vertex normals; upwards where the faces around have no common one."""
    normals = mesh.vertex_normals.copy()
    normals[~(np.linalg.norm(normals, axis=1) > 0.5)] = [0, 0, 1]
    return normals


def tangents(mesh: Mesh, atlas: Atlas) -> np.ndarray:
    """Where the texture's u runs to, at each row of the atlas.

    A face's direction of u is laid flat onto the normal of each of its vertices; the faces around one add up by their
    angles, those whose charts are mirrored apart from others (http://www.mikktspace.com; charts are cut between them).

    Returns:
        (n, 4) float64 for the n rows of `atlas.uv`: a unit tangent, and behind it 1, or -1 where the chart is mirrored;
        v, upwards, runs along that times ``cross(normal, tangent)``.
    """
    drawn = np.flatnonzero(atlas.page >= 0)
    rows = atlas.faces[drawn]
    uv = atlas.uv[rows].astype(np.float64)
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    sign = np.where(turn < 0, -1.0, 1.0)[:, None]
    corners = mesh.triangles[drawn]
    along = (b[:, 1:] * (corners[:, 1] - corners[:, 0]) - a[:, 1:] * (corners[:, 2] - corners[:, 0])) * sign
    normals = unit_normals(mesh)[atlas.vertices]
    total = np.zeros((len(atlas.uv), 3))
    for k in range(3):
        normal = normals[rows[:, k]]
        flat = _flat(along, normal)
        one, two = (_flat(corners[:, (k + step) % 3] - corners[:, k], normal) for step in (1, 2))
        angle = np.arccos(np.clip(np.einsum("ij,ij->i", one, two), -1, 1))
        for axis in range(3):
            total[:, axis] += np.bincount(rows[:, k], angle * flat[:, axis], len(total))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    lost = length[:, 0] < 1e-9
    total[lost] = _flat(np.eye(3)[np.abs(normals[lost]).argmin(1)], normals[lost])
    signs = np.ones((len(total), 1))
    signs[rows.ravel()] = np.repeat(sign, 3, axis=0)
    return np.concatenate([total / np.where(lost[:, None], 1.0, length), signs], 1)


def _flat(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Unit vectors at right angles to unit normals, (n, 3) each; zero where there is none."""
    flat = vectors - np.einsum("ij,ij->i", vectors, normals)[:, None] * normals
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-300)


def in_tangent_space(mesh: Mesh, atlas: Atlas, texels: Texels, normals: np.ndarray) -> np.ndarray:
    """Normals (n, 3) at texels as a glTF normal map has them: red along u, green along v (upwards), blue outwards.

    Returns:
        (n, 3) float64, 0 to 255, for -1 to 1.
    """
    # What the viewer does: both are interpolated and stay as long as that leaves them.
    t = texels.interpolate(tangents(mesh, atlas)[np.maximum(atlas.faces, 0)])
    n = texels.interpolate(unit_normals(mesh)[mesh.faces])
    t, sign = t[:, :3], np.sign(t[:, 3:])
    b = sign * np.cross(n, t)
    volume = np.einsum("ij,ij->i", t, np.cross(b, n))[:, None]
    local = [np.einsum("ij,ij->i", normals, np.cross(*pair)) for pair in ((b, n), (n, t), (t, b))]
    local = np.stack(local, 1) / np.where(np.abs(volume) > 1e-9, volume, 1.0)
    local /= np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-12)
    return 127.5 * (local + 1)
