"""Pages: what others wrote stays text, data cannot leave its element, and no script runs but the package's own."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painted_report import HOSTILE

from scenetex.report.html import document, picture_uri, table, text


class Reader(HTMLParser):
    """Collects elements, attributes, and the text in each element."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inside: dict[str, str] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        tag = self.tags[-1] if self.tags else ""
        self.inside[tag] = self.inside.get(tag, "") + data


@given(st.text())
def test_any_text_comes_back_as_text(words):
    for page in (f"<p>{text(words)}</p>", f'<p title="{text(words)}"></p>', f"<p title='{text(words)}'></p>"):
        read = Reader(page)
        assert read.tags == ["p"]
        got = read.inside.get("p", "") if ">" + text(words) in page else read.attributes[0][1]
        assert got == words
    read = Reader(table([(words, words)]))
    assert read.tags == ["table", "tr", "th", "td"]
    assert read.inside.get("th", "") == read.inside.get("td", "") == words


@settings(max_examples=40)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
def test_data_cannot_end_its_element(value):
    page = document("x", "", (), {"value": value, "more": HOSTILE})
    (inside,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(inside) == {"value": value, "more": HOSTILE}
    assert Reader(page).tags.count("script") == 2


def test_only_the_packages_own_script_may_run():
    page = document(HOSTILE, "<p>hello</p>", ("compare.js", "page.js"), {})
    assert page.startswith("<!doctype html>") and "<script>window" not in page and "<title>&lt;script&gt;" in page
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert "compare" in script and "choose(0)" in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}';" in policy
    assert policy.endswith("img-src data:")
    assert "http:" not in page and "https:" not in page


@pytest.mark.parametrize(
    ("size", "fitted"), [((640, 480), (640, 480)), ((1000, 500), (640, 320)), ((9, 1280), (4, 640))]
)
def test_pictures_are_no_larger_than_allowed(size, fitted):
    color = np.array([200, 120, 40], np.uint8)
    uri = picture_uri(np.tile(color, (size[1], size[0], 1)), 640, 90)
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert picture.shape == (fitted[1], fitted[0], 3)
    assert np.abs(picture.astype(int) - color).max() <= 3
