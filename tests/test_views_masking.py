"""What masks hide is nowhere: not in texels, not in cameras, gains, checks or sharpness, whatever lies under it."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
from hypothesis import given
from hypothesis import strategies as st
from painted_box import box, photograph, pinhole, smooth_color, texel_points, views_of, walk_around
from test_views_free_space import furnished

import scenetex
from scenetex import InputError, bake, unwrap
from scenetex.cli.main import main
from scenetex.job.completion import seen_share
from scenetex.job.photo_stages import about_masks, read_masked_photos
from scenetex.scene.image_source import ImageSource
from scenetex.texture.bake import paint, survey
from scenetex.texture.refine import refine_cameras
from scenetex.views.masking import clear_of_rim, mask_image, mask_views, resize_mask
from scenetex.views.sharpness import measure_sharpness
from scenetex.views.viewset import cast_views

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"
SIZE = (160, 120)


@cache
def room():
    """Mesh, atlas, views, exact photos, and masks that hide a block which stands in the way in each photo."""
    mesh, poses, k = box(), walk_around(10), pinhole(SIZE)
    masks = []
    for i in range(len(poses)):
        mask = np.ones(SIZE[::-1], bool)
        mask[30 : 90 + 3 * i, 40 + 4 * i : 80 + 4 * i] = False
        masks.append(mask)
    return mesh, unwrap(mesh, 256), views_of(mesh, poses, k, SIZE), photograph(mesh, poses, k, SIZE), masks


def under_masks(photos, masks, seed: int) -> list[np.ndarray]:
    """The photos with people in the way: magenta, or noise of the seed."""
    rng, out = np.random.default_rng(seed), []
    for photo, mask in zip(photos, masks, strict=True):
        who = rng.integers(0, 256, photo.shape, np.uint8) if seed else np.full(photo.shape, (255, 0, 255), np.uint8)
        out.append(np.where(mask[..., None], photo, who))
    return out


def test_nothing_of_what_is_hidden_is_painted():
    mesh, atlas, views, photos, masks = room()
    clean = bake(mesh, atlas, views, photos)
    people = bake(mesh, atlas, views, under_masks(photos, masks, 0), masks=masks)
    pixel, points = texel_points(mesh, atlas)
    error = np.abs(np.stack(people.textures).reshape(-1, 3)[pixel] - smooth_color(points)).max(1)
    seen = np.stack(people.coverage).ravel()[pixel]
    assert np.quantile(error[seen], 0.999) < 8 and error[seen].max() < 25
    unmasked = paint(mesh, atlas, survey(mesh, views, under_masks(photos, masks, 0), passersby=False))
    wrong = np.abs(np.stack(unmasked.textures).reshape(-1, 3)[pixel] - smooth_color(points)).max(1)
    assert np.quantile(wrong[np.stack(unmasked.coverage).ravel()[pixel]], 0.95) > 40, "it is worth masking"
    # What only hidden pixels show is unseen, so that it can be completed; nothing else is lost but the rim.
    lost = np.stack(clean.coverage) & ~np.stack(people.coverage)
    assert not (np.stack(people.coverage) & ~np.stack(clean.coverage)).any()
    assert 0 < lost.mean() < 0.25 * np.stack(clean.coverage).mean()


def test_texels_that_only_hidden_pixels_show_are_unseen():
    """One photo: what is painted are the texels whose place it shows outside of the mask."""
    mesh, atlas, views, photos, masks = room()
    one = views.at([0])
    whole, part = (bake(mesh, atlas, one, photos[:1], masks=[mask]) for mask in (None, masks[0]))
    pixel, points = texel_points(mesh, atlas)
    local = (points - one.cam_to_world[0, :3, 3]) @ one.cam_to_world[0, :3, :3]
    u, v = (local @ one.intrinsics[0].T)[:, :2].T / np.maximum(local[:, 2], 1e-6)
    before, after = (np.stack(x.coverage).ravel()[pixel] for x in (whole, part))
    column, row = (np.clip(np.rint(x), 0, side - 1).astype(int) for x, side in zip((u, v), SIZE, strict=True))
    kept = masks[0][row, column]
    assert not (after & ~kept).any()
    wide = cv2.erode(masks[0].astype(np.uint8), np.ones((13, 13))) > 0
    assert (after | ~before)[wide[row, column]].all(), "no more than the rim is lost"


@pytest.mark.parametrize("refine", [False, True])
def test_whatever_lies_under_a_mask_comes_to_the_same(refine):
    mesh, atlas, views, photos, masks = room()
    tilted = views
    if refine:
        intrinsics = views.intrinsics.copy()
        intrinsics[:, 0, 2] += np.random.default_rng(1).normal(0, 4, len(views))
        poses, size = views.cam_to_world, views.size
        tilted = cast_views(mesh, intrinsics, poses, size, views.frame_ids)
    one, other = (
        bake(mesh, atlas, tilted, under_masks(photos, masks, seed), masks=masks, refine_poses=refine) for seed in (0, 7)
    )
    assert np.array_equal(np.stack(one.textures), np.stack(other.textures))
    assert np.array_equal(np.stack(one.coverage), np.stack(other.coverage))


def test_refinement_looks_at_what_is_left():
    """People who stand still in the photos, while the cameras go on, would pull the cameras."""
    mesh, _, views, photos, masks = room()
    people = under_masks(photos, masks, 3)
    hidden = [mask_image(photo, mask) for photo, mask in zip(people, masks, strict=True)]
    found = refine_cameras(mesh, mask_views(views, masks), hidden)
    assert found.error_before < 2 < refine_cameras(mesh, views, people).error_before


@given(st.integers(0, 2**32 - 1), st.sampled_from([(64, 48), (33, 20), (100, 31)]))
def test_smaller_masks_hide_all_that_is_hidden(seed, size):
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.integers(0, 5, (6, 8), np.uint8), (120, 90), interpolation=cv2.INTER_NEAREST) > 0
    small = resize_mask(mask, size)
    assert small.shape == size[::-1] and small.dtype == bool
    row, column = np.nonzero(~mask)
    # The small pixel under every hidden one is hidden.
    assert not small[(row + 0.5).astype(int) * size[1] // 90, (column * size[0]) // 120].any()
    clear = clear_of_rim(mask)
    assert not (clear & ~mask).any() and (clear == cv2.erode(clear.astype(np.uint8), np.ones((1, 1)))).all()
    if not mask.all():
        away = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        assert not clear[away < 2].any() and clear[away > 4].all()


@given(st.integers(0, 2**32 - 1))
def test_hidden_pixels_take_colours_from_beside(seed):
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.integers(0, 4, (4, 5), np.uint8), (60, 48), interpolation=cv2.INTER_NEAREST) > 0
    image = rng.integers(0, 256, (48, 60, 3), np.uint8)
    filled, clear = mask_image(image, mask), clear_of_rim(mask)
    assert np.array_equal(filled[clear], image[clear])
    other = np.where(clear[..., None], image, rng.integers(0, 256, image.shape, np.uint8))
    if clear.any():
        assert np.array_equal(mask_image(other, mask), filled)
        colors = {tuple(color) for color in image[clear]}
        assert {tuple(color) for color in filled[~clear]} <= colors
    assert mask_image(image, None) is image


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        ([None], "1 masks for 10 images"),
        ([np.ones((10, 10), bool)] * 10, r"mask of frame 0 is \(10, 10\) of bool, its image \(120, 160\)"),
        ([None, np.ones((120, 160), np.uint8)] + [None] * 8, r"mask of frame 1 is \(120, 160\) of uint8"),
    ],
)
def test_masks_that_do_not_fit(masks, says):
    mesh, atlas, views, photos, _ = room()
    with pytest.raises(InputError, match=says) as error:
        bake(mesh, atlas, views, photos, masks=masks)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def masked_sample(tmp_path_factory):
    """Every third frame of the sample room, somebody of the seed's looks in every photo, and a mask that hides them."""
    folder = tmp_path_factory.mktemp("sample")
    scene = scenetex.load_scene(SAMPLE)
    mask = np.full((480, 640), 255, np.uint8)
    mask[120:470, 200:430] = 0
    cv2.imwrite(str(folder / "mask.png"), mask)

    def with_people(seed: int, masked: bool = True):
        frames = []
        for frame in scene.frames[::3]:
            (who,) = under_masks([frame.read_color()], [mask > 0], seed and seed + frame.id)
            path = folder / f"{seed}-{frame.id}.png"
            cv2.imwrite(str(path), who[..., ::-1])
            own = ImageSource(folder / "mask.png") if masked else None
            frames.append(replace(frame, color=ImageSource(path), mask=own))
        return replace(scene, frames=tuple(frames))

    return with_people


