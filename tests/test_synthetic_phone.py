"""The phone: each of its faults by itself, as large as it says."""

from functools import cache

import cv2
import numpy as np
import pytest

from scenetex.scene.load import load_scene
from scenetex.scene.srgb import to_light
from scenetex.synthetic import Phone, phone_photos

PERFECT = Phone(exposure=0, vignetting=0, blur=0, readout=0, noise=0, person=0)


def with_only(**faults) -> Phone:
    return Phone(**({k: 0.0 for k in ("exposure", "vignetting", "blur", "readout", "noise", "person")} | faults))


@cache
def walk():
    frames = load_scene("scenes/sample_room").frames[:12]
    photos = [cv2.resize(f.read_color(), (320, 240), interpolation=cv2.INTER_AREA) for f in frames]
    k = np.stack([f.camera.resized((320, 240)).intrinsics for f in frames])
    return photos, [f.id for f in frames], k, np.stack([f.cam_to_world for f in frames])


def taken(phone: Phone) -> list[np.ndarray]:
    return phone_photos(*walk(), phone)


def test_a_perfect_phone_changes_nothing():
    for photo, exact in zip(taken(PERFECT), walk()[0], strict=True):
        np.testing.assert_array_equal(photo, exact)


def test_the_same_seed_takes_the_same_photos():
    first, again = taken(Phone(seed=3)), taken(Phone(seed=3))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, taken(Phone(seed=4)), strict=True))


def test_exposure_spans_what_it_says_and_darkens_what_is_bright():
    stops = []
    for photo, exact in zip(taken(with_only(exposure=1.5)), walk()[0], strict=True):
        clear = (photo.max(2) < 250) & (photo.min(2) > 30)
        stops.append(np.log2(np.median(to_light(photo)[clear] / to_light(exact)[clear])))
    assert min(stops) == pytest.approx(-1.5, abs=0.05) and max(stops) == pytest.approx(1.5, abs=0.05)
    brightness = [to_light(exact).mean() for exact in walk()[0]]
    assert np.corrcoef(brightness, stops)[0, 1] < -0.8


def test_corners_lose_their_share_of_the_light():
    grey = np.full((240, 320, 3), 180, np.uint8)
    photo = phone_photos([grey] * 12, *walk()[1:], with_only(vignetting=0.4))[0]
    light = to_light(photo)[..., 0] / to_light(grey)[0, 0, 0]
    assert light[120, 160] == pytest.approx(1, abs=0.01)
    assert light[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(0.6, abs=0.01)


def test_a_quarter_of_the_frames_is_blurred():
    detail = [
        cv2.Laplacian(photo, cv2.CV_32F).var() / cv2.Laplacian(exact, cv2.CV_32F).var()
        for photo, exact in zip(taken(with_only(blur=8.0)), walk()[0], strict=True)
    ]
    assert sum(x < 0.8 for x in detail) == 3 and sum(x > 0.99 for x in detail) == 9


def test_rows_are_read_while_the_camera_turns():
    # Of a camera that turns to the right by a radian a second the last row shows what lies further to the right.
    photos = [np.tile(np.arange(0, 240, 0.75, dtype=np.float32)[None, :, None], (240, 1, 3)).astype(np.uint8)] * 3
    turn = [np.eye(4) for _ in range(3)]
    for i, pose in enumerate(turn):
        angle = 0.1 * (i - 1)
        pose[0, 0] = pose[2, 2] = np.cos(angle)
        pose[0, 2], pose[2, 0] = np.sin(angle), -np.sin(angle)
    k = np.repeat(walk()[2][:1], 3, axis=0)
    photo = phone_photos(photos, [0, 3, 6], k, np.stack(turn), with_only(readout=0.02))[1].astype(float)
    moved = (photo[239, 100:220, 0] - photo[0, 100:220, 0]).mean() / 0.75
    assert moved == pytest.approx(0.02 * k[0, 0, 0], rel=0.15)


def test_noise_is_what_it_says_at_mid_grey():
    grey = np.full((240, 320, 3), 128, np.uint8)
    photo = phone_photos([grey] * 12, *walk()[1:], with_only(noise=3.0))[0]
    assert photo.astype(float).std() == pytest.approx(3, rel=0.1) and photo.mean() == pytest.approx(128, abs=0.5)


def test_somebody_hides_a_tenth_of_a_third_of_the_frames():
    grey = np.full((240, 320, 3), 250, np.uint8)
    photos = phone_photos([grey] * 12, *walk()[1:], with_only(person=0.1, visited=1 / 3))
    hidden = np.array([(np.abs(photo.astype(int) - 250).max(2) > 20).mean() for photo in photos])
    assert (hidden[[0, 1, 2, 3, 8, 9, 10, 11]] == 0).all()
    assert (hidden[4:8] > 0.04).all() and hidden.max() == pytest.approx(0.1, rel=0.1)
