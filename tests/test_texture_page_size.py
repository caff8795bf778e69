"""--texture-size auto: from what images resolve on the surface, by cameras of which that is known."""

from pathlib import Path

import numpy as np
import pytest
from batch_runs import report, rooms, texture
from painted_box import box, look_at, pinhole, views_of

import scenetex
from scenetex import Mesh
from scenetex.texture.page_size import page_side, resolved_density

GENERATED = ("--images", "generated", "--prompt", "a room", "--steps", "1", "--device", "cpu")


def wall(width: float = 4.0, height: float = 3.0) -> Mesh:
    corners = np.array([[0, 0, 0], [width, 0, 0], [width, 0, height], [0, 0, height]], float)
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))


def facing(distance: float) -> np.ndarray:
    return look_at((2, -distance, 1.5), (2, 0, 1.5))[None]


@pytest.mark.parametrize("distance", [1.0, 2.0])
@pytest.mark.parametrize("image", [640, 1280])
def test_a_wall_seen_straight_on(distance, image):
    """Pixels per metre: the focal length in pixels over the distance; a little less to the sides."""
    views = views_of(wall(), facing(distance), pinhole((160, 120), 1.2), (160, 120))
    assert resolved_density(wall(), views, image) == pytest.approx(1.2 * image / distance, rel=0.05)


def test_the_nearest_view_counts_and_a_few_pixels_do_not():
    both = np.concatenate([facing(2.0), facing(4.0), facing(4.0), facing(4.0)])
    k, size = pinhole((160, 120), 0.6), (160, 120)
    assert resolved_density(wall(), views_of(wall(), both, k, size), 160) == pytest.approx(48, rel=0.06)
    close = np.concatenate([facing(4.0), look_at((1, -0.1, 1.5), (1, 0, 1.5))[None]])
    assert resolved_density(wall(), views_of(wall(), close, k, size), 160) == pytest.approx(24, rel=0.1)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_units_and_places_do_not_matter(unit):
    mesh = wall()
    moved = Mesh(mesh.vertices * unit + 1e5 * unit, mesh.faces)
    pose = facing(2.0)
    pose[:, :3, 3] = pose[:, :3, 3] * unit + 1e5 * unit
    views = views_of(moved, pose, pinhole((160, 120), 1.2), (160, 120))
    density = resolved_density(moved, views, 640)
    assert density * unit == pytest.approx(384, rel=0.05)
    assert page_side(moved, density) == page_side(mesh, density * unit)


def test_sides_are_powers_of_two_that_hold_the_density():
    sides = [page_side(box(), density) for density in (1, 50, 100, 200, 400, 1e5)]
    assert sides == sorted(sides) and sides[0] == 512 and sides[-1] == 8192
    assert all(side & (side - 1) == 0 for side in sides)
    for density in (100, 200, 400):
        assert scenetex.unwrap(box(), page_side(box(), density)).texels_per_metre == pytest.approx(density, rel=0.5)


def test_own_coordinates_count_as_they_are():
    mesh = wall(2.0, 2.0)
    own = scenetex.unwrap(mesh, 256)
    assert page_side(mesh, own.texels_per_metre * 4, own) == 1024


@pytest.mark.parametrize(
    "more", [(), ("--images", "generated", "--prompt", "a room", "--steps", "1", "--device", "cpu")]
)
def test_the_command_says_what_it_chose(tmp_path, more, capsys):
    (scan,) = rooms(tmp_path, "room")
    out = tmp_path / "out"
    assert texture([scan], out, "--texture-size", "auto", "--image-size", "64x48", *more) == 0
    told = report(out, "room")
    (note,) = [note for note in told["notes"] if "texture size auto" in note]
    assert told["texture_size"] == told["settings"]["texture_size"] == 512 and "512 texels" in note
    assert note in capsys.readouterr().err
    assert texture([scan], out, "--texture-size", "auto", "--image-size", "64x48", *more) == 0
    assert report(out, "room") == told, "the same command finds the result"


def test_python_has_it_too():
    scene = scenetex.load_scene(Path(__file__).resolve().parents[1] / "scenes" / "sample_room")
    with pytest.raises(scenetex.InputError, match="leave texels_per_metre out"):
        scenetex.run_stages(scene, texture_size="auto", texels_per_metre=30.0)
    with pytest.raises(scenetex.InputError, match="64 to 16384"):
        scenetex.run_stages(scene, texture_size="large")
    room = scenetex.texture_scene(scene, texture_size="auto", keyframes="0,24", refine_poses=False)
    assert room.atlas.size in (1024, 2048)
