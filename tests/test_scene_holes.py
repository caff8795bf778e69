"""Holes of scans get faces of their own: nothing is open afterwards, and what was there stays as it was."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_scan
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import scenetex
from scenetex import InputError, load_scene, texture_scene
from scenetex.cli.main import main
from scenetex.scene.hole_cover import cover
from scenetex.scene.holes import _diameter, close_holes, with_holes_closed
from scenetex.scene.mesh import Mesh
from scenetex.scene.regions import find_regions
from scenetex.scene.scene import Scene
from scenetex.scene.segments import read_segments

SAMPLE = Path(__file__).resolve().parents[1] / "scenes" / "sample_room"


def sphere(radius: float = 1.0, level: int = 3) -> Mesh:
    return Mesh.of(trimesh.creation.icosphere(level, radius))


def room(edge: float = 0.2) -> Mesh:
    """A closed box of 4 x 3 x 2.5 m whose faces look inwards."""
    fine = trimesh.creation.box((4.0, 3.0, 2.5)).subdivide_to_size(edge)
    return Mesh(fine.vertices, fine.faces[:, ::-1].astype(np.int32))


def without(mesh: Mesh, hidden: np.ndarray) -> Mesh:
    """The mesh without some faces (f,) bool."""
    return replace(mesh, faces=mesh.faces[~hidden])


def near(mesh: Mesh, point, radius: float) -> np.ndarray:
    return np.linalg.norm(mesh.triangles.mean(1) - point, axis=1) < radius


def welded(mesh: Mesh) -> trimesh.Trimesh:
    places, corners = np.unique(mesh.vertices[mesh.faces].reshape(-1, 3).round(6), axis=0, return_inverse=True)
    return trimesh.Trimesh(places, corners.reshape(-1, 3), process=False)


def soup(mesh: Mesh) -> Mesh:
    """Three vertices of its own for each face, as ScanNet's triangles have them."""
    count = len(mesh.faces)
    return Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * count, dtype=np.int32).reshape(-1, 3))


def assert_kept(before: Mesh, after: Mesh) -> None:
    """What was there stands first, to the bit."""
    assert np.array_equal(after.vertices[: len(before.vertices)], before.vertices)
    assert np.array_equal(after.faces[: len(before.faces)], before.faces) and after.faces.dtype == before.faces.dtype


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["sphere", "room"]))
def test_closed_things_with_holes_are_closed_again(seed, as_soup, kind):
    """Holes of any outline anywhere: afterwards every edge has two faces, turned alike, and the volume is there."""
    rng = np.random.default_rng(seed)
    whole = sphere() if kind == "sphere" else room()
    hidden = np.zeros(len(whole.faces), bool)
    for place in whole.vertices[rng.choice(len(whole.vertices), 4)]:
        hidden |= near(whole, place, rng.uniform(0.05, 0.4))
    hidden |= rng.random(len(hidden)) < 0.02
    mesh = without(whole, hidden)
    mesh = soup(mesh) if as_soup else mesh
    after, closed = close_holes(mesh, 3.0)
    assert_kept(mesh, after)
    assert closed.holes >= 1 and closed.faces == len(after.faces) - len(mesh.faces)
    assert closed.vertices == len(after.vertices) - len(mesh.vertices)
    surface = welded(after)
    # Bits that hang on to others by a corner alone are rims of their own.
    pieces = surface.split(only_watertight=False)
    largest = max(pieces, key=lambda piece: piece.area)
    assert largest.is_watertight and largest.is_winding_consistent
    assert abs(largest.volume) == pytest.approx(abs(welded(whole).volume), rel=0.12)
    assert np.sign(largest.volume) == np.sign(welded(whole).volume)
    assert closed.area == pytest.approx(after.face_areas[len(mesh.faces) :].sum())


def test_long_rims_are_measured_and_loose_triangles_are_nothing():
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    rim = np.stack([np.cos(turn), 0.5 * np.sin(turn), 0.1 * np.sin(3 * turn)], 1)
    few = rim[::5]
    assert _diameter(rim, 10) == pytest.approx(_diameter(few, 10), rel=1e-3) and _diameter(rim, 1.0) > 1.0
    loose = soup(sphere())
    loose = replace(
        loose, vertices=loose.vertices * (1 + 1e-3 * np.random.default_rng(0).random((len(loose.vertices), 1)))
    )
    assert close_holes(loose, 1.0)[1] is None


