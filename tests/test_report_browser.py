"""Pages in a real browser, opened from disk: nothing goes wrong, nothing is fetched, and what is drawn is true."""

import json

import numpy as np
import pytest
from headless_chromium import Tab, chromium, find_chromium
from painted_report import HOSTILE, report, result

from scenetex.report.overview import write_overview
from scenetex.report.page import write_page
from scenetex.scene.camera import Camera
from scenetex.texture.render import render_textured
from scenetex.texture.sources import in_false_colors
from scenetex.texture.textured_mesh import TexturedMesh

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="needs Chromium or Chrome (Debian: apt install chromium)"
)
_LOOK = "opened.then(v => ({eye: v.eye(), slopes: v.slopes(), ...v.axes()}))"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """The page of a room with a hostile name and prompt."""
    folder = tmp_path_factory.mktemp("results")
    for name, words in (("room", HOSTILE), ("attic", "an attic")):
        about = report(words, images="generated", prompt=words) | {"notes": [words]}
        (folder / name).mkdir()
        write_page(folder / name, result(), about)
        (folder / name / "report.json").write_text(json.dumps(about))
    write_overview(folder)
    with chromium((900, 700)) as tab:
        tab.prefer("light")
        tab.folder = folder
        open_page(tab)
        yield tab


def open_page(tab: Tab) -> None:
    tab.said.clear()
    tab.requested.clear()
    tab.open(tab.folder / "room" / "report.html")
    tab.wait_for("document.getElementById('stage').matches('.ready')")
    # Buttons lie over the picture.
    tab.run(
        "document.querySelector('.tools').style.opacity = 0; document.documentElement.style.scrollBehavior = 'auto'"
    )


def drawn(tab: Tab) -> np.ndarray:
    """What the viewer shows, once it has drawn."""
    tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tab.picture("#canvas").astype(float)


def expected(tab: Tab, cull: bool, textured: TexturedMesh | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What a ray caster sees from where the viewer looks, and where that is surface."""
    look = tab.run(_LOOK)
    data = tab.run("({middle: data.model.middle})")
    width, height = (round(x) for x in tab.box("#canvas")[2:])
    x, y = look["slopes"]
    intrinsics = np.array([[width / 2 / x, 0, (width - 1) / 2], [0, height / 2 / y, (height - 1) / 2], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([look["right"], -np.array(look["up"]), look["forward"]], 1)
    pose[:3, 3] = np.add(look["eye"], data["middle"])
    pose = np.linalg.inv(result().views.axis_alignment) @ pose
    pictures = [
        render_textured(textured or result().mesh, intrinsics, pose, (width, height), cull, (level,) * 3).astype(float)
        for level in (0, 255)
    ]
    return pictures[0], (pictures[0] == pictures[1]).all(2)


def test_the_page_loads_from_disk_without_error_or_network(tab):
    assert tab.said == []
    assert tab.requested == [(tab.folder / "room" / "report.html").resolve().as_uri()]
    assert tab.run("document.querySelector('h1').textContent") == HOSTILE
    assert not tab.run("'hacked' in window") and tab.run("document.querySelectorAll('script').length") == 2
    assert tab.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")


def test_no_other_script_can_run(tab):
    """What would get past escaping is stopped by the page's policy."""
    tab.run(
        "{ const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.body.append(s); }"
    )
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.foreign = 1\">')")
    tab.run("new Promise(done => setTimeout(done, 100))")
    assert not tab.run("'foreign' in window")
    assert any("Content Security Policy" in line for line in tab.said)
    open_page(tab)


def test_the_viewer_shows_where_colours_come_from(tab):
    tab.click("#outside")
    plain = drawn(tab)
    assert tab.run("document.getElementById('legend').offsetHeight") == 0
    tab.click("#sources")
    assert tab.run("document.getElementById('legend').offsetHeight") > 0
    tab.run("document.getElementById('legend').style.opacity = 0")
    picture, (truth, surface) = drawn(tab), expected(tab, cull=True, textured=in_false_colors(result().mesh))
    assert np.median(np.abs(picture - truth)[surface]) <= 3 and np.abs(picture - truth)[surface].mean() < 8
    tab.click("#sources")
    assert np.array_equal(drawn(tab), plain)


