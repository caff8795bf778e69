"""Renders against the analytic colour of the sheet; texture lookup to the half texel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_sheet import painted_sheet, true_color

from scenetex.texture.render import render_many, render_textured, sample_texture
from scenetex.views.viewset import cast_views, pixel_rays

INTRINSICS = np.array([[80, 0, 31.5], [0, 80, 23.5], [0, 0, 1]], np.float64)
SIZE = (64, 48)


def above(x: float = 0.5, y: float = 0.5, height: float = 1.6) -> np.ndarray:
    """A camera over the sheet that looks straight down, image right along x, image down along -y."""
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = x, y, height
    return pose


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.parametrize("origin", [(0, 0, 0), (448_262.25, 5_411_932.5, 310.0)])
def test_render_shows_the_true_colour(pages, origin):
    textured = painted_sheet(pages, size=128, dirty=True, origin=origin)
    pose = above()
    pose[:3, 3] += origin
    image = render_textured(textured, INTRINSICS, pose, SIZE, background=(1, 2, 3))
    view = cast_views(painted_sheet(pages, dirty=True).mesh, INTRINSICS[None], above()[None], SIZE, (0,))
    seen = view.depth[0] > 0
    # The sheet covers the middle of the image only: both outcomes are there to be judged.
    assert 0.2 < seen.mean() < 0.95
    assert (image[~seen] == (1, 2, 3)).all()
    origin_at, direction = pixel_rays(INTRINSICS, above(), SIZE)
    points = origin_at + direction.reshape(48, 64, 3) * view.depth[0][..., None]
    assert np.abs(image[seen] - true_color(points[seen])).max() < 1.2  # rounding of the texture and of the image


@pytest.mark.parametrize("origin", [(0, 0, 0), (448_262.25, 5_411_932.5, 310.0)])
def test_many_renders_are_as_one_by_one(origin):
    textured = painted_sheet(2, size=128, dirty=True, origin=origin)
    poses = np.stack([above(x, height=1.2 + x) for x in (0.1, 0.5, 0.9)])
    poses[:, :3, 3] += origin
    lenses = np.stack([INTRINSICS * [[s], [s], [1]] for s in (0.8, 1.0, 1.3)])
    together = list(render_many(textured, lenses, poses, SIZE, (1, 2, 3)))
    assert len(together) == 3
    for image, lens, pose in zip(together, lenses, poses, strict=True):
        alone = render_textured(textured, lens, pose, SIZE, background=(1, 2, 3))
        # Rays start elsewhere in float32: the edge of the sheet may fall differently.
        assert (np.abs(image.astype(int) - alone).max(2) <= 1).mean() > 0.998


def test_backfaces_are_seen_unless_culled():
    textured = painted_sheet(size=128)
    below = np.eye(4)  # looks up along z at the sheet's underside
    below[:3, 3] = 0.5, 0.5, -1.2
    assert render_textured(textured, INTRINSICS, below, SIZE).any()
    assert not render_textured(textured, INTRINSICS, below, SIZE, cull_backfaces=True).any()
    front = render_textured(textured, INTRINSICS, above(), SIZE)
    np.testing.assert_array_equal(render_textured(textured, INTRINSICS, above(), SIZE, cull_backfaces=True), front)


def test_culling_shows_what_lies_behind_the_culled_face():
    # From below, the back of the lower sheet hides the upper one until it is culled.
    textured = painted_sheet(size=128)
    mesh = textured.mesh
    flipped = mesh.faces[:, ::-1] + len(mesh.vertices)
    both = type(mesh)(
        np.concatenate([mesh.vertices, mesh.vertices + np.array([0, 0, 0.5])]),
        np.concatenate([mesh.faces, flipped]).astype(np.int32),
    )
    a = textured.atlas
    atlas = type(a)(
        uv=np.tile(a.uv, (2, 1)),
        faces=np.concatenate([a.faces, a.faces[:, ::-1] + len(a.uv)]).astype(np.int32),
        vertices=np.concatenate([a.vertices, a.vertices + len(mesh.vertices)]).astype(np.int32),
        page=np.tile(a.page, 2),
        chart=np.tile(a.chart, 2),
        size=a.size,
        pages=1,
        texels_per_metre=a.texels_per_metre,
    )
    two = type(textured)(both, atlas, textured.textures, textured.coverage)
    below = np.eye(4)
    below[:3, 3] = 0.5, 0.5, -1.2
    upper = painted_sheet(size=128, origin=(0, 0, 0.5))
    culled = render_textured(two, INTRINSICS, below, SIZE, cull_backfaces=True)
    np.testing.assert_array_equal(culled, render_textured(upper, INTRINSICS, below, SIZE))
    assert (render_textured(two, INTRINSICS, below, SIZE) != culled).any()


def test_texel_centres_return_the_texel():
    textured = painted_sheet(size=64)
    textured.textures[0][:] = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    triangle = textured.atlas.uv[textured.atlas.faces[0]].astype(np.float64)
    texel = np.round(triangle.mean(0) * 64 - 0.5)
    uv = (texel + 0.5) / 64
    weights = np.linalg.solve(np.vstack([triangle.T, np.ones(3)]), [*uv, 1])
    color = sample_texture(textured, np.array([0]), weights[1:2], weights[2:3])[0]
    expected = textured.textures[0][63 - int(texel[1]), int(texel[0])]
    np.testing.assert_allclose(color, expected, atol=0.01)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 71), st.floats(0, 1), st.floats(0, 1))
def test_lookup_is_the_true_colour_anywhere(face, a, b):
    if a + b > 1:
        a, b = 1 - a, 1 - b
    textured = painted_sheet(size=64)
    point = np.array([1 - a - b, a, b]) @ textured.mesh.triangles[face]
    color = sample_texture(textured, np.array([face]), np.array([a]), np.array([b]))
    assert np.abs(color - true_color(point[None])).max() < 0.7


def test_lookup_beyond_the_border_repeats_the_edge():
    textured = painted_sheet(size=64)
    textured.atlas.uv[:] = 0.0
    color = sample_texture(textured, np.array([3]), np.array([0.2]), np.array([0.3]))
    np.testing.assert_array_equal(color[0], textured.textures[0][63, 0])
