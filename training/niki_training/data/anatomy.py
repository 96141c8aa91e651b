"""
Joint centres of a body whose bones begin where those of Anny's body model do.

Anny's bones are made to bend a mesh. Compared with people its knees are too high, its shoulders
too low, its hips too wide and its forearms too short: of the body's height the thigh is 0.236, the
shank 0.253 and the distance of hips and shoulders 0.27, in anthropometry 0.245, 0.246 and 0.288
(Drillis and Contini 1966, in Winter, Biomechanics and Motor Control of Human Movement). De Leva
(1996) has 0.243, 0.249 and 0.296 for men. Landmark networks, which have learned from annotators,
see the joints of people who are drawn with Anny's meshes in nearly the places below.
"""

from dataclasses import dataclass

from niki_ros.body.skeleton import JOINT
import numpy as np


@dataclass(frozen=True)
class JointCentreNumbers:
    """Moves of joint centres, as shares of lengths between Anny's joints."""

    hips_width_ratio: float = 0.86  # of the distance between the hips
    hips_down: float = 0.015  # of the distance of the hips' and the shoulders' middles
    knee_down: float = 0.055  # of the thigh
    ankle_up: float = 0.02  # of the shank
    shoulders_up: float = 0.055  # of the distance of the hips' and the shoulders' middles
    shoulders_width_ratio: float = 0.97  # of the distance between the shoulders
    elbow_up: float = 0.03  # of the upper arm
    wrist_out: float = 0.04  # of the forearm


def joint_centres(joints_m, numbers: JointCentreNumbers = JointCentreNumbers()) -> np.ndarray:
    """
    Return joint centres (..., 24 or 29, 3) for the joints of Anny's body model, in any pose.

    The result is linear in ``joints_m`` (..., 24 or 29, 3) and turns with it.
    """
    joints = np.asarray(joints_m)
    centres = joints.copy()

    def pair(name):
        return joints[..., [JOINT[f'left_{name}'], JOINT[f'right_{name}']], :]

    def set_pair(name, value):
        centres[..., [JOINT[f'left_{name}'], JOINT[f'right_{name}']], :] = value
    hips, shoulders = pair('hip'), pair('shoulder')
    hip_middle, shoulder_middle = hips.mean(-2, keepdims=True), shoulders.mean(-2, keepdims=True)
    up = shoulder_middle - hip_middle
    set_pair('hip', hip_middle + numbers.hips_width_ratio * (hips - hip_middle)
             - numbers.hips_down * up)
    set_pair('knee', pair('knee') + numbers.knee_down * (pair('knee') - hips))
    set_pair('ankle', pair('ankle') - numbers.ankle_up * (pair('ankle') - pair('knee')))
    set_pair('shoulder', shoulder_middle + numbers.shoulders_up * up
             + numbers.shoulders_width_ratio * (shoulders - shoulder_middle))
    set_pair('elbow', pair('elbow') - numbers.elbow_up * (pair('elbow') - shoulders))
    set_pair('wrist', pair('wrist') + numbers.wrist_out * (pair('wrist') - pair('elbow')))
    return centres