def test_holes_larger_than_the_limit_stay():
    whole = sphere(level=4)
    small, large = near(whole, (0, 0, 1), 0.2), near(whole, (1, 0, 0), 0.6)
    mesh = without(whole, small | large)
    after, closed = close_holes(mesh, 0.5)
    assert closed.holes == 1 and closed.area == pytest.approx(np.pi * 0.2**2, rel=0.25)
    assert (np.linalg.norm(after.triangles[len(mesh.faces) :].mean(1) - (0, 0, 1), axis=1) < 0.25).all()
    assert close_holes(mesh, 0.05) == (mesh, None)
    both, closed = close_holes(mesh, 1.3)
    assert closed.holes == 2 and welded(both).is_watertight


def test_the_size_is_the_largest_distance_across():
    """A slot of 1.2 m by 0.2 m in a wall."""
    whole = room(0.1)
    centre = whole.triangles.mean(1)
    slot = (centre[:, 1] > 1.49) & (np.abs(centre[:, 0]) < 0.6) & (np.abs(centre[:, 2]) < 0.1)
    mesh = without(whole, slot)
    edges = trimesh.grouping.group_rows(np.sort(welded(mesh).edges, axis=1), require_count=1)
    rim = welded(mesh).vertices[np.unique(welded(mesh).edges[edges])]
    size = np.linalg.norm(rim[:, None] - rim, axis=2).max()
    assert close_holes(mesh, 0.999 * size)[1] is None and close_holes(mesh, 1.001 * size)[1].holes == 1


@given(st.integers(0, 2**32 - 1))
def test_where_there_is_no_hole_nothing_changes(seed):
    rng = np.random.default_rng(seed)
    mesh = sphere(level=1 + seed % 2)
    mesh = soup(mesh) if seed % 3 else mesh
    assert close_holes(mesh, float(rng.uniform(0.01, 100)))[0] is mesh
    scene = Scene("room", mesh, ())
    assert with_holes_closed(scene, 1.0) is scene and scene.closed is None


def test_rims_are_no_holes():
    """An open sheet, a loose triangle, a strip; but a hole in a sheet is one."""
    sheet = Mesh.of(trimesh.creation.box((1.0, 1.0, 1e-9)).subdivide_to_size(0.1))
    sheet = without(sheet, sheet.face_normals[:, 2] < 0.5)
    triangle = Mesh(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), np.array([[0, 1, 2]], np.int32))
    for mesh in (sheet, triangle, soup(sheet)):
        assert close_holes(mesh, 10)[1] is None
    ring = without(sheet, near(sheet, (0, 0, 0), 0.3))
    after, closed = close_holes(ring, 10)
    assert closed.holes == 1 and after.face_areas.sum() == pytest.approx(1.0, rel=1e-6)
    assert (after.face_normals @ [0, 0, 1.0] > 0.99).all(), "turned as the faces around are"
    assert close_holes(ring, 0.3)[1] is None


def test_a_corner_of_a_room_is_no_hole_unless_its_rim_is_small():
    whole = room()
    centre = whole.triangles.mean(1)
    corner = without(whole, ~((centre > np.array([-0.0, -0.0, 0.0])).all(1)))
    assert close_holes(corner, 2.0)[1] is None
    assert close_holes(corner, 5.0)[1].holes == 1


def test_an_open_box_is_closed_by_a_lid():
    fine = room()
    mesh = without(fine, fine.triangles.mean(1)[:, 2] > 1.249)
    after, closed = close_holes(mesh, 5.01)
    assert closed.holes == 1 and closed.area == pytest.approx(12.0, rel=1e-6) and welded(after).is_watertight
    assert (after.face_normals[len(mesh.faces) :] @ [0, 0, -1.0] > 0.999).all()
    # Its faces are about as large as those beside them: nothing for texels to be stretched over.
    new = after.triangles[len(mesh.faces) :]
    longest = np.linalg.norm(new - np.roll(new, 1, axis=1), axis=2).max()
    assert longest < 0.6 and len(new) > 300


def test_several_pieces_and_edges_with_three_faces():
    first, second = (without(sphere(r), near(sphere(r), (0, 0, r), 0.2)) for r in (0.5, 0.4))
    vertices = np.concatenate([first.vertices, second.vertices + np.array([3, 0, 0])])
    faces = np.concatenate([first.faces, second.faces + len(first.vertices)])
    both = Mesh(vertices, faces.astype(np.int32))
    after, closed = close_holes(both, 1.0)
    assert closed.holes == 2 and welded(after).is_watertight
    # A fin that stands on an edge of the sphere.
    a, b = first.vertices[first.faces[200, :2]]
    fin = Mesh(
        np.concatenate([both.vertices, [1.5 * (a + b) / 2 + [0, 0, 0.3]]]),
        np.concatenate([both.faces, [[*first.faces[200, :2], len(both.vertices)]]]).astype(np.int32),
    )
    after, closed = close_holes(fin, 1.0)
    assert_kept(fin, after)
    assert closed.holes >= 2 and closed.area < 0.3


