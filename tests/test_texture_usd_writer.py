"""USD as usd-core reads it: where the surface is, which way is up, what it shows, what it is called; no error of its
validators."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from batch_runs import rooms, texture
from exact_scans import needed
from mapped_meshes import MATERIALS, laid_out, obj_text
from painted_box import box

import scenetex
from scenetex import InputError, load_scene
from scenetex.cli import texture as texture_command
from scenetex.texture import usd_writer
from scenetex.texture.textured_mesh import TexturedMesh

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


@pytest.fixture(scope="module")
def usd():
    """usd-core, all of it that is asked here."""
    needed("usd", "pxr.Usd", "pxr.UsdValidation", "pxr.UsdSemantics")
    import pxr

    return pxr


def painted(mesh, atlas) -> TexturedMesh:
    pages = tuple(np.full((atlas.size, atlas.size, 3), 50 * page % 200 + 20, np.uint8) for page in range(atlas.pages))
    return TexturedMesh(mesh, atlas, pages, tuple(np.ones(page.shape[:2], bool) for page in pages))


def errors_of(usd, stage) -> list[str]:
    """What the validators that come with usd-core say."""
    validators = usd.UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 10
    found = usd.UsdValidation.ValidationContext(validators).Validate(stage)
    return [f"{error.GetName()}: {error.GetMessage()}" for error in found]


@pytest.mark.parametrize("suffix", ["usd", "usdz"])
def test_it_opens_as_what_it_is(usd, tmp_path, suffix):
    turn = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 5], [0, 0, 0, 1]])
    mesh = box().with_axis_alignment(turn)
    labels = {"back wall": np.arange(12) < 2, "tv_stand": np.arange(12) == 5, "nowhere": np.zeros(12, bool)}
    painted(mesh, scenetex.unwrap(mesh, 128, texels_per_metre=20.0)).export(tmp_path / f"room.{suffix}", labels=labels)
    stage = usd.Usd.Stage.Open(str(tmp_path / f"room.{suffix}"))
    assert errors_of(usd, stage) == []
    assert usd.UsdGeom.GetStageUpAxis(stage) == "Z" and usd.UsdGeom.GetStageMetersPerUnit(stage) == 1
    limits = usd.UsdGeom.BBoxCache(0, ["default"]).ComputeWorldBound(stage.GetDefaultPrim()).ComputeAlignedRange()
    aligned = mesh.vertices @ turn[:3, :3].T + turn[:3, 3]
    np.testing.assert_allclose([limits.GetMin(), limits.GetMax()], [aligned.min(0), aligned.max(0)], atol=1e-6)
    prim = usd.UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    corners = np.array(prim.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    np.testing.assert_allclose(np.array(prim.GetPointsAttr().Get())[corners], aligned[mesh.faces], atol=1e-6)
    assert prim.GetPrim().HasAPI(usd.UsdPhysics.CollisionAPI)
    subsets = usd.UsdGeom.Subset.GetGeomSubsets(prim, usd.UsdGeom.Tokens.face, "semantics")
    said = {
        tuple(usd.UsdSemantics.LabelsAPI(s.GetPrim(), "class").GetLabelsAttr().Get()): list(s.GetIndicesAttr().Get())
        for s in subsets
    }
    assert said == {("back wall",): [0, 1], ("tv_stand",): [5]}


def test_every_face_shows_its_page_at_its_coordinates(usd, tmp_path):
    """By the materials of the two nodes' mesh, whose names stay, and whose bare part shows nothing."""
    (tmp_path / "a.obj").write_text(obj_text(box(), laid_out(box(), 128)))
    mesh = scenetex.read_mesh(tmp_path / "a.obj")
    with pytest.warns(scenetex.InputWarning, match="has no UVs"):
        atlas = scenetex.Atlas.from_mesh(mesh, 64)
    painted(mesh, atlas).export(tmp_path / "a.usd")
    stage = usd.Usd.Stage.Open(str(tmp_path / "a.usd"))
    assert errors_of(usd, stage) == []
    prim = usd.UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    assert len(prim.GetFaceVertexCountsAttr().Get()) == len(mesh.faces)
    st = np.array(usd.UsdGeom.PrimvarsAPI(prim).GetPrimvar("st").ComputeFlattened()).reshape(-1, 3, 2)
    shown = atlas.page >= 0
    np.testing.assert_allclose(st[shown], mesh.uv_map.uv[mesh.uv_map.corners[shown]], atol=1e-6)
    subsets = usd.UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()
    names = []
    for page, subset in enumerate(subsets):
        assert list(subset.GetIndicesAttr().Get()) == np.flatnonzero(atlas.page == page).tolist()
        material, _ = usd.UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()
        names.append(material.GetPrim().GetDisplayName())
        surface = usd.UsdShade.Shader(stage.GetPrimAtPath(f"{material.GetPath()}/Surface"))
        assert surface.GetInput("emissiveColor").HasConnectedSource()
        assert tuple(surface.GetInput("diffuseColor").Get()) == (0, 0, 0)
        file = usd.UsdShade.Shader(stage.GetPrimAtPath(f"{material.GetPath()}/Texture")).GetInput("file").Get()
        assert Path(file.resolvedPath) == tmp_path / f"a_{page}.png"
    assert names == list(MATERIALS)


