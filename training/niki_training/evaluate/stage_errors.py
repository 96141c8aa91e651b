"""Errors of a person's joints after stages of the pipeline."""


import numpy as np

from niki_training.evaluate.metrics import procrustes_aligned
from niki_training.evaluate.video_truth import LIMB_JOINTS

STAGES = ('front end', 'lifted', 'solved', 'fitted and smoothed')
COLUMNS = ('mpjpe_mm', 'pa_mpjpe_mm', 'across_mm', 'depth_mm', 'trunk_mm', 'arms_mm', 'legs_mm')
_GROUPS = {'trunk_mm': (0, 1, 6, 7), 'arms_mm': (8, 9, 10, 11), 'legs_mm': (2, 3, 4, 5)}
"""Of the twelve limb joints: hips and shoulders, elbows and wrists, knees and ankles."""


def frame_of(pipeline, body):
    """Return the :class:`PersonFrame` of a body that was just published."""
    return next(person.last_frame for person in pipeline.tracker.people if person.id == body.id)


def joints_after_stages(pipeline, body) -> list[np.ndarray]:
    """
    Return the limb joints (12, 3) of a published body after each of ``STAGES``, camera axes.

    Those of the front end are before its correction.
    """
    frame = frame_of(pipeline, body)
    seen = frame.latest_observation
    return [joints_m[LIMB_JOINTS] for joints_m in (
        seen.own_joints_m, seen.joints_m, frame.solution.joints_m, body.joints_m)]


def stage_errors_mm(joints_m: list[np.ndarray], true_m) -> np.ndarray:
    """Return errors (stages, columns) of limbs (12, 3) about the middle of the hips, mm."""
    rows = []
    for one_m in joints_m:
        off_m = (one_m - one_m[:2].mean(0)) - (true_m - true_m[:2].mean(0))
        distance_m = np.linalg.norm(off_m, axis=1)
        aligned_m = np.linalg.norm(procrustes_aligned(one_m, true_m) - true_m, axis=1).mean()
        rows.append([distance_m.mean(), aligned_m, np.linalg.norm(off_m[:, :2], axis=1).mean(),
                     np.abs(off_m[:, 2]).mean(),
                     *(distance_m[list(group)].mean() for group in _GROUPS.values())])
    return 1e3 * np.array(rows)


def mean_errors(errors_mm: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return stage → column → mean of arrays (stages, columns) over frames."""
    means = np.mean(errors_mm, axis=0)
    return {stage: dict(zip(COLUMNS, map(float, row))) for stage, row in zip(STAGES, means)}


def text_table(stages: dict[str, dict[str, float]]) -> str:
    """Return the stages of :func:`mean_errors` as text, one line each."""
    lines = [f'{"stage":20s} ' + ' '.join(f'{column:>12s}' for column in COLUMNS)]
    lines += [f'{stage:20s} ' + ' '.join(f'{row[column]:12.1f}' for column in COLUMNS)
              for stage, row in stages.items()]
    return '\n'.join(lines)
