"""One person's joints after each stage of the pipeline: which stage earns its place."""

from __future__ import annotations

from typing import Dict, List

import numpy as np

from niki_training.evaluate.video_truth import LIMB_JOINTS, pa_aligned

STAGES = ('front end', 'lifted', 'solved', 'fitted and smoothed')
COLUMNS = ('mpjpe_mm', 'pa_mpjpe_mm', 'across_mm', 'depth_mm', 'trunk_mm', 'arms_mm', 'legs_mm')
_GROUPS = {'trunk_mm': (0, 1, 6, 7), 'arms_mm': (8, 9, 10, 11), 'legs_mm': (2, 3, 4, 5)}
"""Of the twelve limb joints: hips and shoulders, elbows and wrists, knees and ankles."""


def stages_of(pipeline, body) -> Dict[str, np.ndarray]:
    """
    Return the limb joints (12, 3) of one published body after each stage, camera axes.

    What the front end itself says, uncorrected; what is believed of it, lifted where there is a
    lifter; the solver's joints; the body's.
    """
    frame = next(person.last_frame for person in pipeline.tracker.people if person.id == body.id)
    seen = frame.latest_observation
    joints = (seen.own_joints_m, seen.joints_m, frame.solution.joints_m, body.joints_m)
    return {name: one[LIMB_JOINTS] for name, one in zip(STAGES, joints)}


def stage_errors(joints: Dict[str, np.ndarray], true) -> np.ndarray:
    """Return errors (stages, columns) in millimetres, hips laid on hips; ``true`` (12, 3)."""
    rows = []
    for one in joints.values():
        off = (one - one[:2].mean(0)) - (true - true[:2].mean(0))
        apart = np.linalg.norm(off, axis=1)
        aligned = np.linalg.norm(pa_aligned(one, true) - true, axis=1).mean()
        rows.append([apart.mean(), aligned, np.linalg.norm(off[:, :2], axis=1).mean(),
                     np.abs(off[:, 2]).mean(),
                     *(apart[list(group)].mean() for group in _GROUPS.values())])
    return 1e3 * np.array(rows)


def means(errors: List[np.ndarray]) -> Dict[str, Dict[str, float]]:
    """Return stage → column → mean over frames."""
    values = np.mean(errors, axis=0)
    return {stage: dict(zip(COLUMNS, map(float, row))) for stage, row in zip(STAGES, values)}


def table(stages: Dict[str, Dict[str, float]]) -> str:
    """Return the stages as text, one line each."""
    lines = [f'{"stage":20s} ' + ' '.join(f'{column:>12s}' for column in COLUMNS)]
    lines += [f'{stage:20s} ' + ' '.join(f'{row[column]:12.1f}' for column in COLUMNS)
              for stage, row in stages.items()]
    return '\n'.join(lines)
