"""Sizes of a result on the command line: files, report, what cannot be, and what a run with fewer leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from batch_runs import report, rooms, texture
from exact_scans import needed
from tiny_scan import ROOM_FACES, ROOM_VERTICES, write_ply

import scenetex
from scenetex.cli import texture as texture_command
from scenetex.job.levels import size_stages
from scenetex.job.options import TextureOptions
from scenetex.job.stages import Stages


@pytest.fixture(autouse=True, scope="module")
def library():
    return needed("lods", "fast_simplification")


@pytest.fixture
def fine(tmp_path) -> Path:
    """A tiny scan whose mesh has small faces."""
    (scan,) = rooms(tmp_path, "room")
    vertices, faces = trimesh.remesh.subdivide_to_size(ROOM_VERTICES, ROOM_FACES[:, ::-1], 0.2)
    write_ply(scan / "room_vh_clean_2.ply", vertices, faces)
    return scan


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def faces_of(path: Path) -> int:
    return len(scenetex.read_mesh(path).faces)


def test_levels_lie_beside_the_full_one_and_go_with_a_run_without(fine, tmp_path, capsys):
    out = tmp_path / "out"
    assert texture([fine], out, "--lods", "2", "--formats", "glb,obj", "--collision") == 0
    told = report(out, "room")
    levels = [f"textured_lod{k}" for k in (1, 2)]
    made = {f"{level}.{suffix}" for level in levels for suffix in ("glb", "obj", "mtl", "png")}
    assert made | {"collision.glb"} <= names(out / "room") and made <= {*told["files"]}
    full = faces_of(out / "room" / "textured.obj")
    counts = [faces_of(out / "room" / f"{level}.obj") for level in levels]
    assert counts[0] == pytest.approx(full / 10, rel=0.1) and counts[1] == pytest.approx(full / 40, rel=0.3)
    assert [level["faces"] for level in told["lods"]] == counts and told["collision_faces"] > 0
    assert [level["texture_size"] for level in told["lods"]] == [64, 64]
    before = (out / "room" / "report.json").stat().st_mtime_ns
    assert texture([fine], out, "--lods", "2", "--formats", "glb,obj", "--collision") == 0
    assert (out / "room" / "report.json").stat().st_mtime_ns == before, "the same command finds the result"
    assert texture([fine], out, "--lods", "1", "--formats", "obj") == 0
    assert not (made - {f"textured_lod1.{suffix}" for suffix in ("obj", "mtl", "png")}) & names(out / "room")
    assert "collision.glb" not in names(out / "room") and len(report(out, "room")["lods"]) == 1


def test_textures_get_half_as_many_texels_a_side(fine):
    scene = scenetex.load_scene(fine)
    result = scenetex.run_stages(scene, keyframes="2", texture_size=256)
    options = TextureOptions(Path("out"), texture_size=256, lods=3, normal_maps=True, faces=1000)
    sizes = size_stages(result, options, Stages())
    assert [mesh.atlas.size for mesh in sizes.meshes("textured").values()] == [256, 256, 128, 64][: 1 + len(sizes.lods)]
    assert list(sizes.meshes("textured"))[1] == "textured_lod1" and len(sizes.lods) == 2
    assert all(mesh.normal_maps is not None for mesh in sizes.meshes("textured").values())
    dense = TextureOptions(Path("out"), texture_size=256, lods=2, texels_per_metre=40.0)
    densities = [level.atlas.texels_per_metre for level in size_stages(result, dense, Stages()).lods]
    assert densities == pytest.approx([40, 20])


def test_twelve_faces_have_no_levels_and_say_so(tmp_path, capsys):
    (scan,) = rooms(tmp_path, "room")
    assert texture([scan], tmp_path / "out", "--lods", "6", "--faces", "40") == 0
    said = " ".join(report(tmp_path / "out", "room")["notes"])
    assert "--faces 40: the mesh has no more than 10" in said and "--lods: 0 of 6 made" in said
    assert not [name for name in names(tmp_path / "out" / "room") if "lod" in name]


def test_fewer_faces_are_what_the_result_has(fine, tmp_path, capsys):
    out = tmp_path / "out"
    assert texture([fine], out, "--faces", "200", "--report", "--preview", "--formats", "glb,obj,ply") == 0
    told = report(out, "room")
    assert told["faces_textured"] == pytest.approx(200, rel=0.05) and told["faces"] > 1000
    for suffix in ("glb", "obj", "ply"):
        assert faces_of(out / "room" / f"textured.{suffix}") == told["faces_textured"]
    again = ("--only", "floor", "--prompt", "oak", "--steps", "1", "--device", "cpu")
    assert texture([fine], out, *again) == 2 and "has a simplified mesh (--faces)" in capsys.readouterr().err
    assert report(out, "room") == told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--faces", "3"), "--faces 3 is out of range; choose 4 to"),
        (("--lods", "7"), "--lods 7 is out of range; choose 0 to 6"),
        (("--lods", "-1"), "--lods -1 is out of range"),
        (("--texture-size", "auto", "--texels-per-metre", "30"), "leave --texels-per-metre out"),
        (("--texture-size", "big"), "choose a whole number, 64 to 16384 or auto"),
        (("--faces", "100", "--uvs", "keep"), "leave --faces out"),
        (("--faces", "100", "--only", "floor", "--prompt", "oak"), "--faces makes another mesh"),
        (("--normal-maps",), "--normal-maps are of what --faces and --lods take away"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, options, said):
    (scan,) = rooms(tmp_path, "room")
    assert texture_command.main([str(scan), "--output", str(tmp_path / "out"), *options]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "out").exists()


def test_without_the_library_it_is_said_before_any_work(tmp_path, capsys, monkeypatch):
    (scan,) = rooms(tmp_path, "room")
    monkeypatch.setattr("scenetex.job.options.find_spec", lambda name: None)
    assert texture([scan], tmp_path / "out", "--lods", "2") == 2
    assert "--lods needs fast-simplification" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_levels_of_kept_uvs_are_laid_out_anew(fine, tmp_path):
    mesh = scenetex.load_scene(fine).mesh
    atlas = scenetex.unwrap(mesh, 256)
    grey = np.full((256, 256, 3), 90, np.uint8)
    full = scenetex.TexturedMesh(mesh, atlas, (grey,), (np.ones((256, 256), bool),))
    full.export(tmp_path / "own.obj")
    out = tmp_path / "out"
    assert texture([fine], out, "--mesh", str(tmp_path / "own.obj"), "--uvs", "keep", "--lods", "1") == 0
    assert faces_of(out / "room" / "textured.obj") == len(mesh.faces)
    assert faces_of(out / "room" / "textured_lod1.obj") == pytest.approx(len(mesh.faces) / 10, rel=0.1)
    assert json.loads((out / "room" / "report.json").read_text())["atlas"]["uvs"] == "keep"
