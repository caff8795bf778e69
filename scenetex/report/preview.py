"""A contact sheet: one picture that shows what went in, what came out, and what no view saw."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..scene.camera import resize_intrinsics
from ..scene.mesh import used_vertices
from ..texture.render import render_paintings
from ..texture.sources import COLORS, in_false_colors, texels_by_source
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet

_LONGEST = 16  # times as long as wide at the most are pictures shown; a strip would be but a line
WIDTH, MARGIN, GAP, LINE = 1840, 24, 10, 26
PAPER, _SLOT, INK, FAINT = (32, 33, 36), (44, 45, 49), (232, 234, 237), (154, 160, 166)
_MAX_VIEWS, _MAX_PAGES = 8, 9
_SOURCES = {"photo": "photo", "generated": "generated", "filled": "unseen, filled in"}


def contact_sheet(views: ViewSet, images: Sequence[np.ndarray], textured: TexturedMesh) -> np.ndarray:
    """Keyframes with their depth; the atlas pages and two renders of the result, in its colours and in false colours of
    where these come from.

    Args:
        views: the m views that were baked.
        images: m images (h, w, 3) uint8 sRGB, of any size, in the views' order.
        textured: the result.

    Returns:
        (H, 1840, 3) uint8 sRGB.
    """
    shown = np.unique(np.linspace(0, len(views) - 1, min(len(views), _MAX_VIEWS)).round().astype(int))
    aspect = float(np.clip(views.size[0] / views.size[1], 1 / _LONGEST, _LONGEST))
    inner = WIDTH - 2 * MARGIN
    tile_width = min((inner - GAP * (len(shown) - 1)) // len(shown), 420, round(320 * aspect))
    tile = (tile_width, round(tile_width / aspect))
    large = int(np.clip((inner - 2 * GAP) / (1 + 2 * aspect), 360, 600))
    slot = ((inner - 2 * GAP - large) // 2, large)
    inside = (min(slot[0], round(large * aspect)), min(large, round(slot[0] / aspect)))

    photos_at = MARGIN + 2 * LINE
    depth_at = photos_at + tile[1] + GAP
    result_at = depth_at + tile[1] + 2 * GAP + LINE
    sources_at = result_at + large + GAP + LINE
    sheet = Image.new("RGB", (WIDTH, sources_at + large + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)

    def label(x: int, above: int, text: str, ink: tuple[int, int, int] = INK) -> None:
        draw.text((x, above - LINE // 2), text, ink, ImageFont.load_default(15), anchor="lm")

    def place(x: int, y: int, picture: np.ndarray) -> None:
        sheet.paste(Image.fromarray(picture), (x, y))

    atlas = textured.atlas
    drawn = int((atlas.page >= 0).sum())
    pages = f"{atlas.pages} page{'s' if atlas.pages > 1 else ''} of {atlas.size} x {atlas.size} texels"
    facts = f"{len(views)} views, {drawn:,} faces, {pages}, {short(atlas.texels_per_metre)} texels/m"
    label(MARGIN, MARGIN + LINE, facts)

    low, high = depth_range(views.depth[shown])
    legend = f"depth {short(low, 1)} m to {short(high, 1)} m"
    place(WIDTH - MARGIN - 160, MARGIN + 7, turbo(np.tile(np.linspace(0, 1, 160), (12, 1))))
    draw.text((WIDTH - MARGIN - 170, MARGIN + 13), legend, FAINT, ImageFont.load_default(15), anchor="rm")
    for column, view in enumerate(shown):
        x = MARGIN + column * (tile[0] + GAP)
        label(x, photos_at, f"frame {views.frame_ids[view]}", FAINT)
        place(x, photos_at, fit(images[view], tile))
        place(x, depth_at, fit(depth_picture(views.depth[view], low, high), tile))

    part = f", {_MAX_PAGES} of {atlas.pages} pages" if atlas.pages > _MAX_PAGES else ""
    best = max(shown, key=lambda view: np.count_nonzero(views.depth[view]))
    inner_camera = resize_intrinsics(views.intrinsics[best], views.size, inside), views.cam_to_world[best]
    outer_camera = dollhouse_camera(textured, slot)
    marked = in_false_colors(textured)
    paintings = textured.textures, marked.textures
    from_frame = _smooth_renders(textured, paintings, *inner_camera, inside, False)
    from_above = _smooth_renders(textured, paintings, *outer_camera, slot, True)
    rows = (result_at, textured), (sources_at, marked)
    for (above, painted), inner, outer in zip(rows, from_frame, from_above, strict=True):
        for column, picture in enumerate((_atlas_picture(painted, large), fit(inner, slot), outer)):
            place(MARGIN + (column > 0) * (large + GAP) + (column > 1) * (slot[0] + GAP), above, picture)
    for x, text in (
        (MARGIN, f"atlas{part}"),
        (MARGIN + large + GAP, f"result, from frame {views.frame_ids[best]}"),
        (MARGIN + large + slot[0] + 2 * GAP, "result, from above"),
    ):
        label(x, result_at, text)
    x = MARGIN
    for text, color in source_legend(textured):
        draw.rectangle((x, sources_at - 19, x + 12, sources_at - 7), color)
        label(x + 20, sources_at, text)
        x += 44 + round(draw.textlength(text, ImageFont.load_default(15)))
    return np.asarray(sheet)


def dollhouse_camera(textured: TexturedMesh, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A camera outside and above the mesh that holds all of it; meant for renders without back faces.

    Args:
        textured: the mesh; its axis alignment says where up is.
        size: (width, height), pixels.

    Returns:
        intrinsics (3, 3) and cam_to_world (4, 4), float64.
    """
    mesh = textured.mesh
    drawn = textured.atlas.page >= 0
    up = mesh.axis_alignment[:3, :3].T @ [0.0, 0.0, 1.0]
    side = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    side /= np.linalg.norm(side)
    turns = np.radians(np.arange(0, 360, 30))[:, None]
    outward = np.cos(turns) * side + np.sin(turns) * np.cross(up, side)
    gazes = -(np.cos(np.radians(50)) * outward + np.sin(np.radians(50)) * up)
    # Of the directions around, the one that most surface faces: it looks into the room where the room is open.
    gaze = gazes[np.argmax(np.maximum(-mesh.face_cross[drawn] @ gazes.T, 0).sum(0))]
    right = np.cross(gaze, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(gaze, right), gaze], 1)

    focal = 0.5 * max(size) / np.tan(np.radians(18))
    points = mesh.vertices[used_vertices(mesh.faces[drawn])[0]] @ rotation
    # Stray bits far out would make the room tiny: the outermost 0.2 % may fall off the picture.
    low, high = np.quantile(points, [0.002, 0.998], axis=0)
    centre = (low + high) / 2
    reach = np.abs(points[:, :2] - centre[:2]) * (2 * focal / np.array(size)) - (points[:, 2:] - centre[2])
    distance = 1.04 * np.quantile(reach, 0.998, axis=0).max()
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = rotation @ (centre - [0, 0, distance])
    intrinsics = np.array([[focal, 0, size[0] / 2 - 0.5], [0, focal, size[1] / 2 - 0.5], [0, 0, 1]])
    return intrinsics, pose


