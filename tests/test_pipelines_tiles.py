"""Tiles cover their map, and what is blended from them shows none."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetex import InputError
from scenetex.pipelines.tiles import Tiles, check_tile


@given(st.integers(1, 90), st.integers(1, 90), st.none() | st.integers(1, 60), st.sampled_from([1, 2, 4, 8]))
def test_tiles_cover_with_overlap(h, w, side, alignment):
    tiles = Tiles.cover((h, w), side, alignment)
    for spans, n in ((tiles.rows, h), (tiles.columns, w)):
        assert spans[0][0] == 0 and spans[-1][1] == n
        assert all(start % alignment == 0 and end > start for start, end in spans)
        longest = max(4 * alignment, side // alignment * alignment) if side else n
        assert all(end - start < longest + alignment for start, end in spans) or len(spans) == 1
        for (_, end), (start, _) in pairwise(spans):
            assert end - start >= longest / 4


@given(st.integers(8, 60), st.integers(8, 60), st.integers(1, 40))
def test_what_is_the_same_in_all_tiles_comes_out_as_it_is(h, w, side):
    image = torch.randn(2, 3, h, w)
    blended = Tiles.cover((h, w), side, 2).blend(lambda rows, columns: image[..., rows, columns])
    assert blended.dtype == image.dtype and torch.allclose(blended, image, atol=1e-5)


def test_tiles_that_differ_leave_no_seam():
    """Tiles of random levels: no step is larger than what a smooth ramp over their overlap takes."""
    tiles = Tiles.cover((64, 64), 32, 4)
    assert len(tiles.rows) == len(tiles.columns) == 3
    torch.manual_seed(0)
    levels = iter(torch.rand(9, dtype=torch.float64))
    blended = tiles.blend(
        lambda rows, columns: next(levels).expand(1, rows.stop - rows.start, columns.stop - columns.start)
    )
    steps = max(blended.diff(dim=d).abs().max() for d in (1, 2))
    assert blended.min() >= 0 and blended.max() <= 1 and blended.std() > 0.1
    assert steps < 0.15, "sixteen cells of overlap; a hard seam would step by up to 1"


def test_one_tile_is_no_tiling():
    seen = []
    whole = torch.randn(1, 8, 8)
    out = Tiles.cover((8, 8), None, 4).blend(lambda rows, columns: seen.append((rows, columns)) or whole)
    assert out is whole and seen == [(slice(0, 8), slice(0, 8))]
    assert Tiles.cover((8, 8), 16, 2) == Tiles.cover((8, 8), None, 2)
    assert Tiles.cover((8, 12), 8, 1).scaled(4).columns[-1] == (16, 48)


def test_tiles_that_are_too_small_are_named():
    check_tile(None, 32)
    check_tile(128, 32)
    with pytest.raises(InputError, match=r"tiles of 127 pixels .* pass 128 or more"):
        check_tile(127, 32)
