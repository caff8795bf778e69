"""Masks beside photos, in whichever layout; transparency; masks that do not fit."""

import shutil
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scenetex import InputError, load_scene
from scenetex.errors import InputWarning
from scenetex.scene.camera import Camera
from scenetex.scene.frame import Frame
from scenetex.scene.image_source import ImageSource
from scenetex.scene.photo_masks import with_masks_beside

SIZE = 64, 48


def half() -> np.ndarray:
    """(48, 64) bool whose left third is hidden."""
    mask = np.ones(SIZE[::-1], bool)
    mask[:, :20] = False
    return mask


def write_mask(path: Path, mask: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), (half() if mask is None else mask).astype(np.uint8) * 255)


def frames_with(folder: Path, *photos: str) -> list[Frame]:
    for photo in photos:
        (folder / photo).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / photo), np.full((48, 64, 3), 90, np.uint8))
    camera = Camera(tiny_scan.INTRINSICS, *SIZE)
    return [Frame(7 + k, np.eye(4), camera, ImageSource(folder / photo)) for k, photo in enumerate(photos)]


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("color/7.jpg", "mask/7.png"),
        ("color/7.jpg", "masks/7.png"),
        ("color/000007.jpg", "mask/7.png"),
        ("color/7.jpg", "mask/0007.PNG"),
        ("color/7.jpg", "mask/7.jpg"),
        ("images/hall/a b.jpg", "masks/hall/a b.jpg.png"),  # COLMAP's own naming
        ("images/hall/a b.jpg", "masks/hall/a b.png"),
        ("images/hall/a b.jpg", "images/mask/hall/A B.png"),
        ("rgb/1305031.5.png", "mask/1305031.5.png"),  # TUM
        ("keyframes/corrected_images/99.jpg", "keyframes/masks/99.png"),  # Polycam
        ("rgbd/7.jpg", "mask/7.png"),  # Record3D
        ("frame_00007.jpg", "mask/frame_00007.png"),  # 3D Scanner App
        ("color/7.jpg", "mask/color/7.png"),
    ],
)
def test_masks_are_found_beside_photos(tmp_path, photo, mask):
    write_mask(tmp_path / mask)
    frames = with_masks_beside(tuple(frames_with(tmp_path, photo)), tmp_path)
    assert frames[0].mask.path == tmp_path / mask
    found = frames[0].read_mask()
    assert found.dtype == bool and np.array_equal(found, half())


def test_a_mask_that_a_reader_found_stays(tmp_path):
    write_mask(tmp_path / "mask/7.png")
    (frame,) = frames_with(tmp_path, "color/7.jpg")
    own = ImageSource(tmp_path / "own.png")
    (found,) = with_masks_beside((Frame(7, frame.cam_to_world, frame.camera, frame.color, mask=own),), tmp_path)
    assert found.mask is own


def test_photos_without_mask_count_whole_and_that_is_said(tmp_path):
    frames = tuple(frames_with(tmp_path, "color/7.jpg", "color/8.jpg"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_masks_beside(frames, tmp_path)[0].mask is None
    write_mask(tmp_path / "mask/7.png")
    with pytest.warns(InputWarning, match=r"mask: has masks for 1 of 2 photos; the others count whole"):
        found = with_masks_beside(frames, tmp_path)
    assert found[0].mask and found[1].read_mask() is None
    shutil.move(tmp_path / "mask/7.png", tmp_path / "mask/seven.png")
    with pytest.warns(InputWarning, match=r"mask: no file in it is named like a photo, so nothing is masked"):
        with_masks_beside(frames, tmp_path)


def test_scannet_folders_and_streams(tmp_path):
    folder = tiny_scan.write_extracted(tmp_path / "room", depth=False)
    for i in (2, 10, 100):
        write_mask(folder / "mask" / f"{i}.png")
    scene = load_scene(folder)
    assert all(np.array_equal(frame.read_mask(), half()) for frame in scene.frames)
    assert any("mask" in str(place) for place in scene.places())
    assert "3 photos, 0 depth images and 3 masks" in str(scene)


def test_a_stream_has_masks_by_number(tmp_path):
    (frame,) = frames_with(tmp_path, "color/7.jpg")
    stream = Frame(7, frame.cam_to_world, frame.camera, ImageSource(tmp_path / "room.sens", 10, 20))
    write_mask(tmp_path / "mask/7.png")
    assert with_masks_beside((stream,), tmp_path)[0].mask.path == tmp_path / "mask/7.png"


def test_masks_do_not_lead_outside(tmp_path):
    folder = tiny_scan.write_extracted(tmp_path / "room", depth=False)
    write_mask(tmp_path / "elsewhere" / "2.png")
    (folder / "mask").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"mask: leads out of the folder .*--allow-outside"):
        load_scene(folder)
    (folder / "mask").unlink()
    (folder / "mask").mkdir()
    (folder / "mask" / "2.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    with pytest.raises(InputError, match=r"2\.png: leads out of the folder"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_scene(folder)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            np.full((24, 32), 255, np.uint8),
            r"mask/7\.png: mask is 32x24, its photo 64x48; make it again at the photo's",
        ),
        (b"no image", r"mask/7\.png: not a readable image"),
        (b"", r"mask/7\.png: not a readable image"),
    ],
)
def test_masks_that_do_not_fit_are_one_line(tmp_path, data, says):
    path = tmp_path / "mask" / "7.png"
    path.parent.mkdir()
    path.write_bytes(data) if isinstance(data, bytes) else cv2.imwrite(str(path), data)
    (frame,) = with_masks_beside(tuple(frames_with(tmp_path, "color/7.jpg")), tmp_path)
    with pytest.raises(InputError, match=says) as error:
        frame.read_mask()
    assert "\n" not in str(error.value)


