"""
Scores of a benchmark, from truth and predictions.

``lsp14``: 14 joints that ``J_regressor_h36m.npy`` takes from SMPL's mesh (ankles, knees, hips,
wrists, elbows, shoulders, neck, head), about the regressor's pelvis; MPJPE, and PA-MPJPE after the
best similarity of the 14 (SPIN's ``eval.py``, Kolotouros et al. 2019, as HybrIK and NIKI report).
``h36m17``: all 17. PVE is the mean over SMPL's vertices, about the same pelvis. ``smpl24``: SMPL's
own 24 joints about the middle of the hips, as AGORA scores them. Our body is SMPL's mesh in the
pipeline's rotations, with the betas that give its bones the pipeline's lengths.

Acceleration error: second differences of these joints between images in a row, mm per frame
squared (HMMR, Kanazawa et al. 2019). Millimetres everywhere.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

import numpy as np

from niki_training.evaluate.protocols.mesh import Meshes
from niki_training.evaluate.protocols.predict import Predictions
from niki_training.evaluate.protocols.truth import Sequence, Truth
from niki_training.evaluate.video_truth import pa_aligned

LSP14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
JOINT_SETS = ('lsp14', 'h36m17', 'smpl24')
_HIPS = (1, 2)
_NAMES = ('mpjpe_mm', 'pa_mpjpe_mm', 'pve_mm')
_BATCH = 64


class Row(NamedTuple):
    """Where a scored person stands: image, person, row of the predictions."""

    frame: int
    person: int
    row: int


class Errors(NamedTuple):
    """Of one sequence: per scored person and image, NaN where not found; and the counts."""

    rows: List[Row]
    mm: np.ndarray           # (R, 3) in the order of the names
    bend_mm: np.ndarray      # errors of acceleration, one for each three images in a row
    strangers: int


def errors_of(sequence: Sequence, found: Predictions, joint_set: str,
              meshes: Optional[Meshes], vertices: Optional[np.ndarray] = None) -> Errors:
    """
    Return the errors of one sequence.

    :param meshes: None: 24 joints by the data set and by the pipeline's own skeleton.
    :param vertices: indices of those that count for PVE, None = all.
    """
    rows = [Row(f, p, int(found['row'][f, p])) for f, frame in enumerate(sequence.frames)
            for p, truth in enumerate(frame.people)
            if truth is not None and truth.valid and found['row'][f, p] >= 0]
    mm = np.full((len(rows), 3), np.nan)
    posed: Dict[tuple, tuple] = {}
    seen = [i for i, row in enumerate(rows) if found['found'][row.row]]
    for begin in range(0, len(seen), _BATCH):
        part = seen[begin:begin + _BATCH]
        truths = [sequence.frames[rows[i].frame].people[rows[i].person] for i in part]
        at = [rows[i].row for i in part]
        true, ours = (_body(joint_set, meshes, bodies) for bodies in (
            _true_bodies(truths, meshes), _our_bodies(found, at, meshes)))
        true = (_measured(joint_set, truths, true[0]), true[1])
        joints = [one[0] for one in (ours, true)]
        mm[part, 0] = _distance(*joints)
        mm[part, 1] = _distance(pa_aligned(*joints), joints[1])
        if ours[1] is not None and true[1] is not None:
            chosen = slice(None) if vertices is None else vertices
            mm[part, 2] = _distance(ours[1][:, chosen], true[1][:, chosen])
        for k, i in enumerate(part):
            posed[rows[i].frame, rows[i].person] = (joints[0][k], joints[1][k])
    bend = _bends(posed) if sequence.video else np.zeros(0)
    return Errors(rows, mm, bend, int(found['strangers'].sum()))


def summary(errors: List[Errors], detection: bool) -> dict:
    """
    Return the means over everybody, and how many were found.

    :param detection: add F1, and the errors divided by it (AGORA).
    """
    mm = np.concatenate([one.mm for one in errors])
    bend = np.concatenate([one.bend_mm for one in errors])
    there = np.isfinite(mm[:, 0])
    out = {'people': len(mm), 'found_percent': 100 * float(there.mean()) if len(mm) else None}
    for name, column in zip(_NAMES, mm.T):
        known = column[np.isfinite(column)]
        out[name] = float(known.mean()) if len(known) else None
    out['acceleration_mm_frame2'] = float(bend.mean()) if len(bend) else None
    if detection and len(mm):
        right, missed = int(there.sum()), int((~there).sum())
        strange = sum(one.strangers for one in errors)
        f1 = right / max(right + 0.5 * (strange + missed), 1e-9)
        out.update(f1=f1, precision=right / max(right + strange, 1), recall=right / len(mm))
        for normalised, name in (('nmje_mm', 'mpjpe_mm'), ('nmve_mm', 'pve_mm')):
            known = out[name] is not None and f1 > 0
            out[normalised] = out[name] / f1 if known else None
    return out


def _true_bodies(truths: List[Truth], meshes: Optional[Meshes]):
    """Return vertices (N, V, 3) or None, and SMPL's joints (N, 24, 3) of the truth."""
    joints = np.stack([truth.joints_m for truth in truths])
    if meshes is None:
        return None, joints
    if truths[0].vertices_m is not None:
        return np.stack([truth.vertices_m for truth in truths]), joints
    if truths[0].rotmat is None:
        return None, joints
    vertices: List[Optional[np.ndarray]] = [None] * len(truths)
    for gender in {truth.gender for truth in truths}:
        mine = [i for i, truth in enumerate(truths) if truth.gender == gender]
        rotmat, betas = (np.stack([getattr(truths[i], name) for i in mine])
                         for name in ('rotmat', 'betas'))
        made = meshes.of(gender).vertices(rotmat, betas)
        joints[mine] = meshes.of(gender).joints(rotmat, betas)
        for i, one in zip(mine, made):
            vertices[i] = one
    return np.stack(vertices), joints


