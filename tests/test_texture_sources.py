"""What is photo, what is generated and what is filled in: told by the texture itself."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_box import box, photograph, pinhole, views_of, walk_around
from painted_sheet import painted_sheet
from PIL import Image

import scenetex
from scenetex import InputError, bake, unwrap
from scenetex.job.stages import Stages
from scenetex.texture.bake import paint, survey
from scenetex.texture.sources import (
    COLORS,
    FILLED,
    GENERATED,
    NOTHING,
    PHOTO,
    decode_sources,
    encode_sources,
    in_false_colors,
    source_pages,
    texels_by_source,
)

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


def test_pages_in_false_colours_say_what_the_numbers_say(half, other_half):
    mesh, atlas, shown = half
    both = paint(mesh, atlas, other_half, behind=paint(mesh, atlas, shown), generated=True)
    pages, count = source_pages(both), texels_by_source(both)
    for name, index in (("photo", PHOTO), ("generated", GENERATED)):
        assert (pages == index).sum() == count[name] > 0
    # Rims of charts are rounded once more: a texel of thousands may come or go.
    assert abs(int((pages == FILLED).sum()) - count["filled"]) <= 1e-3 * both.texels
    colors = in_false_colors(both)
    assert colors.mesh is both.mesh and colors.coverage is both.coverage
    painted = np.stack(colors.textures)
    for name, index in (("photo", PHOTO), ("generated", GENERATED), ("filled", FILLED)):
        assert (painted[pages == index] == COLORS[name]).all()
    # Around charts their colours go on, so that renders have no dark rims.
    assert {tuple(color) for color in painted[pages == NOTHING][::97]} <= set(COLORS.values())


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.sampled_from([64, 33]))
def test_sources_come_back_from_disk(seed, count, size):
    rng = np.random.default_rng(seed)
    coverage = tuple(rng.random((count, size, size)) < 0.6)
    textured = replace(painted_sheet(count, size), coverage=coverage)
    textured = replace(textured, generated=tuple(page & (rng.random(page.shape) < 0.4) for page in coverage))
    files = encode_sources(textured)
    assert len(files) == count
    for file, seen, made in zip(files, coverage, textured.generated, strict=True):
        found = decode_sources(file)
        assert np.array_equal(found[0], seen) and np.array_equal(found[1], made)
        assert found[0].dtype == found[1].dtype == bool
        # Any viewer shows it in false colours.
        shown = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        assert (shown[made] == COLORS["generated"]).all() and (shown[seen & ~made] == COLORS["photo"]).all()


def test_other_images_are_not_taken_for_sources():
    def png(array, mode=None) -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).convert(mode).save(file, "PNG")
        return file.getvalue()

    (whole,) = encode_sources(painted_sheet())
    gray = np.full((8, 8), 2, np.uint8)
    image = Image.fromarray(gray + 9)
    image.putpalette(bytes(768))
    many = io.BytesIO()
    image.save(many, "PNG")
    for data in (b"", b"no image", whole[: len(whole) // 2], png(gray), png(np.dstack([gray] * 3)), many.getvalue()):
        with pytest.raises(InputError, match=r"out/sources\.png: does not say where texels come from") as error:
            decode_sources(data, "out/sources.png")
        assert "\n" not in str(error.value)


def test_the_colour_blind_tell_the_colours_apart():
    """As the two frequent kinds of dichromats see them (Vienot, Brettel and Mollon 1999), on light and dark paper."""
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, -0.00001], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    colors = np.array([*COLORS.values(), (44, 45, 49), (232, 234, 238)]) / 255
    for matrix in (np.eye(3), protan, deutan):
        seen = np.clip((colors**2.2) @ matrix.T, 0, 1) ** (1 / 2.2) * 255
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert apart[np.triu_indices(5, 1)].min() > 60
