"""Public values as text: what they are, in a line or three, and no dump of arrays."""

import dataclasses
import inspect

import numpy as np
import pytest
from painted_report import result

import scenetex
from scenetex.correspondence import from_depth


@pytest.fixture(scope="module")
def values() -> dict[str, object]:
    scene = scenetex.load_scene("scenes/sample_room")
    views = scenetex.render_views(scene, [scene.frames[0].id, scene.frames[3].id], (32, 24))
    made = [scene, scene.mesh, scene.frames[0], scene.frames[0].camera, views, result().mesh, result().mesh.atlas]
    geometry = (views.depth[None], views.intrinsics[None], views.cam_to_world[None])
    made += [from_depth(*(np.asarray(part) for part in geometry)), result(), scenetex.check_scene(scene)]
    return {type(value).__name__: value for value in made}


def test_all_that_hold_arrays_are_tried(values):
    kinds = {name: getattr(scenetex, name) for name in scenetex.__all__}
    # Arrays have no equality.
    public = {n for n, kind in kinds.items() if dataclasses.is_dataclass(kind) and not kind.__dataclass_params__.eq}
    assert public <= set(values)


def test_each_is_a_line(values):
    for name, value in values.items():
        said = repr(value)
        assert said.startswith(f"{name}(") and said.endswith(")") and "\n" not in said and len(said) < 250, said
        assert "array" not in said and "[[" not in said and inspect.isclass(type(value))


def test_a_scene_is_printed_in_three_lines(values):
    scene = values["Scene"]
    first, second, third = str(scene).splitlines()
    assert first == "Scene 'sample_room', read from scenes/sample_room"
    assert second.startswith("mesh: 64,156 faces, ") and second.endswith(" m")
    assert third.startswith("trajectory: 36 frames, ids 0 to ") and third.endswith("with 36 photos and 36 depth images")
    assert "Camera(640 x 480, fx=" in third


def test_what_is_left_out_is_said_and_nothing_is_no_error(scan):
    scene = scenetex.load_scene(scan)
    assert ", 2 more without tracking, " in str(dataclasses.replace(scene, skipped=(3, 4)))
    empty = scenetex.Scene("a", scenetex.Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), ())
    assert str(empty).splitlines()[1:] == ["mesh: 0 faces, 0 vertices, 0 m", "trajectory: 0 frames"]
    assert repr(empty) == "Scene('a', Mesh(0 faces, 0 vertices), 0 frames)"
