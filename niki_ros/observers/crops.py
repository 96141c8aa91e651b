"""
Front ends that see one person in a crop: whose boxes, which crops, and what comes of them.

Such a network sees one square of the image, so somebody has to say where: the boxes of a detector,
the joints of the frame before, or another observer that is asked now and then.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from niki_ros.core.camera import Camera
from niki_ros.core.crop import Crop
from niki_ros.core.errors import InputError, ModelError
from niki_ros.core.types import JointObservation
import numpy as np

# a box made from joints may not run away from the one before while nobody confirms it
_GROWTH = (0.8, 1.25)
_SAME = 0.4


class CropObserver:
    """
    People at given places, one crop each, through one graph.

    A kind of model is a subclass: ``KIND`` as in the manifest, ``MAKER`` that writes such folders,
    ``OUTPUTS`` of the graph with their shapes, ``_prepare``, ``_picture`` and ``_observation``.

    :param model: folder of the model.
    :param backend: ``onnxruntime`` or ``tensorrt``. :param precision: ``fp32`` or ``fp16``.
    :param finder: another observer that finds people, such as MediaPipe's; None = boxes are given
        by :meth:`give_boxes`.
    :param refresh_s: the finder looks again after this; between, boxes follow the joints.
    """

    KIND = ''
    MAKER = ''
    OUTPUTS: Dict[str, tuple] = {}

    def __init__(self, model, backend: str = 'onnxruntime', precision: Optional[str] = None,
                 finder=None, max_people: int = 4, refresh_s: float = 0.3, fov_deg: float = 60.0,
                 **engine_options):
        """Load the graph; :class:`ModelError` when the folder holds another kind of model."""
        from niki_ros.backends import load_engine
        from niki_ros.model_folder import read_model_folder
        folder = read_model_folder(model)
        if folder.manifest['kind'] != self.KIND:
            raise ModelError(f'{folder.path} is of kind {folder.manifest["kind"]!r}; the observer '
                             f'{self.KIND} takes a folder made by {self.MAKER}')
        self._prepare(folder)
        if backend == 'onnxruntime':
            # convolutions are limited by arithmetic: 221 ms with one thread, 127 ms with two
            engine_options.setdefault('threads', min(4, os.cpu_count() or 1))
        self._engine = load_engine(folder.path, backend, precision, **engine_options)
        given = {spec.name: tuple(spec.shape[1:]) for spec in self._engine.outputs}
        wrong = [name for name, shape in self.OUTPUTS.items() if given.get(name) != shape]
        if wrong:
            raise ModelError(f'{folder.path}: outputs {wrong} are missing or of another shape')
        self._name = folder.manifest['name']
        self._finder, self._fov_deg = finder, fov_deg
        self._max_people, self._refresh_ns = max_people, round(refresh_s * 1e9)
        self._given: Optional[list] = None
        self._boxes: list = []
        self._looked_ns: Optional[int] = None

    def _prepare(self, folder) -> None:
        """Read from the manifest what a picture and an observation need."""

    def _picture(self, crop: Crop, image) -> np.ndarray:
        """Return the network's input (3, S, S) float32 of one crop."""
        raise NotImplementedError

    def _observation(self, row, crop: Crop, camera, box, score) -> JointObservation:
        """Return what the outputs ``row`` of one crop mean."""
        raise NotImplementedError

    def give_boxes(self, boxes_px, scores=None) -> None:
        """Say where people are in the next image: (n, 4) x0, y0, x1, y1, pixels."""
        boxes = np.asarray(boxes_px, dtype=np.float64).reshape(-1, 4)
        scores = np.ones(len(boxes)) if scores is None else np.asarray(scores, dtype=np.float64)
        if len(scores) != len(boxes):
            raise InputError(f'{len(boxes)} boxes with {len(scores)} scores')
        self._given = [(box, float(score)) for box, score in zip(boxes, scores)]

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera],
                stamp_ns: int) -> List[JointObservation]:
        """
        Return one observation for every box.

        :param image_rgb: (H, W, 3) uint8.
        :param camera: of the image; None = a field of view is assumed.
        """
        image = np.asarray(image_rgb)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f'image is {image.shape} {image.dtype}; expected (H, W, 3) uint8')
        if camera is None:
            camera = Camera.from_fov(image.shape[1], image.shape[0], self._fov_deg)
        boxes = self._where(image, camera, stamp_ns)[:self._max_people]
        if not boxes:
            self._boxes = []
            return []
        crops = [Crop.around(box) for box, _ in boxes]
        pictures = np.stack([self._picture(crop, image) for crop in crops])
        outputs = self._engine.run({'image': pictures})
        rows = [{name: outputs[name][i].astype(np.float64) for name in self.OUTPUTS}
                for i in range(len(boxes))]
        found = [self._observation(row, crop, camera, box, score)
                 for row, crop, (box, score) in zip(rows, crops, boxes)]
        self._boxes = [(_followed(o, box), score) for o, (box, score) in zip(found, boxes)]
        return found

    def reset(self) -> None:
        """Forget the images before."""
        self._given, self._boxes, self._looked_ns = None, [], None
        if self._finder is not None:
            self._finder.reset()

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()
        if self._finder is not None:
            self._finder.close()

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        facts = {f'observer_{name}': str(value) for name, value in self._engine.describe().items()}
        boxes = 'given' if self._finder is None else self._finder.describe().get('observer', '?')
        return {'observer': self.KIND, 'observer_model': self._name, 'observer_boxes': boxes,
                **facts}

    def _where(self, image, camera, stamp_ns: int) -> list:
        """Return (box, score) of every person: given, found anew, or followed."""
        if self._given is not None:
            boxes, self._given = self._given, None
            return [b for b in boxes if _inside(b[0], image)]
        if self._finder is None:
            return [b for b in self._boxes if _inside(b[0], image)]
        age = None if self._looked_ns is None else stamp_ns - self._looked_ns
        if self._boxes and age is not None and 0 <= age < self._refresh_ns:
            return [b for b in self._boxes if _inside(b[0], image)]
        self._looked_ns = stamp_ns
        seen = self._finder.observe(image, camera, stamp_ns)
        return [(np.asarray(o.box_px, np.float64), o.score) for o in seen
                if _inside(o.box_px, image)]


def _inside(box, image) -> bool:
    """Tell whether a box is one, and enough of it lies in the image."""
    box = np.asarray(box, np.float64)
    if not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        return False
    height, width = image.shape[:2]
    overlap = np.minimum(box[2:], (width, height)) - np.maximum(box[:2], 0)
    return bool((overlap > 0).all() and overlap.prod() >= _SAME * (box[2:] - box[:2]).prod())


def _followed(seen: JointObservation, box) -> np.ndarray:
    """Return the box for the next frame: around the joints, near the size of the one before."""
    low, high = seen.keypoints_px.min(axis=0), seen.keypoints_px.max(axis=0)
    before = np.asarray(box[2:]) - np.asarray(box[:2])
    size = np.clip((high - low) * 1.1, _GROWTH[0] * before, _GROWTH[1] * before)
    center = (low + high) / 2
    return np.concatenate([center - size / 2, center + size / 2])
