"""Random numbers of crops that depend on the seed and the number of the crop, not on the batch."""

from typing import Sequence

from niki_ros.common.errors import InputError
import numpy as np
from scipy.special import ndtri

_TABLE_COUNT = 900  # uniform numbers of one crop: more than its scene takes


class CropRandom:
    """
    Random numbers of ``indices`` (n,) crops; each method returns arrays (n, ...).

    The numbers of a crop are those of a Philox generator with the key (seed, index), in the order
    of the calls. So a batch of crops is the same as these crops one by one.
    """

    def __init__(self, seed: int, indices):
        self._rows = np.stack([np.random.Generator(np.random.Philox(
            key=[seed, int(index)])).random(_TABLE_COUNT) for index in indices])
        self._used = 0

    def uniform(self, low=0.0, high=1.0, shape: Sequence[int] = ()) -> np.ndarray:
        """Return uniform numbers (n, *shape); bounds are numbers or arrays that fit."""
        count = int(np.prod(shape, dtype=int))
        if self._used + count > _TABLE_COUNT:
            raise InputError(f'a crop takes more than {_TABLE_COUNT} random numbers')
        part = self._rows[:, self._used:self._used + count].reshape(len(self._rows), *shape)
        self._used += count
        return low + part * (np.asarray(high) - low)

    def normal(self, sigma=1.0, shape: Sequence[int] = ()) -> np.ndarray:
        """Return normal numbers (n, *shape) around 0, cut at four standard deviations."""
        return ndtri(self.uniform(3e-5, 1 - 3e-5, shape)) * sigma

    def chance(self, odds) -> np.ndarray:
        """Return (n,) True with these odds."""
        return self.uniform() < odds

    def index(self, count, shape: Sequence[int] = ()) -> np.ndarray:
        """Return whole numbers (n, *shape) of 0 … count - 1."""
        return (self.uniform(0.0, 1.0, shape) * count).astype(np.int64)

    def choice(self, odds: Sequence[float], shape: Sequence[int] = ()) -> np.ndarray:
        """Return whole numbers (n, *shape): the index of one of ``odds``, whose sum is 1."""
        steps = np.cumsum(odds)[:-1]
        return np.searchsorted(steps, self.uniform(0.0, 1.0, shape), side='right')


def crop_generator(seed: int, index: int, stream: int) -> np.random.Generator:
    """Return a generator of one crop, for scenes of which few crops have a part."""
    return np.random.Generator(np.random.Philox(key=[seed, int(index)], counter=[0, 0, stream, 0]))
