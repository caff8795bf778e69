"""The mesh's edges over photos: whether they lie on the edges of the photos, one sees at a glance."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..scene.camera import small_size
from ..scene.scene import Scene
from ..views.viewset import render_views
from .finding import Finding

_PHOTOS = 3
_WIDTH, _GAP, _LINE = 640, 10, 24  # pixels
_PAPER, _INK, _BAD = (32, 33, 36), (232, 234, 237), (255, 150, 130)
_EDGE = (255, 140, 0)
_STEP = 0.06  # of the depth, from pixel to pixel: one thing before another
_BEND = np.radians(35)  # between smoothed normals two pixels each way of an edge
_SMOOTH = 2.5  # pixels; scans are rough


def check_picture(scene: Scene, findings: Sequence[Finding] = ()) -> np.ndarray:
    """Three photos along the trajectory with the mesh's edges drawn in, and what was found.

    Returns:
        (H, W, 3) uint8 sRGB. Where a frame has no photo, or none that can be read, the edges stand alone.
    """
    tiles = [_tile(scene, i) for i in _spread(scene)]
    width = sum(tile.shape[1] for tile in tiles) + _GAP * (len(tiles) + 1)
    lines = [line for finding in findings for line in _wrapped(finding.message, width - 2 * _GAP)]
    height = max(tile.shape[0] for tile in tiles) + 2 * _GAP + _LINE * (1 + len(lines))
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, x = ImageDraw.Draw(sheet), _GAP
    for i, tile in zip(_spread(scene), tiles, strict=True):
        draw.text((x, _GAP), f"frame {scene.frames[i].id}", _INK, _font())
        sheet.paste(Image.fromarray(tile), (x, _GAP + _LINE))
        x += tile.shape[1] + _GAP
    for row, line in enumerate(lines):
        draw.text((_GAP, height - _GAP - _LINE * (len(lines) - row) + 4), line, _BAD, _font())
    return np.asarray(sheet)


def _spread(scene: Scene) -> list[int]:
    with_photo = [i for i, frame in enumerate(scene.frames) if frame.color is not None]
    chosen = with_photo or range(len(scene.frames))
    at = (np.arange(_PHOTOS) + 0.5) / _PHOTOS * len(chosen)
    return sorted({chosen[int(k)] for k in at})


def _tile(scene: Scene, i: int) -> np.ndarray:
    frame = scene.frames[i]
    size = small_size(frame.camera.size, _WIDTH)
    photo = np.full((size[1], size[0], 3), 60, np.uint8)
    if frame.color is not None:
        photo = cv2.resize(frame.read_color(), size, interpolation=cv2.INTER_AREA)
    line = _edges(render_views(scene, [frame.id], size))
    out = photo.copy()
    out[line] = _EDGE
    return out


def _edges(views) -> np.ndarray:
    """Pixels (h, w) bool where one thing is before another, the mesh bends, or ends."""
    depth, normal = views.depth[0], cv2.GaussianBlur(views.normal[0], (0, 0), _SMOOTH)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        count = depth.shape[axis]
        near, far = np.take(depth, range(count - 1), axis), np.take(depth, range(1, count), axis)
        step = np.abs(near - far) > _STEP * np.minimum(near, far)
        reach = 4
        one = np.take(normal, range(count - reach), axis)
        other = np.take(normal, range(reach, count), axis)
        bend = (one * other).sum(2) < np.cos(_BEND)
        middle = [slice(None)] * 2
        middle[axis] = slice(0, -1)
        edge[tuple(middle)] |= step
        middle[axis] = slice(reach // 2, -reach // 2)
        edge[tuple(middle)] |= bend
    return _thin(edge)


def _thin(edge: np.ndarray) -> np.ndarray:
    """Broad bands as their outlines' middle: what is left after the surroundings are taken off."""
    distance = cv2.distanceTransform(edge.astype(np.uint8), cv2.DIST_L2, 3)
    ridge = distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 0.01
    return cv2.dilate((edge & ridge).astype(np.uint8), np.ones((2, 2), np.uint8)) > 0


def _font():
    return ImageFont.load_default(15)


def _wrapped(text: str, width: int) -> list[str]:
    lines, font = [""], _font()
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
