"""Parts of a scene are painted anew, or what no photo saw, and all the rest stays to the bit."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
import trimesh
from tiny_pipeline import make_parts, make_pipeline
from tiny_unet import make_model, make_unet

import scenetex
from scenetex import InputError
from scenetex.cli import texture as texture_command
from scenetex.job.options import TextureOptions
from scenetex.job.repainting import Repainting
from scenetex.pipelines import MVDiffusionPanoramaPipeline
from scenetex.scene.regions import find_regions
from scenetex.texture.sources import decode_sources
from scenetex.texture.texels import rasterize


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders with tiny models: one of ours, with a condition branch, and a depth backbone without."""
    folder = tmp_path_factory.mktemp("model")
    make_pipeline(folder / "tokens").save_pretrained(folder / "branch")
    make_pipeline(folder / "tokens", make_unet()).save_pretrained(folder / "depth")
    return folder


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A scan with photos of two of four walls."""
    poses = {10 * i: tiny_scan.look(0.2 * i) for i in range(5)}
    folder = tiny_scan.write_extracted(tmp_path_factory.mktemp("scan") / "room", poses, depth=False)
    fine = trimesh.Trimesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES[:, ::-1], process=False).subdivide_to_size(0.5)
    tiny_scan.write_ply(folder / "room_vh_clean_2.ply", fine.vertices, fine.faces)
    return folder


@pytest.fixture(scope="module")
def photographed(room, tmp_path_factory):
    """A folder with the result of painting the room from its photos."""
    out = tmp_path_factory.mktemp("photographed")
    assert texture(room, out) == 0
    return out


def texture(room, out, *options, model=None) -> int:
    given = [str(room), "--output", str(out), "--texture-size", "256", "--quiet", "--no-preview", "--no-refine-poses"]
    if model is not None:
        given += ["--model", str(model), "--image-size", "64x48", "--steps", "2", "--device", "cpu"]
    return texture_command.main([*given, *options])


def pages(out) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict]:
    """The texture, which texels a view saw, which of these are generated, and the report."""
    folder = out / "room" if (out / "room").is_dir() else out
    page = cv2.imread(str(folder / "textured.png"))
    return (
        page,
        *decode_sources((folder / "sources.png").read_bytes()),
        json.loads((folder / "report.json").read_text()),
    )


def texels_of(room, *names) -> np.ndarray:
    """(256, 256) bool, texels on the faces of some regions."""
    scene = scenetex.load_scene(room)
    faces = Repainting(names).faces(find_regions(scene, names))
    texels = rasterize(scenetex.unwrap(scene.mesh, 256))
    on = np.zeros(256 * 256, bool)
    on[texels.pixel[faces[texels.face]]] = True
    return on.reshape(256, 256)


@pytest.mark.parametrize("kind", ["branch", "depth"])
def test_what_no_photo_saw_is_painted_behind_the_photos(room, photographed, models, tmp_path, kind):
    before, seen, _, _ = pages(photographed)
    assert texture(room, tmp_path, "--complete", model=models / kind) == 0
    after, covered, generated, report = pages(tmp_path)
    assert np.array_equal(after[seen], before[seen]) and covered[seen].all() and not generated[seen].any()
    assert np.array_equal(generated, covered & ~seen) and generated.sum() > 0.2 * seen.sum()
    done = report["further_views"]["completed"]
    assert 0.5 < done["reachable_painted"] <= 1 and report["model"] == str(models / kind)
    assert report["texels_by_source"]["generated"] == generated.sum() and report["images"] == 5
    cameras = json.loads((tmp_path / "room" / "completed" / "cameras.json").read_text())
    assert len(cameras) == done["views"] and min(map(int, cameras)) > 40
    assert (tmp_path / "room" / "completed" / f"{min(cameras, key=int)}.png").is_file()


def test_generated_images_are_completed_too(room, models, tmp_path):
    options = ["--images", "generated", "--prompt", "a red room", "--keyframes", "2", "--between", "0"]
    assert texture(room, tmp_path / "without", *options, model=models / "branch") == 0
    assert texture(room, tmp_path / "with", *options, "--complete", model=models / "branch") == 0
    (before, seen, *_), (after, covered, generated, report) = pages(tmp_path / "without"), pages(tmp_path / "with")
    assert np.array_equal(after[seen], before[seen]) and covered.sum() > seen.sum()
    assert np.array_equal(generated, covered) and report["further_views"]["completed"]["views"] > 0


def test_only_one_region_of_the_result_that_is_there_changes(room, photographed, models, tmp_path, capsys):
    shutil.copytree(photographed, tmp_path, dirs_exist_ok=True)
    floor = texels_of(room, "floor")
    before, seen, *_ = pages(tmp_path)
    options = ["--only", "floor", "--prompt", "blue planks"]
    assert texture(room, tmp_path, *options, model=models / "branch") == 0
    after, covered, generated, report = pages(tmp_path)
    drawn = texels_of(room, "box:-9,-9,-9,9,9,9")
    assert np.array_equal(after[drawn & ~floor], before[drawn & ~floor])
    assert np.array_equal(covered[~floor], seen[~floor]) and not generated[~floor].any()
    assert (after[floor] != before[floor]).any(1).mean() > 0.5 and generated[floor].mean() > 0.5
    assert report["base"] == json.loads((photographed / "room" / "report.json").read_text())["key"]
    assert report["images"] == 5 and (tmp_path / "room" / "views" / "0.png").is_file(), "the photos are still there"
    capsys.readouterr()

    # The same again finds it there; something else goes on from it.
    assert texture(room, tmp_path, *options, model=models / "branch") == 0
    assert "already there" in capsys.readouterr().out and np.array_equal(pages(tmp_path)[0], after)
    assert texture(room, tmp_path, "--paint", "walls: green", model=models / "branch") == 0
    third, _, _, last = pages(tmp_path)
    walls = texels_of(room, "walls")
    assert np.array_equal(third[drawn & ~walls], after[drawn & ~walls]) and last["base"] == report["key"]
    assert (third[walls] != after[walls]).any()


def test_a_result_elsewhere_is_gone_on_from_and_stays(room, photographed, models, tmp_path):
    before = pages(photographed)[0]
    kept = texels_of(room, "floor")
    for name, base in (("one", photographed / "room"), ("several", photographed)):
        options = ["--keep", "floor", "--base", str(base)]
        assert texture(room, tmp_path / name, *options, model=models / "branch") == 0
        after = pages(tmp_path / name)[0]
        assert np.array_equal(after[kept], before[kept]) and (after[~kept] != before[~kept]).any()
    assert np.array_equal(pages(photographed)[0], before)


def test_where_there_is_no_result_parts_of_the_photos_are_painted_anew(room, photographed, models, tmp_path):
    assert texture(room, tmp_path, "--paint", "floor: blue", model=models / "branch") == 0
    before, after, floor = pages(photographed)[0], pages(tmp_path)[0], texels_of(room, "floor")
    drawn = texels_of(room, "box:-9,-9,-9,9,9,9")
    assert np.array_equal(after[drawn & ~floor], before[drawn & ~floor]) and (after[floor] != before[floor]).any()


def test_what_is_asked_for():
    def asked(**options):
        return TextureOptions(Path("out"), **options).repainting()

    walls, floor = ("walls: white",), ("floor",)
    assert asked() is asked(complete=True) is asked(prompt="a room") is asked(prompt="a room", paint=walls) is None
    assert asked(paint=walls) == asked(paint=walls, images="photos", prompt="a room") == Repainting(("walls",))
    assert asked(paint=walls, keep=floor) == Repainting(("walls",), floor)
    assert asked(paint=walls, keep=floor, prompt="a room") == asked(keep=floor) == Repainting((), floor)
    assert asked(paint=walls, only=floor) == Repainting(floor)


def test_regions_have_prompts_of_their_own_in_generated_images(room, models, tmp_path):
    options = ["--prompt", "a room", "--keyframes", "2", "--between", "0"]
    assert texture(room, tmp_path / "a", *options, model=models / "branch") == 0
    more = ["--paint", "floor: blue", "--paint", "walls: green"]
    assert texture(room, tmp_path / "b", *options, *more, model=models / "branch") == 0
    (first, _, _, report), (second, _, generated, _) = pages(tmp_path / "a"), pages(tmp_path / "b")
    assert (first != second).any() and generated.any() and report["further_views"] == {}


def test_from_python(room, models):
    scene = scenetex.load_scene(room)
    options = dict(model=str(models / "branch"), steps=2, image_size=(64, 48), device="cpu")
    photos = scenetex.texture_scene(scene, texture_size=256, refine_poses=False)
    floor = scenetex.regions(scene)["floor"]
    texels = rasterize(photos.atlas)
    on = texels.pixel[floor[texels.face]]
    off = texels.pixel[~floor[texels.face]]
    for asked in ({"only": "floor"}, {"only": floor}, {"paint": {"floor": "blue"}}, {"keep": ["walls"]}):
        done = scenetex.texture_scene(scene, base=photos, **asked, **options)
        before, after = (mesh.textures[0].reshape(-1, 3) for mesh in (photos, done))
        assert np.array_equal(after[off], before[off]) and (after[on] != before[on]).any()
    more = scenetex.texture_scene(scene, complete=True, texture_size=256, refine_poses=False, **options)
    seen = photos.coverage[0]
    assert np.array_equal(more.textures[0][seen], photos.textures[0][seen]) and more.coverage[0].sum() > seen.sum()


@pytest.mark.parametrize(
    "asked, says",
    [
        ({"only": "sofa"}, "region 'sofa' is not there; choose floor"),
        ({"only": np.ones(3, bool)}, "only: is bool of shape .3,., but the mesh has"),
        ({"keep": "box:-9,-9,-9,9,9,9"}, "nothing is left to paint anew"),
        ({"images": "photos", "prompt": "a room"}, "prompt given, but nothing is generated"),
        ({"steps": 3}, "steps given, but nothing is generated"),
        ({"images": "generated"}, "prompt is empty"),
        ({"paint": {"floor": " "}}, "paint"),
    ],
)
def test_bad_input_from_python(room, asked, says):
    with pytest.raises(InputError, match=says):
        scenetex.texture_scene(scenetex.load_scene(room), **asked)


@pytest.mark.parametrize(
    "options, says",
    [
        (["--only", "sofa"], "region 'sofa' is not there; choose floor, walls"),
        (["--only", "floor", "--images", "generated"], "leave --images generated out"),
        (["--base", "."], "--base: nothing is painted anew"),
        (["--only", "floor", "--base", "nowhere"], "nowhere/report.json"),
        (["--paint", "floor blue"], "--paint 'floor blue' is not understood; give 'REGION: WORDS'"),
        (["--paint", "floor:"], "--paint 'floor:' is not understood"),
        (["--only", ""], "--only is empty"),
        (["--complete", "--upscale", "4"], "--upscale is for generated images of a whole scene"),
        (["--only", "floor", "--model", "nowhere"], "nowhere"),
        (["--prompt", "a room", "--images", "photos"], "--prompt is for generated images"),
    ],
)
def test_bad_input_is_one_line(room, tmp_path, capsys, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    assert texture(room, tmp_path / "out", *options) == 2
    said = capsys.readouterr().err.strip()
    assert says in said and "\n" not in said and not (tmp_path / "out" / "room").exists()


def test_results_that_cannot_be_gone_on_from(room, photographed, tmp_path, capsys):
    def fails(change) -> str:
        base = tmp_path / "base"
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(photographed / "room", base)
        change(base)
        assert texture(room, tmp_path / "out", "--only", "floor", "--base", str(base)) == 2
        said = capsys.readouterr().err.strip()
        assert "\n" not in said and not (tmp_path / "out" / "room").exists()
        return said

    def rewrite(base, **change) -> None:
        report = json.loads((base / "report.json").read_text()) | change
        (base / "report.json").write_text(json.dumps(report))

    assert "--formats glb,obj" in fails(lambda base: (base / "textured.png").unlink())
    assert "sources.png: is not there" in fails(lambda base: (base / "sources.png").unlink())
    assert "does not say where texels come from" in fails(lambda base: (base / "sources.png").write_bytes(b"x"))
    assert "does not say how its atlas was made" in fails(lambda base: rewrite(base, atlas=None))
    sizes = {"texture_size": 128, "texels_per_metre": None, "packer": "uvunwrap", "hash": "0"}
    assert "was made of another mesh" in fails(lambda base: rewrite(base, atlas=sizes))
    assert "texture-size 5 is out of range" in fails(lambda base: rewrite(base, atlas=sizes | {"texture_size": 5}))
    assert "report.json" in fails(lambda base: (base / "report.json").write_text("{"))


def test_the_atlas_of_the_base_is_kept_whatever_the_options_say(room, photographed, models, tmp_path):
    shutil.copytree(photographed, tmp_path, dirs_exist_ok=True)
    options = ["--only", "floor", "--texture-size", "512"]
    assert texture(room, tmp_path, *options, model=models / "branch") == 0
    assert pages(tmp_path)[0].shape == (256, 256, 3)


def test_one_object_of_a_labelled_scan_is_painted_alone(room, photographed, models, tmp_path):
    scene, scan = scenetex.load_scene(room), tmp_path / "room"
    shutil.copytree(room, scan)
    # The vertices of one wall are an object, all others another.
    wall = np.abs(scene.mesh.vertices[:, 0] - 2) < 1e-6
    (scan / "room_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": wall.astype(int).tolist()}))
    groups = [{"objectId": 7, "label": "wardrobe", "segments": [1]}, {"objectId": 8, "label": "rest", "segments": [0]}]
    (scan / "room.aggregation.json").write_text(json.dumps({"segGroups": groups}))
    assert (
        texture(
            scan, tmp_path / "out", "--base", str(photographed), "--paint", "instance:7: red", model=models / "branch"
        )
        == 0
    )
    on, drawn = texels_of(scan, "instance:7"), texels_of(scan, "box:-9,-9,-9,9,9,9")
    before, after = pages(photographed)[0], pages(tmp_path / "out")[0]
    assert np.array_equal(after[drawn & ~on], before[drawn & ~on]) and (after[on] != before[on]).any()
    # Labels that do not fit the mesh are named.
    (scan / "room_vh_clean_2.0.010000.segs.json").write_text(json.dumps({"segIndices": [0, 1]}))
    with pytest.raises(InputError, match="has segments of 2 vertices, but the mesh has"):
        scenetex.texture_scene(scenetex.load_scene(scan), only="label:wardrobe")


def test_a_model_that_cannot_go_on_from_parts_is_refused(room, models, tmp_path, capsys):
    parts = make_parts(tmp_path / "tokens")
    MVDiffusionPanoramaPipeline(unet=make_model("panorama"), **parts).save_pretrained(tmp_path / "panorama")
    capsys.readouterr()
    assert texture(room, tmp_path / "out", "--complete", model=tmp_path / "panorama") == 2
    said = capsys.readouterr().err.strip()
    assert "panorama" in said and "\n" not in said and not (tmp_path / "out" / "room").exists()
