"""The page of a scene and its pictures: what is on them is true, bounded in size, and safe."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from painted_report import HOSTILE, report, result
from test_report_html import Reader

from scenetex.report.frames import frame_pictures, shown_frames
from scenetex.report.page import scene_page, write_page


def picture(uri: str) -> np.ndarray:
    """(h, w, 3) float of a JPEG data URI."""
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1].astype(float)


@pytest.mark.parametrize(
    ("keyframe", "shown"),
    [
        ((True, False, True), [0, 2]),
        ((False, True), [1]),
        ((True,) * 30, list(range(30))),
        ((True, False) * 59 + (True,), list(range(0, 119, 2))[:1]),
    ],
)
def test_keyframes_are_shown(keyframe, shown):
    got = shown_frames(keyframe)
    assert len(got) == min(30, sum(keyframe)) and got == sorted(set(got)) and all(keyframe[i] for i in got)
    assert got[: len(shown)] == shown
    assert got[-1] == max(np.flatnonzero(keyframe)), "first and last are there"


def test_frames_show_photo_render_and_depth():
    done = []
    big = [cv2.resize(image, (1280, 960), interpolation=cv2.INTER_LINEAR) for image in result().images]
    found = frame_pictures(result().mesh, result().views, big, [0, 3], lambda: done.append(1))
    assert len(done) == 2 and [frame["id"] for frame in found["frames"]] == [0, 3]
    for frame, i in zip(found["frames"], (0, 3), strict=True):
        image, render = picture(frame["image"]), picture(frame["render"])
        assert image.shape == render.shape == (480, 640, 3)
        smooth = cv2.resize(result().images[i].astype(np.float32), (640, 480), interpolation=cv2.INTER_LINEAR)
        assert np.abs(image - smooth).mean() < 3
        # Exact photos were baked: the mesh looks the same from there.
        assert np.median(np.abs(render - smooth).max(2)) < 6
        depth, colors = result().views.depth[i], picture(frame["depth"])
        part = np.clip((depth - found["near"]) / (found["far"] - found["near"]), 0, 1)
        expected = cv2.applyColorMap(np.rint(255 * part).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
        assert np.median(np.abs(colors - expected)) < 4 and np.abs(colors - expected).mean() < 6
    depths = result().views.depth[[0, 3]]
    assert found["near"] == pytest.approx(np.quantile(depths, 0.01)) and found["far"] <= depths.max()


def test_the_page_tells_what_the_report_tells():
    about = report()
    page = scene_page(result(), about, {"textured.glb": "GLB"})
    read = Reader(page)
    said = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    for value in (f"{100 * about['coverage']:.1f}", "2.0 s", "from disk", "from 6 photos", *about["versions"].values()):
        assert str(value) in said
    assert "Coverage" not in said and "Texels seen" in said
    assert "Last run 4.5 s" in " ".join(said.split()) and "With reused stages 104.5 s" in " ".join(said.split())
    for name, value in about["settings"].items():
        assert name in said and str("–" if value is None else value) in said
    assert ("href", "textured.glb") in read.attributes and ("href", "../index.html") in read.attributes
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [frame["view"] for frame in data["frames"]] == [0, 2, 3, 5] and len(data["cameras"]) == 6
    assert len(data["model"]["sources"]) == len(data["model"]["textures"]) == 1
    by = about["texels_by_source"]
    for key, name in (("photo", "photo"), ("generated", "generated"), ("filled", "unseen, filled in")):
        assert said.count(f"{name} {100 * by[key] / about['texels']:.1f} %") == 2
    assert result().views.depth[data["inside"]].mean() == result().views.depth.mean((1, 2)).max()
    assert not [value for _, value in read.attributes if value and value.startswith(("http", "//", "file"))]


def test_the_page_knows_how_long_it_has_taken_itself():
    asked = []

    def about() -> dict:
        asked.append(len(done))
        return report()

    done = []
    assert "Last run" in scene_page(result(), about, {}, lambda: done.append(1)) and asked == [len(done)] == [4]


def test_hostile_names_stay_text():
    def read_page(words: str) -> Reader:
        about = report(words, images="generated", prompt=words, model=words, negative_prompt=words)
        return Reader(scene_page(result(), about | {"notes": [words]}, {}))

    read = read_page(HOSTILE)
    assert read.tags == read_page("honest").tags
    assert read.inside["h1"] == HOSTILE and HOSTILE in read.inside["title"]
    assert f"“{HOSTILE}” by {HOSTILE}" in read.inside["p"]


def test_a_page_and_its_thumbnail_are_written(tmp_path):
    (tmp_path / "textured.obj").write_text("")
    done = []
    write_page(tmp_path, result(), report(), lambda: done.append(1))
    assert {path.name for path in tmp_path.iterdir()} == {"textured.obj", "report.html", "thumbnail.jpg"}
    page = (tmp_path / "report.html").read_text()
    assert 'href="textured.obj"' in page and 'href="textured.glb"' not in page and len(done) == 4
    thumbnail = cv2.imread(str(tmp_path / "thumbnail.jpg"))
    assert thumbnail.shape == (360, 480, 3) and thumbnail.std() > 20


def test_size_of_a_large_report():
    """Thirty keyframes of a room with fine grain everywhere: five of them take a sixth of what they may."""
    grain, images = np.random.default_rng(0), []
    for image in result().images[:5]:
        smooth = cv2.resize(image, (1296, 972), interpolation=cv2.INTER_CUBIC)
        images.append(np.clip(smooth + grain.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8))
    found = frame_pictures(result().mesh, result().views.at(range(5)), images, list(range(5)))
    size = sum(len(frame[name]) for frame in found["frames"] for name in ("image", "render", "depth"))
    assert size < 9e6 / 6
