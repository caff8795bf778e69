"""Baking rooms whose true colour is known: exposure, moving things, unseen surface, low polygons, far worlds, seams."""

from functools import cache

import numpy as np
import pytest
from painted_box import HIGH, LOW, box, look_at, photograph, pinhole, smooth_color, texel_points, views_of, walk_around
from PIL import Image
from scipy.spatial import cKDTree

from scenetex import InputError, bake, unwrap
from scenetex.scene.mesh import Mesh

SIZE = (160, 120)
POSES = walk_around(14)


@cache
def room():
    """Mesh, atlas, views and exact photos of the painted box."""
    mesh = box()
    k = pinhole(SIZE)
    return mesh, unwrap(mesh, 256), views_of(mesh, POSES, k, SIZE), photograph(mesh, POSES, k, SIZE)


@cache
def baked():
    mesh, atlas, views, photos = room()
    return bake(mesh, atlas, views, photos)


def texels_of(textured):
    """Colours (n, 3) float, seen (n,) bool and places (n, 3) of all texels on faces."""
    pixel, points = texel_points(textured.mesh, textured.atlas)
    color = np.stack(textured.textures).reshape(-1, 3)[pixel].astype(float)
    return color, np.stack(textured.coverage).reshape(-1)[pixel], points


def errors(textured, truth=smooth_color) -> np.ndarray:
    """(n,) largest difference to the truth over the channels, at seen texels."""
    color, seen, points = texels_of(textured)
    return np.abs(color - truth(points))[seen].max(1)


