"""A Chromium without a window, driven over its DevTools pipe: pages opened from disk, pictures and clicks."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
)
_PATIENCE = 60.0  # seconds


def find_chromium() -> str | None:
    """The browser's path, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(size: tuple[int, int] = (1000, 800)) -> Iterator["Tab"]:
    """An empty page of that size, CSS pixels."""
    from_here, to_here = os.pipe(), os.pipe()

    def adopt() -> None:
        # The browser reads from descriptor 3 and writes to 4; copies first, as 3 or 4 may be one of these pipes.
        ends = [os.dup(os.dup(os.dup(end))) for end in (from_here[0], to_here[1])]
        for end, at in zip(ends, (3, 4), strict=True):
            os.dup2(end, at)

    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = subprocess.Popen(
            [find_chromium(), *_FLAGS, f"--user-data-dir={home}", f"--window-size={size[0]},{size[1]}", "about:blank"],
            preexec_fn=adopt,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(from_here[0])
        os.close(to_here[1])
        try:
            yield Tab(from_here[1], to_here[0], size)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            os.close(from_here[1])
            os.close(to_here[0])


class PageGone(AssertionError):
    """The page navigated, or closed, before it answered."""


class Tab:
    """One page of the browser.

    Attributes:
        said: what went wrong: messages of the console that are errors or warnings, uncaught exceptions.
        requested: addresses that the page asked for, data and blob addresses left out.
    """

    def __init__(self, to_browser: int, from_browser: int, size: tuple[int, int]):
        self._to, self._from, self._buffer, self._count, self._session = to_browser, from_browser, b"", 0, None
        self.said: list[str] = []
        self.requested: list[str] = []
        self._loaded = False
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(*size)

    def open(self, path: Path | str) -> None:
        """Opens a file, or an address, and waits until it is loaded."""
        self._loaded = False
        self.call("Page.navigate", url=path if isinstance(path, str) else path.resolve().as_uri())
        until = time.monotonic() + _PATIENCE
        while not self._loaded:
            self._hear(until)

    def resize(self, width: int, height: int, phone: bool = False, density: float = 1) -> None:
        """Gives the page another size, CSS pixels."""
        about = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **about)

    def prefer(self, scheme: str) -> None:
        """Asks for a light or dark page, without motion."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in features.items()])

    def run(self, script: str):
        """The value of a JavaScript expression, promises awaited."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", "exception in the page"))
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Waits until a JavaScript expression is true."""
        until = time.monotonic() + _PATIENCE
        while True:
            # A page that goes while it is asked (a link was clicked) answers nothing: the next one is asked.
            with suppress(PageGone):
                if self.run(condition):
                    return
            assert time.monotonic() < until, f"not true in {_PATIENCE:.0f} s: {condition}"
            time.sleep(0.05)

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width, height of an element, CSS pixels of the window; it is scrolled into view."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{find}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = f"(() => {{ const b = {find}.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        return tuple(self.run(box))

    def picture(self, selector: str | None = None, whole: bool = False) -> np.ndarray:
        """(h, w, 3) uint8 sRGB of the window, an element, or the whole page."""
        options = {"format": "png", "captureBeyondViewport": whole}
        if selector is not None:
            left, top, width, height = self.box(selector)
            x, y = self.run("[scrollX, scrollY]")
            options["clip"] = {"x": left + x, "y": top + y, "width": width, "height": height, "scale": 1}
        elif whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]

    def mouse(self, kind: str, x: float, y: float, button: str = "left") -> None:
        """`kind` is Pressed, Moved or Released."""
        held = 1 if kind != "Released" else 0
        about = {"x": x, "y": y, "button": button, "buttons": held, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", **about)

    def click(self, selector: str) -> None:
        """Clicks the middle of an element."""
        left, top, width, height = self.box(selector)
        for kind in ("Pressed", "Released"):
            self.mouse(kind, left + width / 2, top + height / 2)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 4) -> None:
        """Drags from one place of the window to another."""
        self.mouse("Pressed", *start)
        for k in range(1, steps + 1):
            self.mouse("Moved", *(a + (b - a) * k / steps for a, b in zip(start, end, strict=True)))
        self.mouse("Released", *end)

    def key(self, name: str) -> None:
        """Presses a key that is no letter."""
        for kind in ("keyDown", "keyUp"):
            codes = {"ArrowLeft": 37, "ArrowRight": 39}
            about = {"key": name, "code": name, "windowsVirtualKeyCode": codes[name]}
            self.call("Input.dispatchKeyEvent", type=kind, **about)

    def call(self, method: str, **parameters) -> dict:
        """A command of the DevTools protocol and its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _PATIENCE
        while True:
            answer = self._hear(until)
            if answer.get("id") == message["id"]:
                if "navigated or closed" in answer.get("error", {}).get("message", ""):
                    raise PageGone(f"{method}: {answer['error']}")
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _hear(self, until: float) -> dict:
        """The next message; events are noted."""
        while b"\0" not in self._buffer:
            assert select.select([self._from], [], [], max(0.0, until - time.monotonic()))[0], "the browser is silent"
            data = os.read(self._from, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event: str | None, about: dict) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.said.append(str(about["exceptionDetails"].get("exception", {}).get("description", "exception")))
        elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.said.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.said.append(about["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith(("data:", "blob:")):
                self.requested.append(url)
