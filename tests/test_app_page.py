"""The page of `scenetex app` in headless Chromium, end to end: a real server, real runs of the sample room, and what a
visitor sees of them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_scan
from headless_chromium import Tab, chromium, find_chromium

pytest.importorskip("gradio", reason="needs gradio (the extra app, in an environment of its own: see CONTRIBUTING.md)")
pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="needs Chromium or Chrome (Debian: apt install chromium)"
)
ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 900.0  # seconds that a run may take on a machine that has other things to do
_TYPE = """((sel, value) => {
  const field = document.querySelector(sel);
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, value);
  for (const kind of ["input", "change", "blur"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
})"""
_SAID, _ABOUT = "document.querySelector('#said textarea')?.value", "document.querySelector('#about textarea')?.value"
_TOAST = "[...document.querySelectorAll('.toast-body')].map(toast => toast.innerText).join(' ')"
# How many results have come in whole: what is pointed at in one that is still on its way is never answered.
_COUNT_RESULTS = """(() => {
  window.results = 0;
  document.addEventListener("load", (event) => (results += event.target.localName === "iframe"), true);
})()"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """The page, of a server that is interrupted at the end."""
    root, temporary = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("temporary")
    tiny_scan.write_extracted(root / "hall")
    (root / "outside").symlink_to(ROOT / "scenes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "scenetex", "app", "--no-open", "--port", str(port), "--root", str(root)]
    there = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "TMPDIR": str(temporary)}
    errors = (root.parent / "errors.txt").open("w+")
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # behind a "&", too
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, env=there, **heard) as server:
        try:
            line = server.stdout.readline()
            address = re.fullmatch(rf"(http://127\.0\.0\.1:{port}/) \(Ctrl-C ends it\)\n", line)[1]
            with chromium((1400, 1000)) as tab:
                tab.prefer("light")
                tab.temporary, tab.address = temporary, address
                tab.open(address)
                wait(tab, f"{_ABOUT} > ''")
                tab.run(_COUNT_RESULTS)
                yield tab
            server.send_signal(signal.SIGINT)
            assert server.wait(60) == 0
            assert list(temporary.glob("scenetex-app-*")) == [], "nothing of the visitors is kept"
            errors.seek(0)
            assert "Traceback" not in errors.read()
        finally:
            server.kill()
            errors.close()


def put(tab: Tab, selector: str, value: str) -> None:
    tab.run(f"{_TYPE}({json.dumps(selector)}, {json.dumps(value)})")


def wait(tab: Tab, condition: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not tab.run(condition):
        assert time.monotonic() < until, f"{condition}\n{tab.run(_SAID)}\n{tab.run(_TOAST)}\n{tab.said}"
        time.sleep(0.2)


def go(tab: Tab) -> str:
    """Presses the button and waits for another word of the run, and for its result."""
    before, results = tab.run(_SAID), tab.run("results")
    tab.run("document.querySelector('#go').click()")
    wait(tab, f"({_SAID} !== {json.dumps(before)} && results > {results}) || {_TOAST} > ''")
    assert not tab.run(_TOAST)
    return tab.run(_SAID)


def small(tab: Tab) -> None:
    """As little work as there can be."""
    for name in ("more", "parts"):
        tab.run(f"document.querySelector('#{name} [role=button], #{name} button').click()")
    wait(tab, "!!document.querySelector('#steps input') && !!document.querySelector('#paint textarea')")
    put(tab, "#views input[type=number]", "1")
    put(tab, "#steps input[type=number]", "1")
    put(tab, "#image-size input, #image-size textarea", "64x48")
    put(tab, "#size input", "256")


def model(tab: Tab, settled: bool = True) -> np.ndarray:
    """What the viewer in the page shows, with what is around it; the model turns slowly until it is touched."""
    tab.run("scrollTo(0, 0)")
    left, top, width, height = tab.box("#model iframe")
    if settled:
        middle = (left + width / 2, top + height * 0.45)
        tab.drag(middle, (middle[0] + 1, middle[1]))
    time.sleep(1.5)
    return tab.picture("#model iframe").astype(float)


def test_the_page_is_there_and_asks_nobody_else(tab):
    wait(tab, f"{_ABOUT} === '64,156 faces, 36 frames, 36 photos'")
    assert {address.split("/")[2] for address in tab.requested} == {tab.address.split("/")[2]}
    assert tab.said == []


def test_what_cannot_be_is_a_line(tab):
    tab.run("document.querySelector('#go').click()")
    wait(tab, f"{_TOAST} > ''")
    assert "no sentence: type what the room is to look like, or paint with 'its photos'" in tab.run(_TOAST)
    assert "Traceback" not in tab.run("document.body.innerText")
    tab.run("document.querySelector('.toast-close').click()")
    wait(tab, f"{_TOAST} === ''")


def test_a_sentence_gives_a_model_that_turns_and_files(tab, tmp_path):
    small(tab)
    put(tab, "#prompt textarea", "a room with red brick walls")
    assert re.match(r"sample_room: 64156 faces, \d+ generated images, .* s$", go(tab))
    picture = model(tab)
    inside = picture[150:400, 100:-100]
    assert inside.std(axis=(0, 1)).min() > 10, "it is drawn"
    left, top, width, _ = tab.box("#model iframe")
    tab.drag((left + width / 2, top + 280), (left + width / 2 + 150, top + 300))
    assert np.abs(model(tab, settled=False) - picture).mean() > 3, "it turns"
    assert tab.run("document.querySelectorAll('#images img').length") >= 1
    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for name in ("glb", "obj"):
        tab.run(f"document.querySelector('#{name} button, button#{name}').click()")
    until = time.monotonic() + 60
    while len(found := [path for path in tmp_path.iterdir() if path.suffix in (".glb", ".zip")]) < 2:
        assert time.monotonic() < until, list(tmp_path.iterdir())
        time.sleep(0.2)
    time.sleep(0.5)
    glb, obj = sorted(found, key=lambda path: path.suffix)
    assert glb.read_bytes()[:4] == b"glTF"
    with zipfile.ZipFile(obj) as archive:
        assert {"textured.obj", "textured.mtl"} < set(archive.namelist()) and archive.testzip() is None
    assert {address.split("/")[2] for address in tab.requested if address.startswith("http")} == {
        tab.address.split("/")[2]
    }


def test_then_a_region_is_painted_anew(tab):
    before = model(tab)
    tab.run("document.querySelector('#region input').focus()")
    wait(tab, "document.querySelectorAll('[role=option]').length > 3")
    options = tab.run("[...document.querySelectorAll('[role=option]')].map(option => option.innerText.trim())")
    assert {"floor", "walls", "ceiling", "label:sofa"} <= {option.split()[-1] for option in options}
    at = next(i for i, option in enumerate(options) if option.split()[-1] == "floor")
    tab.run(
        f"document.querySelectorAll('[role=option]')[{at}].dispatchEvent(new Event('mousedown', {{bubbles: true}}))"
    )
    wait(tab, "document.querySelector('#paint textarea').value === 'floor: '")
    put(tab, "#paint textarea", "floor: white marble tiles")
    put(tab, "#prompt textarea", "")
    assert "further views to paint parts anew" in go(tab)
    after = model(tab)
    assert np.abs(after - before)[150:400].mean() > 2


def test_a_run_is_stopped(tab):
    put(tab, "#paint textarea", "")
    put(tab, "#prompt textarea", "a room with blue walls")
    put(tab, "#steps input[type=number]", "100")
    tab.run("document.querySelector('#go').click()")
    wait(tab, "/generate/.test(document.querySelector('#said').innerText)")
    tab.run("document.querySelector('#stop').click()")
    wait(tab, f"{_TOAST} > ''")
    assert "stopped; what was there before is still there" in tab.run(_TOAST)
    tab.run("document.querySelector('.toast-close').click()")
    wait(tab, f"{_TOAST} === ''")


def test_a_scan_is_dropped_and_a_hostile_archive_is_a_line(tab, tmp_path):
    scan = tiny_scan.write_extracted(tmp_path / "kitchen")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for path in scan.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    drop(tab, tmp_path / "mine.zip")
    wait(tab, f"{_ABOUT} === '10 faces, 3 frames, 3 photos'")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../<b>evil</b>.txt", "1")
    wait(tab, "!!document.querySelector('#archive input[type=file]')")
    drop(tab, tmp_path / "evil.zip")
    wait(tab, f"{_TOAST} > ''")
    assert "'../<b>evil</b>.txt' in it leads out of it" in tab.run(_TOAST)
    assert not list(tab.temporary.rglob("*evil*"))


def test_what_a_visitor_had_is_gone_with_them(tab):
    (visits,) = tab.temporary.glob("scenetex-app-*/visits")
    assert list(visits.rglob("report.json")) and list(visits.rglob("scans/mine/kitchen"))
    tab.open("about:blank")
    until = time.monotonic() + 60
    while list(visits.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.2)


def drop(tab: Tab, path: Path) -> None:
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    field = tab.call("DOM.querySelector", nodeId=root, selector="#archive input[type=file]")["nodeId"]
    tab.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
