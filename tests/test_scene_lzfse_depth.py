"""Depth that LZFSE has compressed: sizes are known before anything is decoded."""

import struct

import numpy as np
import pytest
from exact_scans import needed
from hypothesis import given
from hypothesis import strategies as st
from phone_scans import stored_lzfse

from scenetex import InputError
from scenetex.scene import lzfse_depth
from scenetex.scene.lzfse_depth import decode_lzfse

DEPTH = np.linspace(0.2, 5, 48 * 64, dtype=np.float32).reshape(48, 64)
SIZE = 64, 48


@pytest.mark.parametrize(
    "depth", [DEPTH, np.full_like(DEPTH, 2), np.random.default_rng(0).random((48, 64), np.float32)]
)
def test_what_was_compressed_is_read(depth):
    lzfse = needed("fusion", "lzfse")
    for data in (lzfse.compress(depth.tobytes()), stored_lzfse(depth), depth.tobytes()):
        np.testing.assert_array_equal(decode_lzfse(data, SIZE, "here"), depth)


def test_without_the_decoder_it_is_said(monkeypatch):
    monkeypatch.setattr(lzfse_depth, "can_decode", lambda: False)
    np.testing.assert_array_equal(decode_lzfse(DEPTH.tobytes(), SIZE, "here"), DEPTH)
    with pytest.raises(InputError, match=r"here: depth is compressed by LZFSE; to read it, pip install .*\[fusion\]"):
        decode_lzfse(stored_lzfse(DEPTH), SIZE, "here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"bvx$",
        b"bvx-",
        stored_lzfse(DEPTH)[:-4],
        stored_lzfse(DEPTH[1:]),
        b"bvx1" + bytes(800),
        b"bvx2" + bytes(28),
        b"bvx2" + struct.pack("<I", 1 << 31) + struct.pack("<3Q", 0, 0, 32) + b"bvx$",
        b"bvxn" + struct.pack("<II", 1 << 31, 0) + b"bvx$",
        (b"bvxn" + struct.pack("<II", 1 << 20, 0)) * 1000 + b"bvx$",
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_anything_is_decoded(data, monkeypatch):
    monkeypatch.setattr(lzfse_depth, "_decompress", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(InputError, match="here: depth data is damaged or of another size than 64x48"):
        decode_lzfse(data, SIZE, "here")


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4), st.integers(0, 5000))
def test_damage_is_read_or_refused(edits, cut):
    lzfse = needed("fusion", "lzfse")
    data = bytearray(lzfse.compress((DEPTH * 7 % 3).tobytes()))
    for at, value in edits:
        data[at % len(data)] = value
    try:
        decode_lzfse(bytes(data[: cut or None]), SIZE, "here")
    except InputError as error:
        assert "\n" not in str(error)
