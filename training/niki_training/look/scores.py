"""Scores of a network alone: on crops of video, rendered crops and photographs."""

from dataclasses import dataclass

from niki_ros.body.skeleton import MIRROR_29, PARENTS_29
from niki_ros.observers.look_network import mirrored_output
import numpy as np
import torch

from niki_training.evaluate.metrics import mpjpe_mm, procrustes_aligned
from niki_training.evaluate.video_scores import hips
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.look.photographs import COCO_LIMBS, Photographs
from niki_training.look.video_crops import VideoCrops

NAMES = ('uv', 'uv_sigma', 'joints_m', 'joints_sigma_m', 'visible', 'present')
_BATCH_CROPS = 32


@dataclass(frozen=True)
class ScoreNumbers:
    """Numbers of the scores."""

    hidden_percent: float = 30.0  # from which a crop counts as hidden
    near_ratio: float = 0.05  # of the person's box: a joint within it is right
    bins: int = 10  # of the expected error, with the same number of joints each
    min_bin: int = 20  # joints in a bin


NUMBERS = ScoreNumbers()


@torch.no_grad()
def predict(net, images) -> dict:
    """
    Return the outputs ``NAMES`` for crops (N, 256, 256, 3) uint8 RGB as arrays.

    :param net: a :class:`niki_training.look.network.LookNet`, or a callable with its outputs.
    """
    parts = []
    device = next((p.device for p in net.parameters()), torch.device('cpu')) if isinstance(
        net, torch.nn.Module) else torch.device('cpu')
    for first in range(0, len(images), _BATCH_CROPS):
        own = torch.from_numpy(np.ascontiguousarray(images[first:first + _BATCH_CROPS]))
        image = own.to(device).permute(0, 3, 1, 2).float() / 255
        found = net(image.contiguous(memory_format=torch.channels_last))
        parts.append([getattr(found, name).double().cpu().numpy() for name in NAMES])
    return {name: np.concatenate(column) for name, column in zip(NAMES, zip(*parts))}


def predict_of_both(net, images) -> dict:
    """Return the means of :func:`predict` for crops and for their mirror images."""
    plain, mirrored = predict(net, images), predict(net, images[:, :, ::-1])
    return {name: (value + mirrored_output(name.removesuffix('_m'), mirrored[name])) / 2
            for name, value in plain.items()}


def video_scores(found: dict, video: VideoCrops) -> dict:
    """
    Return kind of crops → scores of the 12 limb joints about the middle of the hips.

    ``mpjpe_mm`` and ``pa_mpjpe_mm`` are means over crops, ``cameras_mm`` means for each camera,
    ``uv_percent`` is the mean distance in the crop over its side, ``spread_percent`` the deviation
    of the lengths of a limb over its mean length, ``covered_mm`` the error of limbs behind the
    passer-by.
    """
    limbs_m = found['joints_m'][:, LIMB_JOINTS]
    off_mm = 1e3 * np.linalg.norm(about_hips(limbs_m) - about_hips(video.limbs_m), axis=-1)
    aligned = procrustes_aligned(limbs_m, np.float64(video.limbs_m))
    pa_mm = 1e3 * np.linalg.norm(aligned - video.limbs_m, axis=-1)
    off_uv = 100 * np.linalg.norm(found['uv'][:, LIMB_JOINTS] - video.uv, axis=-1)
    out = {}
    for kind in dict.fromkeys(video.kind.tolist()):
        own = video.kind == kind
        cameras = [own & (video.camera == number) for number in np.unique(video.camera)]
        out[kind] = {
            'mpjpe_mm': float(off_mm[own].mean()), 'pa_mpjpe_mm': float(pa_mm[own].mean()),
            'cameras_mm': [round(float(off_mm[rows].mean()), 1) for rows in cameras],
            'uv_percent': float(off_uv[own].mean()),
            'spread_percent': float(np.mean([_spread_percent(limbs_m[rows]) for rows in cameras])),
            'crops': int(own.sum())}
        covered = off_mm[own][video.is_covered[own]]
        if len(covered):
            out[kind]['covered_mm'] = float(covered.mean())
    return out


