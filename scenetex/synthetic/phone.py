"""What a phone in a walking hand would have made of exact photos: exposure, lens, shutter, noise, and a passer-by."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ..scene.srgb import from_light, to_light

_SUB_FRAMES = 9  # moments within one exposure
_READ_NOISE = 0.02  # of black, over that of mid-grey, squared
_CLOTHES = (0.05, 0.09, 0.22), (0.16, 0.03, 0.03), (0.45, 0.25, 0.17)  # trousers, shirt, skin; light


@dataclass(frozen=True)
class Phone:
    """How a phone's photos depart from exact ones. Zeros are a perfect phone.

    Attributes:
        exposure: EV by which automatic exposure darkens the brightest view and brightens the darkest.
        vignetting: share of the light that is missing in the corners.
        blur: longest motion blur, pixels; the shortest is a quarter of it.
        blurred: share of the frames with motion blur.
        readout: seconds from the first row to the last: a rolling shutter.
        frame_rate: frames a second; two ids that follow each other are a frame apart.
        noise: standard deviation of mid-grey, grey levels; it grows with the root of the light.
        person: share of the picture that somebody walking by hides.
        visited: share of the frames they are in, in the middle of the walk.
        seed: of blur, noise, and where the person walks.
    """

    exposure: float = 1.5
    vignetting: float = 0.4
    blur: float = 8.0
    blurred: float = 0.25
    readout: float = 0.02
    frame_rate: float = 30.0
    noise: float = 3.0
    person: float = 0.1
    visited: float = 1 / 3
    seed: int = 0


def phone_photos(
    photos: Sequence[np.ndarray],
    frame_ids: Sequence[int],
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    phone: Phone | None = None,
) -> list[np.ndarray]:
    """Photos of a walk as a phone would have taken them.

    The camera turns during readout and exposure as it turns between the frames; that it also moves is left out.

    Args:
        photos: m exact photos (h, w, 3) uint8 sRGB, of one size.
        frame_ids: (m,) ascending, frames of a video.
        intrinsics: (m, 3, 3) pixels of the photos.
        cam_to_world: (m, 4, 4), OpenCV axes, of the middle row's moment.
        phone: the phone; default `Phone()`.

    Returns:
        m photos (h, w, 3) uint8 sRGB.

    Example:
        >>> import scenetex
        >>> from scenetex.synthetic import phone_photos
        >>> frames = scenetex.load_scene("scenes/sample_room").frames[:3]
        >>> photos, k = [f.read_color() for f in frames], [f.camera.intrinsics for f in frames]
        >>> taken = phone_photos(photos, [f.id for f in frames], k, [f.cam_to_world for f in frames])
        >>> len(taken), taken[0].shape
        (3, (480, 640, 3))
    """
    phone = phone or Phone()
    rng = np.random.default_rng(phone.seed)
    count = len(photos)
    turning = _turning(frame_ids, np.asarray(cam_to_world), phone.frame_rate)
    stops = _automatic_exposure(photos, phone.exposure)
    blurred = rng.permutation(count) < round(phone.blurred * count)
    blur = np.where(blurred, phone.blur * rng.uniform(0.25, 1, count), 0)
    visits = round(phone.visited * count)
    first, begin = (count - visits) // 2, rng.uniform(0, 1)
    out = []
    for i, photo in enumerate(photos):
        light = to_light(photo)
        if phone.person and first <= i < first + visits:
            stride = begin + (i - first) * 0.23
            light = _with_person(light, 0.5 + 0.45 * np.sin(2 * np.pi * stride), phone.person)
        light = _shutter(light, intrinsics[i], turning[i], blur[i], phone.readout)
        light *= np.float32(2.0 ** stops[i]) * _vignette(light.shape, phone.vignetting)
        out.append(_developed(light, phone.noise, rng))
    return out


def _turning(frame_ids: Sequence[int], poses: np.ndarray, frame_rate: float) -> np.ndarray:
    """(m, 3) radians a second about the camera's axes, from the neighbours before and after."""
    seconds = np.asarray(frame_ids, float) / frame_rate
    last = len(poses) - 1
    out = np.zeros((len(poses), 3))
    for i in range(len(poses) if last else 0):
        a, b = max(i - 1, 0), min(i + 1, last)
        turned = Rotation.from_matrix(poses[a, :3, :3].T @ poses[b, :3, :3]).as_rotvec()
        out[i] = turned / max(seconds[b] - seconds[a], 1e-6)
    return out


