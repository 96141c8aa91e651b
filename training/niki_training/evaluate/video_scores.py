"""Scores of bodies and observations against the measured limb joints of calibrated video."""

from typing import Sequence

from niki_ros.body.body import Body
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import PARENTS_29
from niki_ros.scene.camera import Camera
import numpy as np
from scipy.signal import butter, filtfilt

from niki_training.evaluate.metrics import procrustes_aligned
from niki_training.evaluate.video_truth import LIMB_JOINTS

COLUMNS = ('observer_mpjpe_mm', 'observer_pa_mm', 'mpjpe_mm', 'pa_mpjpe_mm', 'root_mm',
           'root_percent', 'reprojection_px')
_MAX_DISTANCE_M = 1.0  # a body with the middle of its limbs farther away is another person
_MAX_MISS_RATIO = 0.35
"""An observation that misses the limbs by more than this share of their extent is another's."""
_MARKER_FILTER = butter(4, 0.2)


def nearest_body(bodies: Sequence[Body], true_m) -> Body | None:
    """Return the body nearest to the true limbs (12, 3), camera axes; None if all are far."""
    def distance_m(body):
        return np.linalg.norm(body.joints_m[LIMB_JOINTS].mean(0) - true_m.mean(0))
    best = min(bodies, key=distance_m, default=None)
    return best if best is not None and distance_m(best) < _MAX_DISTANCE_M else None


def is_of_person(observation: JointObservation, true_px) -> bool:
    """
    Return whether an observation is of the person with limbs at ``true_px`` (12, 2).

    Exchanged sides do not matter here: they are an error of the observation.
    """
    found_px = observation.keypoints_px[LIMB_JOINTS]
    exchanged_px = found_px.reshape(-1, 2, 2)[:, ::-1].reshape(-1, 2)
    off_px = min(np.nanmedian(np.linalg.norm(one - true_px, axis=1))
                 for one in (found_px, exchanged_px))
    return bool(off_px < _MAX_MISS_RATIO * np.ptp(true_px, axis=0).max())


def observed_limbs_m(observations: Sequence[JointObservation], true_px) -> list[np.ndarray]:
    """Return the front end's limb joints (12, 3) of each observation of the person."""
    return [one.own_joints_m[LIMB_JOINTS] for one in observations if is_of_person(one, true_px)]


def frame_scores(body: Body | None, observed_m: Sequence[np.ndarray], true_m,
                 camera: Camera) -> list[float]:
    """
    Return one row of ``COLUMNS``; NaN where there is no body or no observation.

    :param observed_m: of :func:`observed_limbs_m`. :param true_m: (12, 3) camera axes.
    """
    row = [np.nan] * len(COLUMNS)
    if len(observed_m):
        errors_m = [aligned_error_m(joints_m, true_m) for joints_m in observed_m]
        best = int(np.argmin(errors_m))
        row[0] = errors_m[best] * 1e3
        row[1] = _procrustes_error_mm(observed_m[best], true_m)
    if body is not None:
        joints_m = body.joints_m[LIMB_JOINTS]
        row[2] = aligned_error_m(joints_m, true_m) * 1e3
        row[3] = _procrustes_error_mm(joints_m, true_m)
        root_off_m = np.linalg.norm(hips(joints_m) - hips(true_m))
        row[4], row[5] = root_off_m * 1e3, 100 * root_off_m / np.linalg.norm(hips(true_m))
        off_px = camera.project(body.joints_m) - body.keypoints_px
        is_confident = np.append(body.confidence, [0.0] * 5) > 0.5
        if is_confident.any() and np.isfinite(off_px[is_confident]).any():
            row[6] = np.nanmean(np.linalg.norm(off_px[is_confident], axis=1))
    return row


def hips(limbs) -> np.ndarray:
    """Return the middle of the hips (..., 1, 3) of twelve limb joints (..., 12, 3)."""
    return limbs[..., :2, :].mean(-2, keepdims=True)


def aligned_error_m(joints_m, true_m) -> float:
    """Return the mean distance of limbs (..., 12, 3) about the middle of the hips."""
    off_m = (joints_m - hips(joints_m)) - (true_m - hips(true_m))
    return float(np.linalg.norm(off_m, axis=-1).mean())


def _procrustes_error_mm(joints_m, true_m) -> float:
    off_m = procrustes_aligned(joints_m, true_m) - true_m
    return np.linalg.norm(off_m, axis=1).mean() * 1e3


def summary(rows) -> dict:
    """
    Return the means of :func:`frame_scores` (frames, columns).

    ``missed`` counts frames without a body, ``observer_missed`` those without an observation.
    """
    missed = np.isnan(rows[:, COLUMNS.index('mpjpe_mm')])
    means = np.nanmean(rows, axis=0)
    return {'frames': len(rows), 'missed': int(missed.sum()),
            'observer_missed': int(np.isnan(rows[:, 0]).sum()),
            **{name: float(value) for name, value in zip(COLUMNS, means)}}


def acceleration_error_mm_frame2(joints_m, true_m) -> float:
    """
    Return the mean acceleration error of limbs (n, 12, 3) about the hips, mm per frame squared.

    The truth is freed of its noise, which is 40 mm/frame² in the Pose2Sim trial: a Butterworth
    filter of fourth order, forwards and backwards, as is usual for markers (Winter 2009), at a
    fifth of the highest frequency: 6 Hz in a video of 60.
    """
    relative_m = true_m - hips(true_m)
    if len(true_m) > 3 * len(_MARKER_FILTER[0]):
        relative_m = filtfilt(*_MARKER_FILTER, relative_m, axis=0)
    off_m = np.diff((joints_m - hips(joints_m)) - relative_m, 2, axis=0)
    return float(np.nanmean(np.linalg.norm(off_m, axis=-1)) * 1e3)


def steadiness(bodies: Sequence[Body], true_m, observed_m) -> dict:
    """
    Return scores over a clip: bone lengths, accelerations, ids; empty for fewer than 3 bodies.

    :param bodies: n bodies of one person. :param true_m: (n, 12, 3) camera axes.
    :param observed_m: (n, 12, 3) the front end's joints, NaN where there are none.
    """
    if len(bodies) < 3:
        return {}
    joints_m = np.stack([body.joints_m for body in bodies])
    bones_m = np.linalg.norm(joints_m[:, 1:] - joints_m[:, list(PARENTS_29[1:])], axis=-1)
    limbs_m = joints_m[:, LIMB_JOINTS]
    roots_m = np.stack([body.root_m for body in bodies])
    return {
        'bone_length_cv_percent': float(100 * (bones_m.std(0) / bones_m.mean(0)).mean()),
        'acceleration_mm_frame2': _acceleration_mm_frame2(limbs_m),
        'acceleration_error_mm_frame2': acceleration_error_mm_frame2(limbs_m, true_m),
        'observer_acceleration_error_mm_frame2': acceleration_error_mm_frame2(observed_m, true_m),
        'root_acceleration_mm_frame2': _acceleration_mm_frame2(roots_m),
        'ids': len({body.id for body in bodies})}


def _acceleration_mm_frame2(points_m) -> float:
    """Return the mean acceleration of points (n, ..., 3), mm per frame squared."""
    return float(np.linalg.norm(np.diff(points_m, 2, axis=0), axis=-1).mean() * 1e3)
