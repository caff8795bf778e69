"""Photos of several sizes and cameras side by side: each comes in at its own resolution."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import tiny_scan
from painted_box import box, photograph, pinhole, smooth_color, texel_points, views_of, walk_around

from scenetex import bake, load_scene, run_stages, unwrap
from scenetex.job import photo_stages
from scenetex.texture.refine import refine_cameras
from scenetex.views.viewset import ViewSet, cast_views, together

SMALL, LARGE = (160, 120), (960, 720)
POSES = walk_around(12)
# Every other photo is the large one's, which has another lens, too.
CAMERAS = [(LARGE, 0.75) if i % 2 else (SMALL, 0.55) for i in range(len(POSES))]
GLANCE = (160, 120)


def fine(points: np.ndarray) -> np.ndarray:
    """Waves of 6 cm on the slow ones: a small photo has about 1.5 pixels for a wave, the large one ten."""
    wave = 40 * np.sin(2 * np.pi / 0.06 * (points @ [1.0, 1.0, 1.0]) / np.sqrt(2))
    return smooth_color(points) + wave[:, None]


def waves(points: np.ndarray) -> np.ndarray:
    """Waves of half a metre, which all photos show."""
    wave = 40 * np.sin(2 * np.pi / 0.5 * (points @ [1.0, 1.3, 0.7]))
    return smooth_color(points) + wave[:, None]


def taken(color, cameras=CAMERAS) -> tuple[ViewSet, list[np.ndarray]]:
    mesh = box()
    views, images = [], []
    for i, (size, focal) in enumerate(cameras):
        views.append(replace(views_of(mesh, POSES[i : i + 1], pinhole(GLANCE, focal), GLANCE), frame_ids=(i,)))
        k = pinhole(GLANCE, focal)
        scale = size[0] / GLANCE[0]
        k = np.array([[k[0, 0] * scale, 0, (k[0, 2] + 0.5) * scale - 0.5], [0, k[1, 1] * scale, 0], [0, 0, 1.0]])
        k[1, 2] = (pinhole(GLANCE, focal)[1, 2] + 0.5) * scale - 0.5
        images += photograph(mesh, POSES[i : i + 1], k, size, color)
    return together(views), images


def missed(views, images, color, **options) -> float:
    """Root mean square of what a texture of 1,024 texels misses the truth by, where it was seen."""
    mesh = box()
    atlas = unwrap(mesh, 1024)
    textured = bake(mesh, atlas, views, images, **options)
    pixel, points = texel_points(mesh, atlas)
    seen = textured.coverage[0].ravel()[pixel]
    found = textured.textures[0].reshape(-1, 3)[pixel[seen]].astype(float)
    return float(np.sqrt(np.mean((found - color(points[seen])) ** 2)))


def test_the_larger_cameras_detail_arrives():
    views, images = taken(fine)
    both = missed(views, images, fine)
    large = missed(views.at(range(1, 12, 2)), images[1::2], fine)
    small = missed(views.at(range(0, 12, 2)), images[::2], fine)
    assert small > 18, "the small photos cannot show the waves"
    assert large < 0.6 * small and both < 0.7 * small, (small, large, both)


def test_a_smooth_room_is_exact_from_all_of_them():
    views, images = taken(smooth_color)
    assert missed(views, images, smooth_color) < 2.5


def test_sizes_of_one_shape_may_mix_in_any_order():
    views, images = taken(smooth_color)
    order = [*range(6, 12), *range(6)]
    turned = missed(views.at(order), [images[i] for i in order], smooth_color)
    assert abs(turned - missed(views, images, smooth_color)) < 0.3


def test_each_lens_is_refined_on_its_own():
    """Of one camera the focal length is 2 % off, of the other it is right."""
    views, images = taken(waves)
    off = views.intrinsics.copy()
    off[::2, [0, 1], [0, 1]] *= 1.02
    rendered = cast_views(box(), off, views.cam_to_world, views.size, views.frame_ids)
    found = refine_cameras(box(), rendered, images)
    assert found.accepted
    focal = found.intrinsics[:, 0, 0] / views.intrinsics[:, 0, 0]
    assert np.ptp(focal[::2]) < 1e-6 and np.ptp(focal[1::2]) < 1e-6, "photos of one camera share it"
    assert 1 < focal[0] < 1.017 and abs(focal[1] - 1) < 0.004, "as far as the prior lets them"


@pytest.fixture
def scan(tmp_path):
    folder = tiny_scan.write_extracted(
        tmp_path / "room", {i: tiny_scan.look(0.3 * i) for i in range(12)}, depth=False, size=(1300, 900)
    )
    tiny_scan.write_ply(next(folder.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    return load_scene(folder)


def test_photos_are_never_all_in_memory(scan, monkeypatch):
    """Counted through the reader: those of full size that are alive whenever one is read."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    alive, most, read = [], [0], [0]
    decode = photo_stages.mask_image

    class Whole(np.ndarray):
        pass

    def counted(image, mask):
        out = decode(image, mask).view(Whole)
        gc.collect()
        alive.append(weakref.ref(out))
        read[0] += 1
        most[0] = max(most[0], sum(one() is not None for one in alive))
        return out

    monkeypatch.setattr(photo_stages, "mask_image", counted)
    result = run_stages(scan, texture_size=256, refine_poses=True)
    assert read[0] == 2 * len(scan.frames), "to look through them, and to paint with them"
    assert most[0] <= 4, "of twelve: one for each thread, and what it just let go of"
    assert len(result.images) == 12 and result.images[3].shape == (900, 1300, 3)


def test_photos_of_a_scan_have_their_own_sizes(scan):
    frames = tuple(replace(f, camera=f.camera.resized((640, 443))) if f.id % 2 else f for f in scan.frames)
    with pytest.raises(Exception, match="image is 1300x900, its camera 640x443"):
        run_stages(replace(scan, frames=frames), texture_size=128)
    pictures = photo_stages.open_photos(scan, [0, 3])
    assert pictures.sizes == [(1300, 900)] * 2


@pytest.mark.parametrize(
    ("count", "size"), [(1, (2000, 1500)), (31, (1201, 900)), (100, (668, 501)), (9999, (320, 240))]
)
def test_depth_maps_of_many_photos_are_smaller(count, size):
    assert np.allclose(photo_stages.depth_size((4000, 3000), count), size, atol=1)
    assert photo_stages.depth_size((640, 480), 31) == (320, 240)
