"""A file that we write over is ours to the last byte, or kept."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetex.files.seal import is_sealed, seal, set_aside
from scenetex.training.pictures import draw_losses

PAGE = b"<!doctype html>\n<title>Rooms</title>\n"
PICTURE = draw_losses([{"step": step, "loss": 1 / step} for step in range(1, 9)])


@pytest.mark.parametrize("data", [PAGE, PICTURE], ids=["page", "picture"])
def test_only_what_was_sealed_is_ours(tmp_path, data):
    path = tmp_path / "file"
    whole = seal(data)
    path.write_bytes(whole)
    assert is_sealed(path)
    path.rename(tmp_path / "there")
    path.symlink_to("there")
    assert not is_sealed(path), "a link is somebody's"
    path.unlink()
    for other in (data, whole + b"my notes", b"<!-- mine -->" + whole, whole[:-1], whole[:60], b"", seal(whole)[:-3]):
        path.write_bytes(other)
        assert not is_sealed(path)
    assert not is_sealed(tmp_path / "none") and not is_sealed(tmp_path)


@given(at=st.integers(0, 10_000), to=st.integers(0, 255))
def test_any_byte_counts(tmp_path_factory, at, to):
    folder = tmp_path_factory.getbasetemp()
    for data in (PAGE, PICTURE):
        whole = bytearray(seal(data))
        at %= len(whole)
        same = whole[at] == to
        whole[at] = to
        (folder / "changed").write_bytes(whole)
        assert is_sealed(folder / "changed") == same


def test_a_sealed_picture_is_the_same_picture():
    before, after = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (PICTURE, seal(PICTURE)))
    np.testing.assert_array_equal(before, after)


def test_what_is_not_ours_gets_a_name_of_its_own(tmp_path):
    path = tmp_path / "losses.png"
    assert set_aside(path) is None
    for number in (1, 2):
        path.write_bytes(b"mine %d" % number)
        assert set_aside(path).name == f"losses.kept-{number}.png" and not path.exists()
        assert (tmp_path / f"losses.kept-{number}.png").read_bytes() == b"mine %d" % number
    path.write_bytes(seal(PICTURE))
    assert set_aside(path) is None and path.exists()
