"""Polygons become triangles that cover them once, notches and holes included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex import InputError
from scenetex.scene import polygons
from scenetex.scene.polygons import strip_triangles, triangulate

L_SHAPE = [(5, 0), (5, 2), (2, 2), (2, 4), (0, 4), (0, 0)]
DART = [(0, 0), (4, 2), (0, 4), (1, 2)]
# A square with a square hole, which the outline goes round over a bridge.
FRAME = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]
COMB = [(0, 0), (7, 0), (7, 3), (6, 3), (6, 1), (5, 1), (5, 3), (4, 3), (4, 1), (3, 1), (3, 3), (2, 3), (2, 1), (0, 1)]


def cut(outlines: list, turn: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of polygons in the plane z = 0, turned into space by `turn` (3, 3)."""
    vertices = np.array([(x, y, 0.0) for outline in outlines for x, y in outline])
    counts = np.array([len(outline) for outline in outlines])
    vertices = vertices if turn is None else vertices @ turn.T
    return vertices, triangulate(vertices, counts, np.arange(len(vertices)), "mesh.obj")


def signed_areas(vertices: np.ndarray, faces: np.ndarray, normal) -> np.ndarray:
    t = vertices[faces]
    return 0.5 * np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]) @ np.asarray(normal, float)


@pytest.mark.parametrize(("outline", "area"), [(L_SHAPE, 14), (DART, 6), (FRAME, 12), (COMB, 13)])
@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_notches_stay_open(outline, area, start, mirrored):
    rolled = outline[start:] + outline[:start]
    # A bridge is one only while its two ends follow one another in the outline.
    vertices, faces = cut([rolled[::-1] if mirrored else rolled])
    areas = signed_areas(vertices, faces, (0, 0, -1 if mirrored else 1))
    assert len(faces) == len(outline) - 2
    assert (areas > -1e-12).all() and areas.sum() == pytest.approx(area, abs=1e-12)


def test_convex_polygons_are_fans_from_their_first_corner():
    square, triangle = [(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (1, 0), (0, 1)]
    faces = cut([square, L_SHAPE, triangle, square])[1]
    assert faces[:2].tolist() == [[0, 1, 2], [0, 2, 3]] and faces[-2:].tolist() == [[13, 14, 15], [13, 15, 16]]
    assert len(faces) == 2 + 4 + 1 + 2 and faces[6].tolist() == [10, 11, 12]


def test_polygons_that_are_not_flat_are_cut_as_seen_along_their_normal():
    vertices = np.array([(x, y, 0.05 * ((x * 7 + y * 3) % 2)) for x, y in L_SHAPE])
    faces = triangulate(vertices, np.array([6]), np.arange(6), "mesh.obj")
    flat = vertices * [1, 1, 0]
    assert signed_areas(flat, faces, (0, 0, 1)).sum() == pytest.approx(14)
    assert (signed_areas(flat, faces, (0, 0, 1)) > 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(4, 40))
def test_stars_of_any_outline_in_any_plane(seed, count):
    """Their radius over the angle: never crosses itself, and has notches all over."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.2, 3, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    x, y = points.T
    area = 0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    if np.diff(angle, append=angle[0] + 2 * np.pi).max() > np.pi:  # the centre is outside
        return
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    vertices, faces = cut([points.tolist()], turn)
    areas = signed_areas(vertices, faces, turn[:, 2])
    assert (areas > -1e-9).all() and areas.sum() == pytest.approx(area)


def test_what_crosses_itself_or_is_damaged_still_ends():
    bow = [(0, 0), (2, 2), (2, 0), (0, 2), (1, 3)]
    assert len(cut([bow])[1]) == 3
    vertices = np.array([[0, 0, 0], [np.nan] * 3, [1, 1, 0], [0, 1, 0]])
    assert len(triangulate(vertices, np.array([4]), np.arange(4), "mesh.obj")) == 2
    assert triangulate(vertices, np.array([4]), np.array([0, 1, 2, 9]), "mesh.obj").max() == 9
    assert triangulate(np.zeros((0, 3)), np.array([], int), np.array([], int), "mesh.obj").shape == (0, 3)


def test_outlines_that_would_take_minutes_are_refused(monkeypatch):
    monkeypatch.setattr(polygons, "_MOST_WORK", 20_000)
    with pytest.raises(InputError, match=r"mesh\.obj: its polygons have too many corners and notches"):
        cut([COMB] * 10)


def test_strips_turn_every_second_triangle_and_end_at_minus_one():
    strip = np.array([0, 1, 2, 3, -1, 4, 5, 6, -1, 7, 8, 8, 9, 10])
    expected = [[0, 1, 2], [2, 1, 3], [4, 5, 6], [8, 9, 10]]
    found = strip_triangles(strip).tolist()
    assert found[:3] == expected[:3] and sorted(found[3]) == [8, 9, 10] and len(found) == 4
    assert strip_triangles(np.array([1, 2])).shape == (0, 3)
