"""
What the landmark network gets wrong on average, learned from rendered people. Numpy only.

A small network looks at the 33 landmarks in metres, at how well each is seen and at which lie
outside the image, and says by how much each of the 29 joints is off: in metres, in the axes of a
camera that points at the person, and in the image, in shares of the person's size. Image positions
are not shown to it: with them it did better on rendered people and worse on real ones.
``niki-train landmarks`` makes the weights.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Union
import zipfile

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import sha256
import numpy as np

SHIPPED = Path(__file__).parents[1] / 'models' / 'landmark_errors.npz'
INPUTS, JOINTS, OUTPUTS = 33 * 5, 29, 29 * 5
_BORDER = 0.1
_LEFT = 0.85
_SHAPES = {'mean': (INPUTS,), 'scale': (INPUTS,), 'weight0': (None, INPUTS), 'bias0': (None,),
           'weight1': (None, None), 'bias1': (None,), 'weight2': (OUTPUTS, None),
           'bias2': (OUTPUTS,)}


def inputs(normalized, world_m, visibility) -> np.ndarray:
    """
    Return what the network is shown, (..., 165).

    :param normalized: (..., 33, 2) image positions over width and height.
    :param world_m: (..., 33, 3) metres around the hips, in the axes of a camera
        that points at the person.
    :param visibility: (..., 33) 0 … 1.
    """
    beyond = np.maximum(-normalized, normalized - 1.0).max(-1)
    flat = np.reshape(world_m, (*np.shape(world_m)[:-2], 33 * 3))
    return np.concatenate([flat, np.asarray(visibility), np.clip(beyond / _BORDER, 0.0, 1.0)], -1)


def sigma_left(sigma) -> np.ndarray:
    """
    Return the sigma (29,) of corrected joints: what is not seen at all stays at 1.

    On rendered people of subjects not learned from, 15 % of the joints' error goes; with this
    factor the calibration error of the bodies' confidence is least (16.5 % at 1, 12.0 at 0.85,
    13.0 at 0.7), and the bodies are the same within 1 mm.
    """
    return sigma * (_LEFT + (1.0 - _LEFT) * sigma**4)


def _silu(x):
    return x / (1.0 + np.exp(-np.clip(x, -60.0, None)))


class LandmarkErrors:
    """The network: two hidden layers."""

    def __init__(self, weights: dict, digest: str = ''):
        """Take weights by the names of the file; ``digest`` is the file's sha256."""
        self.sha256 = digest
        self._weights = {key: np.asarray(value, dtype=np.float64)
                         for key, value in weights.items()}

    @classmethod
    def read(cls, path: Union[str, Path] = SHIPPED) -> LandmarkErrors:
        """
        Read weights.

        :raises ModelError: when the file is missing, damaged, or something else.
        """
        try:
            data = Path(path).read_bytes()
            with np.load(BytesIO(data), allow_pickle=False) as file:
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
        return cls(weights, sha256(data))

    def __call__(self, normalized, world_m, visibility) -> tuple:
        """
        Return what is to be added.

        Arguments as of :func:`inputs`.

        :return: to the joints (..., 29, 3), metres, those axes; to their image positions
            (..., 29, 2), over the longer side of the person's box.
        """
        return self.answer(inputs(normalized, world_m, visibility))

    def answer(self, shown) -> tuple:
        """Return the same for inputs (..., 165)."""
        w = self._weights
        x = (shown - w['mean']) / w['scale']
        x = _silu(x @ w['weight0'].T + w['bias0'])
        x = _silu(x @ w['weight1'].T + w['bias1'])
        return split(x @ w['weight2'].T + w['bias2'])


def split(answer) -> tuple:
    """Split outputs (..., 145) into metres (..., 29, 3) and shares of the size (..., 29, 2)."""
    metres, flat = answer[..., :JOINTS * 3], answer[..., JOINTS * 3:]
    return (metres.reshape(*answer.shape[:-1], JOINTS, 3),
            flat.reshape(*answer.shape[:-1], JOINTS, 2))
