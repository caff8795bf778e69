"""JSON that others wrote: read as Python reads it, or refused in one line."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetex.files.json_file import parse_json, read_json, read_object

TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**290), 10**290)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4),
    max_leaves=30,
)


@given(TREES)
def test_what_python_writes_is_read(tree):
    assert parse_json(json.dumps(tree)) == tree == parse_json(json.dumps(tree, ensure_ascii=True).encode())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        (b"\xff\xfe\xfd", "is not JSON"),
        ('{"a": 1, "a": 2}', "holds 'a' twice"),
        ('{"\\u001b": 1, "\\u001b": 2}', r"holds '\\x1b' twice"),
        ("NaN", "holds NaN, which is no finite number"),
        ("-Infinity", "holds -Infinity"),
        ("1e400", "holds 1e400, which is no finite number"),
        ("9" * 400, "holds a number of 400 digits"),
        ("9" * 10_000, "holds a number of 10000 digits"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("[" * 1_000_000, "nested too deeply"),
        ('{"a":' * 70 + "1" + "}" * 70, "nested too deeply"),
    ],
    ids=range(13),
)
def test_what_is_refused(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        parse_json(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_poses_may_be_lost():
    assert math.isnan(parse_json("[NaN]", finite=False)[0]) and parse_json("1e400", finite=False) == math.inf
    with pytest.raises(ValueError, match="400 digits"):
        parse_json("9" * 400, finite=False)


def test_files(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[1]")
    assert read_json(path) == [1]
    with pytest.raises(ValueError, match="holds no JSON object"):
        read_object(path)
    with pytest.raises(OSError, match="larger"):
        read_json(path, most=2)
