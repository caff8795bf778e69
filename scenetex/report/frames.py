"""Keyframes as the page shows them: what was baked, what the textured mesh looks like from there, and the depth."""

from collections.abc import Callable, Sequence

import numpy as np

from ..scene.camera import resize_intrinsics
from ..texture.photo_reader import Pictures
from ..texture.render import render_many
from ..texture.textured_mesh import TexturedMesh
from ..views.viewset import ViewSet
from .html import picture_uri
from .preview import depth_picture, depth_range, turbo

MOST_FRAMES = 30
LONGEST = 640  # pixels of a picture's longer side
_BACKGROUND = (44, 45, 49)


def shown_frames(keyframe: tuple[bool, ...]) -> list[int]:
    """Which views the page shows: all keyframes, or of more than 30 as many spread evenly."""
    keys = np.flatnonzero(keyframe)
    return keys[np.unique(np.linspace(0, len(keys) - 1, min(len(keys), MOST_FRAMES)).round().astype(int))].tolist()


def frame_pictures(
    textured: TexturedMesh,
    views: ViewSet,
    images: Sequence[np.ndarray],
    shown: list[int],
    done: Callable[[], None] = lambda: None,
) -> dict:
    """Pictures of some views as JPEG data URIs, at most 640 pixels wide or high: 90 of them take some 5 MB.

    Args:
        textured: the result.
        views: the m views that were baked.
        images: m images (h, w, 3) uint8 sRGB, as large as the views or larger.
        shown: indices of the views.
        done: called after each view.

    Returns:
        `frames`: per view its `view` index and `id`, `image`, `render`, `depth`; `legend`: the colours of the depth
        from `near` to `far`, metres.
    """
    near, far = depth_range(views.depth[shown])
    width, height = Pictures.of(images).sizes[0]
    scale = min(1.0, LONGEST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    intrinsics = resize_intrinsics(views.intrinsics[shown], views.size, size)
    renders = render_many(textured, intrinsics, views.cam_to_world[shown], size, _BACKGROUND)
    frames = []
    for i, render in zip(shown, renders, strict=True):
        frames.append(
            {
                "view": i,
                "id": views.frame_ids[i],
                "image": picture_uri(images[i], LONGEST),
                "render": picture_uri(render, LONGEST),
                "depth": picture_uri(depth_picture(views.depth[i], near, far), LONGEST),
            }
        )
        done()
    legend = picture_uri(turbo(np.tile(np.linspace(0, 1, 256), (8, 1))), 256, 90)
    return {"frames": frames, "legend": legend, "near": near, "far": far}