def decibels(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def test_exact_photos_give_the_true_colours():
    error = errors(baked())
    assert np.mean(texels_of(baked())[1]) > 0.97
    assert decibels(error) > 40 and np.quantile(error, 0.99) < 6 and np.median(error) <= 2


def test_the_report_of_texels():
    textured = baked()
    color, _, _ = texels_of(textured)
    assert textured.texels == len(color)
    assert textured.textures[0].dtype == np.uint8 and textured.textures[0].shape == (256, 256, 3)
    assert textured.coverage[0].dtype == bool and textured.coverage[0].shape == (256, 256)
    # Nothing is called seen outside of charts.
    pixel, _ = texel_points(textured.mesh, textured.atlas)
    outside = np.ones(256 * 256, bool)
    outside[pixel] = False
    assert not textured.coverage[0].ravel()[outside].any()
    # Padding: texels around a chart take over its colours, so none is left black.
    assert textured.textures[0].max(2).min() > 30


def test_the_mesh_goes_through_untouched():
    assert baked().mesh is room()[0] and baked().atlas is room()[1]


def test_exposure_is_levelled_out():
    mesh, atlas, views, photos = room()
    gains = np.exp(np.random.default_rng(3).uniform(-0.25, 0.25, (len(photos), 1)) * [1.1, 1.0, 0.9])
    jittered = [np.clip(np.rint(p * g), 0, 255).astype(np.uint8) for p, g in zip(photos, gains, strict=True)]
    color, seen, points = texels_of(bake(mesh, atlas, views, jittered))
    color, truth = color[seen], smooth_color(points[seen])
    # One factor per channel is nobody's to know.
    factor = (color * truth).sum(0) / (color * color).sum(0)
    assert (np.abs(np.log(factor)) < 0.2).all()
    left = np.abs(color * factor - truth).max(1)
    assert decibels(left) > 34 and np.quantile(left, 0.99) < 12
    # Pasting without levelling would leave the jitter: its spread of 15 % is some 18 grey levels.
    assert left.mean() < 5


def count_views(points: np.ndarray, views) -> np.ndarray:
    """(n,) number of views whose pictures hold the points; nothing in the box hides anything."""
    count = np.zeros(len(points), int)
    for k, pose in zip(views.intrinsics, views.cam_to_world, strict=True):
        pixel = (points - pose[:3, 3]) @ pose[:3, :3] @ k.T
        place = pixel[:, :2] / pixel[:, 2:]
        count += (pixel[:, 2] > 0) & (place > 0).all(1) & (place < np.array(views.size) - 1).all(1)
    return count


def test_a_moving_thing_in_one_photo_does_not_show():
    mesh, atlas, views, photos = room()
    visited = [p.copy() for p in photos]
    visited[4][40:90, 60:100] = (250, 20, 230)
    clean, disturbed = baked(), bake(mesh, atlas, views, visited)
    difference = np.abs(texels_of(clean)[0] - texels_of(disturbed)[0]).max(1)
    # Where the visitor stands, by projection into its photo.
    points = texels_of(clean)[2]
    local = (points - POSES[4][:3, 3]) @ POSES[4][:3, :3]
    pixel = local @ views.intrinsics[4].T
    u, v = pixel[:, 0] / pixel[:, 2], pixel[:, 1] / pixel[:, 2]
    behind = (local[:, 2] > 0) & (u > 60) & (u < 100) & (v > 40) & (v < 90)
    # Of two photos that disagree nobody can say which is right: three are needed.
    behind &= count_views(points, views) >= 3
    assert behind.sum() > 200
    # Painted in, it would be off by more than 100 grey levels.
    assert np.quantile(difference[behind], 0.98) < 12


def test_what_nobody_saw_continues_from_around():
    mesh, atlas, _, _ = room()
    level = np.stack([look_at([0, 0, 1.2], [np.cos(t), np.sin(t), 1.2]) for t in np.arange(0, 6.2, 0.6)])
    flat = pinhole(SIZE)
    views, photos = views_of(mesh, level, flat, SIZE), photograph(mesh, level, flat, SIZE)
    textured = bake(mesh, atlas, views, photos)
    color, seen, points = texels_of(textured)
    # Floor and ceiling under and over the camera are outside of every picture.
    below = (points[:, 2] < 0.01) & (np.hypot(points[:, 0], points[:, 1]) < 1.5)
    assert below.any() and not seen[below].any() and 0.5 < seen.mean() < 0.98
    assert np.quantile(errors(textured), 0.98) < 8
    rim = seen & (points[:, 2] < 0.01) & (np.hypot(points[:, 0], points[:, 1]) < 2.4)
    for channel in range(3):
        low, high = np.quantile(color[rim, channel], [0.01, 0.99])
        assert (color[below, channel] >= low - 12).all() and (color[below, channel] <= high + 12).all()
    # No step where seen meets unseen.
    tree = cKDTree(points[seen])
    distance, other = tree.query(points[~seen])
    touching = distance < 1.5 / atlas.texels_per_metre
    step = np.abs(color[~seen][touching] - color[seen][other[touching]]).max(1)
    assert touching.sum() > 50 and np.median(step) < 6 and np.quantile(step, 0.95) < 20


def test_large_pictures_on_small_views():
    mesh, atlas, _, _ = room()
    small, large = (80, 60), (320, 240)
    k = pinhole(large)
    from scenetex.scene.camera import resize_intrinsics

    views = views_of(mesh, POSES, resize_intrinsics(k, large, small), small)
    textured = bake(mesh, atlas, views, photograph(mesh, POSES, k, large))
    error = errors(textured)
    assert decibels(error) > 38 and np.quantile(error, 0.98) < 8
    assert texels_of(textured)[1].mean() > 0.95


def test_pictures_may_be_pil_or_float():
    mesh, atlas, views, photos = room()
    for kind in (Image.fromarray, lambda p: p / 255.0, lambda p: (p / 255).astype(np.float32)):
        other = bake(mesh, atlas, views, [kind(p) for p in photos])
        np.testing.assert_array_equal(other.textures[0], baked().textures[0])
    stacked = bake(mesh, atlas, views, np.stack(photos))
    np.testing.assert_array_equal(stacked.textures[0], baked().textures[0])


def test_the_world_may_be_far_away():
    shift = np.array([5e5, -5e5, 2e3])
    mesh, atlas, _, photos = room()
    far = Mesh(mesh.vertices + shift, mesh.faces)
    poses = POSES.copy()
    poses[:, :3, 3] += shift
    textured = bake(far, atlas, views_of(far, poses, pinhole(SIZE), SIZE), photos)
    moved = np.abs(textured.textures[0].astype(int) - baked().textures[0]).max(2)
    assert (moved <= 2).mean() > 0.998
    assert (textured.coverage[0] == baked().coverage[0]).mean() > 0.998


def test_the_order_of_views_does_not_matter():
    mesh, atlas, _, photos = room()
    order = np.random.default_rng(0).permutation(len(photos))
    views = views_of(mesh, POSES[order], pinhole(SIZE), SIZE)
    textured = bake(mesh, atlas, views, [photos[i] for i in order])
    apart = np.abs(textured.textures[0].astype(int) - baked().textures[0]).max(2)
    assert apart.max() <= 1
    np.testing.assert_array_equal(textured.coverage[0], baked().coverage[0])


def colors_at(textured, face: int, weights: np.ndarray) -> np.ndarray:
    """(n, 3) bilinear texture colours at barycentric weights (n, 3) of one face."""
    from scenetex.texture.render import sample_texture

    return sample_texture(textured, np.full(len(weights), face), weights[:, 1], weights[:, 2])


def test_both_sides_of_a_seam_agree():
    mesh, atlas, views, photos = room()
    gains = np.random.default_rng(5).uniform(0.8, 1.2, len(photos))
    jittered = [np.clip(np.rint(p * g), 0, 255).astype(np.uint8) for p, g in zip(photos, gains, strict=True)]
    textured = bake(mesh, atlas, views, jittered)
    along = np.linspace(0.02, 0.98, 200)[:, None]
    steps, seams = [], 0
    for a in range(len(mesh.faces)):
        for b in range(a + 1, len(mesh.faces)):
            shared = [v for v in mesh.faces[a] if v in mesh.faces[b]]
            if len(shared) < 2 or atlas.chart[a] == atlas.chart[b]:
                continue
            seams += 1
            both = []
            for face in (a, b):
                i, j = (np.eye(3)[list(mesh.faces[face]).index(v)] for v in shared)
                both.append(colors_at(textured, face, along * i + (1 - along) * j))
            steps.append(np.abs(both[0] - both[1]).max(1))
    steps = np.concatenate(steps)
    assert seams >= 3
    assert np.quantile(steps, 0.95) < 4 and steps.max() < 16


def test_twelve_triangles_are_enough_to_choose_views_locally():
    """Each wall is two triangles; photos of its two ends share nothing, and both ends get their colours."""
    mesh, atlas, _, _ = room()
    k = pinhole(SIZE, 1.2)
    ends = np.stack([look_at([x * 0.5, 0.0, 1.2], [x, 1.5, 1.2]) for x in (-1.4, 1.4)])
    textured = bake(mesh, atlas, views_of(mesh, ends, k, SIZE), photograph(mesh, ends, k, SIZE))
    color, seen, points = texels_of(textured)
    wall = seen & (points[:, 1] > 1.499)
    assert (points[wall, 0] < -1).any() and (points[wall, 0] > 1).any()
    error = np.abs(color - smooth_color(points)).max(1)[wall]
    # Two photos without overlap: nothing is levelled, nothing may be mixed.
    assert np.quantile(error, 0.95) < 6


def test_a_dirty_mesh_is_painted_like_a_clean_one():
    mesh, _, _, photos = room()
    n = len(mesh.vertices)
    vertices = np.concatenate([mesh.vertices, mesh.vertices, [[np.nan] * 3, [9.0, 9, 9]]])
    faces = np.concatenate([[[0, 0, 1], [0, 2 * n, 1]], mesh.faces[:6], mesh.faces[6:] + n]).astype(np.int32)
    dirty = Mesh(vertices, faces)
    textured = bake(dirty, unwrap(dirty, 256), views_of(dirty, POSES, pinhole(SIZE), SIZE), photos)
    assert np.quantile(errors(textured), 0.98) < 8
    assert (textured.atlas.page[:2] == -1).all()


def test_several_pages():
    mesh, _, views, photos = room()
    atlas = unwrap(mesh, 128, texels_per_metre=26.0)
    textured = bake(mesh, atlas, views, photos)
    assert atlas.pages == len(textured.textures) == len(textured.coverage) > 1
    assert np.quantile(errors(textured), 0.98) < 8


def test_done_is_called_once_per_image():
    mesh, atlas, views, photos = room()
    calls = []
    bake(mesh, atlas, views, photos, done=lambda: calls.append(1))
    assert len(calls) == len(photos)


def test_detail_stays_sharp():
    """A pattern near the photos' resolution keeps its contrast: many photos are not averaged into a blur."""

    def stripes(points):
        x, y, z = np.asarray(points, float).T
        wave = 60 * np.sin(2 * np.pi * (x + 0.6 * y + 0.4 * z) / 0.16)
        return np.stack([120 + wave, 130 + wave, 125 + wave], 1)

    mesh, _, _, _ = room()
    size = (320, 240)
    k = pinhole(size)
    poses = walk_around(14)
    # Photos that miss each other by a pixel and a half.
    rng = np.random.default_rng(0)
    shifted = [k + np.array([[0, 0, dx], [0, 0, dy], [0, 0, 0]]) for dx, dy in rng.normal(0, 1.5, (14, 2))]
    photos = [photograph(mesh, p[None], c, size, stripes)[0] for p, c in zip(poses, shifted, strict=True)]
    textured = bake(mesh, unwrap(mesh, 512), views_of(mesh, poses, k, size), photos)
    color, seen, points = texels_of(textured)
    middle = seen & (np.abs(points[:, 2] - 1.2) < 0.5) & (np.abs(points[:, 0]) > 1.99)
    assert color[middle, 0].std() > 0.75 * stripes(points[middle])[:, 0].std()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, a, v, p: (m, a, v, p[:3]), "3 images for 14 views"),
        (lambda m, a, v, p: (m, a, v, [*p[:13], p[13][:, :80]]), r"frame 13 has shape \(120, 80, 3\)"),
        (lambda m, a, v, p: (m, a, v, [x[..., 0] for x in p]), r"frame 0 has shape \(120, 160\)"),
        (
            lambda m, a, v, p: (m, a, v, [x[:, :120] for x in p]),
            r"\(120, 120, 3\), which is not the views' shape 160 x 120",
        ),
        (lambda m, a, v, p: (Mesh(m.vertices, m.faces[:5]), a, v, p), "12 faces, the mesh 5; unwrap this very mesh"),
    ],
)
def test_what_does_not_belong_together_is_one_line(change, message):
    with pytest.raises(InputError, match=message) as error:
        bake(*change(*room()))
    assert "\n" not in str(error.value)


def test_views_that_see_nothing_are_an_input_error():
    mesh, atlas, _, photos = room()
    away = np.repeat(look_at([50, 0, 0], [90, 0, 0])[None], 2, 0)
    with pytest.raises(InputError, match="no view sees the mesh; check that poses and mesh share one frame"):
        bake(mesh, atlas, views_of(mesh, away, pinhole(SIZE), SIZE), photos[:2])


def test_the_pattern_is_worth_testing():
    """The truth differs enough from place to place that a wrong place would fail the tests above."""
    points = np.random.default_rng(0).uniform(LOW, HIGH, (500, 3))
    assert smooth_color(points).std(0).min() > 20
    assert np.abs(smooth_color(points) - smooth_color(points + 0.2)).max(1).mean() > 8
