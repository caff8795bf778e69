"""GLBs of all compressions and texture formats in a real browser, by three.js and its decoders: they look alike."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from headless_chromium import Tab, chromium, find_chromium
from node_package import find_package
from owned_glb import painted, write_owned

import scenetex
from scenetex.texture.texels import rasterize
from scenetex.texture.textured_mesh import TexturedMesh

ROOT = Path(__file__).resolve().parents[1]
THREE = find_package("three", "THREE")
pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium or Chrome (Debian: apt install chromium)"),
    pytest.mark.skipif(THREE is None, reason="needs three.js: run `make validator`"),
    pytest.mark.skipif(not all(map(find_spec, ("DracoPy", "meshopt"))), reason="needs the extra compress"),
    pytest.mark.filterwarnings("ignore:UVs", "ignore:draco"),
]
FORMATS = ["jpeg", "webp", *(["ktx2"] if shutil.which("ktx") else [])]
COMPRESSIONS = ["none", "draco", "meshopt"]
# Eye and target, y up, metres: the room's middle to three sides, and close to a wall.
VIEWS = [((0, 1.5, 0), (3, 1, 0)), ((0, 1.5, 0), (-2, 0.5, 2)), ((0, 1.2, 0), (0, 2.6, -2)), ((2, 1.2, 1), (2.6, 1, 1))]


def room() -> TexturedMesh:
    """The sample room in the colours of where its surface is, with waves of 15 cm."""
    mesh = scenetex.load_scene(ROOT / "scenes" / "sample_room").mesh
    atlas = scenetex.unwrap(mesh, size=1024)
    texels = rasterize(atlas)
    places = texels.interpolate(mesh.triangles.astype(np.float32))
    color = 140 + 50 * np.sin(places * [1.1, 1.7, 2.3] + [0, 1, 2])
    color *= 1 - 0.2 * np.sin(2 * np.pi / 0.15 * places).max(1, keepdims=True)
    pages = np.full((atlas.pages * 1024 * 1024, 3), 140, np.uint8)
    pages[texels.pixel] = np.clip(color, 0, 255)
    textures = tuple(pages.reshape(-1, 1024, 1024, 3))
    return TexturedMesh(mesh, atlas, textures, tuple(np.ones((1024, 1024), bool) for _ in textures))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, and of three.js in it, on this machine."""
    os.symlink(THREE, folder / "three")
    shutil.copy(ROOT / "tests" / "browser" / "three.html", folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    """A page that draws the files of a folder."""
    folder = tmp_path_factory.mktemp("served")
    made = room()
    for name in COMPRESSIONS:
        made.export(folder / f"png-{name}.glb", texture_format="png", compress=name)
    for name in FORMATS:
        made.export(folder / f"{name}-none.glb", texture_format=name)
    made.export(folder / "all.glb", texture_format=FORMATS[-1], compress="draco")
    write_owned(folder / "owned.glb")
    for name in COMPRESSIONS:
        painted(folder / "owned.glb").export(folder / f"owned-{name}.glb", compress=name, texture_format="png")
    with served(folder) as address, chromium((500, 400)) as tab:
        tab.open(f"{address}/three.html")
        tab.wait_for("window.ready === true")
        tab.address = address
        yield tab


def drawn(tab: Tab, name: str, views=VIEWS) -> tuple[int, np.ndarray]:
    """How many triangles a file has, and pictures (n, h, w, 3) of it; $PICTURES names a folder to keep them in."""
    triangles = tab.run(f"load('{tab.address}/{name}.glb')")
    pictures = []
    for eye, target in views:
        data = tab.run(f"draw({list(eye)}, {list(target)})").partition(",")[2]
        pictures.append(cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1])
    if folder := os.environ.get("PICTURES"):
        cv2.imwrite(f"{folder}/{name}.png", np.concatenate(pictures, 1)[:, :, ::-1])
    return triangles, np.stack(pictures).astype(float)


@pytest.mark.parametrize(
    "name", [*(f"png-{name}" for name in COMPRESSIONS[1:]), *(f"{n}-none" for n in FORMATS), "all"]
)
def test_rooms_look_alike(viewer, name):
    triangles, plain = drawn(viewer, "png-none")
    assert (plain.std((1, 2)) > 10).all(), "there is something to see"
    viewer.said.clear()
    count, pictures = drawn(viewer, name)
    assert count == triangles
    difference = np.abs(pictures - plain).mean((1, 2, 3)) / 255
    assert difference.max() < 0.01, difference
    assert not viewer.said


@pytest.mark.parametrize("codec", COMPRESSIONS[1:])
def test_kept_files_look_alike(viewer, codec):
    """With all that codecs hold or leave: interleaved and sparse vertices, strips, morph targets."""
    views = [((4, 3, 5), (4, 0, 1)), ((10, 3, 5), (10, 0, 1)), ((18, 3, 5), (18, 0, 1))]
    _, plain = drawn(viewer, "owned-none", views)
    assert (plain.std((1, 2)) > 5).all()
    _, pictures = drawn(viewer, f"owned-{codec}", views)
    assert (np.abs(pictures - plain).mean((1, 2, 3)) / 255).max() < 0.01


def test_a_shift_of_a_few_texels_would_be_seen(viewer, tmp_path):
    """What is compared is fine enough to tell."""
    made = room()
    moved = replace(made, textures=tuple(np.roll(page, 4, axis=0) for page in made.textures))
    folder = Path(tmp_path)
    moved.export(folder / "moved.glb", texture_format="png")
    data = base64.b64encode((folder / "moved.glb").read_bytes()).decode()
    _, plain = drawn(viewer, "png-none")
    viewer.run(f"load('data:model/gltf-binary;base64,{data}')")
    picture = viewer.run(f"draw({list(VIEWS[0][0])}, {list(VIEWS[0][1])})").partition(",")[2]
    other = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(other - plain[0]).mean() / 255 > 0.02
