"""Training batches of the lifter: motion capture in random cameras, with simulated errors."""

from typing import NamedTuple

from niki_ros.body.keypoints import KEYPOINTS
from niki_ros.body.rotations import rotmat_from_rotvec, swing_rotmat
from niki_ros.body.skeleton import JOINT, PARENTS_29, Skeleton
from niki_ros.lifters.window import AGES_S
import numpy as np
import torch

from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT, mirror_poses
from niki_training.data.sampling import WindowSampler
from niki_training.lift.keypoint_errors import KeypointWindows, observed_windows
from niki_training.networks.kinematic import KinematicLayer
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.render.motion import RootedMotion

PIECE_FRAMES = 76  # at 30 Hz: a window, and the frames at which it can end
VIEWS_PER_PIECE = 8  # windows that are drawn from one piece
_FRAME_RATE_HZ = 30
LEGS = [1, 2, 4, 5, 7, 8, 10, 11]
LEFT_ARM, RIGHT_ARM = ([13, 16, 18, 20, 22], [14, 17, 19, 21, 23])
_JOINT_NOISE_RAD = 0.12
_FORWARD = np.array([0.0, 0.0, 1.0])

# keypoints that are no joints, or leaves: joint, bone, and offset from the joint in the axes of
# the bone, mm; left side. Least squares over 6,307 images of people drawn with Anny's bodies
# (network full, seen above 0.9, inside the image), left and right averaged.
_OFFSETS_MM = {
    'nose': ('head', 'head', (0, 17, 92)), 'ear': ('head', 'head', (50, 36, 21)),
    'heel': ('ankle', 'ankle', (-8, -43, -36)), 'toe': ('big_toe', 'foot', (0, 0, 0)),
    'knuckles': ('hand', 'hand', (0, 0, 0))}


class Batch(NamedTuple):
    """Inputs and targets of the network."""

    windows: KeypointWindows
    heading: torch.Tensor  # (N, 2) tangents of the hips in the camera
    joints_m: torch.Tensor  # (N, 29, 3) about the pelvis, axes of the view
    twist: torch.Tensor  # (N, 23, 2)


def keypoint_leaves():
    """Return bone (21,), joint (21,) and offset from it (21, 3), metres, of each keypoint."""
    bones, joints, offsets = [], [], []
    for name in KEYPOINTS:
        side, _, kind = name.rpartition('_')
        joint, bone, offset = _OFFSETS_MM.get(kind, (kind, kind, (0, 0, 0)))

        def index(part, side=side):
            return JOINT[part] if part in JOINT else JOINT[f'{side}_{part}']
        bones.append(index(bone))
        joints.append(index(joint))
        flip = np.array([-1.0 if side == 'right' else 1.0, 1.0, 1.0])
        offsets.append(flip * np.array(offset) * 1e-3)
    return bones, joints, np.array(offsets)


class KeypointBody:
    """Places the 29 joints and the 21 keypoints of posed bodies."""

    def __init__(self, skeleton: Skeleton):
        self._skeleton = skeleton
        self._bones, self._joints, self._offsets = keypoint_leaves()
        self._layer = KinematicLayer([*PARENTS_29, *self._bones], rotating=24)

    def points(self, rotmat, betas: np.ndarray, root_m=None) -> torch.Tensor:
        """
        Return joints and keypoints (P, F, 50, 3), metres.

        :param rotmat: (P, F, 24, 3, 3) local rotations, the first one of the whole body.
        :param betas: (P, 10). :param root_m: (P, F, 3), None = at 0.
        """
        offsets = self._skeleton.offsets(betas)
        own = np.where((np.array(self._bones) != np.array(self._joints))[:, None],
                       offsets[:, self._joints], 0.0)
        offsets = torch.as_tensor(np.concatenate([offsets, own + self._offsets], 1),
                                  dtype=torch.float32)
        return self._layer(rotmat, offsets[:, None].expand(-1, rotmat.shape[1], -1, -1), root_m)


class PosedPieces(NamedTuple):
    """P pieces of motion of F frames, y up, the pelvis of the newest frame at 0."""

    points: torch.Tensor  # (P, F, 50, 3) joints and keypoints, metres
    rotmat: torch.Tensor  # (P, F, 24, 3, 3) local rotations
    betas: np.ndarray  # (P, 10)