def test_a_package_holds_its_textures(usd, tmp_path):
    painted(box(), scenetex.unwrap(box(), 64)).export(tmp_path / "a.usdz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.usdz"]
    with zipfile.ZipFile(tmp_path / "a.usdz") as file:
        assert sorted(Path(name).suffix for name in file.namelist()) == [".png", ".usdc"]


def test_far_from_the_origin_nothing_is_lost(usd, tmp_path):
    mesh = box(box().vertices.min(0) + 4e6, box().vertices.max(0) + 4e6)
    painted(mesh, scenetex.unwrap(mesh, 64)).export(tmp_path / "a.usd")
    stage = usd.Usd.Stage.Open(str(tmp_path / "a.usd"))
    limits = usd.UsdGeom.BBoxCache(0, ["default"]).ComputeWorldBound(stage.GetDefaultPrim()).ComputeAlignedRange()
    np.testing.assert_allclose(limits.GetMin(), mesh.vertices.min(0), atol=1e-3, rtol=0)


def test_the_command_writes_the_labels_of_the_scan(usd, tmp_path):
    options = ["--images", "photos", "--formats", "usdz", "--keyframes", "2", "--texture-size", "256", "--quiet"]
    options += ["--no-preview", "--no-refine-poses", "--output", str(tmp_path)]
    assert texture_command.main([str(SAMPLE), *options]) == 0
    stage = usd.Usd.Stage.Open(str(tmp_path / "sample_room" / "textured.usdz"))
    assert errors_of(usd, stage) == []
    prim = usd.UsdGeom.Mesh(stage.GetPrimAtPath("/Scene/Mesh"))
    subsets = usd.UsdGeom.Subset.GetGeomSubsets(prim, usd.UsdGeom.Tokens.face, "semantics")
    known = {name.removeprefix("label:") for name in scenetex.regions(load_scene(SAMPLE)) if name.startswith("label:")}
    assert {usd.UsdSemantics.LabelsAPI(s.GetPrim(), "class").GetLabelsAttr().Get()[0] for s in subsets} == known


def test_without_the_library_one_line_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    import importlib.util
    import sys

    monkeypatch.setitem(sys.modules, "pxr", None)
    mesh = box()
    with pytest.raises(InputError, match=r'usd-core is not installed; pip install .*"\.\[usd\]"'):
        usd_writer.write_usd(tmp_path / "a.usd", mesh, scenetex.unwrap(mesh, 64), [np.zeros((64, 64, 3), np.uint8)])
    monkeypatch.undo()
    found = importlib.util.find_spec
    monkeypatch.setattr("scenetex.job.options.find_spec", lambda name: None if name == "pxr" else found(name))
    (scan,) = rooms(tmp_path / "scans", "room")
    assert texture([scan], tmp_path / "out", "--formats", "usdz") == 2
    assert "usd and usdz need usd-core" in capsys.readouterr().err
