"""
Base of networks that observe one person in the image of a virtual camera.

The virtual camera points at the person and is rolled until the person is upright, see
:mod:`niki_ros.scene.person_view`. The middle of the hips and the reach of the body from there give
the crop in the next image.
"""

from dataclasses import dataclass, replace
from typing import Dict, List, Sequence, Tuple

from niki_ros.images.pixels import network_input, rgb_of_view
from niki_ros.observers.graph_network import GraphNetwork
from niki_ros.observers.person_network import CropEstimate, LARGER_CROPS
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView, view_of_body
import numpy as np

SIZE_PX = 256
MARGIN = 1.25  # width of a crop over the size of the person


@dataclass(frozen=True)
class ViewNumbers:
    """Numbers of :class:`ViewNetwork`."""

    min_crop_px: float = 20.0  # width of a crop in the image; narrower ones show single pixels
    # smaller changes of the width of a crop are smoothed: the size of a person varies by some
    # percent from image to image, and the outputs vary with it
    steady_width_ratio: float = 0.2
    width_weight: float = 0.4  # of the newest width then (Pose2Sim, 4 cameras, 104.1 to 103.3 mm)
    larger_width_ratio: float = 1.5  # width of the larger crops over that of the person's crop
    larger_up_ratios: Tuple[float, ...] = (0.0, 0.3)  # their middles above its middle, the same
    absence_ratio: float = 0.3  # shift for which a larger crop without a person counts
    # a box that ends at the lower border and is lower than this over its width is that of an upper
    # body, and is continued by a share of its height. Of 17 such people in photographs without
    # visible knees 11 are placed (6 without it), of 6 with knees 5 (6)
    max_upper_body_ratio: float = 2.0
    hidden_height_ratio: float = 0.7
    border_ratio: float = 0.02  # distance from the border, over the height of the box


class ViewNetwork(GraphNetwork):
    """
    Observes people in crops that are :class:`PersonView`.

    A subclass has the members that :class:`GraphNetwork` names, ``PRESENCE``, ``_compared_px`` and
    ``_estimate``.
    """

    passes = 3
    max_missed_searches = 5

    PRESENCE = ''
    """Output (1,) with the probability that a person is in the crop."""

    def __init__(self, model, view_numbers: ViewNumbers = ViewNumbers(), **engine_options):
        super().__init__(model, **engine_options)
        self._view_numbers = view_numbers

    def _compared_px(self, row: Dict[str, np.ndarray]) -> np.ndarray:
        """Return points of the body (n, 2), pixels of the crop, that are compared in crops."""
        raise NotImplementedError

    def _estimate(self, row: Dict[str, np.ndarray], view: PersonView, camera: Camera,
                  size: Tuple[int, int]) -> CropEstimate:
        """
        Return the estimate of one crop, with ``points_px`` of the same points in the image.

        :param row: its outputs by name, float64. :param size: width and height of the image.
        """
        raise NotImplementedError

    def crop_of(self, box_px, camera: Camera) -> PersonView:
        """Return the view of a box (4,) without roll, which the next estimate gives."""
        return PersonView.around(self._continued(box_px, camera.height), camera, MARGIN)

    def _continued(self, box_px, image_height: int) -> np.ndarray:
        """Return the box (4,), of an upper body that is cut off below with the rest of it."""
        numbers, (x0, y0, x1, y1) = self._view_numbers, np.asarray(box_px, np.float64)
        height = y1 - y0
        is_cut_off = y1 >= image_height - numbers.border_ratio * height
        if not is_cut_off or height > numbers.max_upper_body_ratio * (x1 - x0):
            return np.array([x0, y0, x1, y1])
        return np.array([x0, y0, x1, y1 + numbers.hidden_height_ratio * height])

    def estimate(self, image_rgb, camera: Camera, crops: List[PersonView]) -> List[CropEstimate]:
        """Return one estimate for every view, in one batch."""
        if not crops:
            return []
        size = (image_rgb.shape[1], image_rgb.shape[0])
        return [self._estimate(row, view, camera, size)
                for row, view in zip(self._run(image_rgb, camera, crops), crops)]

    def disagreement(self, image_rgb, camera: Camera, estimates: List[CropEstimate],
                     larger_crops: Sequence[int] = LARGER_CROPS) -> np.ndarray:
        """
        Return by how much estimates in larger crops differ from ``estimates`` (n, crops).

        That is the median shift of the points, over the size of the body, and the weighted
        probability that no person is there.
        """
        numbers = self._view_numbers
        up_ratios = [numbers.larger_up_ratios[i] for i in larger_crops]
        crops = [one.next_crop.enlarged(numbers.larger_width_ratio, up_ratio)
                 for one in estimates for up_ratio in up_ratios]
        result = np.empty(len(crops))
        for number, (row, crop) in enumerate(zip(self._run(image_rgb, camera, crops), crops)):
            before = np.asarray(estimates[number // len(up_ratios)].points_px)
            now = camera.project(crop.rays(self._compared_px(row), SIZE_PX))
            size = max(float(np.ptp(before, axis=0).max()), 1.0)
            shift = float(np.median(np.linalg.norm(now - before, axis=1))) / size
            absence = 1.0 - float(row[self.PRESENCE][0])
            result[number] = np.nan_to_num(shift, nan=1.0) + numbers.absence_ratio * absence
        return result.reshape(len(estimates), len(up_ratios))

    def _run(self, image_rgb, camera, crops) -> List[Dict[str, np.ndarray]]:
        """Return the outputs of every view by name, float64."""
        return self._outputs(self._images(image_rgb, camera, crops))

    def _outputs(self, images: List[np.ndarray]) -> List[Dict[str, np.ndarray]]:
        """Return the outputs of every image (256, 256, 3) uint8 by name, float64."""
        outputs = self.engine.run({'image': network_input(images)})
        return [{name: outputs[name][i].astype(np.float64) for name in self.OUTPUTS}
                for i in range(len(images))]

    def _images(self, image_rgb, camera: Camera, crops: List[PersonView]) -> List[np.ndarray]:
        """Return the image (256, 256, 3) uint8 of every view."""
        return [rgb_of_view(image_rgb, view, SIZE_PX, camera) for view in crops]

    def _next_view(self, middle_ray, top_ray, view: PersonView, camera: Camera) -> PersonView:
        """
        Return the view of the next image, with a smoothed width.

        :param middle_ray: (3,) towards the middle of the hips, camera's optical axes.
        :param top_ray: (3,) towards the point above it at the reach of the body.
        """
        numbers = self._view_numbers
        focal_px = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
        following = view_of_body(middle_ray, top_ray, MARGIN, numbers.min_crop_px / focal_px)
        ratio = following.width / view.width
        if abs(ratio - 1.0) >= numbers.steady_width_ratio:
            return following
        return replace(following, width=view.width * ratio ** numbers.width_weight)
