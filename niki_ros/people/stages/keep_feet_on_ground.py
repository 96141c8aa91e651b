"""Keeps standing feet on the ground, at the place where they stand."""


from niki_ros.body.kinematics import forward_kinematics
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.ground import FootLock
import numpy as np


class KeepFeetOnGround(Stage):
    """Moves the root so that standing feet neither sink nor slide; needs the ground."""

    timed_as = 'smooth'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._foot_lock = FootLock()

    def step(self, frame: PersonFrame) -> PersonFrame:
        ground = frame.context.ground
        if ground is None:
            return frame
        offsets_m = self.parts.solver.skeleton.offsets(frame.betas)
        joints_m, _ = forward_kinematics(frame.rotmat, offsets_m)
        hidden = frame.hidden[:24]
        # head top, fingers and toes are hidden where the joints before them are
        hidden = np.append(hidden, hidden[[15, 22, 23, 10, 11]])
        correction_m = self._foot_lock.correction_m(
            ground, joints_m + frame.root_m, hidden, frame.dt_s)
        return replace(frame, root_m=frame.root_m + correction_m)
