"""Plain loops over views, pixels and keys, one number at a time: what the batched code must equal; and views for it.

Everything is numpy float64 and (h, w) means rows and columns of a feature map, (x, y) its columns and rows.
"""

import math
from typing import NamedTuple

import numpy as np
import torch


class Key(NamedTuple):
    """One key of one query: where it is in which view, its cue, and how it counts."""

    view: int
    x: float
    y: float
    cue: tuple[float, ...]
    seen: bool = True
    odd: bool | None = None


def room_views(seed: int, m: int, size: tuple[int, int], holes: float = 0.1):
    """Random views inside an empty box room: depth (m, h, w) with invalid pixels, K (m, 3, 3), poses (m, 4, 4)."""
    rng = np.random.default_rng(seed)
    h, w = size
    room = np.array([4.0, 3.0, 2.5])
    K = np.tile(np.eye(3), (m, 1, 1))
    K[:, 0, 0], K[:, 1, 1] = rng.uniform(0.4, 0.8, m) * w, rng.uniform(0.5, 0.9, m) * h
    K[:, 0, 2], K[:, 1, 2] = rng.uniform(0.4, 0.6, m) * w, rng.uniform(0.4, 0.6, m) * h
    poses = np.tile(np.eye(4), (m, 1, 1))
    depth = np.empty((m, h, w))
    base = rng.uniform(0, 2 * np.pi)
    for i in range(m):
        # A common heading with some spread, so that many pairs overlap and some do not; the camera may roll and pitch.
        poses[i, :3, :3] = _rotation(base + rng.normal(0, 0.6), rng.normal(0, 0.2), rng.normal(0, 0.3))
        poses[i, :3, 3] = room * rng.uniform(0.3, 0.7, 3)
        for y in range(h):
            for x in range(w):
                ray = poses[i, :3, :3] @ np.linalg.inv(K[i]) @ [x, y, 1]
                wall = np.where(ray > 0, room - poses[i, :3, 3], -poses[i, :3, 3])
                depth[i, y, x] = np.min(wall / np.where(ray == 0, 1e-12, ray))
    depth[rng.random(depth.shape) < holes] = 0
    return depth, K, poses


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    def turn(angle, a, b):
        out = np.eye(3)
        out[[a, a, b, b], [a, b, a, b]] = math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
        return out

    # x right, y down, z forward; the world's z is up.
    level = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
    return turn(yaw, 0, 1) @ level @ turn(pitch, 1, 2) @ turn(roll, 0, 1)


def project(scene, i: int, j: int, x: int, y: int, guard: float) -> tuple[float, float, float]:
    """Pixel (x, y) of view i in view j, and its depth there."""
    depth, K, poses = scene
    d = depth[i, y, x]
    point = np.array([d * (x - K[i, 0, 2]) / K[i, 0, 0], d * (y - K[i, 1, 2]) / K[i, 1, 1], d, 1.0])
    u, v, z = K[j] @ (np.linalg.inv(poses[j]) @ poses[i] @ point)[:3]
    with np.errstate(all="ignore"):
        return u / (z + guard), v / (z + guard), z


def visible(scene, i: int, j: int, x: int, y: int) -> tuple[float, float, float] | None:
    """Where view j sees the surface point of pixel (x, y) of view i, and the error of its depth; None = it does not."""
    depth = scene[0]
    h, w = depth.shape[1:]
    if depth[i, y, x] <= 0:
        return None
    u, v, z = project(scene, i, j, x, y, 0.0)
    if not (z > 0 and 0 <= np.round(u) < w and 0 <= np.round(v) < h):
        return None
    there = depth[j, int(np.round(v)), int(np.round(u))]
    if there <= 0 or abs(z - there) > 0.05 * there:
        return None
    return u, v, abs(z - there)


