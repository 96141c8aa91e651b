"""Reader of AMASS: one ``.npz`` per clip, SMPL-H or SMPL-X poses as rotation vectors, z up."""

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.frame_rate import at_30_fps, checked_rate_hz
from niki_training.data.motion import Motion
from niki_training.files.archives import opened_npz

UPRIGHT_FROM_Z_UP = np.asarray([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


def read_amass(path) -> Motion:
    """Read one clip: ``poses`` (T, 156 or 165) and the frame rate."""
    with opened_npz(path, 'an AMASS clip', 'take whole clips _poses.npz or _stageii.npz') as z:
        poses = np.asarray(z['poses'], dtype=np.float64)
        rate = z['mocap_framerate' if 'mocap_framerate' in z else 'mocap_frame_rate']
    if poses.ndim != 2 or poses.shape[1] < 66:
        raise InputError(f'{path}: poses {poses.shape}; expected (T, 66 or more)')
    rate_hz = checked_rate_hz(path, rate)
    name = f'{path.parent.name}/{path.stem}'   # AMASS has a folder for each subject
    return from_body_poses(poses[:, :66], rate_hz, name, UPRIGHT_FROM_Z_UP)


def from_body_poses(poses, rate_hz: float, name: str, upright=None) -> Motion:
    """
    Return SMPL body poses as motion: 30 frames per second, y up, straight hands.

    :param poses: (T, 66 or 72) rotation vectors, radians.
    :param upright: (3, 3) rotation from the file's world to axes with y up; None = identity.
    """
    body = at_30_fps(poses[:, :66].reshape(-1, 22, 3), rate_hz)
    rotvec = np.zeros((len(body), 24, 3))
    rotvec[:, :22] = body
    upright = np.eye(3) if upright is None else upright
    rotvec[:, 0] = rotvec_from_rotmat(upright @ rotmat_from_rotvec(rotvec[:, 0]))
    return Motion(rotvec.astype(np.float32), np.asarray([len(rotvec)]), np.asarray([name]))
