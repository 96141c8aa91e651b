"""
What MediaPipe gets wrong on average, learned from rendered people. Numpy only.

A small network looks at the 33 landmarks in metres, at how well each is seen and at which lie
outside the image, and says by how much each of the 29 joints is off, in the axes of a camera that
points at the person. Image positions are not shown to it: with them it did better on rendered
people and worse on real ones. ``niki-train landmarks`` makes the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Union
import zipfile

from niki_ros.core.errors import ModelError
import numpy as np

SHIPPED = Path(__file__).parents[1] / 'models' / 'landmark_errors.npz'
INPUTS, JOINTS = 33 * 5, 29
_BORDER = 0.1
_SHAPES = {'mean': (INPUTS,), 'scale': (INPUTS,), 'weight0': (None, INPUTS), 'bias0': (None,),
           'weight1': (None, None), 'bias1': (None,), 'weight2': (JOINTS * 3, None),
           'bias2': (JOINTS * 3,)}


def inputs(normalized, world_m, visibility) -> np.ndarray:
    """
    Return what the network is shown, (..., 165).

    :param normalized: (..., 33, 2) image positions over width and height.
    :param world_m: (..., 33, 3) metres around the hips, as MediaPipe gives them.
    :param visibility: (..., 33) 0 … 1.
    """
    beyond = np.maximum(-normalized, normalized - 1.0).max(-1)
    flat = np.reshape(world_m, (*np.shape(world_m)[:-2], 33 * 3))
    return np.concatenate([flat, np.asarray(visibility), np.clip(beyond / _BORDER, 0.0, 1.0)], -1)


def _silu(x):
    return x / (1.0 + np.exp(-np.clip(x, -60.0, None)))


class LandmarkErrors:
    """The network: two hidden layers."""

    def __init__(self, weights: dict):
        """Take weights as :func:`read` gives them."""
        self._weights = {key: np.asarray(value, dtype=np.float64)
                         for key, value in weights.items()}

    @classmethod
    def read(cls, path: Union[str, Path] = SHIPPED) -> LandmarkErrors:
        """
        Read weights.

        :raises ModelError: when the file is missing, damaged, or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                weights = {key: file[key] for key in _SHAPES}
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path} has no weights of the landmarks' errors: {error}; install "
                             'niki_ros again, or make them with niki-train landmarks') from error
        width = len(weights['bias0']) if weights['bias0'].ndim == 1 else 0
        for key, shape in _SHAPES.items():
            expected = tuple(width if size is None else size for size in shape)
            if weights[key].shape != expected or not np.isfinite(weights[key]).all():
                raise ModelError(f'{path}: {key} has shape {weights[key].shape} or is not finite; '
                                 f'expected {expected}')
        return cls(weights)

    def correction_m(self, normalized, world_m, visibility) -> np.ndarray:
        """
        Return what is to be added to the joints (..., 29, 3), metres, MediaPipe's own axes.

        Arguments as of :func:`inputs`.
        """
        return self.answer_m(inputs(normalized, world_m, visibility))

    def answer_m(self, shown) -> np.ndarray:
        """Return (..., 29, 3) for inputs (..., 165)."""
        w = self._weights
        x = (shown - w['mean']) / w['scale']
        x = _silu(x @ w['weight0'].T + w['bias0'])
        x = _silu(x @ w['weight1'].T + w['bias1'])
        x = x @ w['weight2'].T + w['bias2']
        return x.reshape(*x.shape[:-1], JOINTS, 3)
