"""The views around the poles: where they look, what the ring shows of them, and what they add to the panorama."""

import numpy as np
import pytest
import tiny_scan
from tiny_panorama import sphere_panorama, sphere_views

from scenetex import InputError, load_scene, panorama_views, pole_views
from scenetex.panorama import VIEWS, known_poles, pole_rotations, ring_rotations, stitch

SIZE = 96
RING, POLES = sphere_views(SIZE), sphere_views(SIZE, pole_rotations())


def test_four_look_up_and_four_down_to_all_sides():
    ahead = pole_rotations()[:, :, 2]
    assert np.allclose(np.degrees(np.arcsin(-ahead[:, 1])), [32] * 4 + [-48] * 4)
    heading = np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2])) % 360
    assert np.allclose(heading, [0, 90, 180, 270] * 2)
    assert np.allclose(np.linalg.det(pole_rotations()), 1)
    # Their right is level, as is that of the ring's views which look to the same side.
    assert np.allclose(pole_rotations()[:, :, 0], np.tile(ring_rotations()[::2, :, 0], (2, 1)))


def test_what_the_ring_shows_of_them_is_what_is_there():
    shown, seen = known_poles(RING.astype(np.float32))
    assert seen[:4].mean() > 0.5 and 0.3 < seen[4:].mean() < 0.6
    assert np.abs(shown - POLES)[seen].max() < 2e-3
    assert (shown[~seen] == 0).all()


@pytest.mark.parametrize("height", [96, 192])
def test_a_sphere_comes_back_to_the_poles(height):
    truth, latitude = sphere_panorama(height)
    found = stitch(RING, height, POLES)
    # Below, everything is seen; above, all but a cap, in which the rim runs together.
    assert np.abs(found - truth)[np.degrees(latitude[:, 0]) < 70].max() < 2e-3
    assert np.abs(found[0].std(0)).max() < 0.02


def test_they_change_nothing_that_the_ring_sees():
    other = stitch(RING, poles=1 - POLES)
    assert np.array_equal(other[52:-52], stitch(RING)[52:-52])
    assert np.abs(other[-1] - stitch(RING)[-1]).max() > 0.1


def test_a_half_that_is_not_there_runs_together_as_without():
    half = stitch(RING, poles=[*[None] * 4, *POLES[4:]])
    assert np.array_equal(half[:SIZE], stitch(RING)[:SIZE])
    assert np.array_equal(half[SIZE:], stitch(RING, poles=POLES)[SIZE:])


def test_rendered_ones_stand_where_the_ring_does(tmp_path):
    scene = load_scene(tiny_scan.write_extracted(tmp_path / "room"))
    ring = panorama_views(scene, size=48)
    poles = pole_views(scene.mesh, ring)
    assert poles.frame_ids == tuple(range(VIEWS, 2 * VIEWS)) and poles.size == ring.size
    assert np.allclose(poles.cam_to_world[:, :3, 3], ring.cam_to_world[:, :3, 3])
    # Both see the same mesh: a pixel in the middle of a view down shows the floor below.
    y, x = 24, 24
    ray = np.linalg.inv(poles.intrinsics[4]) @ [x, y, 1] * poles.depth[4, y, x]
    point = poles.cam_to_world[4, :3, :3] @ ray + poles.cam_to_world[4, :3, 3]
    height = scene.axis_alignment[2, :3] @ point
    heights = scene.mesh.vertices @ scene.axis_alignment[2, :3]
    assert height == pytest.approx(heights.min(), abs=0.02)


def test_images_that_are_no_poles_are_refused():
    with pytest.raises(InputError, match="not square"):
        stitch(RING, poles=[*POLES[:4], *POLES[4:, :50]])
