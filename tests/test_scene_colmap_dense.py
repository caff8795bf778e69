"""COLMAP's whole project: `sparse/0` with photos as the lens saw them, `dense/0` with undistorted ones and meshes."""

import numpy as np
import pytest
from exact_scans import MESH, POSES, SIZE, K, assert_photos_fit, photos, write_image, write_mesh
from test_scene_colmap import NAMES, images, write_binary
from tiny_scan import write_ply

from scenetex import InputError, load_scene
from scenetex.scene.load import scene_folder, scene_name

FX, FY, CX, CY = K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5
PINHOLE = ("PINHOLE", SIZE, (FX, FY, CX, CY))
# The lens's photos are some pixels larger than the undistorted ones.
LENS_SIZE = SIZE[0] + 6, SIZE[1] + 3
LENS = ("OPENCV", LENS_SIZE, (FX, FY, CX + 3, CY + 1.5, -0.1, 0.02, 0.001, 0))


@pytest.fixture
def project(tmp_path):
    """Writer of what `colmap automatic_reconstructor` leaves, with the undistorted part at `dense`."""

    def make(dense="dense/0", meshes=("meshed-poisson.ply",)):
        folder = tmp_path / "hall"
        for name, photo in zip(NAMES, photos(), strict=True):
            write_image(folder / dense / "images" / name, photo)
            write_image(folder / "images" / name, np.zeros((LENS_SIZE[1], LENS_SIZE[0], 3), np.uint8))
        write_binary(folder / "sparse" / "0", {7: LENS}, images())
        write_binary(folder / dense / "sparse", {7: PINHOLE}, images())
        (folder / dense / "stereo" / "depth_maps").mkdir(parents=True)
        for mesh in meshes:
            write_mesh(folder / dense / mesh)
        write_ply(folder / dense / "fused.ply", MESH.vertices, MESH.faces[:0])
        return folder

    return make


def is_undistorted(scene) -> bool:
    """Whether model and photos are the undistorted ones, both, or both not."""
    plain = {frame.color.distortion is None for frame in scene.frames}
    dense = {"dense" in frame.color.path.parts for frame in scene.frames}
    assert plain == dense and len(plain) == 1 and len(scene.frames) == len(POSES)
    return plain.pop()


@pytest.mark.parametrize(
    ("dense", "given"),
    [
        *(("dense", given) for given in ("", "dense", "dense/sparse")),
        *(("dense/0", given) for given in ("", "dense", "dense/0", "dense/0/sparse")),
    ],
)
def test_given_any_folder_of_the_undistorted_photos(project, dense, given):
    folder = project(dense)
    scene = load_scene(folder / given)
    assert is_undistorted(scene)
    assert_photos_fit(scene)


@pytest.mark.parametrize("dense", ["dense", "dense/0"])
def test_given_the_sparse_model_it_is_read_with_its_own_photos_and_the_dense_mesh(project, dense, monkeypatch):
    folder = project(dense)
    scene = load_scene(folder / "sparse" / "0")
    assert scene.name == "hall" and scene.path == folder and not is_undistorted(scene)
    np.testing.assert_allclose(scene.mesh.vertices, MESH.vertices)
    monkeypatch.chdir(folder / "sparse" / "0")
    assert load_scene(".").name == "hall"
    assert scene_name(".") == "hall" and scene_folder(".") == folder
    # The photos may lie elsewhere: the undistorted ones have a model of their own.
    (folder / "images").rename(folder / "gone")
    assert is_undistorted(load_scene(folder / "sparse" / "0"))


@pytest.mark.parametrize("dense", ["dense", "dense/0"])
def test_without_undistorted_photos_the_lens_is_read_with_the_dense_mesh(project, dense):
    folder = project(dense)
    (folder / dense / "images").rename(folder / "gone")
    scene = load_scene(folder)
    assert not is_undistorted(scene)
    np.testing.assert_allclose(scene.mesh.vertices, MESH.vertices)


def test_photos_of_the_other_model_are_refused(project):
    folder = project()
    lens = (folder / "images").rename(folder / "lens")
    (folder / "dense" / "0" / "images").rename(folder / "images")
    with pytest.raises(
        InputError, match=r"photo is 160x120, its camera 166x123, .*undistorted photos belong to the mod"
    ):
        load_scene(folder)
    lens.rename(folder / "dense" / "0" / "images")
    with pytest.raises(InputError, match=r"photo is 166x123, its camera 160x120, which is no plain scaling"):
        load_scene(folder)


def test_of_two_meshes_poissons_comes_first(project):
    folder = project(meshes=("meshed-delaunay.ply", "meshed-poisson.ply"))
    write_ply(folder / "dense" / "0" / "meshed-poisson.ply", MESH.vertices + 1, MESH.faces)
    np.testing.assert_allclose(load_scene(folder).mesh.vertices, MESH.vertices + 1)
    (folder / "dense" / "0" / "meshed-poisson.ply").unlink()
    for given in ("", "dense", "dense/0", "sparse/0"):
        np.testing.assert_allclose(load_scene(folder / given).mesh.vertices, MESH.vertices)


def test_a_mesh_in_the_project_comes_before_colmaps(project):
    folder = project()
    write_ply(folder / "mine.ply", MESH.vertices + 1, MESH.faces)
    np.testing.assert_allclose(load_scene(folder).mesh.vertices, MESH.vertices + 1)


def test_without_a_mesh_the_command_that_makes_one_is_named(project):
    with pytest.raises(
        InputError, match=r"dense/0/fused\.ply: a cloud of points, .*colmap poisson_mesher --input_path"
    ):
        load_scene(project(meshes=()))


@pytest.mark.parametrize("given", ["", "dense", "sparse/0"])
def test_several_models_are_refused_unless_one_is_given(project, given):
    folder = project()
    write_binary(folder / "dense" / "1" / "sparse", {7: PINHOLE}, images())
    write_binary(folder / "sparse" / "1", {7: PINHOLE}, images())
    assert is_undistorted(load_scene(folder / "dense" / "0"))
    if given == "sparse/0":
        assert not is_undistorted(load_scene(folder / given))
    else:
        with pytest.raises(InputError, match=r"dense: several models"):
            load_scene(folder / given)


def test_a_model_with_photos_of_its_own_is_no_part_of_a_project(project):
    folder = project()
    for name, photo in zip(NAMES, photos(), strict=True):
        write_image(folder / "sparse" / "0" / "images" / name, photo)
    write_mesh(folder / "sparse" / "0" / "mesh.ply")
    write_binary(folder / "sparse" / "0", {7: PINHOLE}, images())
    scene = load_scene(folder / "sparse" / "0")
    assert scene.name == "0" and scene.path == folder / "sparse" / "0"
    assert_photos_fit(scene)