def test_the_viewer_shows_the_room_from_above_without_its_near_walls(tab):
    tab.click("#outside")
    picture, (truth, surface) = drawn(tab), expected(tab, cull=True)
    assert 0.15 < surface.mean() < 0.9 and surface[[0, -1]].mean() < 0.05 and surface[:, [0, -1]].mean() < 0.05
    assert np.abs(picture - truth)[surface].mean() < 4 and np.median(np.abs(picture - truth)[surface]) <= 2
    paper = np.median(picture[~surface], 0)
    assert (np.abs(picture[~surface] - paper).max(1) < 3).mean() > 0.98, "the rest is empty"
    tab.click("#walls")
    closed, (truth, surface) = drawn(tab), expected(tab, cull=False)
    assert np.abs(closed - picture).mean() > 3 and np.abs(closed - truth)[surface].mean() < 4
    tab.click("#walls")


@pytest.mark.parametrize("index", [0, 2])
def test_looking_from_a_keyframe_shows_what_it_saw(tab, index):
    tab.run(f"document.querySelectorAll('#strip button')[{index}].click()")
    tab.click("#from")
    tab.wait_for("document.getElementById('inside').getAttribute('aria-pressed') === 'true'")
    picture, (truth, surface) = drawn(tab), expected(tab, cull=False)
    assert surface.mean() > 0.99
    assert np.abs(picture - truth)[surface].mean() < 3
    view = (0, 2, 3, 5)[index]
    forward = tab.run(_LOOK)["forward"]
    np.testing.assert_allclose(
        forward, (result().views.axis_alignment @ result().views.cam_to_world[view])[:3, 2], atol=1e-4
    )
    # The photo fits into the picture: in the middle, as high or as wide as that.
    camera = Camera(result().views.intrinsics[view], *result().views.size)
    x, y = tab.run(_LOOK)["slopes"]
    wide, high = 80 / camera.intrinsics[0, 0], 60 / camera.intrinsics[1, 1]
    assert min(x / wide, y / high) == pytest.approx(1, abs=1e-3)


def test_mouse_wheel_and_keys_move_the_view(tab):
    tab.run("document.activeElement.blur()")
    tab.click("#outside")
    left, top, width, height = tab.box("#canvas")
    middle = left + width / 2, top + height / 2

    def wheel(amount: float) -> None:
        tab.call("Input.dispatchMouseEvent", type="mouseWheel", x=middle[0], y=middle[1], deltaX=0, deltaY=amount)
        tab.run("new Promise(done => requestAnimationFrame(done))")

    far = np.linalg.norm(tab.run(_LOOK)["eye"])
    wheel(-0.5)
    assert np.linalg.norm(tab.run(_LOOK)["eye"]) == far, "the wheel scrolls the page until the viewer is taken hold of"
    before = tab.run(_LOOK)
    top = tab.box("#canvas")[1]
    middle = left + width / 2, top + height / 2
    tab.drag(middle, (middle[0] + 100, middle[1]))
    after = tab.run(_LOOK)
    turned = np.degrees(np.arccos(np.dot(before["right"], after["right"])))
    assert turned == pytest.approx(180 * 100 / height, abs=0.5)
    assert np.dot(after["eye"], before["right"]) < 0, "the model turns with the pointer"
    assert after["forward"][2] == pytest.approx(before["forward"][2])
    wheel(-100)
    assert np.linalg.norm(tab.run(_LOOK)["eye"]) < far - 0.1
    tab.click("#inside")
    tab.run("document.getElementById('canvas').focus()")
    before = tab.run(_LOOK)
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="w", code="KeyW", windowsVirtualKeyCode=87)
    tab.wait_for(f"opened.then(v => Math.hypot(...add(v.eye(), {before['eye']}, -1)) > 0.02)")
    tab.call("Input.dispatchKeyEvent", type="keyUp", key="w", code="KeyW", windowsVirtualKeyCode=87)
    step = np.subtract(tab.run(_LOOK)["eye"], before["eye"])
    assert np.dot(step, before["forward"]) == pytest.approx(np.linalg.norm(step))
    assert tab.said == []


def test_cameras_are_drawn_in(tab):
    tab.click("#outside")
    without = drawn(tab)
    tab.click("#cameras")
    orange = np.abs(drawn(tab) - np.array([255, 158, 51])).max(2) < 40
    assert orange.sum() > 60 and (np.abs(without - np.array([255, 158, 51])).max(2) < 40).sum() < orange.sum() / 4
    tab.click("#cameras")