def _our_bodies(found: Predictions, at: List[int], meshes: Optional[Meshes]):
    """Return vertices (N, V, 3) or None, and SMPL's joints (N, 24, 3) of the pipeline."""
    if meshes is None:
        return None, found['joints_m'][at][:, :24].astype(np.float64)
    betas = meshes.neutral.betas_of(found['rest_m'][at])
    rotmat = found['rotmat'][at]
    return meshes.neutral.vertices(rotmat, betas), meshes.neutral.joints(rotmat, betas)


def _body(joint_set: str, meshes: Optional[Meshes], body: tuple) -> tuple:
    """Return the joints that count and the vertices, about the root that the set prescribes."""
    vertices, joints24 = body
    if joint_set == 'smpl24':
        joints, root = joints24, joints24[:, list(_HIPS)].mean(axis=1, keepdims=True)
    else:
        joints = meshes.joints17(vertices)
        root = joints[:, :1]
        joints = joints[:, list(LSP14)] if joint_set == 'lsp14' else joints
    return joints - root, None if vertices is None else vertices - root


def _measured(joint_set: str, truths: List[Truth], joints) -> np.ndarray:
    """Return the measured joints where the data set has them, else ``joints``."""
    if joint_set == 'smpl24' or truths[0].joints17_m is None:
        return joints
    measured = np.stack([truth.joints17_m for truth in truths])
    measured = measured - measured[:, :1]
    return measured[:, list(LSP14)] if joint_set == 'lsp14' else measured


def _distance(found, true) -> np.ndarray:
    """Return the mean distance (N,) in millimetres."""
    return 1000 * np.linalg.norm(found - true, axis=-1).mean(axis=-1)


def _bends(posed: Dict[tuple, tuple]) -> np.ndarray:
    """Return the acceleration errors of everybody who was found in three images in a row."""
    out = []
    for frame, person in posed:
        three = [posed.get((frame + k, person)) for k in (-1, 0, 1)]
        if all(one is not None for one in three):
            ours, true = (three[0][i] - 2 * three[1][i] + three[2][i] for i in (0, 1))
            out.append(1000 * np.linalg.norm(ours - true, axis=-1).mean())
    return np.asarray(out)