class LiftBatches:
    """Draws batches of ``pieces`` of motion; without ``errors`` all keypoints are seen exactly."""

    def __init__(self, motion: RootedMotion, skeleton: Skeleton, pieces: int = 64,
                 errors: bool = True):
        self.motion, self.skeleton, self.pieces, self.errors = motion, skeleton, pieces, errors
        self._windows = WindowSampler(motion, PIECE_FRAMES)
        self._body = KeypointBody(skeleton)
        self._axes = torch.as_tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)

    def draw(self, rng) -> Batch:
        """Return ``pieces * VIEWS_PER_PIECE`` windows."""
        points, rotmat, _ = self.posed(rng)
        count = self.pieces * VIEWS_PER_PIECE
        piece = torch.arange(self.pieces).repeat_interleave(VIEWS_PER_PIECE)
        window = AGES_S[-1] * _FRAME_RATE_HZ
        end = torch.as_tensor(window + rng.random(count) * (PIECE_FRAMES - 1.01 - window),
                              dtype=torch.float32)
        view, heading, distance_m = random_views(count, rng)
        # the targets are those of the newest image
        now = _at(points, piece, end)
        hips = (now[:, 1] + now[:, 2]) / 2
        joints = (now[:, :29] - now[:, :1]) @ view.transpose(1, 2)
        nearest = rotmat[piece, end.round().long()]
        _, twist = swing_twist(nearest, self._axes)
        place = torch.zeros(count, 1, 3)
        place[:, 0, 2] = distance_m

        def true_keypoints(age_s):
            at = _at(points[:, :, 29:], piece, end - _FRAME_RATE_HZ * age_s)
            return (at - hips[:, None]) @ view.transpose(1, 2) + place
        windows = observed_windows(true_keypoints, count, rng, self.errors)
        return Batch(windows, heading, joints, twist)

    def posed(self, rng) -> PosedPieces:
        """Return pieces with limbs of other pieces, half of them mirrored, of random bodies."""
        starts = self._windows.draw_starts(self.pieces, rng)
        at = starts[:, None] + np.arange(PIECE_FRAMES)
        rotvec = self.motion.rotvec[at].copy()
        root = self.motion.root_m[at] - self.motion.root_m[at[:, -1:]]
        for joints, odds in ((LEGS, 0.25), (LEFT_ARM, 0.3), (RIGHT_ARM, 0.3)):
            other = rng.permutation(self.pieces)
            swap = np.nonzero(rng.random(self.pieces) < odds)[0]
            rotvec[swap[:, None], :, joints] = rotvec[other[swap][:, None], :, joints]
        noise = rng.normal(size=(self.pieces, 1, 22, 3)) * _JOINT_NOISE_RAD
        noise[:, :, 0] = 0
        rotvec[:, :, :22] += noise
        mirror = rng.random(self.pieces) < 0.5
        rotvec[mirror] = mirror_poses(rotvec[mirror])
        root[mirror] *= np.array([-1, 1, 1], np.float32)
        betas = np.clip(rng.normal(size=(self.pieces, 10)), -2.5, 2.5)
        rotmat = torch.as_tensor(rotmat_from_rotvec(rotvec), dtype=torch.float32)
        points = self._body.points(rotmat, betas, torch.as_tensor(root, dtype=torch.float32))
        return PosedPieces(points, rotmat, betas)


def _at(points, piece, frame):
    """Return points (N, J, 3) between frames of (P, F, J, 3), at frames (N,) of pieces (N,)."""
    frame = frame.clamp(0, points.shape[1] - 1.001)
    low = frame.floor().long()
    share = (frame - low)[:, None, None]
    return (1 - share) * points[piece, low] + share * points[piece, low + 1]


def random_views(count: int, rng):
    """
    Return view_from_upright (N, 3, 3), tangents of the hips (N, 2) and distances (N,), metres.

    Most cameras are nearly level, as on robots and tripods; some look up or down, a few are rolled
    by any angle.
    """
    pitch = np.where(rng.random(count) < 0.7, rng.normal(size=count) * 0.15,
                     rng.uniform(-0.52, 1.4, count))
    roll = rng.normal(size=count) * 0.08
    roll = np.where(rng.random(count) < 0.03, rng.uniform(-np.pi, np.pi, count), roll)
    spin = np.zeros((3, count, 3))
    spin[0, :, 2], spin[1, :, 0] = roll, pitch
    spin[2, :, 1] = rng.uniform(-np.pi, np.pi, count)
    roll, pitch, heading = (rotmat_from_rotvec(one) for one in spin)
    camera = roll @ pitch @ CAMERA_FROM_UPRIGHT @ heading
    tangents = np.clip(rng.normal(size=(count, 2)) * [0.35, 0.18], -1.5, 1.5)
    distance = np.exp(rng.uniform(np.log(1.2), np.log(10.0), count))
    ray = np.concatenate([tangents, np.ones((count, 1))], 1)
    view = np.swapaxes(swing_rotmat(_FORWARD, ray), 1, 2) @ camera
    return (torch.as_tensor(view, dtype=torch.float32),
            torch.as_tensor(tangents, dtype=torch.float32),
            torch.as_tensor(distance, dtype=torch.float32))
