"""Depth in OpenEXR files, by a writer after the format's description; the library's own files were read, too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_scans import exr_bytes

from scenetex import InputError
from scenetex.scene.exr import decode_exr, exr_size
from scenetex.scene.image_source import ImageSource, decode_depth, image_size

DEPTH = np.random.default_rng(0).uniform(0.2, 5, (37, 20)).astype(np.float32)
SIZE = 20, 37


@pytest.mark.parametrize("compression", [0, 2, 3])
@pytest.mark.parametrize("channels", [("B", "G", "R"), ("A", "R"), ("Y",), ("depth",)])
@pytest.mark.parametrize("kind", ["<f4", "<f2"])
def test_what_was_written_is_read(compression, channels, kind):
    for depth in (DEPTH, np.full_like(DEPTH, 1.5)):  # ZIP makes one of them shorter
        data = exr_bytes(depth, channels, kind, compression, first_line=3)
        assert exr_size(data, "here") == SIZE
        np.testing.assert_array_equal(decode_exr(data, SIZE, "here"), depth.astype(kind).astype(np.float32))


def test_z_comes_before_colours():
    data = exr_bytes(DEPTH, ("R", "Z"))
    assert decode_exr(data, SIZE, "here").max() == 0


def test_as_an_image_source(tmp_path):
    depth = DEPTH.copy()
    depth[0, :4] = np.nan, np.inf, -1, -np.inf
    (tmp_path / "0.exr").write_bytes(exr_bytes(depth))
    source = ImageSource(tmp_path / "0.exr", codec="exr", depth_unit=0.5)
    assert image_size(source, "here") == SIZE
    found = decode_depth(source, SIZE, "here")
    assert found.dtype == np.float32 and not found[0, :4].any()
    np.testing.assert_array_equal(found[1:], depth[1:] / 2)
    with pytest.raises(InputError, match="here: image is 20x37, its camera 20x36"):
        decode_depth(source, (20, 36), "here")


@pytest.mark.parametrize("cut", [0, 3, 8, 20, 60, 200, 300, 1000, -1])
def test_cut_files(cut):
    with pytest.raises(InputError, match=r"here: (not a readable OpenEXR image|image is damaged or cut short)"):
        decode_exr(exr_bytes(DEPTH)[:cut], SIZE, "here")


def test_other_compressions_are_named():
    data = bytearray(exr_bytes(DEPTH))
    at = data.index(b"compression\0compression\0") + 28
    for number, name in ((1, "RLE"), (4, "PIZ"), (9, "DWAB"), (77, "77")):
        data[at] = number
        with pytest.raises(InputError, match=f"OpenEXR with compression {name} is not read; store it in scan lines"):
            exr_size(bytes(data), "here")
    data[at], data[5] = 3, 0x2
    with pytest.raises(InputError, match="OpenEXR with tiles or parts is not read"):
        exr_size(bytes(data), "here")


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4), st.sampled_from([0, 3]))
def test_damage_is_read_or_refused(edits, compression):
    data = bytearray(exr_bytes(DEPTH, compression=compression))
    for at, value in edits:
        data[at % len(data)] = value
    try:
        found = decode_exr(bytes(data), exr_size(bytes(data), "here"), "here")
        assert found.dtype == np.float32
    except InputError as error:
        assert str(error).startswith("here: ") and "\n" not in str(error)


def test_files_of_hundreds_of_channels_take_no_memory():
    names = tuple(f"c{i:03d}" for i in range(600))
    with pytest.raises(InputError, match="not a readable OpenEXR image"):
        exr_size(exr_bytes(np.zeros((16, 64), np.float32), names), "here")


@pytest.mark.parametrize("channels", [("Combined.A", "Depth.Z"), ("A.B", "A.G", "A.R", "Z")])
def test_depth_among_the_channels_of_other_layers(channels):
    np.testing.assert_array_equal(decode_exr(exr_bytes(DEPTH, channels, told=channels[-1]), SIZE, "here"), DEPTH)


@pytest.mark.parametrize("channels", [("A", "B", "G"), ("Combined.A", "Normal.X"), ("L1.Z", "L2.Z")])
def test_channels_that_do_not_say_which_is_depth_are_refused(channels):
    for read in (exr_size, lambda data, label: decode_exr(data, SIZE, label)):
        with pytest.raises(InputError, match=rf"here: which of its channels \({channels[0]}, {channels[1]}"):
            read(exr_bytes(DEPTH, channels), "here")


def test_cropped_images_are_refused():
    data = exr_bytes(DEPTH)
    at = data.index(b"displayWindow\0box2i\0") + 20 + 4 + 8
    with pytest.raises(InputError, match="here: OpenEXR that is cropped"):
        exr_size(data[:at] + (25).to_bytes(4, "little") + data[at + 4 :], "here")
