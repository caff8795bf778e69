"""Rooms: the same for the same seed, obeying what is asked, with a true colour at every point."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from synthetic_rooms import QUICK, quick_room

from scenetex import InputError
from scenetex.synthetic import describe, make_room
from scenetex.synthetic.describe import Facts
from scenetex.synthetic.palette import COLORS, FLOORS, STYLES, WALLS


def mean_color(room, part: str) -> np.ndarray:
    """Area-weighted mean colour (3,) of a part, from points spread over its faces."""
    faces = np.flatnonzero(room.face_part == room.parts.index(part))
    area = room.mesh.face_areas[faces]
    rng = np.random.default_rng(0)
    chosen = rng.choice(faces, 3000, p=area / area.sum())
    points = np.einsum("nc,ncd->nd", rng.dirichlet([1, 1, 1], 3000), room.mesh.triangles[chosen])
    return room.surface_color(points, chosen).mean(0)


def test_the_same_seed_makes_the_same_room():
    one, two = make_room(7, QUICK), make_room(7, QUICK)
    np.testing.assert_array_equal(one.mesh.vertices, two.mesh.vertices)
    np.testing.assert_array_equal(one.mesh.faces, two.mesh.faces)
    np.testing.assert_array_equal(one.textures.image, two.textures.image)
    np.testing.assert_array_equal(one.light, two.light)
    assert one.description == two.description and one.parts == two.parts


def test_other_seeds_make_other_rooms():
    rooms = [quick_room(seed) for seed in range(5)]
    assert len({room.plan.corners for room in rooms}) == 5
    assert len({room.description for room in rooms}) == 5
    assert len({room.facts.kind for room in rooms}) >= 3


def test_quality_changes_no_furniture():
    coarse, fine = quick_room(3), make_room(3, QUICK, texel=0.03, light_texel=0.5, light_rays=1)
    np.testing.assert_array_equal(coarse.mesh.vertices, fine.mesh.vertices)
    assert coarse.description == fine.description
    assert coarse.light.shape != fine.light.shape


def test_the_mesh_is_finite_and_closed_to_rays_from_inside():
    room = quick_room(3)
    assert np.isfinite(room.mesh.vertices).all() and room.mesh.face_areas.min() > 0
    directions = np.random.default_rng(0).standard_normal((20_000, 3))
    eye = [*np.mean(room.obstacles[0], axis=0), 1.5]  # inside the door's swing nothing stands
    hit = room.caster.cast(np.broadcast_to(eye, directions.shape), directions)
    assert (hit["face"] >= 0).all()


@pytest.mark.parametrize("part", ["floor", "walls"])
def test_asked_colours_are_seen(part):
    looks = {"floor": FLOORS, "walls": WALLS}[part]
    suffix = {"floor": "carpet", "walls": "paint"}[part]
    names = [f"{c} {suffix}" for c in ("white", "dark grey", "brown", "red", "yellow", "green", "blue", "pink")]
    right = 0
    for i, name in enumerate(names):
        seen = mean_color(quick_room(20 + i, **{part: name}), part)
        # As a judge would: hue and lightness against all eight, whatever the light.
        apart = [np.linalg.norm(seen - 0.85 * np.array(looks[other].color)) for other in names]
        right += names[int(np.argmin(apart))] == name
    assert right >= 7


def test_the_description_names_what_is_there():
    for seed in range(5):
        room = quick_room(seed)
        for words in (room.description, describe(room.facts, np.random.default_rng(seed))):
            assert room.facts.kind in words and room.facts.style in words
            floor = {w.rstrip("s") for w in room.facts.floor.split()}
            walls = set(room.facts.walls.split()) - {"paint"}
            assert all(w in words for w in floor) and all(w.rstrip("s") in words for w in walls), words
            assert any(name in words for name in room.facts.furniture), words


def test_sentences_vary():
    facts = Facts("kitchen", "modern", "oak planks", "blue paint", ("white table", "chairs", "fridge"), "daylight")
    sentences = {describe(facts, np.random.default_rng(i)) for i in range(60)}
    assert len(sentences) > 40
    assert not any(" a o" in f" {s}" or "  " in s or "an b" in s for s in sentences)


def test_asked_kind_and_style_are_built():
    room = quick_room(1, kind="bedroom", style="rustic")
    assert (room.facts.kind, room.facts.style) == ("bedroom", "rustic")
    assert any("bed " in name for name in room.parts)
    assert room.facts.floor in STYLES["rustic"].floors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "stable"}, "kind 'stable' is not known; choose from living room"),
        ({"style": "gothic"}, "style 'gothic' is not known"),
        ({"floor": "lava"}, "floor 'lava' is not known; try one of"),
        ({"walls": "blue paimt"}, "walls 'blue paimt' is not known; try one of blue"),
        ({"texel": 0.0}, "texel 0.0 must be greater than 0"),
        ({"light_rays": -1}, "light_rays -1 must be greater than 0"),
        ({"colour": "red"}, "colour: room settings are kind, style, floor"),
    ],
)
def test_bad_settings_are_one_line(changes, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        make_room(0, QUICK, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True])
def test_bad_seeds_are_input_errors(seed):
    with pytest.raises(InputError, match="whole number"):
        make_room(seed, QUICK)


def test_true_colour_is_that_of_the_nearest_point_in_the_world_frame():
    room = quick_room(3)
    rng = np.random.default_rng(1)
    faces = rng.choice(np.flatnonzero(~room.hidden[room.surface.face_patch]), 300)
    points = np.einsum("nc,ncd->nd", rng.dirichlet([3, 3, 3], 300), room.mesh.triangles[faces])
    exact = room.surface_color(points, faces)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = turn * np.sign(np.linalg.det(turn)), (1, -2, 3)
    moved = replace(room, world_from_room=world)
    off = points + 0.0005 * room.mesh.face_normals[faces]
    got = moved.true_color(off @ world[:3, :3].T + world[:3, 3])
    same = np.abs(got - exact).max(1) < 3
    # Where parts touch, another face may be as near.
    assert same.mean() > 0.9


def test_glowing_surfaces_are_bright_and_all_colours_in_range():
    room = quick_room(2, kind="living room")
    color = room.surface_color(room.mesh.triangles.mean(1), np.arange(len(room.mesh.faces)))
    assert color.dtype == np.float32 and color.min() >= 0 and color.max() <= 255
    assert np.isfinite(color).all()


def test_swatches_replace_patterns_and_their_names(tmp_path):
    for category in (
        "carpet",
        "woodfloor",
        "tiles",
        "marble",
        "concrete",
        "paint",
        "plaster",
        "bricks",
        "wood",
        "fabric",
    ):
        (tmp_path / category).mkdir()
        image = np.full((16, 16, 3), COLORS["purple"][::-1], np.uint8)
        cv2.imwrite(str(tmp_path / category / "purple.png"), image)
    rooms = [quick_room(seed, swatches=str(tmp_path)) for seed in range(5)]
    floors = [room for room in rooms if room.facts.floor.startswith("purple")]
    assert floors and len(floors) < 5, "some floors show a swatch, some a pattern"
    seen = mean_color(floors[0], "floor")
    assert seen[1] < seen[0] and seen[1] < seen[2], "purple, whatever the light"
    assert floors[0].facts.floor in (
        "purple planks",
        "purple carpet",
        "purple tiles",
        "purple marble",
        "purple concrete",
    )


def test_an_asked_look_is_never_a_swatch(tmp_path):
    (tmp_path / "carpet").mkdir()
    cv2.imwrite(str(tmp_path / "carpet" / "a.png"), np.zeros((4, 4, 3), np.uint8))
    for seed in range(2):
        assert quick_room(seed, swatches=str(tmp_path), floor="red carpet").facts.floor == "red carpet"
