"""Labels grow as scikit-image grows them."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.segmentation import expand_labels

from retail_seg.segmentation.instances.widening import widened


@pytest.mark.parametrize("share", [0.002, 0.03, 0.2])
@pytest.mark.parametrize("reach", [1, 3, 5])
def test_labels_grow_pixel_for_pixel_as_in_scikit_image(reach: int, share: float) -> None:
    rng = np.random.default_rng(reach)
    labels = rng.integers(1, 9, (70, 90)).astype(np.int32) * (rng.random((70, 90)) < share)
    labels[:6, :4] = 3  # at the rim as well
    before = labels.copy()
    grown = widened(labels, reach)
    assert grown.dtype == np.int32
    np.testing.assert_array_equal(grown, expand_labels(labels, reach))
    np.testing.assert_array_equal(labels, before)


def test_nothing_grows_where_nothing_is() -> None:
    assert not widened(np.zeros((5, 7), np.int32), 3).any()