def smooth_render(textured, intrinsics, cam_to_world, size, cull_backfaces) -> np.ndarray:
    """A render with 2 x 2 rays per pixel."""
    return _smooth_renders(textured, [textured.textures], intrinsics, cam_to_world, size, cull_backfaces)[0]


def _smooth_renders(textured, paintings, intrinsics, cam_to_world, size, cull_backfaces) -> list[np.ndarray]:
    """The same for each of several sets of pages."""
    fine = (2 * size[0], 2 * size[1])
    intrinsics = resize_intrinsics(intrinsics, size, fine)
    pictures = render_paintings(textured, paintings, intrinsics, cam_to_world, fine, cull_backfaces, background=_SLOT)
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]


def _atlas_picture(textured: TexturedMesh, side: int) -> np.ndarray:
    """(side, side, 3) uint8: the pages in a grid; dark outside charts."""
    pages = min(textured.atlas.pages, _MAX_PAGES)
    columns = int(np.ceil(np.sqrt(pages)))
    cell = (side - (columns - 1) * 4) // columns
    picture = np.full((side, side, 3), PAPER, np.uint8)
    for page in range(pages):
        y, x = (cell + 4) * (page // columns), (cell + 4) * (page % columns)
        picture[y : y + cell, x : x + cell] = page_picture(textured, page, cell)
    return picture


def page_picture(textured: TexturedMesh, page: int, side: int) -> np.ndarray:
    """(side, side, 3) uint8: a page, dark outside charts."""
    color = cv2.resize(textured.textures[page], (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    charted = textured.atlas.charted[page].astype(np.float32)
    inside = cv2.resize(charted, (side, side), interpolation=cv2.INTER_AREA)[..., None]
    return np.rint(color * inside + np.float32(_SLOT) * (1 - inside)).astype(np.uint8)


def source_legend(textured: TexturedMesh) -> list[tuple[str, tuple[int, int, int]]]:
    """What the false colours of `in_false_colors` say, with the part of the texels, and these colours."""
    texels = texels_by_source(textured)
    total = max(sum(texels.values()), 1)
    return [(f"{_SOURCES[name]} {100 * count / total:.1f} %", COLORS[name]) for name, count in texels.items()]


def depth_range(depth: np.ndarray) -> tuple[float, float]:
    """Nearest and farthest surface, metres, strays left out, for the colours of `depth_picture`."""
    seen = depth[depth > 0]
    if not seen.size:
        return 0.0, 1.0
    low, high = np.quantile(seen, [0.01, 0.99])
    return float(low), float(max(high, low * 1.001))


def depth_picture(depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """(h, w, 3) uint8 colours of a depth image (h, w) in metres; dark where there is nothing."""
    picture = turbo((depth - low) / (high - low))
    picture[depth <= 0] = _SLOT
    return picture


def short(number: float, decimals: int = 0) -> str:
    """A number as people read it: with so many decimals, or three digits where it is small."""
    return f"{number:.{decimals}f}" if abs(number) >= 10 ** (2 - decimals) or not number else f"{number:.3g}"


def turbo(values: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 colours of values (h, w) from 0 to 1, blue over green to red."""
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[:, :, ::-1]


def fit(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture as large as it fits into (width, height), centred on a slot of that size."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    fitted = (max(round(width * scale), 1), max(round(height * scale), 1))
    slot = np.full((size[1], size[0], 3), _SLOT, np.uint8)
    x, y = (size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2
    slot[y : y + fitted[1], x : x + fitted[0]] = cv2.resize(
        np.ascontiguousarray(picture), fitted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return slot
