"""meshopt on GLBs of others: every number stays, and where it stands."""

import numpy as np
import pytest
from khronos import issues_of
from mapped_meshes import laid_out, write_two_nodes
from owned_glb import painted, write_owned
from painted_box import box

from scenetex import InputWarning
from scenetex.scene.gltf_file import pack_glb, unpack_glb

pytest.importorskip("DracoPy", reason="needs DracoPy and meshopt (extra compress)")
pytest.importorskip("meshopt", reason="needs DracoPy and meshopt (extra compress)")
from compressed_glb import MESHOPT, Decoder

pytestmark = pytest.mark.filterwarnings("ignore:UVs")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("owned")
    write_owned(folder / "a.glb")
    for name in ("none", "meshopt"):
        painted(folder / "a.glb").export(folder / f"{name}.glb", compress=name)
    return {path.stem: path for path in folder.iterdir()}


def test_all_views_hold_the_same_bytes(files):
    plain, packed = (Decoder(files[name].read_bytes()) for name in ("none", "meshopt"))
    assert len(plain.header["bufferViews"]) == len(packed.header["bufferViews"])
    for index in range(len(plain.header["bufferViews"])):
        assert packed.view(index) == plain.view(index)


def test_the_rest_of_the_file_is_the_same(files):
    plain, packed = (Decoder(files[name].read_bytes()).header for name in ("none", "meshopt"))
    assert packed["extensionsRequired"] == [MESHOPT]
    for key in plain.keys() - {"bufferViews", "buffers", "extensionsUsed"}:
        assert packed[key] == plain[key], key
    for before, after in zip(plain["bufferViews"], packed["bufferViews"], strict=True):
        for key in before.keys() - {"buffer", "byteOffset"}:
            assert after[key] == before[key]


def test_what_is_geometry_is_compressed(files):
    """Interleaved vertices, indices of every type and attributes of every width; no images, no sparse values."""
    header = Decoder(files["meshopt"].read_bytes()).header
    packed = {i for i, view in enumerate(header["bufferViews"]) if "extensions" in view}
    sparse = [about["sparse"] for about in header["accessors"] if "sparse" in about]
    images = {image["bufferView"] for image in header["images"]}
    assert len(sparse) == 1
    plain = images | {sparse[0][part]["bufferView"] for part in ("indices", "values")}
    assert packed == set(range(len(header["bufferViews"]))) - plain
    assert {view["extensions"][MESHOPT]["mode"] for view in header["bufferViews"] if "extensions" in view} == {
        "ATTRIBUTES",
        "INDICES",
    }


def test_khronos_validator_finds_no_fault(files):
    assert not [issue for issue in issues_of(files["meshopt"]) if issue["severity"] < 2]


@pytest.mark.parametrize("lacking", ["type", "componentType"])
def test_damage_in_what_is_not_painted_is_no_traceback(tmp_path, lacking):
    write_two_nodes(tmp_path / "a.glb", box(), laid_out(box(), 128))
    result = painted(tmp_path / "a.glb")
    header, chunk = unpack_glb(result.mesh.uv_map.source.tobytes())
    header["accessors"].append({key: value for key, value in header["accessors"][0].items() if key != lacking})
    unused = {"attributes": {"POSITION": len(header["accessors"]) - 1}}
    header["meshes"].append({"primitives": [unused]})
    result.mesh.uv_map.__dict__["source"] = np.frombuffer(pack_glb(header, [chunk]), np.uint8)
    with pytest.warns(InputWarning, match="meshopt: parts of the GLB stay uncompressed: 1 as it is damaged"):
        result.export(tmp_path / "b.glb", compress="meshopt")
    assert unpack_glb((tmp_path / "b.glb").read_bytes())[0]["meshes"][-1]["primitives"] == [unused]
