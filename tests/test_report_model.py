"""The packed model: unpacked by a plain loop it is the mesh again, in the frame and to the precision it promises."""

import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from painted_report import result
from painted_sheet import painted_sheet

from scenetex.report.model import _planes, pack_cameras, pack_model, pack_pages


def unpack(data: bytes, count: int, column: int) -> tuple[list[int], int]:
    """One column of the coding that `pack_model` describes, value by value."""
    values, last = [], 0
    for i in range(count):
        zigzag = sum(data[column + i + k * count] << (8 * k) for k in range(4))
        last += (zigzag >> 1) if zigzag % 2 == 0 else -((zigzag + 1) >> 1)
        values.append(last)
    return values, column + 4 * count


def read(model: dict):
    """Positions (n, 3) in the gravity-aligned frame, uv (n, 2) with v up, and faces (f, 3)."""
    data, at, columns = zlib.decompress(base64.b64decode(model["arrays"])), 0, []
    for count in [model["vertices"]] * 5 + [3 * sum(model["pages"])]:
        values, at = unpack(data, count, at)
        columns.append(np.array(values))
    assert at == len(data)
    points = np.stack(columns[:3], 1) * model["step"] + model["middle"]
    uv = np.stack(columns[3:5], 1) / model["uv_steps"]
    return points, np.stack([uv[:, 0], 1 - uv[:, 1]], 1), columns[5].reshape(-1, 3)


@settings(max_examples=50)
@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(1 - 2**30, 2**30 - 1)))
def test_whole_numbers_come_back(column):
    assert unpack(_planes(column), len(column), 0)[0] == column.tolist()


@pytest.mark.parametrize(
    ("textured", "precision"),
    [
        (painted_sheet(), 5e-5),
        (painted_sheet(3, dirty=True), 5e-5),
        (painted_sheet(origin=(4e5, -3e6, 20.0)), 5e-5),
        (result().mesh, 5e-5),
    ],
    ids=["sheet", "pages, dirty", "far away", "box"],
)
def test_the_mesh_comes_back_aligned_page_by_page(textured, precision):
    model = pack_model(textured)
    points, uv, faces = read(model)
    mesh, atlas = textured.mesh, textured.atlas
    order = np.concatenate([np.flatnonzero(atlas.page == page) for page in range(atlas.pages)])
    assert model["pages"] == [int((atlas.page == page).sum()) for page in range(atlas.pages)]
    assert len(model["textures"]) == atlas.pages
    align = mesh.axis_alignment
    expected = mesh.triangles[order] @ align[:3, :3].T + align[:3, 3]
    np.testing.assert_allclose(points[faces], expected, rtol=0, atol=precision + 1e-9)
    np.testing.assert_allclose(uv[faces], atlas.uv[atlas.faces[order]], rtol=0, atol=2**-17 + 1e-7)
    inside = np.abs(points - model["middle"]) <= np.array(model["reach"]) + 1e-4
    assert inside.all(1).mean() > 0.95, "all but strays are in the first view"


def test_a_giant_world_keeps_its_shape():
    textured = painted_sheet()
    huge = replace(textured, mesh=replace(textured.mesh, vertices=textured.mesh.vertices * 1e7))
    model = pack_model(huge)
    points, _, faces = read(model)
    np.testing.assert_allclose(points[faces], huge.mesh.triangles, rtol=0, atol=0.51 * model["step"])
    assert model["step"] == pytest.approx(1e7 * pack_model(textured)["step"])


def test_textures_shrink_as_pages_get_many():
    def side(uri: str) -> int:
        data = base64.b64decode(uri.split(",")[1])
        at = data.index(b"\xff\xc0") + 5  # the frame header holds height and width
        return int.from_bytes(data[at : at + 2], "big")

    for pages, size, expected in ((1, 4096, 2048), (5, 1024, 682), (3, 64, 64)):
        page = np.zeros((size, size, 3), np.uint8)
        textured = replace(painted_sheet(pages), textures=(page,) * pages)
        assert [side(t) for t in pack_model(textured)["textures"]] == [expected] * pages
        assert [side(t) for t in pack_pages(textured, 1024)] == [min(size, expected // 2 if size > 64 else 64)] * pages


def test_cameras_are_in_the_models_frame():
    views, model = result().views, pack_model(result().mesh)
    for i, camera in enumerate(pack_cameras(views, model["middle"])):
        pose = np.array(camera["pose"]).reshape(3, 4)
        expected = (views.axis_alignment @ views.cam_to_world[i])[:3]
        np.testing.assert_allclose(pose[:, :3], expected[:, :3], atol=1e-5)
        np.testing.assert_allclose(pose[:, 3] + model["middle"], expected[:, 3], atol=1e-5)
        # From the middle of the image to its edge is half its width.
        assert camera["slopes"][0] * views.intrinsics[i, 0, 0] == pytest.approx(80, abs=0.01)
        assert camera["slopes"][1] * views.intrinsics[i, 1, 1] == pytest.approx(60, abs=0.01)
