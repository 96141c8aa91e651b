"""
HybrIK's front end: a crop around each person, an imported graph, 29 joints with twist and shape.

The graph comes from weights that the user has downloaded (``niki-import hybrik``). It sees one
person in a square of the image, so somebody has to say where: another observer, the boxes of a
detector, or the frame before.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from niki_ros.core.camera import Camera
from niki_ros.core.crop import Crop, joints_from_uvd, SIZE_PX
from niki_ros.core.errors import InputError, ModelError
from niki_ros.core.types import JointObservation, SIGMA_UNIT_M
import numpy as np

KIND = 'hybrik'
_OUTPUTS = {'uvd': (29, 3), 'sigma': (29,), 'twist_cos_sin': (23, 2), 'betas': (10,),
            'camera_scale': (1,)}
_SCALES = (0.05, 20.0)
# a box made from joints may not run away from the one before while nobody confirms it
_GROWTH = (0.8, 1.25)
_SAME = 0.4


class HybrikObserver:
    """
    People at given places, each with 29 joints in metres, sigma, twist and shape.

    :param model: folder made by ``niki-import hybrik``.
    :param backend: ``onnxruntime`` or ``tensorrt``. :param precision: ``fp32`` or ``fp16``.
    :param finder: another observer that finds people, such as MediaPipe's; None = boxes are given
        by :meth:`give_boxes`.
    :param refresh_s: the finder looks again after this; between, boxes follow the joints.
    """

    def __init__(self, model, backend: str = 'onnxruntime', precision: Optional[str] = None,
                 finder=None, max_people: int = 4, refresh_s: float = 0.3, fov_deg: float = 60.0,
                 **engine_options):
        """Load the graph; :class:`ModelError` when the folder holds another kind of model."""
        from niki_ros.backends import load_engine
        from niki_ros.model_folder import read_model_folder
        folder = read_model_folder(model)
        if folder.manifest['kind'] != KIND:
            raise ModelError(f'{folder.path} is of kind {folder.manifest["kind"]!r}; the observer '
                             'hybrik takes a folder made by niki-import hybrik')
        self._mean, self._std, self._depth_m = _normalisation(folder)
        if backend == 'onnxruntime':
            # convolutions are limited by arithmetic: 221 ms with one thread, 127 ms with two
            engine_options.setdefault('threads', min(4, os.cpu_count() or 1))
        self._engine = load_engine(folder.path, backend, precision, **engine_options)
        given = {spec.name: tuple(spec.shape[1:]) for spec in self._engine.outputs}
        wrong = [name for name, shape in _OUTPUTS.items() if given.get(name) != shape]
        if wrong:
            raise ModelError(f'{folder.path}: outputs {wrong} are missing or of another shape')
        self._name = folder.manifest['name']
        self._finder, self._fov_deg = finder, fov_deg
        self._max_people, self._refresh_ns = max_people, round(refresh_s * 1e9)
        self._given: Optional[list] = None
        self._boxes: list = []
        self._looked_ns: Optional[int] = None

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
        outputs = self._engine.run({'image': self._pictures(image, crops)})
        rows = [{name: outputs[name][i].astype(np.float64) for name in _OUTPUTS}
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
        return {'observer': 'hybrik', 'observer_model': self._name, 'observer_boxes': boxes,
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

    def _pictures(self, image, crops) -> np.ndarray:
        """Return the normalised crops (n, 3, 256, 256) float32."""
        pictures = np.empty((len(crops), 3, SIZE_PX, SIZE_PX), np.float32)
        for picture, crop in zip(pictures, crops):
            picture[:] = ((crop.sample(image) / 255 - self._mean) / self._std).transpose(2, 0, 1)
        return pictures

    def _observation(self, row, crop, camera, box, score) -> JointObservation:
        scale = float(np.clip(row['camera_scale'][0], *_SCALES))
        joints, pixels = joints_from_uvd(row['uvd'], crop, camera, scale, self._depth_m)
        sigma = np.clip(row['sigma'], 0, 1)
        # a sigma of 1 is 200 mm, and the crop is 1 / scale metres wide
        error_px = np.maximum(sigma * SIGMA_UNIT_M * scale * crop.side_px, 1.0)
        return JointObservation(
            joints_m=joints - joints[:1], sigma=sigma, keypoints_px=pixels,
            box_px=np.asarray(box, np.float64), score=score,
            keypoint_sigma_px=np.where(sigma < 1, error_px, np.inf),
            twist_cos_sin=row['twist_cos_sin'], betas=row['betas'])


def _normalisation(folder) -> tuple:
    """Return mean and deviation of the pixels (0 … 1) and the depth of the volume in metres."""
    facts = folder.manifest.get('normalisation')
    try:
        mean, std = (np.asarray(facts[n], dtype=np.float32) for n in ('mean', 'std'))
        depth = float(facts['depth_m'])
        if mean.shape != (3,) or std.shape != (3,) or not (std > 0).all() or not depth > 0:
            raise ValueError('not three numbers each, or not above zero')
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{folder.path}: normalisation is {facts!r} ({error}); expected mean, '
                         'std and depth_m') from error
    return mean, std, depth


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
