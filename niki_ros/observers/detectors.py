"""
Detectors: an image in, boxes of people out.

To put another detector in: write a class like :class:`NanoDet` (or any class with ``detect``,
``describe`` and ``close``), make a model folder whose manifest has a ``kind`` of its own, and add
the kind to :data:`DETECTORS`. ``observer.detector`` is then the path of that folder.
"""

from __future__ import annotations

from typing import Callable, Dict, Protocol, Tuple

from niki_ros.common.errors import ModelError
from niki_ros.images.pixels import network_input, resized_rgb
import numpy as np

SAME_BOX = 0.6
"""Of two boxes that share more (intersection over union) the better one is kept."""


class Detector(Protocol):
    """
    What every detector offers.

    :ivar input_px: longest side of the image it looks at; larger images are also shown to it in
        parts, so that small people are found.
    """

    input_px: int

    def detect(self, image_rgb: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """
        Return the people in an image (H, W, 3) uint8, any size.

        Called in a thread of its own, one image at a time.

        :return: boxes (n, 4) x0, y0, x1, y1 in pixels of the image, and scores (n,) 0 … 1.
        """

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics: name, library, device, precision."""

    def close(self) -> None:
        """Free what it holds."""


class NanoDet:
    """
    NanoDet-g, trained on COCO, its class ``person``.

    Every cell of three grids says how likely a person is at its middle, and, as a distribution
    over 0 … 10 cells, how far the person's edges are (Li et al., Generalized Focal Loss, 2020).

    :param model: a model folder. :param engine_options: of
        :func:`niki_ros.backends.load_engine`. :param least_score: nothing below is returned.
    """

    input_px = 416
    STRIDES = (8, 16, 32)
    BINS = 11

    def __init__(self, model, least_score: float = 0.3, **engine_options):
        """Load the graph."""
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        self.name, self._least = folder.manifest['name'], least_score
        self._middle_px, self._stride_px = self.cells_px()
        cells = len(self._stride_px)
        self.engine = load_folder_engine(
            folder, {'scores': (cells,), 'distances': (cells, 4 * self.BINS)}, **engine_options)

    def detect(self, image_rgb) -> Tuple[np.ndarray, np.ndarray]:
        """Return boxes (n, 4) in pixels of the image, and scores (n,)."""
        picture, inner = letterboxed(image_rgb, self.input_px)
        outputs = self.engine.run({'image': network_input([picture])})
        boxes, scores = self._people(outputs['scores'][0], outputs['distances'][0])
        size = np.array(image_rgb.shape[1::-1])
        boxes = np.clip(boxes * np.tile(size / inner, 2), 0, np.tile(size, 2))
        return boxes, scores

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        return {'name': self.name, **{k: str(v) for k, v in self.engine.describe().items()}}

    def close(self) -> None:
        """Free the graph."""
        self.engine.close()

    @classmethod
    def cells_px(cls) -> tuple:
        """Return the middles (n, 2) and the strides (n, 1) of all cells, pixels of the input."""
        middles, strides = [], []
        for stride in cls.STRIDES:
            side = cls.input_px // stride
            steps = np.arange(side) * stride + (stride - 1) / 2
            grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
            middles.append(grid)
            strides.append(np.full((len(grid), 1), float(stride)))
        return np.concatenate(middles), np.concatenate(strides)

    def _people(self, scores, distances) -> tuple:
        """Return boxes (n, 4), pixels of the input, and scores (n,); one box a person."""
        found = np.flatnonzero(scores >= self._least)
        reach = reach_px(distances[found], self._stride_px[found])
        middle = self._middle_px[found]
        boxes = np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], axis=-1)
        kept = best_boxes(boxes, scores[found])
        return boxes[kept], scores[found][kept].astype(np.float64)


DETECTORS: Dict[str, Callable[..., Detector]] = {'nanodet': NanoDet}
"""``kind`` in the manifest → class; called with the model folder and the engine's options."""


def reach_px(distances, stride_px) -> np.ndarray:
    """
    Return how far people's left, top, right and bottom edges are from cells' middles (n, 4).

    :param distances: (n, 4 * bins) logits over 0, 1, 2 … strides. :param stride_px: (n, 1).
    """
    bins = distances.shape[1] // 4
    logits = distances.reshape(len(distances), 4, bins).astype(np.float64)
    share = np.exp(logits - logits.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    return (share @ np.arange(bins)) * stride_px


def letterboxed(image_rgb, size_px: int) -> tuple:
    """
    Fit an image into a square.

    :return: the square (size, size, 3) uint8 with the image at its top left and zeros elsewhere,
        and width and height of the image in it.
    """
    height, width = image_rgb.shape[:2]
    scale = size_px / max(height, width)
    inner = max(round(width * scale), 1), max(round(height * scale), 1)
    square = np.zeros((size_px, size_px, 3), np.uint8)
    square[:inner[1], :inner[0]] = resized_rgb(image_rgb, *inner)
    return square, inner


def load_detector(model, **engine_options) -> Detector:
    """
    Return the detector of a model folder.

    :raises ModelError: when the folder is damaged, or there is no detector of its kind.
    """
    from niki_ros.models.model_folder import read_model_folder
    kind = read_model_folder(model).manifest['kind']
    if kind not in DETECTORS:
        raise ModelError(f'{model} is of kind {kind!r}; a detector is of kind '
                         f'{", ".join(DETECTORS)}')
    return DETECTORS[kind](model, **engine_options)


def best_boxes(boxes, scores, limit: float = SAME_BOX) -> np.ndarray:
    """
    Return the indices of boxes (n, 4) that no better one overlaps by more than ``limit`` (IoU).

    Greedy non-maximum suppression, the best box first.
    """
    kept: list = []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.argsort(-scores, kind='stable')
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        union = np.maximum(areas[best] + areas[rest] - shared, 1e-9)
        order = rest[shared / union <= limit]
    return np.array(kept, dtype=int)
