"""What no view saw is painted behind what one did, which stays to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from test_views_free_space import furnished
from tiny_pipeline import make_pipeline
from tiny_unet import make_unet

import scenetex
from scenetex import InputError, Sampling
from scenetex.job.completion import rendered, seen_share

SIZE = (64, 48)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    made = make_pipeline(tmp_path_factory.mktemp("tokens"), make_unet())
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def half_painted():
    """A room, and its texture from two plain red photos."""
    scene = furnished(3)
    views = scenetex.render_views(scene, [0, 3], SIZE)
    red = np.full((*SIZE[::-1], 3), (200, 40, 40), np.uint8)
    return scene, scenetex.bake(scene.mesh, scenetex.unwrap(scene.mesh, 256), views, [red, red])


def test_what_was_seen_stays_and_the_rest_is_painted(half_painted, pipe):
    scene, room = half_painted
    done = scenetex.complete(scene, room, pipe, "a room", Sampling(seed=1, steps=2), SIZE, most=4)
    before, after = np.stack(room.coverage), np.stack(done.mesh.coverage)
    assert len(done.views) == len(done.images) == len(done.known) == 4
    assert (after | before == after).all() and after.sum() > 1.2 * before.sum()
    assert np.array_equal(np.stack(done.mesh.textures)[before], np.stack(room.textures)[before])
    new = after & ~before
    assert (np.stack(done.mesh.textures)[new] != np.stack(room.textures)[new]).any(1).mean() > 0.5
    area, seen = scene.mesh.face_areas, seen_share(done.mesh)
    assert 0 < done.reachable <= 1 and (area * seen).sum() > (area * seen_share(room)).sum()
    assert np.array_equal(np.stack(done.mesh.generated), new), "and marked as generated"
    # The known pixels of the views are what the texture showed there.
    for image, known, view in zip(done.images, done.known, rendered(room, done.views)[0], strict=True):
        assert np.abs(image[known].astype(int) - view[known]).max(initial=0) <= 1


def test_the_same_seed_completes_the_same(half_painted, pipe):
    scene, room = half_painted
    once, again = (scenetex.complete(scene, room, pipe, "a room", Sampling(2, 1), SIZE, most=2) for _ in range(2))
    assert np.array_equal(np.stack(once.mesh.textures), np.stack(again.mesh.textures))


def test_nothing_is_missing(half_painted, pipe):
    scene, room = half_painted
    whole = replace(room, coverage=tuple(np.ones_like(page) for page in room.coverage))
    done = scenetex.complete(scene, whole, pipe, most=2)
    assert done.mesh is whole and len(done.views) == 0 and done.reachable == pytest.approx(1)


def test_bad_input(half_painted, pipe):
    scene, room = half_painted
    fewer = replace(scene, mesh=replace(scene.mesh, faces=scene.mesh.faces[:-1]))
    with pytest.raises(InputError, match="room: the textured mesh is another than the scene's"):
        scenetex.complete(fewer, room, pipe)
    nothing = replace(room, coverage=tuple(np.zeros_like(page) for page in room.coverage))
    with pytest.raises(InputError, match="room: nothing was seen"):
        scenetex.complete(scene, nothing, pipe)
