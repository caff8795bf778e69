"""``scenetex panorama``, and scenes painted from a panorama, with tiny models of random weights."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest
import tiny_pipeline
import tiny_scan
import trimesh
from safetensors.torch import save_file
from tiny_panorama import make_panorama_model, make_panorama_pipeline
from tiny_scan import peak_bytes
from tiny_unet import make_unet

import scenetex
from scenetex import MultiViewUNet
from scenetex.cli import panorama as panorama_command
from scenetex.cli import texture as texture_command
from scenetex.cli.main import main
from scenetex.cli.panorama import read_square
from scenetex.texture.render import render_textured
from scenetex.views.viewset import pixel_rays


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a panorama model that takes no depth."""
    folder = tmp_path_factory.mktemp("model")
    make_panorama_pipeline(folder / "tokens").save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A folder with a panorama model that takes depth."""
    folder = tmp_path_factory.mktemp("deep")
    make_panorama_pipeline(folder / "tokens", make_panorama_model(in_channels=5)).save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A scan without photos whose faces look into the room."""
    folder = tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "room", color=False)
    fine = trimesh.Trimesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES[:, ::-1], process=False).subdivide_to_size(0.5)
    tiny_scan.write_ply(folder / "room_vh_clean_2.ply", fine.vertices, fine.faces)
    return folder


def command(out, model, *options, prompts=("a red room",)) -> int:
    given = [*prompts, "-o", str(out), "--model", str(model), "--device", "cpu", "--quiet"]
    given += [] if "--steps" in options else ["--steps", "1"]
    return panorama_command.main([*given, *map(str, options)])


def test_command_writes_a_panorama(model, tmp_path, capsys):
    out = tmp_path / "room.png"
    assert command(out, model) == 0
    assert f"{out}: panorama of 256 x 128 pixels" in capsys.readouterr().out
    image = cv2.imread(str(out))
    assert image.shape == (128, 256, 3) and image.std() > 1
    assert command(tmp_path / "again.png", model) == 0 and command(tmp_path / "other.png", model, "--seed", 3) == 0
    assert np.array_equal(cv2.imread(str(tmp_path / "again.png")), image)
    assert not np.array_equal(cv2.imread(str(tmp_path / "other.png")), image)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.png", "other.png", "room.png"]


def test_main_knows_the_command(model, tmp_path):
    options = ["x", "-o", str(tmp_path / "a.jpg"), "--model", str(model), "--steps", "1", "--size", "32", "--quiet"]
    assert main(["panorama", *options, "--height", "48", "--device", "cpu"]) == 0
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (48, 96, 3)


def test_eight_prompts_and_switches(model, tmp_path):
    prompts = [f"wall {letter}" for letter in "abcdefgh"]
    off = (
        "--no-correspondence",
        "--no-shared-noise",
        "--no-fusion",
        "--size",
        32,
        "--steps",
        3,
        "--guidance-scale",
        300,
    )
    assert command(tmp_path / "a.png", model, *off, prompts=prompts) == 0
    assert command(tmp_path / "b.png", model, *off, prompts=[*prompts[:7], "x"]) == 0
    a, b = (cv2.imread(str(tmp_path / f"{name}.png")) for name in "ab")
    # The eighth prompt is that of the view left of the middle one: beside it, nothing changes (but towards the poles).
    band_a, band_b = a[18:46], b[18:46]
    assert np.array_equal(band_a[:, :32], band_b[:, :32]) and np.array_equal(band_a[:, 64:], band_b[:, 64:])
    assert not np.array_equal(band_a[:, 32:64], band_b[:, 32:64])


def test_outpainting_shows_the_photo_in_the_middle(model, tmp_path):
    photo = cv2.GaussianBlur(np.random.default_rng(0).random((96, 96, 3)).astype(np.float32), (0, 0), 12)
    photo = np.round(255 * (photo - photo.min()) / np.ptp(photo)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "view.png"), photo)
    assert command(tmp_path / "out.png", model, "--image", tmp_path / "view.png") == 0
    image = cv2.imread(str(tmp_path / "out.png"))
    middle = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA)[31:33, 31:33].mean((0, 1))
    assert np.abs(image[63:65, 127:129].mean((0, 1)) - middle).max() < 3


