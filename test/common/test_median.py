"""The median agrees with numpy's."""

from niki_ros.common.median import median
import numpy as np
import pytest


@pytest.mark.parametrize('shape', [(1,), (2,), (7,), (24, 2), (29, 3, 2)])
def test_it_agrees_with_numpy(shape):
    values = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_array_equal(median(values), np.median(values, axis=0))
    values[0] = np.nan
    assert np.isnan(median(values)).all()
