"""Photos whose red and blue are swapped are told by the mesh's colours, where it has those of the photos."""

from dataclasses import replace

import numpy as np
import pytest
from broken_scans import sample, with_own_photos

from scenetex.checks import check_scene


def test_red_and_blue_of_photos_against_those_of_the_mesh(tmp_path):
    def unevenly(photo: np.ndarray, number: int) -> np.ndarray:
        gain = np.random.default_rng(number).uniform(0.7, 1.3, 3)
        return np.clip(photo * gain, 0, 255).astype(np.uint8)

    uneven = with_own_photos(sample(), tmp_path, unevenly)
    checks = check_scene(uneven)
    assert checks.findings == () and checks.figures["color_agreement"] > 0.8
    swapped = with_own_photos(uneven, tmp_path, lambda photo, _: photo[..., ::-1])
    checks = check_scene(swapped)
    (finding,) = checks.findings
    assert finding.check == "colours" and checks.figures["color_agreement"] < -0.8
    assert finding.message.startswith("red and blue of the photos are swapped against the mesh's colours; swap")
    bare = check_scene(replace(swapped, mesh=replace(swapped.mesh, colors=None)))
    assert bare.findings == () and bare.figures["color_agreement"] is None


@pytest.mark.parametrize("kind", ["grey", "labels", "height"])
def test_colours_of_something_else_say_nothing(kind):
    mesh = sample().mesh
    labels = np.random.default_rng(1).integers(0, 256, (64, 3))
    cell = np.nan_to_num(mesh.vertices // 0.7).astype(int) @ [1, 7, 31]
    height = mesh.vertices[:, 1]
    part = (height - np.nanmin(height)) / np.ptp(height)
    colors = {
        "grey": np.repeat(mesh.colors.mean(1, keepdims=True), 3, 1),
        "labels": labels[cell % 64],
        "height": np.stack([255 * part, np.full(len(part), 80), 255 * (1 - part)], 1),
    }[kind].astype(np.uint8)
    for given in (colors, colors[:, ::-1]):
        assert check_scene(replace(sample(), mesh=replace(mesh, colors=given))).findings == ()
