"""A frame fixed to the trunk, in which the input of a network does not depend on the heading."""

from dataclasses import dataclass

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.rotations import rotmat_from_covariance
from niki_ros.body.skeleton import JOINT
import numpy as np

_LEFT = [JOINT['left_hip'], JOINT['left_shoulder']]
_RIGHT = [JOINT['right_hip'], JOINT['right_shoulder']]

_TRUNK_JOINTS = np.asarray([0, 1, 2, 3, 6, 9, 12, 13, 14, 16, 17])
_BEND_M = 0.03  # how far a trunk joint strays from the rigid trunk because the spine bends
_OUTLIER_M = 0.12
_REACH_M = 2.5  # no joint is farther from the median of a body's joints, noise included
_MEDIAN_RADIUS_M = (0.05, 3.0)  # range of the median distance of a body's joints from their median


@dataclass(frozen=True)
class TrunkFrame:
    """Position and rotation of the trunks of N bodies."""

    camera_from_trunk: np.ndarray  # (N, 3, 3) rotations from the trunk's axes to the camera's
    origin_m: np.ndarray  # (N, 3) origin of the trunk's frame, camera axes

    def to_trunk(self, points_m) -> np.ndarray:
        """Return points (N, n, 3), camera axes, in the trunk's frame, metres."""
        return (points_m - self.origin_m[:, None]) @ self.camera_from_trunk

    def camera_axes(self) -> np.ndarray:
        """Return the camera's y (down) and z (forward) axes in the trunk's frame, (N, 6)."""
        return self.camera_from_trunk[:, 1:].reshape(-1, 6)


def trunk_left(joints_m) -> np.ndarray:
    """Return the direction (3,) from the right to the left side of the trunk."""
    across = (joints_m[_LEFT] - joints_m[_RIGHT]).sum(0)
    return across / max(float(np.linalg.norm(across)), 1e-6)


def trunk_frame(joints_m, sigma, rest_joints_m) -> TrunkFrame:
    """
    Return the trunk's frame: the rigid fit of the trunk at rest to the observed trunk joints.

    Kabsch's problem, solved twice; the second time with Geman-McClure weights on the residuals.

    :param joints_m: (N, 29, 3) camera axes. :param rest_joints_m: (29, 3) or (N, 29, 3) at rest.
    :param sigma: (N, 29) expected error per coordinate, units of 200 mm.
    """
    points = np.asarray(joints_m, dtype=np.float64).take(_TRUNK_JOINTS, 1)
    rest = np.asarray(rest_joints_m).take(_TRUNK_JOINTS, -2)
    sigma = np.asarray(sigma).take(_TRUNK_JOINTS, 1)
    variance = (SIGMA_UNIT_M * sigma)**2
    prior = weight = (1.001 - np.minimum(sigma, 1.0)) / (variance + _BEND_M**2)
    scale = _OUTLIER_M**2 + 3 * variance
    for is_last in (False, True):
        weight = weight / weight.sum(axis=1, keepdims=True)
        rest_mean, mean = weight[:, None] @ rest, weight[:, None] @ points
        around, shifted = rest - rest_mean, points - mean
        rotmat = rotmat_from_covariance((shifted * weight[..., None]).swapaxes(1, 2) @ around)
        if not is_last:
            residual = shifted - around @ rotmat.swapaxes(1, 2)
            squared = np.einsum('nki,nki->nk', residual, residual)
            weight = prior * (scale / (scale + squared))**2
    origin = mean - rest_mean @ rotmat.swapaxes(1, 2)
    return TrunkFrame(rotmat, origin[:, 0])


def reject_implausible_joints(joints_m, sigma, rest_joints_m):
    """
    Return joints and sigma without positions that no body can have.

    A joint out of reach is moved towards the median joint, to the limit of the reach. Where all
    joints coincide, or are scattered over metres, the result is an unobserved body (sigma 1) that
    stands and faces the camera. Where nothing is replaced the same arrays are returned.

    :param joints_m: (N, 29, 3) relative to the pelvis, camera axes. :param rest_joints_m: (29, 3).
    :param sigma: (N, 29) expected error per coordinate, units of 200 mm.
    """
    median = np.sort(joints_m, axis=1)[:, 14:15]
    off = joints_m - median
    squared = np.einsum('nji,nji->nj', off, off)
    median_squared = np.sort(squared, axis=1)[:, 14]
    low, high = _MEDIAN_RADIUS_M
    is_no_body = (median_squared < low**2) | (median_squared > high**2)
    if not is_no_body.any() and squared.max() <= _REACH_M**2:
        return joints_m, sigma
    shrink = np.minimum(1.0, _REACH_M / np.maximum(np.sqrt(squared), 1e-9))
    joints_m = median + off * shrink[..., None]
    joints_m[is_no_body] = rest_joints_m * [1.0, -1.0, -1.0]
    return joints_m, np.where(is_no_body[:, None], 1.0, sigma)