def rendered_scores(found: dict, truth: dict) -> dict:
    """
    Return scores of 24 joints about the pelvis on rendered crops of people.

    ``hidden_mm`` is of crops with more than 30 % hidden; bones are compared with the person's own
    (``bone_percent``) and with those of the other side (``sides_percent``).

    :param truth: arrays of the batch renderer.
    """
    there = truth['present'] > 0.5
    joints, true = found['joints_m'][there], np.float64(truth['joints_m'][there])
    off_mm = mpjpe_mm(joints, true)
    is_hidden = truth['hidden_percent'][there] > NUMBERS.hidden_percent
    off_uv = np.linalg.norm(found['uv'][there] - truth['uv'][there], axis=-1)
    visible = truth['visible'][there].astype(bool)
    lengths, true_lengths = _bone_lengths(joints), _bone_lengths(true)
    right = (found['present'] > 0) == there
    return {
        'mpjpe_mm': float(off_mm.mean()),
        'hidden_mm': float(off_mm[is_hidden].mean()) if is_hidden.any() else None,
        'uv_percent': float(100 * off_uv[visible].mean()),
        'visible_percent': float(100 * ((found['visible'][there] > 0) == visible).mean()),
        'present_percent': float(100 * right.mean()),
        'bone_percent': float(100 * (np.abs(lengths - true_lengths) / true_lengths).mean()),
        'sides_percent': float(100 * _side_differences(lengths).mean()),
        'crops': int(there.sum()), 'hidden_crops': int(is_hidden.sum())}


def photograph_scores(found: dict, photographs: Photographs) -> dict:
    """
    Return the share of visible limb joints within 5 % of the box, and the median distance.

    ``near_percent`` is of all 12 limb joints, ``taught_percent`` of people whom the landmark
    network finds in this crop, so that both can be compared with it.
    """
    labels = photographs.keypoints[:, list(COCO_LIMBS)]
    seen = labels[..., 2] == 2
    off = np.linalg.norm(found['uv'][:, LIMB_JOINTS] - labels[..., :2], axis=-1)
    ratio = off / photographs.box_side[:, None]
    taught = seen & photographs.is_taught[:, None]
    return {'near_percent': float(100 * (ratio[seen] < NUMBERS.near_ratio).mean()),
            'taught_percent': float(100 * (ratio[taught] < NUMBERS.near_ratio).mean()),
            'median_percent': float(100 * np.median(ratio[seen])),
            'people': len(seen), 'joints': int(seen.sum())}


def reliability(found: dict, video: VideoCrops) -> dict:
    """
    Return expected against measured errors of limb joints on video, mean per coordinate.

    ``correlation`` is over all joints of all crops; ``rows`` are bins of the expected error, and
    ``off_percent`` is the mean difference of measured over expected error from 1.
    """
    error_m = np.abs(about_hips(found['joints_m'][:, LIMB_JOINTS]) - about_hips(video.limbs_m))
    sigma_m = found['joints_sigma_m'][:, LIMB_JOINTS]
    measured = 1e3 * error_m.mean(-1).ravel()
    expected = 1e3 * ((2 * sigma_m[..., 0] + sigma_m[..., 1]) / 3).ravel()
    order = np.argsort(expected)
    rows = [{'expected_mm': float(expected[part].mean()), 'found_mm': float(measured[part].mean()),
             'joints': len(part)} for part in np.array_split(order, NUMBERS.bins)
            if len(part) >= NUMBERS.min_bin]
    off = [abs(row['found_mm'] / row['expected_mm'] - 1) for row in rows]
    varies = expected.std() > 0 and measured.std() > 0
    return {'correlation': float(np.corrcoef(expected, measured)[0, 1]) if varies else None,
            'off_percent': float(100 * np.mean(off)) if off else None,
            'expected_mm': float(expected.mean()), 'found_mm': float(measured.mean()),
            'rows': rows}


def about_hips(limbs_m) -> np.ndarray:
    """Return limb joints (..., 12, 3) about the middle of the hips."""
    return limbs_m - hips(limbs_m)


def _spread_percent(limbs_m) -> float:
    """Return the deviation of the lengths of the 8 limbs over a clip, percent of their means."""
    limbs = np.array([(0, 2, 4), (1, 3, 5), (6, 8, 10), (7, 9, 11)])
    lengths = np.concatenate([np.linalg.norm(limbs_m[:, limbs[:, k + 1]] - limbs_m[:, limbs[:, k]],
                                             axis=-1) for k in (0, 1)], axis=-1)
    return float(100 * (lengths.std(0) / lengths.mean(0)).mean())


def _bone_lengths(joints_m) -> np.ndarray:
    """Return the lengths (N, 23) of the bones that end in joints 1 … 23."""
    return np.linalg.norm(joints_m[:, 1:24] - joints_m[:, list(PARENTS_29[1:24])], axis=-1)


def _side_differences(lengths) -> np.ndarray:
    """Return differences (N, …) of left and right bones over their means."""
    mirror = np.array(MIRROR_29[1:24]) - 1
    other = lengths[:, mirror]
    return (2 * np.abs(lengths - other) / (lengths + other))[:, mirror != np.arange(23)]
