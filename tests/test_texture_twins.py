"""Faces that coincide: one piece of surface, however often, in whatever order and whichever way round it is listed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_box import box
from test_texture_scale import ROOM, measured, textured
from test_texture_unwrap import bumpy_sheet, check_layout

from scenetex import load_scene, unwrap
from scenetex.errors import InputWarning
from scenetex.scene.mesh import Mesh
from scenetex.texture.twins import corner_places, first_of_twins, one_of_each


def first_by_loop(faces: np.ndarray) -> list[int]:
    seen: dict[tuple, int] = {}
    return [seen.setdefault(tuple(sorted(face)), i) for i, face in enumerate(faces.tolist())]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(3, 8), st.booleans())
def test_the_first_of_each_kind_agrees_with_a_loop(seed, count, vertices, many):
    rng = np.random.default_rng(seed)
    faces = np.array([rng.choice(vertices, 3, replace=False) for _ in range(count)], np.int64).reshape(-1, 3)
    faces += many * (1 << 22)  # beyond what one number packs
    first = first_of_twins(faces)
    assert first.tolist() == first_by_loop(faces)
    np.testing.assert_array_equal(np.take_along_axis(faces[first], corner_places(faces, faces[first]), 1), faces)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_of_faces_that_turn_both_ways_those_are_chosen_that_turn_as_their_neighbours(seed):
    """A sheet in which some faces are there once, some twice and some the other way round, too, in any order."""
    rng = np.random.default_rng(seed)
    clean = bumpy_sheet(5).faces
    more = clean[rng.random(len(clean)) < 0.5][:, ::-1]
    again = np.roll(clean[rng.random(len(clean)) < 0.3], 1, axis=1)
    faces = rng.permutation(np.concatenate([clean, more, again]))
    chosen, twin = one_of_each(faces)
    assert len(chosen) == len(clean) and sorted(set(first_by_loop(faces[chosen]))) == list(range(len(clean)))
    assert np.array_equal(np.sort(faces[chosen][twin], 1), np.sort(faces, 1))
    runs = {(a, b) for face in faces[chosen].tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)}
    assert len(runs) == 3 * len(clean), "neighbours run along their edge in opposite directions"


def test_a_sheet_that_turns_both_ways_everywhere_turns_as_it_is_seen():
    clean = bumpy_sheet(4).faces
    faces = np.concatenate([clean[:, ::-1], clean])
    front = np.zeros(len(faces))
    front[3] = -5.0  # one look at one of the faces that are turned over, from behind
    chosen, _ = one_of_each(faces, lambda: front)
    np.testing.assert_array_equal(faces[chosen], clean)
    np.testing.assert_array_equal(one_of_each(faces)[0], np.arange(len(clean)))


DOUBLED = {
    "twice": lambda m: replace(m, faces=np.concatenate([m.faces, m.faces])),
    "both ways": lambda m: replace(m, faces=np.concatenate([m.faces, m.faces[:, ::-1]])),
    "three times": lambda m: replace(m, faces=np.concatenate([m.faces[:, ::-1], m.faces, m.faces])),
    "by position": lambda m: Mesh(
        np.concatenate([m.vertices, m.vertices]),
        np.concatenate([m.faces, np.roll(m.faces, 1, axis=1) + len(m.vertices)]),
    ),
    "in any order": lambda m: replace(
        m, faces=np.random.default_rng(0).permutation(np.concatenate([m.faces, m.faces[:, ::-1]]))
    ),
}


@pytest.mark.parametrize("packer", ["uvunwrap", "xatlas"])
@pytest.mark.parametrize("how", DOUBLED)
def test_doubled_faces_have_the_charts_and_places_of_single_ones(how, packer):
    clean = bumpy_sheet()
    mesh = DOUBLED[how](clean)
    alone, atlas = unwrap(clean, 256, packer=packer), unwrap(mesh, 256, packer=packer)
    assert len(np.unique(atlas.chart)) == len(np.unique(alone.chart))
    assert atlas.texels_per_metre == pytest.approx(alone.texels_per_metre, rel=0.05)
    np.testing.assert_array_equal(mesh.faces, atlas.vertices[atlas.faces])
    # Corners at one place of faces that coincide have one uv.
    places = {}
    for face, uv in zip(mesh.triangles, atlas.uv[atlas.faces], strict=True):
        key = tuple(sorted(map(tuple, face)))
        at = {tuple(corner): tuple(place) for corner, place in zip(face, uv, strict=True)}
        assert places.setdefault(key, at) == at
    assert len(places) == len(clean.faces)


def test_a_box_with_every_face_twice_is_laid_out_as_one():
    mesh = box()
    atlas = unwrap(replace(mesh, faces=np.concatenate([mesh.faces, mesh.faces])), 256)
    check_layout(mesh, replace(atlas, **{n: getattr(atlas, n)[: len(mesh.faces)] for n in ("faces", "page", "chart")}))


@pytest.mark.parametrize("how", ["both ways", "by position", "in any order"])
def test_a_room_with_every_face_twice_is_painted_as_well(how):
    scene = load_scene(ROOM)
    scene = replace(scene, frames=scene.frames[::4], mesh=replace(scene.mesh, colors=None))
    doubled = replace(scene, mesh=DOUBLED[how](scene.mesh))
    (psnr, seen, charts), found = (measured(s, textured(s, refine_poses=False)) for s in (scene, doubled))
    assert abs(found[0] - psnr) < 0.1 and abs(found[1] - seen) < 0.01 and abs(found[2] - charts) <= 2


def test_scattered_faces_say_why_they_are_slow(recwarn):
    corners = np.random.default_rng(0).uniform(-3, 3, (1200, 1, 3))
    corners = corners + np.random.default_rng(1).normal(0, 0.05, (1200, 3, 3))
    mesh = Mesh(corners.reshape(-1, 3), np.arange(3600, dtype=np.int32).reshape(-1, 3))
    with pytest.warns(InputWarning, match=r"1,200 of 1,200 faces share no edge.*merge vertices"):
        unwrap(mesh, 1024, texels_per_metre=20.0)


def test_sound_meshes_and_their_soups_are_not_called_scattered(recwarn):
    mesh = load_scene(ROOM).mesh
    soup = Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3))
    unwrap(soup, 512)
    assert not [w for w in recwarn if issubclass(w.category, InputWarning)]