def test_the_slider_moves_between_photo_and_render(tab):
    left, top, width, height = tab.box(".compare")
    at = "parseFloat(getComputedStyle(document.querySelector('.compare')).getPropertyValue('--at'))"
    assert tab.run(at) == 50
    tab.drag((left + width / 2, top + height / 2), (left + width * 0.9, top + height / 2))
    assert tab.run(at) == pytest.approx(90, abs=0.6)
    tab.run("document.querySelector('.compare input').focus()")
    tab.key("ArrowLeft")
    assert tab.run(at) == pytest.approx(89.5, abs=0.6)
    # Left of the line is the picture beneath, right of it the one above.
    tab.run("document.getElementById('render').src = data.frames[2].depth")
    tab.run("document.getElementById('render').decode()")
    shot = tab.picture(".compare").astype(float)
    tab.run("document.querySelector('.compare input').value = 0")
    tab.run("document.querySelector('.compare input').dispatchEvent(new Event('input'))")
    other = tab.picture(".compare").astype(float)
    line = round(0.89 * width)
    changed = np.abs(shot - other).max(2)[: round(0.8 * height)] > 8
    assert changed[:, 12 : line - 24].mean() > 0.8 and changed[:, line + 24 :].mean() < 0.02


def test_frames_are_chosen_in_the_strip(tab):
    for index, name in ((1, "2"), (3, "5")):
        tab.run(f"document.querySelectorAll('#strip button')[{index}].click()")
        assert tab.run("document.getElementById('frame').textContent") == name
        for part in ("image", "render", "depth"):
            assert tab.run(f"document.getElementById('{part}').src === data.frames[{index}].{part}")
        pressed = "[...document.querySelectorAll('#strip button')].map(b => b.getAttribute('aria-pressed') === 'true')"
        assert tab.run(pressed) == [i == index for i in range(4)]


def test_without_webgl_the_rest_of_the_page_works(tab):
    broken = tab.call(
        "Page.addScriptToEvaluateOnNewDocument", source="HTMLCanvasElement.prototype.getContext = () => null"
    )
    tab.open(tab.folder / "room" / "report.html")
    tab.wait_for("document.getElementById('says').textContent.includes('WebGL 2')")
    tab.run("document.querySelectorAll('#strip button')[1].click()")
    assert tab.run("document.getElementById('frame').textContent") == "2" and tab.said == []
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=broken["identifier"])
    open_page(tab)


def test_it_fits_a_phone_and_darkness(tab):
    light = tab.picture().mean()
    tab.prefer("dark")
    assert tab.picture().mean() < light - 60
    tab.resize(390, 844, phone=True)
    assert tab.run("document.documentElement.scrollWidth <= 390")
    canvas = tab.box("#canvas")
    assert canvas[2] > 340 and canvas[3] < 0.75 * 844
    picture = drawn(tab)
    assert picture.std() > 15
    tab.prefer("light")
    tab.resize(900, 700)
    assert tab.said == []


def test_the_index_links_finds_and_sorts(tab):
    tab.said.clear()
    tab.open(tab.folder / "index.html")
    assert tab.said == [] and all(url.startswith("file://") for url in tab.requested)
    names = (
        "[...document.querySelectorAll('.tile')].filter(t => !t.hidden).map(t => t.querySelector('strong').textContent)"
    )
    assert tab.run(names) == ["attic", "room"]
    tab.wait_for("[...document.querySelectorAll('.tile img')].every(image => image.naturalWidth === 480)")
    tab.run("document.querySelector('.tile').dataset.coverage = 2")
    choose = (
        "(() => {{ const e = document.getElementById('{}'); e.value = '{}'; e.dispatchEvent(new Event('{}')); }})()"
    )
    tab.run(choose.format("sort", "coverage", "change"))
    assert tab.run(names) == ["room", "attic"]
    tab.run(choose.format("filter", "AN attic", "input"))
    assert tab.run(names) == ["attic"]
    assert not tab.run("'hacked' in window")
    # A moment later: the answer to this call comes from the page that is left.
    tab.run("void setTimeout(() => document.querySelector('.tile:not([hidden])').click())")
    tab.wait_for("document.title.startsWith('an attic') && document.readyState === 'complete'")
