"""What is photo, what is generated and what is filled in: told by the texture itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painted_box import box, photograph, pinhole, views_of, walk_around

import scenetex
from scenetex import bake, unwrap
from scenetex.job.stages import Stages
from scenetex.texture.bake import paint, survey
from scenetex.texture.sources import texels_by_source

SIZE = (80, 60)
SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


@pytest.fixture(scope="module")
def half():
    """A box, its atlas, photos of one side of it, and what they show."""
    mesh, k, poses = box(), pinhole(SIZE), walk_around(12)[:3]
    photos = photograph(mesh, poses, k, SIZE)
    return mesh, unwrap(mesh, 128), survey(mesh, views_of(mesh, poses, k, SIZE), photos)


@pytest.fixture(scope="module")
def other_half():
    """What images of the other side show."""
    mesh, k, poses = box(), pinhole(SIZE), walk_around(12)[5:9]
    return survey(mesh, views_of(mesh, poses, k, SIZE), photograph(mesh, poses, k, SIZE))


def test_photos_are_not_generated_and_generated_images_are(half):
    mesh, atlas, shown = half
    photos, made = paint(mesh, atlas, shown), paint(mesh, atlas, shown, generated=True)
    seen = np.stack(photos.coverage)
    assert seen.any() and not np.stack(photos.generated).any()
    assert np.array_equal(np.stack(made.generated), seen) and np.array_equal(np.stack(made.coverage), seen)
    count, filled = int(seen.sum()), photos.texels - int(seen.sum())
    assert filled > 0
    assert texels_by_source(photos) == {"photo": count, "generated": 0, "filled": filled}
    assert texels_by_source(made) == {"photo": 0, "generated": count, "filled": filled}


def test_what_comes_in_behind_is_marked_and_what_was_there_keeps_its_marks(half, other_half):
    mesh, atlas, shown = half
    photos = paint(mesh, atlas, shown)
    both = paint(mesh, atlas, other_half, behind=photos, generated=True)
    before, after = np.stack(photos.coverage), np.stack(both.coverage)
    assert (after & ~before).sum() > 100
    assert np.array_equal(np.stack(both.generated), after & ~before)
    # Marks of what was generated before stay, whatever comes in behind it.
    made = paint(mesh, atlas, shown, generated=True)
    turned = paint(mesh, atlas, other_half, behind=made)
    assert np.array_equal(np.stack(turned.generated), before)
    assert sum(texels_by_source(both).values()) == both.texels


def test_who_bakes_images_of_unknown_origin_is_told_nothing(half, other_half):
    mesh, atlas, _ = half
    k, poses = pinhole(SIZE), walk_around(12)[:3]
    baked = bake(mesh, atlas, views_of(mesh, poses, k, SIZE), photograph(mesh, poses, k, SIZE))
    assert baked.generated is None
    assert replace(baked, generated=(np.zeros((128, 128), bool),)).generated is not None
    # What is painted behind such a texture is known all the same.
    both = paint(mesh, atlas, other_half, behind=baked, generated=True)
    assert np.array_equal(np.stack(both.generated), np.stack(both.coverage) & ~np.stack(baked.coverage))


def test_marks_are_kept_with_the_stage():
    """What a run that was stopped after painting left on disk tells the sources to the one that goes on."""

    class Shelf(dict):
        has, read, write = dict.__contains__, dict.get, dict.__setitem__

    scene, shelf = scenetex.load_scene(SAMPLE), Shelf()
    options = dict(keyframes="2", texture_size=128, refine_poses=False)
    first = scenetex.run_stages(scene, stages=Stages(cache=shelf), **options).mesh
    later = Stages(cache=shelf)
    again = scenetex.run_stages(scene, stages=later, **options).mesh
    assert "paint" in later.reused
    assert np.array_equal(first.generated, again.generated) and np.array_equal(first.textures, again.textures)
