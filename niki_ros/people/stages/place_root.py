"""Places the body so that it projects onto its keypoints."""

from typing import Optional

from niki_ros.body.body import ROOT_FROM_CAMERA, ROOT_PREDICTED
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.camera import Camera, solve_root
import numpy as np

MIN_SIGMA_PX = 0.5  # no image position of a front end is better than this


class PlaceRoot(Stage):
    """Sets the root by the keypoints, else predicts it; a person without a root has no body."""

    timed_as = 'place'

    def step(self, frame: PersonFrame) -> Optional[PersonFrame]:
        root_m, source = None, ROOT_FROM_CAMERA
        if frame.observation is not None:
            # with the size that is published; the solver may have used another one
            offsets_m = self.parts.solver.skeleton.offsets(frame.betas)
            joints_m, _ = forward_kinematics(frame.rotmat, offsets_m)
            root_m = root_of_joints(joints_m, frame.observation, frame.context.camera)
        if root_m is None:
            root_m, source = frame.predicted_root_m, ROOT_PREDICTED
        return None if root_m is None else replace(frame, root_m=root_m, root_source=source)


def root_of_joints(joints_m, seen: JointObservation, camera: Camera) -> Optional[np.ndarray]:
    """
    Return the pelvis (3,), metres, at which joints project onto the keypoints.

    None if too few keypoints are observed.

    :param joints_m: (29, 3) relative to the pelvis, camera axes.
    """
    sigma_px = np.asarray(seen.keypoint_sigma_px, dtype=np.float64)
    certain = np.minimum(np.maximum(1.0 - seen.sigma_200mm, 0.0), 1.0) ** 2
    weights = np.where(np.isfinite(sigma_px), certain / np.maximum(sigma_px, MIN_SIGMA_PX) ** 2,
                       0.0)
    return solve_root(joints_m, seen.keypoints_px, weights, camera)
