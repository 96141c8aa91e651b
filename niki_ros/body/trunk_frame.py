"""A frame that turns with the trunk, so that a network need not learn every heading of a body."""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.rotations import rotmat_from_covariance
import numpy as np

TRUNK = np.asarray([0, 1, 2, 3, 6, 9, 12, 13, 14, 16, 17])
_BEND_M = 0.03      # how far a trunk joint strays from the rest trunk because the spine bends
_OUTLIER_M = 0.12
_REACH_M = 2.5      # no joint is farther from the middle of a body, noise included
_BODY_M = (0.05, 3.0)
"""Half the joints of a body are farther from its middle than this, and half are nearer."""


@dataclass(frozen=True)
class TrunkFrame:
    """
    Where the trunk is and how it is turned.

    :param camera_from_trunk: (N, 3, 3) rotations.
    :param origin_m: (N, 3) the trunk's centre in the axes of the observation.
    """

    camera_from_trunk: np.ndarray
    origin_m: np.ndarray

    def into(self, points_m) -> np.ndarray:
        """Turn points (N, n, 3) of the observation into the trunk's frame."""
        return (points_m - self.origin_m[:, None]) @ self.camera_from_trunk

    def camera_axes(self) -> np.ndarray:
        """Return the camera's down and forward axes in the trunk's frame, (N, 6)."""
        return self.camera_from_trunk[:, 1:].reshape(-1, 6)


def trunk_frame(joints_m, sigma, rest_joints_m) -> TrunkFrame:
    """
    Fit the trunk at rest onto the observed trunk joints (Kabsch), twice, outliers weighted down.

    :param joints_m: (N, 29, 3) observed joints.
    :param sigma: (N, 29) expected error per coordinate over 200 mm.
    :param rest_joints_m: (29, 3) or (N, 29, 3) rest pose of these bodies.
    """
    points = np.asarray(joints_m, dtype=np.float64).take(TRUNK, 1)
    rest = np.asarray(rest_joints_m).take(TRUNK, -2)
    spread = np.asarray(sigma).take(TRUNK, 1)
    variance = (SIGMA_UNIT_M * spread)**2
    prior = weight = (1.001 - np.minimum(spread, 1.0)) / (variance + _BEND_M**2)
    scale = _OUTLIER_M**2 + 3 * variance
    for last in (False, True):
        weight = weight / weight.sum(axis=1, keepdims=True)
        rest_mean, mean = weight[:, None] @ rest, weight[:, None] @ points
        around, shifted = rest - rest_mean, points - mean
        rotmat = rotmat_from_covariance((shifted * weight[..., None]).swapaxes(1, 2) @ around)
        if not last:
            miss = shifted - around @ rotmat.swapaxes(1, 2)
            weight = prior * (scale / (scale + np.einsum('nki,nki->nk', miss, miss)))**2
    origin = mean - rest_mean @ rotmat.swapaxes(1, 2)
    return TrunkFrame(rotmat, origin[:, 0])


def reject_implausible_joints(joints_m, sigma, rest_joints_m):
    """
    Replace what no body can be, so that one wild value does not carry the rest away.

    A joint out of reach is drawn in to where it is merely wrong. Where all joints are at one
    place, or strewn over a hall, nothing is observed: sigma 1, a person who stands and faces the
    camera.

    :param joints_m: (N, 29, 3), camera axes. :param sigma: (N, 29).
    :param rest_joints_m: (29, 3) of the mean body.
    :return: joints_m and sigma; the same arrays where nothing had to be replaced.
    """
    middle = np.sort(joints_m, axis=1)[:, 14:15]
    off = joints_m - middle
    squared = np.einsum('nji,nji->nj', off, off)
    typical = np.sort(squared, axis=1)[:, 14]
    nobody = (typical < _BODY_M[0]**2) | (typical > _BODY_M[1]**2)
    if not nobody.any() and squared.max() <= _REACH_M**2:
        return joints_m, sigma
    reach = np.minimum(1.0, _REACH_M / np.maximum(np.sqrt(squared), 1e-9))
    joints_m = middle + off * reach[..., None]
    joints_m[nobody] = rest_joints_m * [1.0, -1.0, -1.0]
    return joints_m, np.where(nobody[:, None], 1.0, sigma)
