"""AMASS: one ``.npz`` a clip, SMPL-H or SMPL-X poses as axis angles, z up."""

from __future__ import annotations

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.frame_rate import at_30_fps, checked_rate_hz
from niki_training.data.motion import Motion
from niki_training.files.archives import opened_npz

UPRIGHT_FROM_Z_UP = np.asarray([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


def read_amass(path) -> Motion:
    """Read ``poses`` (T, 156 or 165) and the frame rate; interpolate to 30 frames a second."""
    with opened_npz(path, 'an AMASS clip', 'take clips named _poses.npz or _stageii.npz, whole'
                    ) as z:
        poses = np.asarray(z['poses'], dtype=np.float64)
        rate = z['mocap_framerate' if 'mocap_framerate' in z else 'mocap_frame_rate']
    if poses.ndim != 2 or poses.shape[1] < 66:
        raise InputError(f'{path}: poses {poses.shape}; expected (T, 66 or more)')
    rate_hz = checked_rate_hz(path, rate)
    name = f'{path.parent.name}/{path.stem}'   # AMASS has a folder for each subject
    return from_body_poses(poses[:, :66], rate_hz, name, UPRIGHT_FROM_Z_UP)


def from_body_poses(poses, rate_hz: float, name: str, upright=None) -> Motion:
    """
    Turn SMPL body poses (T, 66 or 72) into motion of ours: 30 fps, y up, hands straight.

    :param upright: (3, 3) turns the file's world into axes with y up; None = it is so.
    """
    body = at_30_fps(poses[:, :66].reshape(-1, 22, 3), rate_hz)
    rotvec = np.zeros((len(body), 24, 3))
    rotvec[:, :22] = body
    upright = np.eye(3) if upright is None else upright
    rotvec[:, 0] = rotvec_from_rotmat(upright @ rotmat_from_rotvec(rotvec[:, 0]))
    return Motion(rotvec.astype(np.float32), np.asarray([len(rotvec)]), np.asarray([name]))
