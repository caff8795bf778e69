"""Pictures are read when they are looked at, kept as far as there is room, and made smaller by areas."""

import threading

import cv2
import numpy as np
import pytest

from scenetex.texture import photo_reader as module
from scenetex.texture.photo_reader import Pictures


def image(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def test_each_is_read_when_it_is_asked_for():
    read = []
    found = Pictures([(8, 6)] * 3, lambda i: read.append(i) or image((8, 6), i))
    assert len(found) == 3 and not read
    assert found[1].shape == found[-2].shape == (6, 8, 3) and read == [1, 1]
    assert [x.shape for x in found[1:]] == [(6, 8, 3)] * 2 and read == [1, 1, 1, 2]
    with pytest.raises(IndexError):
        found[3]


def test_what_fits_is_kept_and_the_rest_read_again():
    read = []
    found = Pictures([(8, 6)] * 3, lambda i: read.append(i) or image((8, 6), i), room=2 * 8 * 6 * 3)
    for _ in range(3):
        list(found)
    assert read == [0, 1, 2, 2, 2]


def test_pictures_in_memory_are_themselves():
    images = [image((8, 6)), image((4, 9))]
    found = Pictures.of(images)
    assert found.sizes == [(8, 6), (4, 9)] and found[0] is images[0] and Pictures.of(found) is found


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((640, 480), (640, 480)),
        ((1279, 959), (1279, 959)),
        ((1296, 968), (648, 484)),
        ((4000, 3000), (667, 500)),
        ((8000, 6000), (667, 500)),
        ((10, 3000), (10, 3000)),
    ],
)
def test_what_photos_are_compared_by_is_small(size, small):
    assert Pictures([size], lambda i: None).small.sizes == [small]


def test_they_are_made_smaller_by_areas():
    whole = image((1280, 96))
    np.testing.assert_array_equal(
        Pictures.of([whole]).small[0], cv2.resize(whole, (640, 48), interpolation=cv2.INTER_AREA)
    )
    same = image((640, 48))
    assert Pictures.of([same]).small[0] is same


def test_few_large_ones_are_worked_on_at_once(monkeypatch):
    monkeypatch.setattr(module, "threads", lambda: 8)
    assert [Pictures([(w, w)], image).at_once for w in (100, 4000, 7000, 20_000)] == [8, 3, 1, 1]


def test_threads_that_ask_for_one_at_a_time_get_the_same():
    found = Pictures([(64, 48)], lambda i: image((64, 48)), room=1 << 20)
    got = []
    asking = [threading.Thread(target=lambda: got.append(found[0])) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(got) == 8 and all(np.array_equal(x, got[0]) for x in got)
