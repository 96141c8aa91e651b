"""The median of few values, without the checks by which numpy's own takes five times as long."""

import numpy as np


def median(values: np.ndarray) -> np.ndarray:
    """Return the median (...) of values (n, ...) along the first axis; NaN where one is NaN."""
    ordered = np.sort(values, axis=0)
    count = len(ordered)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    # NaN is sorted to the end
    return np.where(np.isnan(ordered[-1]), np.nan, middle)
