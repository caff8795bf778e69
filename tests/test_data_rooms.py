"""The stream of rooms: the same whoever renders it, with exact depth, described in known words."""

import numpy as np
import pytest
from synthetic_rooms import psnr
from test_data_prefetch import assert_same

from scenetex import InputError
from scenetex.data.rooms import RingStream, RoomStream
from scenetex.data.sample import Sample
from scenetex.metrics import overlap_psnr
from scenetex.pipelines.ring_views import RingViews
from scenetex.synthetic import RoomSettings, make_room
from scenetex.synthetic.palette import FLOORS, WALLS
from scenetex.synthetic.words import split_words, vocabulary
from scenetex.views.viewset import cast_views

STREAM = RoomStream(seed=4, views=3, size=(64, 48))
RINGS = RingStream(seed=4, size=(64, 64))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [STREAM.sample(i) for i in range(3)]


def test_a_room_is_its_seeds_and_indexs_alone(samples):
    assert_same(RoomStream(seed=4, views=3, size=(64, 48)).sample(1), samples[1])
    other = RoomStream(seed=5, views=3, size=(64, 48)).sample(1)
    assert other.prompts != samples[1].prompts and not np.array_equal(other.views.depth, samples[1].views.depth)
    assert samples[0].prompts != samples[1].prompts
    larger = RoomStream(seed=4, views=3, size=(128, 96)).sample(1)
    assert larger.prompts == samples[1].prompts, "the size does not change the room"


def test_depth_is_that_of_ray_casting_the_rooms_mesh(samples):
    for index in (0, 2):
        rng = np.random.default_rng([STREAM.seed, index])
        # The room as the stream draws it, built once more.
        mixed = {"floor": str(rng.choice(list(FLOORS))), "walls": str(rng.choice(list(WALLS)))}
        room = make_room(int(rng.integers(2**62)), RoomSettings().coarse(), **(mixed if rng.random() < 0.5 else {}))
        views = samples[index].views
        exact = cast_views(room.mesh, views.intrinsics, views.cam_to_world, views.size, views.frame_ids)
        apart = np.abs(exact.depth - views.depth)
        # A ray through the edge of two faces may pass on either side of it.
        assert (apart < 1e-3).mean() > 0.9995 and np.median(apart) < 1e-5
        assert (views.depth > 0).all()
        assert np.abs(exact.normal - views.normal).mean() < 1e-3


def test_sentences_are_varied_and_of_known_words(samples):
    for sample in samples:
        assert len(sample.prompts) == 3 and sample.prompts[0] == sample.prompts[2]
        assert len(set(sample.prompts[0])) >= 4
        assert all(set(split_words(text)) <= vocabulary() == STREAM.words() for text in sample.prompts[0])


def test_cameras_are_like_those_of_scans(samples):
    for sample in samples:
        k = sample.views.intrinsics[0]
        assert (sample.views.intrinsics == k).all() and 53 < 2 * np.degrees(np.arctan(32 / k[0, 0])) < 73
        assert np.abs(k[:2, 2] - [31.5, 23.5]).max() < 4
        height = sample.views.cam_to_world[:, 2, 3]
        assert height.min() > 1.2 and height.max() < 1.7


def test_images_hold_no_more_noise_than_large_ones(samples):
    small = RoomStream(seed=4, views=3, size=(128, 96)).sample(1).shrunk(2)
    assert small.images.shape == samples[1].images.shape
    assert psnr(small.images, samples[1].images) > 22


def test_shrunk_views_see_what_the_large_ones_see():
    large = RoomStream(seed=4, views=2, size=(256, 192)).sample(0)
    small = large.shrunk(4)
    assert small.views.size == (64, 48) and small.images.shape == (2, 48, 64, 3)
    assert np.abs(small.images[0, 5, 7] - large.images[0, 20:24, 28:32].reshape(-1, 3).mean(0)).max() <= 1
    # A pixel's centre is the middle of those it stands for.
    exact = large.views.intrinsics[0, 0, 0] / 4, (large.views.intrinsics[0, 0, 2] + 0.5) / 4 - 0.5
    assert np.allclose(small.views.intrinsics[0, 0, [0, 2]], exact)
    assert np.array_equal(small.views.depth[1, 3, 9], large.views.depth[1, 14, 38])
    assert np.array_equal(small.views.normal[1, 3, 9], large.views.normal[1, 14, 38]) and small.prompts == large.prompts


@pytest.mark.parametrize("bad", [{"seed": -1}, {"views": 0}, {"size": (64, 4)}])
def test_bad_streams_are_named(bad):
    with pytest.raises(InputError, match="stream of rooms: seed"):
        RoomStream(**{"seed": 0, "views": 1, "size": (64, 48), **bad})


def test_a_folder_without_materials_is_named(tmp_path):
    with pytest.raises(InputError, match="no material swatches"):
        RoomStream(materials=str(tmp_path))


@pytest.fixture(scope="module")
def ring_sample() -> Sample:
    return RINGS.sample(1)


def test_a_ring_is_what_the_panorama_pipeline_takes(ring_sample):
    ring = RingViews.of(ring_sample.views, by_depth=False)
    assert ring.size == (64, 64) and len(ring_sample) == 8
    # Level, in a room whose z is up: what is down in the image is down in the room.
    assert np.allclose(ring_sample.views.cam_to_world[:, :3, 1], [0, 0, -1])
    other = RingStream(seed=4, size=(64, 64)).sample(1)
    assert np.array_equal(other.images, ring_sample.images) and other.prompts == ring_sample.prompts
    assert not np.array_equal(RINGS.sample(2).views.cam_to_world, ring_sample.views.cam_to_world)


def test_its_pictures_fit_together_and_its_depth_is_the_rooms(ring_sample):
    views = ring_sample.views
    beside = [(i, (i + 1) % 8) for i in range(8)]
    assert overlap_psnr(views, list(ring_sample.images), beside).mean > 25
    assert overlap_psnr(views, list(ring_sample.images[::-1]), beside).mean < 20, "not mirrored"
    assert views.depth.min() > 0.1


def test_other_rings_are_refused():
    with pytest.raises(InputError, match=r"6 views of .*; panoramas are 8 square views"):
        RingStream(views=6)
    with pytest.raises(InputError, match="8 square views"):
        RingStream(size=(64, 48))
