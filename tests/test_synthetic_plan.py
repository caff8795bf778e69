"""Plans, placement and furnishing: everything inside, nothing on top of each other, doors free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenetex.synthetic.furnish import KINDS, furnish
from scenetex.synthetic.layout import Layout
from scenetex.synthetic.palette import STYLES
from scenetex.synthetic.patches import box, pose
from scenetex.synthetic.piece import Piece, choose_decor
from scenetex.synthetic.plan import SIZES, Opening, Plan, build_shell, make_plan

L_PLAN = Plan(
    ((-2, -2), (2, -2), (2, 0.5), (0.5, 0.5), (0.5, 2), (-2, 2)), 2.5, (Opening("door", 0, 0.3, 1.2, 0.0, 2.0),)
)


def crate(width: float, depth: float, height: float = 0.5) -> Piece:
    return Piece("crate", (box((0, 0, height / 2), (width, depth, height), "x"),), (width, depth, height))


@given(st.integers(0, 10_000), st.sampled_from(KINDS))
@settings(max_examples=60, deadline=None)
def test_plans_have_the_size_of_their_kind_and_openings_in_their_walls(seed, kind):
    plan = make_plan(np.random.default_rng(seed), kind)
    extent = np.ptp(np.array(plan.corners), axis=0)
    for size, (low, high) in zip(extent, SIZES[kind], strict=True):
        assert low <= size <= high
    assert [o.kind for o in plan.openings].count("door") == 1
    assert 1 <= [o.kind for o in plan.openings].count("window")
    for o in plan.openings:
        assert 0 < o.x0 < o.x1 < plan.lengths[o.wall] and 0 <= o.z0 < o.z1 < plan.height
    same_wall = [(a, b) for a in plan.openings for b in plan.openings if a is not b and a.wall == b.wall]
    assert all(a.x1 < b.x0 or b.x1 < a.x0 for a, b in same_wall)


def test_inside_knows_the_missing_corner():
    points = np.array([[0, 0], [1, 1], [-1, 1], [1.9, 0], [3, 0]])
    np.testing.assert_array_equal(L_PLAN.inside(points), [True, False, True, True, False])
    np.testing.assert_array_equal(L_PLAN.inside(points, 0.2), [True, False, True, False, False])
    assert L_PLAN.area == pytest.approx(16 - 2.25)
    sample = np.random.default_rng(0).uniform(-2, 2, (20_000, 2))
    assert L_PLAN.inside(sample).mean() * 16 == pytest.approx(L_PLAN.area, rel=0.02)


def test_wall_frames_look_into_the_room():
    for frame, length in zip(L_PLAN.frames, L_PLAN.lengths, strict=True):
        np.testing.assert_allclose(np.linalg.det(frame[:3, :3]), 1)
        middle = frame @ [length / 2, -0.1, 0, 1]
        assert L_PLAN.inside(middle[None, :2])[0]
        assert not L_PLAN.inside((frame @ [length / 2, 0.1, 0, 1])[None, :2])[0]


def test_the_shell_is_closed_around_the_room():
    decor = choose_decor(np.random.default_rng(0), "modern")
    for turned in (False, True):
        parts, lights = build_shell(L_PLAN, decor, 1.0, turned)
        assert lights == []
        area = {}
        for name in ("floor", "ceiling", "walls"):
            area[name] = 0.0
            for p in parts[name]:
                x = p.points
                cross = np.cross(x[:, 1:, :-1] - x[:, :-1, :-1], x[:, :-1, 1:] - x[:, :-1, :-1])
                area[name] += np.linalg.norm(cross, axis=-1)[p.keep].sum()
        assert area["floor"] == pytest.approx(L_PLAN.area) and area["ceiling"] == pytest.approx(L_PLAN.area)
        assert area["walls"] == pytest.approx(16 * 2.5 - 0.9 * 2.0)
        assert (parts["floor"][0].normals[..., 2] == 1).all() and (parts["ceiling"][0].normals[..., 2] == -1).all()


def test_pieces_stand_only_where_there_is_room():
    layout = Layout(L_PLAN, np.random.default_rng(0))
    assert layout.stand(crate(1, 1), pose(-1, 1, 0))
    assert not layout.stand(crate(1, 1), pose(-0.5, 1, 0))
    assert not layout.stand(crate(1, 1), pose(1.2, 1.2, 0)), "outside, in the missing corner"
    assert not layout.stand(crate(3.2, 0.4), pose(0.3, 0.7, 0)), "across the corner that sticks into the room"
    assert not layout.stand(crate(0.5, 0.5), pose(*(L_PLAN.frames[0] @ [0.75, -0.4, 0, 1])[:2], 0)), "before the door"
    assert layout.stand(crate(1, 1), pose(0.2, -0.4, 0, 0.4)), "turned"
    assert layout.covered(np.array([[-1, 1], [0.2, -0.4], [1.8, 0.2]])).tolist() == [True, True, False]


def test_pieces_against_walls_turn_their_backs_to_them():
    layout = Layout(L_PLAN, np.random.default_rng(1))
    transform = layout.against_wall(crate(1.0, 0.4), wall=5)
    wall, x = layout.wall_of(transform)
    assert wall == 5 and 0.5 < x < L_PLAN.lengths[5] - 0.5
    back = transform @ [0, 0.2, 0, 1]
    assert back[0] == pytest.approx(-2 + 0.02)
    assert layout.against_wall(crate(9.0, 0.4)) is None


def test_pictures_keep_clear_of_doors_and_each_other():
    layout = Layout(L_PLAN, np.random.default_rng(0))
    assert not layout.can_hang(0.5, 0.5, 0, 0.8, 1.5), "on the door"
    assert layout.can_hang(0.5, 0.5, 0, 2.5, 1.5)
    layout.hang(crate(0.5, 0.03, 0.5), 0, 2.5, 1.5)
    assert not layout.can_hang(0.5, 0.5, 0, 2.8, 1.5)
    assert not layout.can_hang(0.5, 0.5, 0, 3.5, 2.4), "through the ceiling"


@given(st.integers(0, 10_000), st.sampled_from(KINDS), st.sampled_from(sorted(STYLES)))
@settings(max_examples=15, deadline=None)
def test_furniture_stands_in_the_room_and_below_the_ceiling(seed, kind, style):
    rng = np.random.default_rng(seed)
    plan = make_plan(rng, kind)
    furniture = furnish(rng, plan, kind, choose_decor(rng, style), lamp=1.0)
    assert len(furniture.pieces) >= 3
    for piece in furniture.pieces:
        points = np.concatenate([p.points.reshape(-1, 3) for p in piece.patches])
        assert np.isfinite(points).all()
        assert points[:, 2].min() > -0.02 and points[:, 2].max() < plan.height + 1e-6
        # Leaves may reach through a wall by a little; furniture not.
        slack = (
            0.35 if piece.name in ("plant", "side table", "") or "table" in piece.name or "desk" in piece.name else 0.07
        )
        low, high = np.array(plan.corners).min(0) - slack, np.array(plan.corners).max(0) + slack
        assert (points[:, :2] > low).all() and (points[:, :2] < high).all(), piece.name
    for i, one in enumerate(furniture.obstacles):
        inner = one.mean(0) + 0.98 * (one - one.mean(0))
        assert plan.inside(inner).all()
        for other in furniture.obstacles[:i]:
            assert not _inside(inner, other).any()
    for slot, (width, height) in furniture.images.items():
        assert slot == "rug" or slot.startswith("picture")
        assert min(width, height) > 0.2


def _inside(points, rectangle):
    local = (points - rectangle[0]) @ np.linalg.inv(
        np.stack([rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]])
    )
    return ((local > 1e-9) & (local < 1 - 1e-9)).all(1)


@pytest.mark.parametrize(
    ("kind", "piece"),
    [("living room", "sofa"), ("bedroom", "bed"), ("study", "desk"), ("dining room", "table"), ("kitchen", "counter")],
)
def test_rooms_hold_what_they_are_for(kind, piece):
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        plan = make_plan(rng, kind)
        names = [p.name for p in furnish(rng, plan, kind, choose_decor(rng, "modern"), 0.0).pieces]
        found += any(piece in name for name in names)
    assert found >= 11