def test_checks_and_keyframes_do_not_look_under_masks(masked_sample):
    one, other = masked_sample(0), masked_sample(9)
    checks = [scenetex.check_scene(scene).report() for scene in (one, other)]
    assert checks[0] == checks[1] and checks[0]["photo_agreement"] > 0.6
    bare = [scenetex.check_scene(masked_sample(seed, masked=False)).report() for seed in (0, 9)]
    assert bare[0]["photo_agreement"] != bare[1]["photo_agreement"]
    assert bare[0]["photo_agreement"] < checks[0]["photo_agreement"] - 0.05
    sharp = [[measure_sharpness(frame) for frame in scene.frames] for scene in (one, other)]
    assert sharp[0] == sharp[1] and min(sharp[0]) > 0
    assert scenetex.select_keyframes(one, count=5) == scenetex.select_keyframes(other, count=5)


def test_a_photo_of_which_nothing_is_left_is_not_sharp(masked_sample, tmp_path):
    cv2.imwrite(str(tmp_path / "none.png"), np.zeros((480, 640), np.uint8))
    frame = replace(masked_sample(0).frames[0], mask=ImageSource(tmp_path / "none.png"))
    assert measure_sharpness(frame) == 0


def test_photos_are_read_with_their_masks(masked_sample):
    scene = masked_sample(0)
    photos, masks = read_masked_photos(scene, [scene.frames[0].id, scene.frames[3].id])
    assert [mask.dtype for mask in masks] == [bool, bool] and masks[0].mean() < 0.8
    assert not (np.abs(photos[0].astype(int) - (255, 0, 255)).max(2) < 40).any(), "what is hidden is in no image"
    assert about_masks([4, 5], masks)[0].endswith("% of the photos, in 2 of 2")
    none = np.zeros_like(masks[0])
    assert "leave nothing of 1 photos, such as frame 5" in about_masks([4, 5], [None, none])[1]