def test_panorama_of_a_scene(deep, room, tmp_path, monkeypatch):
    seen = []
    look = panorama_command.panorama_views
    monkeypatch.setattr(panorama_command, "panorama_views", lambda *args: seen.append(look(*args)) or seen[-1])
    assert command(tmp_path / "a.png", deep, "--scene", room, "--size", 32) == 0
    assert command(tmp_path / "b.png", deep, "--scene", room, "--size", 32, "--position=-1,0.5,0") == 0
    assert cv2.imread(str(tmp_path / "a.png")).shape == (64, 128, 3)
    assert [views.size for views in seen] == [(32, 32)] * 2
    assert np.allclose([views.cam_to_world[5, :3, 3] for views in seen], [[0, 0, 0], [-1, 0.5, 0]])


def test_a_model_that_goes_by_depth_makes_up_a_room(deep, tmp_path, capsys):
    """Without a scene the seed makes one; a photo would not fit it."""
    assert command(tmp_path / "a.png", deep, "--size", 64) == 0
    assert "painting a room made up from seed 0" in capsys.readouterr().out
    assert command(tmp_path / "b.png", deep, "--size", 64, "--seed", 1) == 0
    a, b = (cv2.imread(str(tmp_path / f"{name}.png")) for name in "ab")
    assert a.shape == (128, 256, 3) and not np.array_equal(a, b)
    assert command(tmp_path / "d.png", deep, "--size", 64, "--no-poles") == 0
    without = cv2.imread(str(tmp_path / "d.png"))
    assert np.array_equal(a[40:-40], without[40:-40]) and not np.array_equal(a[-20:], without[-20:])
    cv2.imwrite(str(tmp_path / "view.png"), np.full((64, 64, 3), 128, np.uint8))
    assert command(tmp_path / "c.png", deep, "--size", 64, "--image", tmp_path / "view.png") == 2
    assert "goes by depth makes panoramas of scenes" in capsys.readouterr().err


