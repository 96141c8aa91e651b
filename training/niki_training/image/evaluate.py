"""Scores of the three heads on crops with ground truth."""

from niki_ros.body.skeleton import MIRROR_29, PARENTS_29
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import torch

from niki_training.evaluate.metrics import mpjpe_mm, pa_mpjpe_mm, rotation_deg
from niki_training.image.augmentation import resized, tensors, usable
from niki_training.image.losses import crop_uv
from niki_training.networks.kinematic import rotmat_from_rot6d

SCORES = {
    'mpjpe_mm': 'joints, mm', 'pa_mpjpe_mm': 'aligned, mm', 'bone_percent': 'bone lengths, %',
    'sides_percent': 'left to right, %', 'angle_deg': 'angles, °', 'uv_percent': 'in the crop, %',
    'distance_percent': 'distance, %'}
MEAN_POSE = 'mean pose'  # row of the baseline that predicts the mean of the training data
BATCH_CROPS = 64
_UNKNOWN_SIGMA = 0.05


def bone_lengths(joints_m) -> np.ndarray:
    """Return the bone lengths (N, 23) of joints (N, 29, 3), metres."""
    return np.linalg.norm(joints_m[:, 1:24] - joints_m[:, list(PARENTS_29[1:24])], axis=-1)


def predict(net, crops: dict) -> dict:
    """
    Return the outputs of a network for all crops.

    :return: ``joints_m`` (N, 29, 3), ``rotmat`` (N, 24, 3, 3) or None, ``place`` (N, 3),
        ``log_error`` (N, 29) and ``uv`` (N, 29, 2).
    """
    parts: list = []
    with torch.no_grad():
        for first in range(0, len(crops['image']), BATCH_CROPS):
            batch = tensors(crops, slice(first, first + BATCH_CROPS))
            image = resized(batch['image'], net.config.size_px)
            found = net(image.contiguous(memory_format=torch.channels_last))
            uv = crop_uv(found.joints_m, found.place, batch['projection'], batch['crops'])
            rotmat = None if found.rot6d is None else rotmat_from_rot6d(found.rot6d)
            parts.append((found.joints_m, rotmat, found.place, found.log_error, uv))
    names = ('joints_m', 'rotmat', 'place', 'log_error', 'uv')
    return {name: None if column[0] is None else torch.cat(column).double().numpy()
            for name, column in zip(names, zip(*parts))}


def scores(found: dict, truth: dict) -> dict:
    """
    Return the mean scores of predictions, see ``SCORES``.

    Rotations of a network without rotations are those of analytic inverse kinematics. The errors
    of bone lengths are relative to the person's own, and of left to right.
    """
    joints, true = found['joints_m'], np.float64(truth['joints_m'])
    joints = joints - joints[:, :1]
    rotmat = found['rotmat']
    if rotmat is None:
        rotmat = AnalyticSolver().solve(joints, np.full(joints.shape[:2], _UNKNOWN_SIGMA)).rotmat
    length, true_length = bone_lengths(joints), bone_lengths(true)
    mirror = np.array(MIRROR_29[1:24]) - 1
    sides, other = mirror != np.arange(23), length[:, mirror]
    sides_ratio = (2 * np.abs(length - other) / (length + other))[:, sides]
    apart = np.linalg.norm(found['uv'] - truth['uv'], axis=-1)
    distance = np.exp(truth['place'][:, 2] - found['place'][:, 2])
    return {
        'mpjpe_mm': float(mpjpe_mm(joints, true).mean()),
        'pa_mpjpe_mm': float(pa_mpjpe_mm(joints, true).mean()),
        'bone_percent': float(100 * (np.abs(length - true_length) / true_length).mean()),
        'sides_percent': float(100 * sides_ratio.mean()),
        'angle_deg': float(rotation_deg(rotmat, np.float64(truth['rotmat'])).mean()),
        'uv_percent': float(100 * np.nanmedian(apart[truth['visible']])),
        'distance_percent': float(100 * np.median(np.abs(distance - 1))),
    }


def mean_pose(crops: dict, train: dict) -> dict:
    """Return the mean of the training data as prediction for every crop."""
    count = len(crops['image'])

    def same(values):
        return np.repeat(np.float64(values).mean(0, keepdims=True), count, axis=0)

    rot6d = torch.tensor(same(train['rotmat'][..., :2, :].reshape(-1, 24, 6)))
    return {'joints_m': same(train['joints_m']), 'rotmat': rotmat_from_rot6d(rot6d).numpy(),
            'place': same(train['place']), 'uv': same(train['uv'])}


def rendered_table(nets: dict, crops: dict, train: dict | None = None) -> dict:
    """Return {row: scores} of the heads, and of the mean pose of ``train`` where it is given."""
    crops = usable(crops)
    rows = {head: scores(predict(net, crops), crops) for head, net in nets.items()}
    if train is not None:
        rows[MEAN_POSE] = scores(mean_pose(crops, usable(train)), crops)
    return rows


def text_table(rows: dict, columns: dict = SCORES) -> str:
    """Return a Markdown table."""
    lines = ['| | ' + ' | '.join(columns.values()) + ' |', '|---' * (1 + len(columns)) + '|']
    for name, row in rows.items():
        cells = [f'{row[key]:.1f}' if key in row else '' for key in columns]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)
