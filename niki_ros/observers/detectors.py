"""
Detectors of people: an image in, boxes out.

Another detector is a class with the members of :class:`Detector`, a line in :data:`DETECTORS`, and
a model folder with that ``kind`` in its manifest, whose path ``observer.detector`` is.
"""

from typing import Callable, Dict, Protocol, Tuple

from niki_ros.common.errors import ModelError
from niki_ros.images.pixels import network_input, resized_rgb
import numpy as np

_MAX_OVERLAP_RATIO = 0.6


class Detector(Protocol):
    """Finds people in an image."""

    input_px: int  # side of the input; larger images are also searched in parts

    def detect(self, image_rgb: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """
        Return boxes (n, 4) x0, y0, x1, y1 in pixels of the image, and scores (n,) 0 … 1.

        Called in a thread of its own, one image (H, W, 3) uint8 of any size at a time.
        """

    def describe(self) -> Dict[str, str]:
        """Return name, library, device and precision, for diagnostics."""

    def close(self) -> None:
        """Free the graph."""


class NanoDet:
    """
    NanoDet-g, trained on COCO, its class ``person``.

    The outputs of every cell of three grids are the probability of a person at its middle and, as
    a distribution over 0 … 10 cells, the distances of the edges (Li et al., Generalized Focal
    Loss, 2020). ``engine_options`` are those of :func:`niki_ros.backends.load_engine`.
    """

    input_px = 416
    STRIDES = (8, 16, 32)
    BINS = 11

    def __init__(self, model, min_score: float = 0.3, **engine_options):
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        self.name, self._min_score = folder.manifest['name'], min_score
        self._middle_px, self._stride_px = self.cells_px()
        cells = len(self._stride_px)
        self.engine = load_folder_engine(
            folder, {'scores': (cells,), 'distances': (cells, 4 * self.BINS)}, **engine_options)

    def detect(self, image_rgb) -> Tuple[np.ndarray, np.ndarray]:
        """Return boxes (n, 4) in pixels of the image, and scores (n,)."""
        square, inner = letterboxed(image_rgb, self.input_px)
        outputs = self.engine.run({'image': network_input([square])})
        boxes, scores = self._people(outputs['scores'][0], outputs['distances'][0])
        size = np.array(image_rgb.shape[1::-1])
        boxes = np.clip(boxes * np.tile(size / inner, 2), 0, np.tile(size, 2))
        return boxes, scores

    def describe(self) -> Dict[str, str]:
        return {'name': self.name, **{k: str(v) for k, v in self.engine.describe().items()}}

    def close(self) -> None:
        self.engine.close()

    @classmethod
    def cells_px(cls) -> tuple:
        """Return middles (n, 2) and strides (n, 1) of all cells, pixels of the input."""
        middles, strides = [], []
        for stride in cls.STRIDES:
            steps = np.arange(cls.input_px // stride) * stride + (stride - 1) / 2
            grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
            middles.append(grid)
            strides.append(np.full((len(grid), 1), float(stride)))
        return np.concatenate(middles), np.concatenate(strides)

    def _people(self, scores, distances) -> tuple:
        """Return boxes (n, 4), pixels of the input, and scores (n,); one box per person."""
        found = np.flatnonzero(scores >= self._min_score)
        reach = reach_px(distances[found], self._stride_px[found])
        middle = self._middle_px[found]
        boxes = np.concatenate([middle - reach[:, :2], middle + reach[:, 2:]], axis=-1)
        kept = best_boxes(boxes, scores[found])
        return boxes[kept], scores[found][kept].astype(np.float64)


DETECTORS: Dict[str, Callable[..., Detector]] = {'nanodet': NanoDet}
"""``kind`` in the manifest → class, called with the model folder and the engine's options."""


def reach_px(distances, stride_px) -> np.ndarray:
    """
    Return distances (n, 4), pixels, of left, top, right and bottom edges from cells' middles.

    :param distances: (n, 4 * bins) logits over 0, 1, 2 … strides. :param stride_px: (n, 1).
    """
    bins = distances.shape[1] // 4
    logits = distances.reshape(len(distances), 4, bins).astype(np.float64)
    probability = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability /= probability.sum(axis=-1, keepdims=True)
    return (probability @ np.arange(bins)) * stride_px


def letterboxed(image_rgb, size_px: int) -> tuple:
    """Return an image (H, W, 3) uint8 at the upper left of a square, and its (width, height)."""
    height, width = image_rgb.shape[:2]
    scale = size_px / max(height, width)
    inner = max(round(width * scale), 1), max(round(height * scale), 1)
    square = np.zeros((size_px, size_px, 3), np.uint8)
    square[:inner[1], :inner[0]] = resized_rgb(image_rgb, *inner)
    return square, inner


def load_detector(model, **engine_options) -> Detector:
    """Return the detector of a model folder; :class:`ModelError` for a folder of another kind."""
    from niki_ros.models.model_folder import read_model_folder
    kind = read_model_folder(model).manifest['kind']
    if kind not in DETECTORS:
        raise ModelError(f'{model} is of kind {kind!r}; a detector is of kind '
                         f'{", ".join(DETECTORS)}')
    return DETECTORS[kind](model, **engine_options)


def best_boxes(boxes, scores, max_overlap: float = _MAX_OVERLAP_RATIO) -> np.ndarray:
    """Return indices (k,) of boxes (n, 4), non-maximum suppression by scores (n,)."""
    kept = []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    order = np.argsort(-scores, kind='stable')
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        union = np.maximum(areas[best] + areas[rest] - shared, 1e-9)
        order = rest[shared / union <= max_overlap]
    return np.array(kept, dtype=int)
