"""Light: exact values in empty space, shadows, and what a baked room must show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_rooms import quick_room

from scenetex.synthetic.direct_light import Lamp, Sun, Window, direct_light
from scenetex.synthetic.patches import box, panel
from scenetex.synthetic.surface import build_surface

UP = np.array([[0, 0, 1]], np.float32)


def scene(*patches):
    """A surface of these patches, and which of them are panes: the last one."""
    surface = build_surface([list(patches)], {"x": 0}, np.ones((1, 2)), 0.5)
    panes = np.zeros(len(surface.material), bool)
    panes[-1] = True
    return surface, panes


FAR = panel((50, 50, 50), (1, 0, 0), (0, 1, 0), "x")


@given(st.floats(0.3, 3), st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_a_lamp_falls_off_with_the_square_of_distance_and_the_cosine(height, aside):
    surface, panes = scene(FAR)
    lamp = Lamp((aside, 0, height), 0.01, (2.0, 1.0, 0.5))
    got = direct_light(lamp, np.zeros((1, 3), np.float32), UP, surface, panes, 8)[0]
    squared = height**2 + aside**2
    np.testing.assert_allclose(got, np.array([2, 1, 0.5]) * height / squared**1.5, rtol=0.03)


@given(st.floats(0.8, 3), st.floats(0.4, 2), st.floats(0.4, 2))
@settings(max_examples=25, deadline=None)
def test_a_window_lights_as_its_form_factor_says(distance, a, b):
    # A rectangle straight ahead with one corner on the axis: the textbook's form factor of a small parallel area.
    surface, panes = scene(FAR)
    window = Window((0, 0, distance), (0, b, 0), (a, 0, 0), (1.0, 1.0, 1.0))
    got = direct_light(window, np.zeros((1, 3), np.float32), UP, surface, panes, 400)[0, 0]
    x, y = a / distance, b / distance
    p, q = np.sqrt(1 + x * x), np.sqrt(1 + y * y)
    exact = (x / p * np.arctan(y / p) + y / q * np.arctan(x / q)) / (2 * np.pi)
    assert got == pytest.approx(exact, rel=0.03)


def test_windows_shine_to_one_side_only():
    surface, panes = scene(FAR)
    window = Window((0, 0, 1), (1, 0, 0), (0, 1, 0), (1.0, 1.0, 1.0))
    assert direct_light(window, np.zeros((1, 3), np.float32), UP, surface, panes, 4).max() == 0


def test_a_roof_throws_a_shadow():
    roof = panel((-1, -1, 0.5), (2, 0, 0), (0, 2, 0), "x")
    surface, panes = scene(roof, FAR)
    points = np.array([[0, 0, 0], [5, 0, 0]], np.float32)
    for light in (Lamp((0, 0, 2), 0.05, (1, 1, 1)), Window((-0.2, -0.2, 2), (0, 0.4, 0), (0.4, 0, 0), (1, 1, 1))):
        shadow, open_air = direct_light(light, points, np.repeat(UP, 2, 0), surface, panes, 9)[:, 0]
        assert shadow == 0 and open_air > 0


def test_the_sun_comes_through_panes_only():
    ceiling = panel((-3, -3, 2), (6, 0, 0), (0, 2, 0), "x")
    pane = panel((-3, 0, 2), (6, 0, 0), (0, 2, 0), "x")
    surface, panes = scene(ceiling, pane)
    panes[:] = [surface.mesh.vertices[surface.mesh.faces[surface.face_patch == k]][..., 1].max() > 1 for k in range(2)]
    sun = Sun((0.0, 0.0, 1.0), (3.0, 2.0, 1.0))
    points = np.array([[0, 1, 0], [0, -2, 0], [9, 9, 0]], np.float32)
    got = direct_light(sun, points, np.repeat(UP, 3, 0), surface, panes, 16)
    np.testing.assert_allclose(got[0], (3, 2, 1), rtol=0.05)
    assert got[1:].max() == 0


def test_a_box_buries_what_it_stands_on():
    surface, panes = scene(box((0, 0, 0.25), (1, 1, 0.5), "x"), FAR)
    lamp = Lamp((0, 0, 3), 0.01, (1, 1, 1))
    assert direct_light(lamp, np.array([[0, 0, 0.01]], np.float32), UP, surface, panes, 4).max() == 0


def test_the_floor_under_a_table_is_darker_than_beside_it():
    room = quick_room(5, kind="dining room")
    table = next(i for i, name in enumerate(room.parts) if name.endswith("dining table"))
    corners = room.mesh.triangles[room.face_part == table].reshape(-1, 3)
    low, high = corners.min(0), corners.max(0)
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(*np.array(room.plan.corners)[:, k][[0, 2]], 4000) for k in (0, 1)])
    floor = floor[room.plan.inside(floor, 0.1)]
    down = room.caster.cast(np.column_stack([floor, np.full(len(floor), 0.02)]), np.tile([0, 0, -1.0], (len(floor), 1)))
    on_floor = np.isin(room.face_part[down["face"]], [room.parts.index(n) for n in ("floor", "rug") if n in room.parts])
    under = on_floor & ((floor > low[:2] + 0.15) & (floor < high[:2] - 0.15)).all(1)
    beside = on_floor & ((floor < low[:2] - 0.3) | (floor > high[:2] + 0.3)).any(1)
    # Where a rug lies it may be darker or lighter: compare the light alone.
    ground = np.column_stack([floor, 0.02 - down["distance"]])
    face_map = room.surface.face_map[down["face"]]
    where = np.einsum("nij,nj->ni", face_map[..., :3], ground) + face_map[..., 3]
    column, row = np.rint(where[:, 2:]).astype(int).T
    light = room.light[row, column].mean(1)
    assert under.sum() > 20 and light[under].mean() < 0.8 * light[beside].mean()


def test_walls_are_well_exposed_by_day_and_by_night():
    for seed in range(4):
        room = quick_room(seed, walls="white paint")
        walls = room.face_part == room.parts.index("walls")
        middle = room.mesh.triangles[walls].mean(1)
        brightness = room.surface_color(middle, np.flatnonzero(walls)).mean()
        assert 110 < brightness < 245
