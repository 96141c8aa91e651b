"""
Fits pose and root to the keypoints in the image, which are more reliable than the depth.

Gauss-Newton on the 24 rotations and the root: the keypoints through the real camera, weighted by
their expected errors, with the result of the solver as prior.
"""

from dataclasses import dataclass

from niki_ros.body.body import ROOT_PREDICTED
from niki_ros.body.kinematics import ANCESTORS, forward_kinematics, global_rotmats
from niki_ros.body.rotations import length, rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import JOINT, PARENTS_29
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.place_root import MIN_SIGMA_PX
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.camera import Camera
import numpy as np
from scipy.linalg.lapack import dposv

# (24, 29) 1 where the rotation of the first joint moves the second
_DESCENDANTS = ANCESTORS.T.copy()
# the joints whose rotations move thighs and shanks
_LEGS = np.array([JOINT[f'{side}_{part}'] for part in ('hip', 'knee')
                  for side in ('left', 'right')])


@dataclass(frozen=True)
class FitNumbers:
    """Numbers of :class:`FitKeypoints`, in addition to the settings ``pixels``."""

    iteration_count: int = 2
    huber_sigmas: float = 2.0  # a keypoint that is farther off loses weight
    min_keypoint_count: int = 4
    min_depth_m: float = 0.2  # of a joint
    root_sigma_ratio: tuple = (0.01, 0.01, 0.03)  # x, y, z over the distance


class FitKeypoints(Stage):
    """Turns the joints and moves the root so that the body projects onto its keypoints."""

    Numbers = FitNumbers
    timed_as = 'place'

    def step(self, frame: PersonFrame) -> PersonFrame:
        settings = self.parts.config.pixels
        if not settings.refine or frame.observation is None or frame.root_source == ROOT_PREDICTED:
            return frame
        seen, skeleton = frame.observation, self.parts.solver.skeleton
        confident_rad, hidden_rad = settings.prior_rad, settings.prior_hidden_rad
        prior_rad = hidden_rad + (confident_rad - hidden_rad) * np.asarray(
            frame.solution.confidence)
        rotmat, root_m = fit_keypoints(
            frame.rotmat, frame.root_m, skeleton.offsets(frame.betas), seen.keypoints_px,
            seen.keypoint_sigma_px, frame.context.camera, prior_rad, self.numbers)
        return replace(frame, rotmat=rotmat, root_m=root_m)


def fit_keypoints(rotmat, root_m, offsets_m, keypoints_px, sigma_px, camera: Camera, prior_rad,
                  numbers: FitNumbers = FitNumbers()):
    """
    Return rotations (24, 3, 3) and root (3,) of the body that projects onto its keypoints.

    A rotation of joint k by the small world rotation w moves a joint j below it by
    w × (p_j - p_k); through the pinhole (x / z, y / z) that is linear in w, so that each step is
    one linear system of 75 unknowns.

    :param rotmat: (24, 3, 3) local rotations. :param root_m: (3,), optical axes.
    :param offsets_m: (29, 3) bones at rest. :param keypoints_px: (29, 2), NaN = none.
    :param sigma_px: (29,) inf = none. :param prior_rad: (24,) expected errors of the rotations.
    """
    rays = camera.rays(keypoints_px)[:, :2]
    used = np.flatnonzero(np.isfinite(sigma_px) & np.isfinite(rays).all(-1))
    if len(used) < numbers.min_keypoint_count:
        return rotmat, root_m
    rays = rays[used]
    focal_px = 0.5 * (camera.matrix[0, 0] + camera.matrix[1, 1])
    sigma = np.maximum(np.asarray(sigma_px, dtype=np.float64)[used], MIN_SIGMA_PX) / focal_px
    root_sigma_m = np.array(numbers.root_sigma_ratio) * root_m[2]
    prior_weight = np.concatenate([np.repeat(prior_rad, 3), root_sigma_m])**-2.0
    start = np.asarray(rotmat, dtype=np.float64), np.asarray(root_m, dtype=np.float64)
    rotmat, root = start
    moved = np.zeros(75)
    for i in range(numbers.iteration_count):
        joints, turned = forward_kinematics(rotmat, offsets_m)
        place = joints[used] + root
        if place[:, 2].min() < numbers.min_depth_m:
            return start
        if i:
            moved[:72] = rotvec_from_rotmat(start[0].swapaxes(-1, -2) @ rotmat).ravel()
            moved[72:] = root - start[1]
        jacobian = projection_jacobian(joints, place, used, turned)
        off = rays - place[:, :2] / place[:, 2:]
        weight = _huber_weights(off, sigma, numbers.huber_sigmas)
        step = _step(jacobian, weight, off.ravel(), prior_weight, prior_weight * moved)
        rotmat = rotmat @ rotmat_from_rotvec(step[:72].reshape(24, 3))
        root = root + step[72:]
    return _with_hidden_legs_kept(rotmat, start[0], used), root


