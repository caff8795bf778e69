"""HTML files that need no network: text escaped, data inside, and no script runs but the package's own."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources

import cv2
import numpy as np

MADE_BY = '<meta name="generator" content="scenetex">'  # tells our pages from other people's


def text(value: object) -> str:
    """Any value as HTML text, also for attributes: names and prompts are other people's."""
    return escape(str(value), quote=True)


def table(rows: Iterable[tuple[object, object]]) -> str:
    """A table of names and values, both plain text; None shows as a dash."""
    cells = (f"<tr><th>{text(name)}</th><td>{text('–' if value is None else value)}</td></tr>" for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def picture_uri(image: np.ndarray, longest: int, quality: int = 80) -> str:
    """A picture as a JPEG data URI.

    Args:
        image: (h, w, 3) uint8 sRGB.
        longest: most pixels on its longer side; larger ones are made smaller.
        quality: of JPEG, 1 to 100.
    """
    scale = longest / max(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, quality)).decode()


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """(h, w, 3) uint8 sRGB as JPEG bytes."""
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def document(title: str, body: str, scripts: Iterable[str], data: Mapping | None = None, pictures: str = "") -> str:
    """A whole page in the package's style.

    Args:
        title: plain text.
        body: HTML.
        scripts: names of the package's JavaScript files, in the order they run.
        data: for the scripts, what JSON can hold; they find it in the element with the id `data`.
        pictures: where pictures may come from beside data URIs, as sources of a Content-Security-Policy.
    """
    script = "\n".join(_own_file(name) for name in scripts)
    # Only this very script runs, whatever a name that slips through escaping might hold; nothing is fetched.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: {pictures}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy.strip()}">',
            MADE_BY,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{text(title)}</title>",
            '<link rel="icon" href="data:,">',
            f"<style>\n{_own_file('style.css')}</style>",
            "</head>",
            "<body>",
            body,
            f'<script type="application/json" id="data">{_json(data)}</script>' if data is not None else "",
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def encode_page(page: str) -> bytes:
    """The file's content; names of files that are no text become readable at least in part."""
    return page.encode("utf-8", errors="replace")


def _json(data: Mapping) -> str:
    """JSON that cannot end the element it stands in."""
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _own_file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
