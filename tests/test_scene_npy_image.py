"""Depth in NumPy's own files, of every layout that they have."""

import io
import struct

import numpy as np
import pytest

from scenetex import InputError
from scenetex.scene.image_source import ImageSource, decode_depth, image_size
from scenetex.scene.npy_image import decode_npy, npy_size

DEPTH = np.random.default_rng(0).uniform(1, 9, (24, 32)).astype(np.float32)


def npy(array: np.ndarray, version=(1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "stored",
    [DEPTH, np.asfortranarray(DEPTH), DEPTH[..., None], DEPTH.astype(">f8"), (1000 * DEPTH).astype(np.uint16)],
    ids=["rows", "columns", "one channel", "big-endian", "millimetres"],
)
def test_every_layout(tmp_path, version, stored):
    (tmp_path / "0.npy").write_bytes(npy(stored, version))
    source = ImageSource(tmp_path / "0.npy", codec="npy", depth_unit=0.5)
    assert image_size(source, "depth") == (32, 24)
    np.testing.assert_allclose(decode_depth(source, (32, 24), "depth"), stored.reshape(24, 32) * 0.5, rtol=1e-6)
    with pytest.raises(InputError, match="depth: depth is 32x24, others 16x12"):
        decode_depth(source, (16, 12), "depth")


def test_what_is_no_depth_is_none():
    depth = np.array([[1, np.nan, np.inf], [-1, 0, -np.inf]])
    np.testing.assert_array_equal(decode_npy(npy(depth), "depth"), [[1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no array",
        npy(DEPTH)[:40],
        npy(np.zeros(5)),
        npy(np.zeros((2, 3, 4))),
        npy(np.zeros((0, 3))),
        npy(np.zeros((2, 2), bool)),
        b"\x93NUMPY\1\0"
        + struct.pack("<H", 60)
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }".ljust(60),
        b"\x93NUMPY\1\0" + struct.pack("<H", 60) + b"__import__('os').abort()".ljust(60),
    ],
)
def test_other_files_are_refused(data):
    with pytest.raises(InputError, match=r"depth: not a \.npy file of one depth image"):
        npy_size(io.BytesIO(data), "depth")


def test_cut_files_are_named():
    with pytest.raises(InputError, match="depth: is cut short"):
        decode_npy(npy(DEPTH)[:-1], "depth")
