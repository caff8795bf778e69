"""Regions of the surface as views see them: pixel by pixel, by the face that is seen."""

import numpy as np
import pytest
from tiny_pipeline import room_views

from scenetex import InputError, region_masks

VIEWS = room_views(3)
FACES = len(VIEWS.face_normals)


def test_a_pixel_is_in_a_region_where_its_face_is():
    rng = np.random.default_rng(0)
    regions = rng.random((2, FACES)) < 0.5
    blank = VIEWS.face_id.copy()
    blank[0, :8] = -1  # the last face must not stand in for nothing
    regions[:, -1] = True
    masks = region_masks(VIEWS.__class__(**{**vars(VIEWS), "face_id": blank}), list(regions))
    assert masks.shape == (2, 3, 48, 64) and masks.dtype == bool
    for r, i, row, column in zip(*(rng.integers(0, n, 200) for n in masks.shape), strict=True):
        face = blank[i, row, column]
        assert masks[r, i, row, column] == (face >= 0 and regions[r, face])


def test_no_regions_and_masks_that_do_not_fit():
    assert region_masks(VIEWS, []).shape == (0, 3, 48, 64)
    with pytest.raises(InputError, match=rf"region 1 is bool of shape \(3,\), but the mesh has {FACES} faces"):
        region_masks(VIEWS, [np.ones(FACES, bool), np.ones(3, bool)])
    with pytest.raises(InputError, match="region 0 is float64"):
        region_masks(VIEWS, [np.ones(FACES)])
