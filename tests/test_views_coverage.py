"""Keyframes see the most of the surface: trajectories whose views are known exactly, and real ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scan import look
from walked_wall import along, covered, equal_steps, wander

from scenetex import Mesh, load_scene, select_keyframes

SCENES = Path(__file__).parents[1] / "scenes"


def test_the_share_of_the_surface_is_exact():
    # Three views of 2 x 1.5 m of 40 x 8 m of wall, two of which overlap by half.
    scene = along([0, 1, 10])
    for keys, area in (([0], 3.0), ([0, 1], 4.5), ([0, 1, 2], 7.5)):
        # The outer half of the outer pixels shows no texture.
        np.testing.assert_allclose(covered(scene, keys) * 320, area, rtol=0.05)


def test_standing_still_takes_no_keyframes_from_the_rest():
    """Four fifths of the frames look at one place; equal steps spend four fifths of their keyframes there."""
    positions = np.concatenate([np.linspace(0, 5, 50), np.full(400, 5.0), np.linspace(5, 10, 50)])
    scene = along(positions)
    keys = select_keyframes(scene, 6, connected=False)
    assert positions[keys].min() < 0.3 and positions[keys].max() > 9.7
    assert covered(scene, keys) > 0.95 * covered(scene, list(range(500)))
    assert max(covered(scene, steps) for steps in equal_steps(scene, 6)) < 0.8 * covered(scene, keys)


def test_a_place_that_is_visited_twice_is_painted_once():
    there = np.linspace(0, 6, 40)
    scene = along(np.concatenate([there, there[::-1]]))
    positions = np.concatenate([there, there[::-1]])
    keys = select_keyframes(scene, 4, connected=False)
    # 8 m of wall are seen, which is four views side by side; equal steps come back to where they were.
    np.testing.assert_allclose(np.sort(positions[keys]), [0, 2, 4, 6], atol=0.5)
    assert covered(scene, keys) > 1.4 * covered(scene, equal_steps(scene, 4)[0])
    assert covered(scene, keys) > 0.92 * covered(scene, list(range(80)))


def test_frames_that_see_nothing_are_no_keyframes():
    scene = along(np.arange(0, 6, 0.1))
    blind = {0, 20, 59}
    frames = tuple(replace(f, cam_to_world=look(np.pi)) if f.id in blind else f for f in scene.frames)
    scene = replace(scene, frames=frames)
    for connected in (True, False):
        assert not set(select_keyframes(scene, 4, connected=connected)) & blind


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(8, 40),
    share=st.floats(0.05, 0.95),
    connected=st.booleans(),
)
def test_never_less_is_seen_than_at_equal_steps(seed, frames, share, connected):
    scene = wander(seed, frames)
    count = max(1, int(share * frames))
    keys = select_keyframes(scene, count, connected=connected)
    assert len(keys) == count
    assert covered(scene, keys) >= max(covered(scene, steps) for steps in equal_steps(scene, count))


def test_never_less_is_seen_than_at_equal_steps_of_long_trajectories(monkeypatch):
    """More frames than are looked at one by one: candidates are thinned, and refined around those chosen."""
    monkeypatch.setattr("scenetex.views.keyframes._MOST_CANDIDATES", 12)
    for seed in range(6):
        scene = wander(seed, 60)
        for count in (3, 8, 12):
            keys = select_keyframes(scene, count)
            assert len(keys) == count
            assert covered(scene, keys) >= max(covered(scene, steps) for steps in equal_steps(scene, count))


def test_the_choice_is_the_same_each_time_and_wherever_the_scene_lies():
    scene = wander(5, 40)
    keys = select_keyframes(scene, 7)
    assert select_keyframes(scene, 7) == keys
    for scale, shift in ((0.001, (0, 0, 0)), (1000, (0, 0, 0)), (1, (4e5, 5e6, 100))):
        frames = []
        for frame in scene.frames:
            pose = frame.cam_to_world.copy()
            pose[:3, 3] = pose[:3, 3] * scale + shift
            frames.append(replace(frame, cam_to_world=pose))
        # A vertex that no face has, far off, is nothing either.
        vertices = np.vstack([scene.mesh.vertices * scale + shift, [[1e7, 0, 0]]])
        moved = replace(scene, mesh=Mesh(vertices, scene.mesh.faces), frames=tuple(frames))
        assert select_keyframes(moved, 7) == keys


def test_views_for_generating_overlap_more_and_are_no_twins():
    scene = along(np.arange(0, 12, 0.05))
    apart, together = (np.diff(np.array(select_keyframes(scene, 9, connected=c)) * 0.05) for c in (False, True))
    # A step of s metres leaves 1 - s / 2 of the view, and eight steps of 1.5 m just see all of the wall.
    assert together.max() <= apart.max() + 0.15 and together.min() > 0.35


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("name", ["sample_room", "redkitchen", "livingroom"])
def test_a_third_of_what_equal_steps_miss_is_seen(request, name, connected):
    folder = SCENES / name if name == "sample_room" else request.getfixturevalue("shared_data") / name
    scene = load_scene(folder)
    everything = covered(scene, [frame.id for frame in scene.frames])
    for count in (5, 8, 12, 16, 24):
        keys = select_keyframes(scene, count, connected=connected, sharpness=not connected)
        seen, steps = covered(scene, keys), max(covered(scene, steps) for steps in equal_steps(scene, count))
        assert seen >= steps
        if count == 8:
            assert seen - steps >= (everything - steps) / 3