def test_released_weights_take_the_place_of_the_unet(tmp_path):
    """A plain model and a checkpoint in the released layout: no condition branch, no residual blocks."""
    four = dict(block_out_channels=(8, 8, 8, 8), norm_num_groups=4, down_block_types=("DownBlock2D",) * 4)
    unet = make_unet(in_channels=4, **four, up_block_types=("UpBlock2D",) * 4)
    make_panorama_pipeline(tmp_path / "tokens", unet).save_pretrained(tmp_path / "plain")
    config = {k: v for k, v in unet.config.items() if not k.startswith("_")}
    bare = MultiViewUNet(config, kind="panorama", residual_blocks=False, condition_channels=0, unet=unet)
    save_file({k: v.contiguous() for k, v in bare.state_dict().items()}, tmp_path / "released.safetensors")
    options = ("--mvdiffusion-checkpoint", tmp_path / "released.safetensors")
    assert command(tmp_path / "a.png", tmp_path / "plain", *options) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prompts", "7"), ["7 prompts", "one in quotes, or 8"]),
        (("--prompts", "0"), ["0 prompts"]),
        (("--prompts", " "), ["prompt is empty"]),
        (("--image", "none.png"), ["none.png", "cannot be read"]),
        (("--image", "WIDE"), ["wide.png", "64 x 48 pixels are not square"]),
        (("--image", "TEXT"), ["text.png", "not an image"]),
        (("--position", "1,2,3"), ["add --scene"]),
        (("--scene", "ROOM", "--position", "1,2"), ["--position '1,2'", "X,Y,Z"]),
        (("--scene", "ROOM", "--position", "a,b,c"), ["--position 'a,b,c'"]),
        (("--scene", "ROOM", "--position", "0,0,nan"), ["--position '0,0,nan' is not understood"]),
        (("--scene", "nowhere"), ["nowhere"]),
        (("--scene", "ROOM"), ["takes no depth", "ControlNet"]),
        (("--size", "0"), ["--size 0 is out of range; choose 8 to 8192"]),
        (("--size", "60"), ["60 pixels", "multiple of 8"]),
        (("--height", "30"), ["--height 30 is no multiple of 4; choose 28"]),
        (("--steps", "0"), ["steps 0"]),
        (("--model", "no/such/folder"), ["no such model folder"]),
        (("--mvdiffusion-checkpoint", "none.ckpt"), ["none.ckpt", "no such file"]),
        (("--mvdiffusion-checkpoint", "DEPTH"), ["depth.safetensors", 'not an MVDiffusion model of kind "panorama"']),
        (("--device", "toaster"), ["toaster"]),
        (("--output", "a.gif"), ["a.gif", ".png or .jpg"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(model, room, tmp_path, capsys, options, words):
    options = [{"ROOM": str(room)}.get(o, o) for o in options]
    prompts = ("x",)
    if options[0] == "--prompts":
        prompts = (options[1],) if options[1] == " " else ("x",) * int(options[1])
        options = []
    for name in ("WIDE", "TEXT", "DEPTH"):
        if name in options:
            path = tmp_path / {"WIDE": "wide.png", "TEXT": "text.png", "DEPTH": "depth.safetensors"}[name]
            if name == "WIDE":
                cv2.imwrite(str(path), np.zeros((48, 64, 3), np.uint8))
            elif name == "TEXT":
                path.write_text("no image")
            else:
                save_file(tiny_pipeline.MultiViewUNet.from_unet(make_unet()).state_dict(), path)
            options[options.index(name)] = str(path)
    before = set(tmp_path.iterdir())
    assert command(tmp_path / "a.png", model, *options, prompts=prompts) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and all(word in said for word in words), said
    assert set(tmp_path.iterdir()) == before


def test_output_that_cannot_be_written(model, tmp_path, capsys):
    assert command(tmp_path / "none" / "a.png", model) == 2
    assert "no such folder" in capsys.readouterr().err


def test_images_keep_their_colours(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    assert np.array_equal(read_square(tmp_path / "a.png"), image)
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(scenetex.InputError, match="not an image"):
        read_square(tmp_path / "b.png")


def test_texture_command_paints_from_a_panorama(deep, room, tmp_path):
    options = [str(room), "--output", str(tmp_path), "--images", "panorama", "--prompt", "a red room", "--steps", "1"]
    options += ["--model", str(deep), "--image-size", "64x48", "--texture-size", "128", "--device", "cpu"]
    assert texture_command.main([*options, "--quiet", "--no-preview", "--formats", "glb"]) == 0
    folder = tmp_path / "room"
    cameras = json.loads((folder / "views" / "cameras.json").read_text())
    assert list(cameras) == [str(i) for i in range(8)] and all(
        c["width"] == c["height"] == 64 for c in cameras.values()
    )
    assert all(camera["keyframe"] for camera in cameras.values())
    report = json.loads((folder / "report.json").read_text())
    assert report["images"] == 8 and report["coverage"] > 0.8 and report["prompt"] == "a red room"
    width, height = report["image_size"]
    assert width == height and report["settings"]["image_size"] == f"{width}x{height}"
    assert texture_command.main([*options[:3], *options[3:5], "--quiet"]) == 2


def test_views_of_a_panorama_bake_like_any_others(room):
    """What the views show is on the surface then, wherever they see it, and only there."""
    scene = scenetex.load_scene(room)
    views = scenetex.panorama_views(scene, (0.3, 0.2, 0.0), size=128)
    images = []
    for i in range(8):
        _, rays = pixel_rays(views.intrinsics[i], views.cam_to_world[i], views.size)
        points = views.cam_to_world[i, :3, 3] + rays.reshape(128, 128, 3) * views.depth[i][..., None]
        images.append(np.round(128 + 60 * np.sin(points * 2)).astype(np.uint8))
    mesh = scenetex.bake(scene.mesh, scenetex.unwrap(scene.mesh, size=512), views, images)
    for i in (0, 3):
        again = render_textured(mesh, views.intrinsics[i], views.cam_to_world[i], views.size)
        error = np.abs(again.astype(float) - images[i])[views.face_id[i] >= 0]
        assert error.mean() < 2 and np.quantile(error, 0.99) < 12
    seen = np.concatenate([c.ravel() for c in mesh.coverage]).sum() / mesh.texels
    assert 0.5 < seen < 0.98


def test_an_image_that_promises_gigabytes_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8), np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    head = b"IHDR" + struct.pack(">II", 13_000, 13_000) + data[24:29]
    (tmp_path / "a.png").write_bytes(data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:])

    def refused():
        with pytest.raises(scenetex.InputError, match=r"a\.png: image is damaged"):
            read_square(tmp_path / "a.png")

    assert peak_bytes(refused) < 5_000_000
