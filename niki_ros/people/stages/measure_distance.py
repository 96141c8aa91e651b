"""Measures the distance of a person by a depth image or by the ground."""

from dataclasses import dataclass
from typing import Any

from niki_ros.body.body import ROOT_FROM_CAMERA, ROOT_FROM_DEPTH, ROOT_FROM_GROUND, ROOT_PREDICTED
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.shape import body_scale
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.depth import depth_z_offset_m, moved_along_ray
from niki_ros.scene.ground import ground_z_offset_m
import numpy as np


@dataclass(frozen=True)
class DistanceNumbers:
    """Numbers of :class:`MeasureDistance`."""

    memory_s: float = 1.0  # time constant of the person's size by measured distances
    # once the size is known, a depth that differs by more than this log ratio is that of something
    # else
    max_log_ratio: float = 0.15


class MeasureDistance(Stage):
    """
    Moves the root along its ray to the measured distance.

    The ratio to the distance by size is remembered: it also corrects images without a measurement.
    A ratio by depth tells the size of the person, too (stage ``estimate_size``), after which the
    two distances agree.
    """

    Numbers = DistanceNumbers
    timed_as = 'place'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._log_scale = 0.0  # of the person, over that of the mean body, by the distances
        self._is_measured = False

    def step(self, frame: PersonFrame) -> PersonFrame:
        if frame.root_source == ROOT_PREDICTED:
            return frame
        z_offset_m, source = self._measure(frame)
        if z_offset_m is None and not self._is_measured:
            return frame
        log_by_size = np.log(float(body_scale(frame.betas, self.parts.solver.skeleton)))
        expected = self._expected_log_scale(frame, log_by_size) - log_by_size
        if z_offset_m is None:
            return replace(frame, root_m=frame.root_m * np.exp(expected))
        ratio = float(moved_along_ray(frame.root_m, z_offset_m)[2] / frame.root_m[2])
        if source == ROOT_FROM_DEPTH:
            frame = replace(frame, distance_ratio=ratio)
            off = abs(np.log(ratio) - expected)
            if frame.measured_scale is not None and off > self.numbers.max_log_ratio:
                return replace(frame, root_m=frame.root_m * np.exp(expected))
        weight = min(frame.dt_s / self.numbers.memory_s, 1.0) if self._is_measured else 1.0
        self._log_scale += weight * (log_by_size + np.log(ratio) - self._log_scale)
        self._is_measured = True
        # one measurement by the ground is as uncertain as the foot: use the mean
        if source == ROOT_FROM_GROUND:
            ratio = float(np.exp(self._log_scale - log_by_size))
        return replace(frame, root_m=frame.root_m * ratio, root_source=source)

    def _expected_log_scale(self, frame: PersonFrame, log_by_size: float) -> float:
        """Return the size of the person over that of the mean body, by distances before."""
        if frame.measured_scale is not None:
            return float(np.log(frame.measured_scale))
        return self._log_scale if self._is_measured else log_by_size

    def _measure(self, frame: PersonFrame):
        """Return how much farther (m) the body is than it was placed, or None, and the source."""
        context = frame.context
        seen: Any = frame.observation
        if context.depth_m is None and context.ground is None:
            return None, ROOT_FROM_CAMERA
        offsets_m = self.parts.solver.skeleton.offsets(frame.betas)
        joints_m = forward_kinematics(frame.rotmat, offsets_m)[0] + frame.root_m
        if context.depth_m is not None:
            size = (context.camera.width, context.camera.height)
            z_offset_m = depth_z_offset_m(
                context.depth_m, size, seen.keypoints_px, joints_m, frame.hidden)
            if z_offset_m is not None:
                return z_offset_m, ROOT_FROM_DEPTH
        if context.ground is not None:
            return ground_z_offset_m(context.ground, joints_m, frame.hidden), ROOT_FROM_GROUND
        return None, ROOT_FROM_CAMERA
