"""The mesh's edges over photos: whether they lie on the edges of the photos, one sees at a glance."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import InputError
from ..scene.camera import small_size
from ..scene.frame import Frame
from ..scene.scene import Scene
from ..views.masking import resize_mask
from ..views.viewset import render_views
from .finding import Finding

_PHOTOS = 4
_WIDTH, _GAP, _LINE = 480, 10, 24  # pixels
_TITLES = "frame {id}: photo and the mesh's edges", "mesh's depth", "sensor's depth"
_BLANK = 60  # grey
_HIDDEN = 4  # what masks hide is as many times darker
_SPAN = 2, 98  # percentiles of depth that are told apart by colour
_PAPER, _INK, _BAD = (32, 33, 36), (232, 234, 237), (255, 150, 130)
_EDGE = (255, 140, 0)
_STEP = 0.06  # of the depth, from pixel to pixel: one thing before another
_BEND = np.radians(35)  # between smoothed normals two pixels each way of an edge
_SMOOTH = 2.5  # pixels; scans are rough


def check_picture(scene: Scene, findings: Sequence[Finding] = ()) -> np.ndarray:
    """Four photos along the trajectory with the mesh's edges drawn in, above the mesh's depth from the same poses, and
    sensor depth where there is some; what was found stands below.

    Returns:
        (H, W, 3) uint8 sRGB. Where a frame has no photo, or none that can be read, the edges stand alone.
    """
    columns = [_column(scene, i) for i in _spread(scene)]
    rows = [max(tile.shape[0] for tile in row if tile is not None) for row in zip(*columns, strict=True) if _any(row)]
    width = sum(column[0].shape[1] for column in columns) + _GAP * (len(columns) + 1)
    lines = [line for finding in findings for line in _wrapped(finding.message, width - 2 * _GAP)]
    height = sum(row + _LINE for row in rows) + 2 * _GAP + _LINE * len(lines)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw, x = ImageDraw.Draw(sheet), _GAP
    for i, column in zip(_spread(scene), columns, strict=True):
        y = _GAP
        for title, tile, row in zip(_TITLES, column, rows, strict=False):
            draw.text((x, y), title.format(id=scene.frames[i].id), _INK, _font())
            if tile is not None:
                sheet.paste(Image.fromarray(tile), (x, y + _LINE))
            y += row + _LINE
        x += column[0].shape[1] + _GAP
    for row, line in enumerate(lines):
        draw.text((_GAP, height - _GAP - _LINE * (len(lines) - row) + 4), line, _BAD, _font())
    return np.asarray(sheet)


def _any(row: Sequence[np.ndarray | None]) -> bool:
    return any(tile is not None for tile in row)


def _spread(scene: Scene) -> list[int]:
    with_photo = [i for i, frame in enumerate(scene.frames) if frame.color is not None]
    chosen = with_photo or range(len(scene.frames))
    at = (np.arange(_PHOTOS) + 0.5) / _PHOTOS * len(chosen)
    return sorted({chosen[int(k)] for k in at})


def _column(scene: Scene, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The photo with edges, the mesh's depth, and the sensor's or None: (h, w, 3) uint8 each."""
    frame = scene.frames[i]
    size = small_size(frame.camera.size, _WIDTH)
    photo = np.full((size[1], size[0], 3), _BLANK, np.uint8)
    if frame.color is not None:
        photo = cv2.resize(frame.read_color(), size, interpolation=cv2.INTER_AREA)
        if (mask := frame.read_mask()) is not None:
            photo[~resize_mask(mask, size)] //= _HIDDEN
    views = render_views(scene, [frame.id], size)
    out = photo.copy()
    out[_edges(views)] = _EDGE
    mesh, sensor = views.depth[0], _sensor(frame, size)
    seen = mesh[mesh > 0] if (mesh > 0).any() or sensor is None else sensor[sensor > 0]
    span = np.percentile(seen, _SPAN) if len(seen) else np.array([0.0, 1.0])
    return out, _colored(mesh, span), None if sensor is None else _colored(sensor, span)


def _sensor(frame: Frame, size: tuple[int, int]) -> np.ndarray | None:
    """(h, w) float32 of that width, or None where there is no depth that can be read."""
    if frame.depth is None or frame.depth_camera is None:
        return None
    try:
        return cv2.resize(frame.read_depth(), size, interpolation=cv2.INTER_NEAREST)
    except InputError:  # the check says so
        return None


def _colored(depth: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Depth (h, w) as colours (h, w, 3) uint8, blue near and red far; grey where there is none."""
    part = np.clip((depth - span[0]) / max(span[1] - span[0], 1e-9), 0, 1)
    colors = cv2.applyColorMap((255 * part).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(depth[..., None] > 0, colors, np.uint8(_BLANK))


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