@given(st.integers(0, 2**32 - 1))
def test_faces_that_are_turned_at_random_and_bands_with_one_side(seed):
    """Whichever way faces look, a loop is a loop; a twisted band gets no edge of three faces."""
    rng = np.random.default_rng(seed)
    mesh = without(sphere(), near(sphere(), (0, 0, 1), 0.35))
    turned = rng.random(len(mesh.faces)) < 0.3
    mixed = replace(mesh, faces=np.where(turned[:, None], mesh.faces[:, ::-1], mesh.faces))
    after, closed = close_holes(mixed, 1.0)
    assert closed.holes == 1 and set(np.unique(welded(after).edges_unique_inverse, return_counts=True)[1]) == {2}
    count = int(rng.integers(8, 20))
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    across = np.stack([np.cos(turn / 2) * np.cos(turn), np.cos(turn / 2) * np.sin(turn), np.sin(turn / 2)], 1)
    middle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    band = np.concatenate([middle - 0.2 * across, middle + 0.2 * across])
    a, b = np.arange(count), np.arange(count) + count
    c, d = np.append(a[1:], count), np.append(b[1:], 0)
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int32)
    after, closed = close_holes(Mesh(band, faces), 10.0)
    if closed is not None:
        assert closed.holes == 1
        assert set(np.unique(welded(after).edges_unique_inverse, return_counts=True)[1]) == {2}


def test_holes_that_meet_in_one_vertex():
    """Two holes of three faces each, whose corners touch: two loops, not one that crosses itself."""
    x, y = np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(49)], 1)
    i, j = np.meshgrid(np.arange(6), np.arange(6), indexing="ij")
    at = (7 * i + j).ravel()
    quads = np.stack([at, at + 7, at + 8, at + 1], 1)
    cells = ~np.isin(np.arange(36), [6 * 2 + 2, 6 * 3 + 3])
    faces = np.concatenate([quads[cells][:, [0, 1, 2]], quads[cells][:, [0, 2, 3]]]).astype(np.int32)
    mesh = Mesh(vertices, faces)
    after, closed = close_holes(mesh, 1.5)
    assert closed.holes == 2 and closed.area == pytest.approx(2) and after.face_areas.sum() == pytest.approx(36)
    assert (after.face_normals[:, 2] > 0).all()


def test_dirty_meshes():
    whole = without(sphere(), near(sphere(), (0, 0, 1), 0.3))
    n = len(whole.vertices)
    vertices = np.concatenate([whole.vertices, [[np.nan] * 3, [50.0, 0, 0]]])
    faces = np.concatenate([[[0, 0, 1], [1, n, 2]], whole.faces, whole.faces[10:12], [[3, 4, 4]]]).astype(np.int32)
    after, closed = close_holes(Mesh(vertices, faces), 1.0)
    assert closed.holes == 1 and np.isfinite(after.vertices[n + 2 :]).all()
    nothing = Mesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]], np.int32))
    assert close_holes(nothing, 1.0) == (nothing, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far = replace(whole, vertices=whole.vertices + np.array([4e5, -3e6, 20]))
        assert close_holes(far, 1.0)[1].holes == 1


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_covers_fill_their_outline_once(seed, count):
    """Outlines with notches, bent out of their plane: each edge of the rim has one triangle, all others two."""
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.3, 1.0, count)
    rim = np.stack([radius * np.cos(turn), radius * np.sin(turn), rng.uniform(-0.2, 0.2, count)], 1)
    inner, triangles = cover(rim)
    ends = np.stack([triangles, np.roll(triangles, -1, axis=1)], 2).reshape(-1, 2).tolist()
    alone = {tuple(end) for end in ends if [end[1], end[0]] not in ends}
    assert alone == {(i, (i + 1) % count) for i in range(count)} and len({tuple(end) for end in ends}) == len(ends)
    assert np.isfinite(inner).all() and triangles.max() < count + len(inner)
    if len(inner) > 1:
        assert np.abs(inner[:, 2]).max() <= 0.5