def _with_hidden_legs_kept(rotmat, before, used):
    """
    Return ``rotmat`` (24, 3, 3) with hidden thighs and shanks in their directions ``before``.

    No keypoint tells where they are, and turns of the pelvis would take them along. (Arms follow
    the trunk better: left arm hidden, 109.5 mm, in their directions before 110.7.)
    """
    hidden = _LEGS[~_DESCENDANTS[np.ix_(_LEGS, used)].any(1)]
    if not len(hidden):
        return rotmat
    kept = rotmat.copy()
    turned, turned_before = global_rotmats(rotmat), global_rotmats(before)
    for joint in hidden:
        parent = PARENTS_29[joint]
        if parent not in hidden:
            kept[joint] = turned[parent].T @ turned_before[joint]
    return kept


def _step(jacobian, weight, off, prior_weight, back) -> np.ndarray:
    """Return the step (75,) of Gauss-Newton; the prior makes the system positive definite."""
    weighted = jacobian * weight[:, None]
    system = weighted.T @ jacobian
    system.ravel()[::76] += prior_weight
    return dposv(system.T, weighted.T @ off - back, lower=1, overwrite_a=1, overwrite_b=1)[1]


def _huber_weights(off, sigma, huber_sigmas: float) -> np.ndarray:
    """Return the weight of every row of the system (2n,), for residuals (n, 2)."""
    ratio = length(off) / sigma
    return np.repeat(np.minimum(1.0, huber_sigmas / np.maximum(ratio, 1e-9)) / sigma**2, 2)


def projection_jacobian(joints, place, used, turned) -> np.ndarray:
    """
    Return (2n, 75): how n projected joints change with the rotation vectors and the root.

    For a direction l in the image and a lever v, l · (R w × v) = (v × l) · R w.

    :param joints: (29, 3) relative to the pelvis. :param place: (n, 3) of the joints ``used`` (n,)
        in front of the camera. :param turned: (24, 3, 3) global rotations.
    """
    count = len(place)
    x, y, z = place.T
    scale, right, down = 1 / z, -x / z**2, -y / z**2
    jacobian = np.zeros((count, 2, 75))
    jacobian[:, 0, 72] = jacobian[:, 1, 73] = scale
    jacobian[:, 0, 74], jacobian[:, 1, 74] = right, down
    lever = joints[used].T[:, None] - joints[:24].T[..., None]
    v_x, v_y, v_z = lever * _DESCENDANTS[:, used]
    # lever × (scale, 0, right) and lever × (0, scale, down)
    turn = np.empty((24, count, 2, 3))
    turn[..., 0, 0], turn[..., 0, 2] = v_y * right, -v_y * scale
    turn[..., 0, 1] = v_z * scale - v_x * right
    turn[..., 1, 0] = v_y * down - v_z * scale
    turn[..., 1, 1], turn[..., 1, 2] = -v_x * down, v_x * scale
    turn = turn.reshape(24, 2 * count, 3) @ turned
    jacobian = jacobian.reshape(2 * count, 75)
    jacobian[:, :72].reshape(2 * count, 24, 3)[:] = turn.swapaxes(0, 1)
    return jacobian