def test_a_mask_that_is_cut_short(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2, (48, 64), np.uint8) * 255
    whole = cv2.imencode(".png", noise)[1].tobytes()
    path = tmp_path / "mask" / "7.png"
    path.parent.mkdir()
    path.write_bytes(whole[: len(whole) // 2])
    (frame,) = with_masks_beside(tuple(frames_with(tmp_path, "color/7.jpg")), tmp_path)
    with pytest.raises(InputError, match=r"7\.png: image is damaged or cut short"):
        frame.read_mask()


@given(st.sampled_from(["L", "1", "P", "RGB", "RGBA", "I;16", "JPEG"]), st.integers(0, 2**32 - 1))
def test_what_is_not_black_counts_however_it_is_stored(tmp_path_factory, kind, seed):
    folder = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(seed)
    kept = cv2.resize(rng.integers(0, 2, (6, 8), np.uint8), SIZE, interpolation=cv2.INTER_NEAREST) > 0
    path = folder / ("mask/7.jpg" if kind == "JPEG" else "mask/7.png")
    path.parent.mkdir()
    image = Image.fromarray(kept.astype(np.uint8) * (255 if kind in ("JPEG", "1") else 1 + seed % 255))
    if kind == "I;16":
        image = Image.fromarray(kept.astype(np.uint16) * (1 + seed % 65535))
    elif kind == "P":
        image.putpalette([0, 0, 0] + [90, 0, 200] * 255)
    elif kind != "JPEG":
        image = image.convert(kind)
    image.save(path)
    (frame,) = with_masks_beside(tuple(frames_with(folder, "color/7.jpg")), folder)
    found = frame.read_mask()
    assert np.array_equal(np.ones_like(kept) if found is None else found, kept)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparent_pixels_do_not_count(tmp_path, suffix):
    (frame,) = frames_with(tmp_path, f"images/a{suffix}")
    assert frame.read_mask() is None
    pixels = np.full((48, 64, 4), 255, np.uint8)
    pixels[:, :20, 3], pixels[:, 20:30, 3] = 0, 140
    Image.fromarray(pixels).save(frame.color.path, **({"lossless": True} if suffix == ".webp" else {}))
    assert np.array_equal(frame.read_mask(), half()), "what is more opaque than not counts"
    # Both together.
    mask = np.ones((48, 64), bool)
    mask[10:20] = False
    write_mask(tmp_path / "mask/a.png", mask)
    (masked,) = with_masks_beside((frame,), tmp_path)
    assert np.array_equal(masked.read_mask(), half() & mask)


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_masks_of_stored_photos_turn_with_them(tmp_path, orientation):
    """A portrait that its tag turns to its camera's size; the mask was made as it is stored, or upright."""
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[5:20, 3:30] = 255
    (tmp_path / "color").mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "color" / "7.png", exif=exif)
    camera = Camera(tiny_scan.INTRINSICS, 48, 64)
    frame = Frame(7, np.eye(4), camera, ImageSource(tmp_path / "color" / "7.png"))
    write_mask(tmp_path / "mask" / "7.png", stored[..., 0] > 0)
    (masked,) = with_masks_beside((frame,), tmp_path)
    if orientation == 1:
        with pytest.raises(InputError, match="mask is 64x48, its photo 48x64"):
            masked.read_mask()
        return
    assert np.array_equal(masked.read_mask(), masked.read_color()[..., 0] > 0)
    write_mask(tmp_path / "mask" / "7.png", masked.read_color()[..., 0] > 0)
    assert np.array_equal(masked.read_mask(), masked.read_color()[..., 0] > 0)


def test_masks_are_straightened_like_their_photos(tmp_path):
    (frame,) = frames_with(tmp_path, "color/7.png")
    bent = ImageSource(frame.color.path, distortion=(-0.3, 0.05, 0.0, 0.0))
    lines = np.zeros((48, 64), np.uint8)
    lines[:, 8:30] = 255
    cv2.imwrite(str(frame.color.path), cv2.merge([lines] * 3))
    write_mask(tmp_path / "mask/7.png", lines > 0)
    found = Frame(7, np.eye(4), frame.camera, bent, mask=ImageSource(tmp_path / "mask/7.png"))
    straight = found.read_mask()
    photo = found.read_color()[..., 0] > 127
    assert (straight != photo).mean() < 0.01 and not np.array_equal(straight, lines > 0)
    assert np.array_equal(found.read_mask(straight=False), lines > 0)