def test_new_vertices_take_the_colour_of_their_rim():
    mesh = without(sphere(level=4), near(sphere(level=4), (0, 0, 1), 0.4))
    mesh = replace(mesh, colors=np.full((len(mesh.vertices), 3), (10, 90, 200), np.uint8))
    after, closed = close_holes(mesh, 2)
    assert closed.vertices > 0 and len(after.colors) == len(after.vertices) and (after.colors == (10, 90, 200)).all()


@pytest.mark.parametrize("metres", [0, -1, np.nan, np.inf])
def test_a_size_that_is_none(metres):
    with pytest.raises(InputError, match="is not a positive size"):
        close_holes(sphere(), metres)
    with pytest.raises(InputError, match="close_holes"):
        scenetex.run_stages(load_scene(SAMPLE), close_holes=metres)


def test_labels_and_face_masks_still_fit(tmp_path):
    scene, closed = load_scene(SAMPLE), load_scene(SAMPLE, close_holes=0.5)
    assert closed.closed.holes > 10 and len(closed.mesh.faces) == len(scene.mesh.faces) + closed.closed.faces
    before, after = read_segments(scene), read_segments(closed)
    count = len(scene.mesh.vertices)
    assert np.array_equal(after.instance[:count], before.instance) and (after.instance[count:] == -1).all()
    assert len(after.instance) == len(closed.mesh.vertices)
    mask = np.zeros(len(scene.mesh.faces), bool)
    mask[:100] = True
    np.save(tmp_path / "mask.npy", mask)
    found = find_regions(closed, [str(tmp_path / "mask.npy")])[str(tmp_path / "mask.npy")]
    assert np.flatnonzero(found).tolist() == [*range(100)] and len(found) == len(closed.mesh.faces)
    assert set(scenetex.regions(closed)) == set(scenetex.regions(scene))


@pytest.fixture
def holed(tmp_path) -> Path:
    """A tiny scan whose floor has a hole."""
    folder = tiny_scan.write_extracted(tmp_path / "room", depth=False)
    fine = trimesh.Trimesh(tiny_scan.ROOM_VERTICES, tiny_scan.ROOM_FACES[:, ::-1], process=False).subdivide_to_size(0.4)
    keep = np.linalg.norm(fine.triangles.mean(1) - (1.5, 0, 0), axis=1) > 1.0
    tiny_scan.write_ply(next(folder.glob("*.ply")), fine.vertices, fine.faces[keep])
    for photo in (folder / "color").iterdir():
        cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    return folder


def texture(scan: Path, output: Path, *more: str) -> int:
    quick = ["--texture-size", "128", "--no-preview", "--no-refine-poses", "--quiet", "--formats", "obj", *more]
    return main(["texture", str(scan), "--images", "photos", "--output", str(output), *quick])


def test_holes_at_the_command_line(holed, tmp_path, capsys):
    def report() -> dict:
        return json.loads((tmp_path / "out" / "room" / "report.json").read_text())

    assert texture(holed, tmp_path / "out") == 0
    plain = report()
    assert plain["holes_closed"] is None and plain["settings"]["close_holes"] is None
    assert texture(holed, tmp_path / "out", "--close-holes", "2.5") == 0
    closed = report()
    assert closed["holes_closed"]["holes"] == 1 and 1 < closed["holes_closed"]["area"] < 4
    assert closed["faces"] == plain["faces"] + closed["holes_closed"]["faces"]
    assert any("1 hole closed" in note for note in closed["notes"])
    obj = (tmp_path / "out" / "room" / "textured.obj").read_text()
    assert sum(line.startswith("f ") for line in obj.splitlines()) == closed["faces_textured"] == closed["faces"]
    assert texture(holed, tmp_path / "out", "--close-holes", "0.01") == 0
    assert "no holes of up to 0.01 m to close" in report()["notes"]
    assert texture(holed, tmp_path / "out", "--close-holes", "0") == 2
    said = capsys.readouterr().err
    assert "--close-holes 0" in said and "Traceback" not in said


def test_holes_in_python(holed):
    scene = load_scene(holed)
    options = dict(texture_size=128, refine_poses=False)
    plain, closed = (texture_scene(scene, close_holes=size, **options) for size in (None, 2.5))
    assert len(closed.mesh.faces) > len(plain.mesh.faces) == len(scene.mesh.faces)
    assert (closed.atlas.page[len(scene.mesh.faces) :] >= 0).all(), "the new faces have texels"