def depth_partners(scene, convention: str, overlap: float) -> list[list[int]]:
    """The views each view attends to."""
    m, h, w = scene[0].shape
    fraction = np.zeros((m, m))
    step = 1 if convention == "mvdiffusion" else max(1, min(h, w) // 48)
    for i in range(m):
        for j in range(m):
            hits = valid = total = 0
            for y in range(step // 2, h, step):
                for x in range(step // 2, w, step):
                    total += 1
                    valid += scene[0][i, y, x] > 0
                    if convention == "visible":
                        hits += visible(scene, i, j, x, y) is not None
                    elif scene[0][i, y, x] > 0:
                        u, v, _ = project(scene, i, j, x, y, 1e-6)
                        hits += 0 <= u < w and 0 <= v < h
            fraction[i, j] = hits / max(1, valid if convention == "visible" else total)
    out = [[j for j in range(m) if j != i and min(fraction[i, j], fraction[j, i]) > overlap] for i in range(m)]
    if convention == "mvdiffusion" and m > 1:
        out = [p or ([1] if i == 0 else [m - 2] if i == m - 1 else [i - 1, i + 1]) for i, p in enumerate(out)]
    return out


def depth_keys(scene, convention: str, overlap: float, size: tuple[int, int]) -> list[list[list[Key]]]:
    """Keys of every token of every view, by view and token."""
    m = len(scene[0])
    partners = depth_partners(scene, convention, overlap)
    return [
        [_depth_keys(scene, convention, partners[i], i, t, size) for t in range(size[0] * size[1])] for i in range(m)
    ]


def _depth_keys(scene, convention: str, partners: list[int], i: int, token: int, size: tuple[int, int]) -> list[Key]:
    depth = scene[0]
    h, w = depth.shape[1:]
    row, column = divmod(token, size[1])
    keys = []
    if convention == "visible":
        sx, sy = w / size[1], h / size[0]
        x, y = math.floor((column + 0.5) * sx), math.floor((row + 0.5) * sy)
        for j in partners:
            hit = visible(scene, i, j, x, y)
            if hit is not None:
                u = hit[0] + ((column + 0.5) * sx - 0.5 - x)
                v = hit[1] + ((row + 0.5) * sy - 0.5 - y)
                keys.append(Key(j, (u + 0.5) / sx - 0.5, (v + 0.5) / sy - 0.5, (hit[2],)))
        return keys
    s = h // size[0]

    def depths(token: int, j: int) -> tuple[float, float, float, bool]:
        """Place in view j, difference of the two cameras' depths, and whether it is seen."""
        y, x = (s // 2 + s * c for c in divmod(token, size[1]))
        u, v, _ = project(scene, i, j, x, y, 1e-6) if depth[i, y, x] > 0 else (-1e6, -1e6, 0)
        c, r = np.round(u), np.round(v)
        seen = bool(0 <= c < w and 0 <= r < h and depth[j, int(r), int(c)] > 0)
        return u, v, abs(depth[i, y, x] - (depth[j, int(r), int(c)] if seen else 1e6)), seen

    for k, j in enumerate(partners):
        u, v, _, seen = depths(token, j)
        # Tokens in the order (pixel, partner) are encoded two by two.
        place = token * len(partners) + k
        pair = [divmod(place - place % 2 + n, len(partners)) for n in (0, 1)]
        cue = tuple(depths(t, partners[l])[2] for t, l in pair)
        keys.append(Key(j, u / s - 0.5, v / s - 0.5, cue, seen, place % 2 == 1))
    return keys


def with_own_keys(keys: list[list[list[Key]]], width: int) -> list[list[list[Key]]]:
    """Every token also has a key at its own place in another map of its view, `width` cells wide."""
    return [
        [[*own, Key(i, float(t % width), float(t // width), (-1.0,))] for t, own in enumerate(view)]
        for i, view in enumerate(keys)
    ]


def rotation_keys(
    K, R, image: tuple[int, int], convention: str, partners, size: tuple[int, int]
) -> list[list[list[Key]]]:
    """Keys of every token of every view of a panorama, by view and token."""
    released = convention == "mvdiffusion"
    sx, sy = image[1] / size[1], image[0] / size[0]
    half = 0.0 if released else 0.5
    out = []
    for i in range(len(K)):
        out.append([])
        for token in range(size[0] * size[1]):
            row, column = divmod(token, size[1])
            x, y = (column + 0.5) * sx - half, (row + 0.5) * sy - half
            keys = []
            for j in partners[i]:
                forth = K[j] @ np.linalg.inv(R[j]) @ R[i] @ np.linalg.inv(K[i])
                back = K[i] @ np.linalg.inv(R[i]) @ R[j] @ np.linalg.inv(K[j])
                u, v, z = forth @ [x, y, 1]
                for dx in (-1, 0, 1):
                    for dy in (-1, 0, 1):
                        cx, cy = (u / z + half) / sx - 0.5 + dx, (v / z + half) / sy - 0.5 + dy
                        px, py = (cx + 0.5) * sx - half, (cy + 0.5) * sy - half
                        bx, by, bz = back @ [px, py, 1]
                        cue = ((bx / bz - x) / sx, (by / bz - y) / sy)
                        if released:
                            keys.append(Key(j, cx, cy, cue, 0 < px < image[1] and 0 < py < image[1]))
                        elif z > 0 and bz > 0 and -0.5 <= px < image[1] - 0.5 and -0.5 <= py < image[0] - 0.5:
                            keys.append(Key(j, cx, cy, cue))
            out[-1].append(keys)
    return out


def sample(feature: np.ndarray, x: float, y: float, clamp: bool) -> np.ndarray:
    """(c,) bilinear sample of a (c, h, w) feature map; outside is its border (clamp) or zero."""
    c, h, w = feature.shape
    if clamp:
        x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    out = np.zeros(c)
    for r in (math.floor(y), math.floor(y) + 1):
        for k in (math.floor(x), math.floor(x) + 1):
            if 0 <= r < h and 0 <= k < w:
                out += feature[:, r, k] * (1 - abs(x - k)) * (1 - abs(y - r))
    return out


def encode(cue: tuple[float, ...], bands: np.ndarray, odd: bool | None) -> np.ndarray:
    """Position encoding of one cue."""
    sines = [math.sin(c * f) for c in cue for f in bands]
    cosines = [math.cos(c * f) for c in cue for f in bands]
    return np.array(sines + cosines if odd is None else cosines if odd else sines)


def messages(
    attention: torch.nn.Module,
    features: np.ndarray,
    keys: list[list[list[Key]]],
    clamp: bool,
    context: np.ndarray | None = None,
) -> np.ndarray:
    """(m, c, h, w) messages of `CorrespondenceAttention` to feature maps (m, c, h, w), one query after the other.

    The keys are in the maps `context`; None = in the same.
    """
    context = features if context is None else context
    weights = {name: value.detach().double().numpy() for name, value in attention.state_dict().items()}
    m, c, _, w = features.shape
    out = np.zeros_like(features)
    for i in range(m):
        for token, own in enumerate(keys[i]):
            if not own:
                continue
            paired = own[0].odd is not None
            zero = (0.0,) * len(own[0].cue)
            feature = features[i, :, token // w, token % w]
            query = _norm(feature + encode(zero, weights["bands"], token % 2 == 1 if paired else None), weights)
            found = []
            for key in own:
                place = sample(context[key.view], key.x, key.y, clamp) if key.seen else np.zeros(c)
                code = encode(key.cue, weights["bands"], key.odd) if key.seen else np.zeros(c)
                found.append(_norm(place + code, weights))
            q = weights["to_q.weight"] @ query
            k, v = (np.array(found) @ weights[name].T for name in ("to_k.weight", "to_v.weight"))
            heads = []
            for head in np.split(np.arange(len(q)), len(q) // 32):
                score = np.exp(k[:, head] @ q[head] / math.sqrt(32))
                heads.append(score / score.sum() @ v[:, head])
            value = weights["to_out.weight"] @ np.concatenate(heads) + weights["to_out.bias"]
            out[i, :, token // w, token % w] = value
    return out


def _norm(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * weights["norm.weight"] + weights["norm.bias"]
