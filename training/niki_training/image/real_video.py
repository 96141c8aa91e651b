"""Scores of the three heads on calibrated video with measured joints."""

from pathlib import Path

from niki_ros.observers.crop import Crop
from niki_ros.observers.crop_view import CropView
from niki_ros.sources.open import open_source
import numpy as np
import torch

from niki_training.evaluate.metrics import procrustes_aligned
from niki_training.evaluate.video_scores import aligned_error_m, hips
from niki_training.evaluate.video_truth import LIMB_JOINTS, read_trial, TrialClip

COLUMNS = {'mpjpe_mm': 'joints, mm', 'pa_mpjpe_mm': 'aligned, mm', 'bone_percent':
           'bone lengths, %', 'spread_percent': 'bone lengths over time, %', 'angle_deg':
           'knees and elbows, °', 'distance_percent': 'distance, %'}
FRAME_STEP = 5
_BOX_MARGIN_RATIO = 0.12  # of the larger side: a box also holds head, hands and feet
_LIMBS = np.array([(0, 2, 4), (1, 3, 5), (6, 8, 10), (7, 9, 11)])


def trial_table(nets: dict, folder: Path) -> dict:
    """
    Return {head: scores} over all cameras of a Pose2Sim folder.

    Twelve limb joints, root-aligned at the hips. Boxes come from the measured joints: the scores
    are of the network, not of finding people. Bone lengths are compared with the medians of the
    measured ones, and with their own mean over time.
    """
    clips = read_trial(folder)
    lengths = np.median(limb_lengths(clips[0].world_m), axis=0)
    found: dict = {head: [] for head in nets}
    for clip in clips:
        for head, rows in _clip(nets, clip).items():
            found[head].append(rows)
    return {head: _summary(rows, lengths) for head, rows in found.items()}


def limb_lengths(limbs) -> np.ndarray:
    """Return the lengths (..., 8) of thighs, shins, upper arms and forearms."""
    return np.concatenate([np.linalg.norm(limbs[..., b, :] - limbs[..., a, :], axis=-1)
                           for a, b in (_LIMBS[:, :2].T, _LIMBS[:, 1:].T)], axis=-1)


def limb_angles_deg(limbs) -> np.ndarray:
    """Return the angles (..., 4) at knees and elbows, 180 = straight."""
    first, middle, last = (limbs[..., _LIMBS[:, k], :] for k in range(3))
    a, b = first - middle, last - middle
    across = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(across, (a * b).sum(-1)))


def _clip(nets, clip: TrialClip) -> dict:
    """Return {head: pairs of predicted and true limbs (n, 12, 3), and distances (n, 2)}."""
    camera, images, views, kept = clip.calibrated.camera, [], [], []
    size = next(iter(nets.values())).config.size_px
    with open_source(str(clip.video)) as source:
        for number, (frame, true) in enumerate(zip(source, clip.limbs_m)):
            pixels = camera.project(true)
            if number % FRAME_STEP or not np.isfinite(pixels).all():
                continue
            low, high = pixels.min(0), pixels.max(0)
            edge = _BOX_MARGIN_RATIO * (high - low).max()
            view = CropView.of(Crop.around(np.concatenate([low - edge, high + edge])), camera)
            images.append(view.crop.sample(frame.image_rgb, size).transpose(2, 0, 1))
            views.append(view)
            kept.append(true)
    batch, out = torch.from_numpy(np.float32(images)), {}
    for head, net in nets.items():
        with torch.no_grad():
            found = net(batch)
        turn = np.stack([view.camera_from_view for view in views])
        joints = found.joints_m.double().numpy() @ turn.transpose(0, 2, 1)
        roots = np.stack([view.root_m(place[:2], place[2])
                          for view, place in zip(views, found.place.double().numpy())])
        limbs = joints[:, LIMB_JOINTS]
        far = np.stack([np.linalg.norm((limbs + roots[:, None])[:, :2].mean(1), axis=-1),
                        np.linalg.norm(np.stack(kept)[:, :2].mean(1), axis=-1)], axis=-1)
        out[head] = (limbs, np.stack(kept), far)
    return out


def _summary(rows, lengths) -> dict:
    limbs, true, far = (np.concatenate(part) for part in zip(*rows))
    own = limb_lengths(limbs)
    spread = [limb_lengths(clip).std(0) / limb_lengths(clip).mean(0) for clip, _, _ in rows]
    return {
        'mpjpe_mm': 1e3 * float(np.mean([aligned_error_m(*pair) for pair in zip(limbs, true)])),
        'pa_mpjpe_mm': 1e3 * float(np.linalg.norm(
            procrustes_aligned(limbs - hips(limbs), true - hips(true)) - (true - hips(true)),
            axis=-1).mean()),
        'bone_percent': 100 * float((np.abs(own - lengths) / lengths).mean()),
        'spread_percent': 100 * float(np.mean(spread)),
        'angle_deg': float(np.abs(limb_angles_deg(limbs) - limb_angles_deg(true)).mean()),
        'distance_percent': 100 * float(np.abs(far[:, 0] / far[:, 1] - 1).mean()),
        'frames': len(limbs),
    }
