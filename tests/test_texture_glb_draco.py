"""Draco on GLBs of others: positions are rounded, all else stays, and what it cannot hold is left alone."""

import json

import numpy as np
import pytest
from khronos import issues_of
from mapped_meshes import laid_out, write_two_nodes
from owned_glb import painted, write_owned
from painted_box import box

from scenetex import InputWarning
from scenetex.scene.gltf_file import pack_glb, unpack_glb
from scenetex.texture.glb_draco import _encode
from scenetex.texture.glb_rounding import Grid

pytest.importorskip("DracoPy", reason="needs DracoPy and meshopt (extra compress)")
pytest.importorskip("meshopt", reason="needs DracoPy and meshopt (extra compress)")
import DracoPy
from compressed_glb import DRACO, Decoder, matched

pytestmark = pytest.mark.filterwarnings("ignore:UVs")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("owned")
    write_owned(folder / "a.glb")
    result = painted(folder / "a.glb")
    result.export(folder / "none.glb")
    with pytest.warns(InputWarning) as said:
        result.export(folder / "draco.glb", compress="draco")
    (line,) = (str(warning.message) for warning in said if "draco" in str(warning.message))
    assert line == (
        "draco: parts of the GLB stay uncompressed: 1 as it has morph targets, 1 as it has no plain triangles, "
        "1 as it has sparse attributes"
    )
    return {path.stem: path for path in folder.iterdir()}


def test_all_but_positions_stays_to_the_bit(files):
    plain, packed = (Decoder(files[name].read_bytes()) for name in ("none", "draco"))
    compressed = 0
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        assert before.attributes.keys() == after.attributes.keys()
        found, turn = matched(before, after)
        for name in before.attributes:
            corners = np.take_along_axis(after.corners(name)[found], turn[..., None], 1)
            step = 4 / 65536 if name == "POSITION" and DRACO in after.about.get("extensions", {}) else 0
            np.testing.assert_allclose(corners, before.corners(name), rtol=0, atol=step / 2)
        compressed += DRACO in after.about.get("extensions", {})
        kinds = [[about["accessors"][index] for index in part.about["attributes"].values()]
                 for about, part in ((plain.header, before), (packed.header, after))]  # fmt: skip
        for one, other in zip(*kinds, strict=True):
            for key in ("componentType", "type", "normalized"):
                assert one.get(key) == other.get(key)
    assert compressed == 3


def test_the_rest_of_the_file_is_the_same(files):
    plain, packed = (Decoder(files[name].read_bytes()).header for name in ("none", "draco"))
    assert packed["extensionsRequired"] == [DRACO]
    for key in ("asset", "scene", "scenes", "nodes", "materials", "textures", "samplers"):
        assert packed[key] == plain[key], key
    for before, after in zip(plain["meshes"], packed["meshes"], strict=True):
        assert before["name"] == after["name"] and before.get("weights") == after.get("weights")
        for one, other in zip(before["primitives"], after["primitives"], strict=True):
            assert (one["material"], one.get("mode"), one.get("targets")) == (
                other["material"],
                other.get("mode"),
                other.get("targets"),
            )


def test_nothing_uncompressed_stays_behind(files):
    plain, packed = (Decoder(files[name].read_bytes()) for name in ("none", "draco"))
    whole = sum(part.attributes[name].nbytes for part in plain.parts()[:3] for name in part.attributes)
    assert packed.geometry_bytes() < plain.geometry_bytes() - whole / 2
    views = packed.header["bufferViews"]
    named = json.dumps([packed.header[key] for key in ("accessors", "images", "meshes")])
    unused = [i for i in range(len(views)) if f'"bufferView": {i}' not in named]
    assert all(views[i]["byteLength"] == 4 for i in unused)


def test_khronos_validator_finds_no_fault(files):
    assert not [issue for issue in issues_of(files["draco"]) if issue["severity"] < 2]


def test_parts_that_share_vertices_are_compressed_each(tmp_path):
    """As those that are split, for their materials lie on several tiles."""
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    header, chunk = unpack_glb((tmp_path / "a.glb").read_bytes())
    (walls,) = header["meshes"][1]["primitives"]
    about = header["accessors"][walls["indices"]]
    first, second = about | {"count": 6}, about | {"count": about["count"] - 6, "byteOffset": 24}
    header["accessors"] += [first, second]
    count = len(header["accessors"])
    header["meshes"][1]["primitives"] = [walls | {"indices": count - 2}, walls | {"indices": count - 1}]
    (tmp_path / "a.glb").write_bytes(pack_glb(header, [chunk]))
    for name in ("none", "draco"):
        painted(tmp_path / "a.glb").export(tmp_path / f"{name}.glb", compress=name)
    plain, packed = (Decoder((tmp_path / f"{name}.glb").read_bytes()) for name in ("none", "draco"))
    assert [len(part.faces) for part in plain.parts()] == [len(part.faces) for part in packed.parts()]
    for before, after in zip(plain.parts(), packed.parts(), strict=True):
        found, turn = matched(before, after)
        corners = np.take_along_axis(after.corners("POSITION")[found], turn[..., None], 1)
        assert np.abs(corners - before.corners("POSITION")).max() < 1e-4
    before, after = ({issue["code"] for issue in issues_of(tmp_path / f"{name}.glb")} for name in ("none", "draco"))
    assert after - before <= {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"}


@pytest.mark.parametrize("harm", ["index", "count", "view"])
def test_damage_in_what_is_not_painted_stays_as_it_is(tmp_path, harm):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    result = painted(tmp_path / "a.glb")
    header, chunk = unpack_glb(result.mesh.uv_map.source.tobytes())
    damaged = {"attributes": {"POSITION": len(header["accessors"])}, "indices": 0, "material": 0}
    header["accessors"].append(dict(header["accessors"][0]))
    if harm == "index":
        damaged["attributes"]["POSITION"] = 999
    elif harm == "count":
        header["accessors"][-1]["count"] = 10**9
    else:
        header["accessors"][-1]["bufferView"] = 999
    header["meshes"].append({"name": "unused", "primitives": [damaged]})
    result.mesh.uv_map.__dict__["source"] = np.frombuffer(pack_glb(header, [chunk]), np.uint8)
    with pytest.warns(InputWarning, match="draco: parts of the GLB stay uncompressed: 1 as it is damaged"):
        result.export(tmp_path / "b.glb", compress="draco")
    after, _ = unpack_glb((tmp_path / "b.glb").read_bytes())
    assert after["meshes"][-1]["primitives"][0]["attributes"] == damaged["attributes"]
    result.export(tmp_path / "b.glb", compress="meshopt")


@pytest.mark.parametrize(
    "faces", [[[0, 1, 2]], [[0, 0, 1]], [[0, 1, 2], [2, 1, 0]], [[0, 1, 2], [0, 1, 3], [0, 1, 4], [1, 1, 1]]]
)
@pytest.mark.parametrize("scale", [0, 1e-7, 1, 1e9])
def test_every_triangle_comes_back(faces, scale):
    """Those without area, too, at one place, three at an edge, and of any size."""
    points = (scale * np.random.default_rng(0).random((5, 3))).astype(np.float32)
    made = _encode(DracoPy, {"POSITION": points}, np.array(faces, np.uint32), Grid.of(points), None)
    again = DracoPy.decode(made["data"])
    assert len(again.faces) == len(faces) and len(again.points) == len(made["points"])
    middles = [np.sort(p[f].sum(1), axis=0) for p, f in ((points, faces), (again.points, again.faces))]
    np.testing.assert_allclose(middles[1], middles[0], rtol=1e-6, atol=3 * 2.0 ** Grid.of(points).exponent)