@pytest.fixture
def scan(tmp_path):
    folder = tiny_scan.write_extracted(tmp_path / "room", depth=False)
    tiny_scan.write_ply(next(folder.glob("*.ply")), faces=tiny_scan.ROOM_FACES[:, ::-1])
    (folder / "mask").mkdir()
    return folder


def texture(scan, tmp_path, *more) -> int:
    quick = ["--texture-size", "128", "--no-preview", "--no-refine-poses", "--quiet", "--formats", "obj", *more]
    return main(["texture", str(scan), "--images", "photos", "--output", str(tmp_path / "out"), *quick])


def test_masks_at_the_command_line(scan, tmp_path, capsys):
    mask = np.full((48, 64), 255, np.uint8)
    assert texture(scan, tmp_path) == 0
    report = tmp_path / "out" / "room" / "report.json"
    before = json.loads(report.read_text())
    mask[:, :32] = 0
    for i in (2, 10, 100):
        cv2.imwrite(str(scan / "mask" / f"{i}.png"), mask)
    assert texture(scan, tmp_path) == 0
    after = json.loads(report.read_text())
    assert after["texels_by_source"]["photo"] < 0.8 * before["texels_by_source"]["photo"]
    assert "masks hide 50.0 % of the photos, in 3 of 3" in after["notes"]
    # Another mask in the same file is another result.
    mask[:, 20:] = 255
    for i in (2, 10, 100):
        cv2.imwrite(str(scan / "mask" / f"{i}.png"), mask)
    assert texture(scan, tmp_path) == 0
    assert json.loads(report.read_text())["texels_by_source"]["photo"] > after["texels_by_source"]["photo"]


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((48, 64), np.uint8), "masks leave nothing of any photo; black hides, so turn black and white around"),
        (np.full((24, 32), 255, np.uint8), "mask is 32x24, its photo 64x48; make it again at the photo's size"),
    ],
)
def test_bad_masks_end_with_one_line(scan, tmp_path, capsys, mask, says):
    for i in (2, 10, 100):
        cv2.imwrite(str(scan / "mask" / f"{i}.png"), mask)
    assert texture(scan, tmp_path) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and says in said and not (tmp_path / "out" / "room").exists()


def test_what_masks_hid_is_left_to_completion():
    scene = furnished(3)
    views = scenetex.render_views(scene, [0, 3], (64, 48))
    red = np.full((48, 64, 3), (200, 40, 40), np.uint8)
    atlas = unwrap(scene.mesh, 256)
    mask = np.ones((48, 64), bool)
    mask[10:40, 10:50] = False
    whole, part = (bake(scene.mesh, atlas, views, [red, red], masks=[m, m]) for m in (None, mask))
    lost = seen_share(whole) - seen_share(part)
    assert lost.min() >= 0 and (lost * scene.mesh.face_areas).sum() > 0.5