def _automatic_exposure(photos: Sequence[np.ndarray], most: float) -> np.ndarray:
    """(m,) EV: from -`most` for the brightest view in even steps to `most` for the darkest."""
    metered = np.array([to_light(photo[::4, ::4]).mean() for photo in photos])
    rank = np.argsort(np.argsort(-metered, kind="stable"))
    return most * (2 * rank / max(len(photos) - 1, 1) - 1) if len(photos) > 1 else np.zeros(1)


def _with_person(light: np.ndarray, place: float, share: float) -> np.ndarray:
    """The picture with somebody who hides `share` of it, upright, at `place` (0 left, 1 right)."""
    height, width = light.shape[:2]
    # Legs, torso and head within a figure one unit high and 0.3 wide hide 0.202 of a unit square.
    tall = np.sqrt(share * height * width / 0.202)
    left, top = place * width, 0.5 * height - 0.42 * tall
    body = np.zeros((height, width, 3), np.float32)
    hidden = np.zeros((height, width), np.uint8)
    parts = ((0.72, 0.1, 0.28), (0.36, 0.15, 0.23), (0.07, 0.065, 0.08))  # middle's height, half width, half height
    for (middle, across, along), color in zip(parts, _CLOTHES, strict=True):
        shape = np.zeros((height, width), np.uint8)
        center = round(left), round(top + middle * tall)
        cv2.ellipse(shape, center, (max(round(across * tall), 1), max(round(along * tall), 1)), 0, 0, 360, 255, -1)
        folds = 1 + 0.4 * np.sin((np.arange(width) - left) * 25 / tall)
        body[shape > 0] = (np.array(color, np.float32) * folds[:, None]).astype(np.float32)[np.nonzero(shape)[1]]
        hidden |= shape
    soft = cv2.GaussianBlur(hidden, (0, 0), 0.8)[..., None] * np.float32(1 / 255)
    return light + soft * (body - light)


def _shutter(light: np.ndarray, intrinsics: np.ndarray, turning: np.ndarray, blur: float, readout: float) -> np.ndarray:
    """The picture of a camera that turns while its rows are read one after another and exposed."""
    height, width = light.shape[:2]
    speed = max(float(np.linalg.norm(turning)) * intrinsics[0, 0], 1e-6)  # pixels a second in the picture's middle
    moments = np.linspace(-0.5, 0.5, _SUB_FRAMES) * (blur / speed) if blur else np.zeros(1)
    if not (blur or readout) or speed < 1e-3:
        return light
    row = readout * ((np.arange(height) + 0.5) / height - 0.5)
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    x, y = (u - intrinsics[0, 2]) / intrinsics[0, 0], (v - intrinsics[1, 2]) / intrinsics[1, 1]
    total = np.zeros_like(light)
    for moment in moments:
        # To first order: within a readout a hand turns by a hundredth of a radian.
        a, b, c = (turning[k] * (row + moment)[:, None] for k in range(3))
        z = 1 + a * y - b * x
        at_u = (x + b - c * y) / z * intrinsics[0, 0] + intrinsics[0, 2]
        at_v = (y + c * x - a) / z * intrinsics[1, 1] + intrinsics[1, 2]
        total += cv2.remap(
            light, at_u.astype(np.float32), at_v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
    return total / len(moments)


def _vignette(shape: tuple[int, ...], share: float) -> np.ndarray:
    """(h, w, 1) float32 factor: 1 in the middle, 1 - share in the corners, falling with the square of the distance."""
    height, width = shape[:2]
    across = (np.arange(width) - (width - 1) / 2) / (width / 2)
    down = (np.arange(height) - (height - 1) / 2) / (width / 2)
    square = across**2 + down[:, None] ** 2
    return (1 - share * square / square[0, 0])[..., None].astype(np.float32)


def _developed(light: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 sRGB of the light that the sensor can hold, with the noise of its photons."""
    below, middle, above = to_light(np.array([127.0, 128.0, 129.0]))
    deviation = noise * (above - below) / 2 * np.sqrt(np.clip(light, 0, 1) / middle + np.float32(_READ_NOISE))
    light = light + deviation * rng.standard_normal(light.shape, np.float32)
    return np.rint(np.clip(from_light(np.clip(light, 0, 1)), 0, 255)).astype(np.uint8)
