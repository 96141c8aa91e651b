"""
Scores of a benchmark, from predictions and ground truth, in millimetres.

``lsp14``: 14 joints that ``J_regressor_h36m.npy`` takes from SMPL's mesh (ankles, knees, hips,
wrists, elbows, shoulders, neck, head), about the regressor's pelvis; MPJPE, and PA-MPJPE after the
best similarity of the 14 (SPIN's ``eval.py``, Kolotouros et al. 2019, as HybrIK and NIKI report).
``h36m17``: all 17. PVE is the mean over SMPL's vertices, about the same pelvis. ``smpl24``: SMPL's
own 24 joints about the middle of the hips, as AGORA scores them. The predicted mesh is SMPL's in
the pipeline's rotations, with the betas whose bones have the pipeline's lengths.

Acceleration error: second differences of these joints in three consecutive images, mm per frame
squared (HMMR, Kanazawa et al. 2019).
"""

from typing import NamedTuple

import numpy as np

from niki_training.evaluate.datasets.annotations import PersonTruth, Sequence
from niki_training.evaluate.datasets.predictions import Predictions
from niki_training.evaluate.datasets.smpl_mesh import Meshes
from niki_training.evaluate.metrics import mean_or_none, procrustes_aligned

LSP14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
JOINT_SETS = ('lsp14', 'h36m17', 'smpl24')
_HIPS = (1, 2)
_SCORES = ('mpjpe_mm', 'pa_mpjpe_mm', 'pve_mm')
_BATCH = 64


class ScoredPerson(NamedTuple):
    """A person in an image that counts, and the index of their row in the predictions."""

    image: int
    person: int
    row: int
    truth: PersonTruth


class SequenceErrors(NamedTuple):
    """Errors of one sequence."""

    people: list[ScoredPerson]  # P people of all images that count
    errors_mm: np.ndarray  # (P, 3) MPJPE, PA-MPJPE, PVE; NaN where the person was not found
    acceleration_mm_frame2: np.ndarray  # (n,) acceleration errors
    false_positives: int  # bodies that belong to no person that counts


class _Bodies(NamedTuple):
    """SMPL's joints (N, 24, 3), and vertices (N, V, 3) or None, of N people."""

    joints_m: np.ndarray
    vertices_m: np.ndarray | None


def score_sequence(sequence: Sequence, found: Predictions, joint_set: str,
                   meshes: Meshes | None, vertices: np.ndarray | None = None) -> SequenceErrors:
    """
    Return the errors of one sequence.

    :param joint_set: one of ``JOINT_SETS``.
    :param meshes: None = no PVE, and 24 joints of the data set and of the pipeline's skeleton.
    :param vertices: (n,) indices of the vertices that count for PVE; None = all.
    """
    people = [ScoredPerson(f, p, int(found['row'][f, p]), truth)
              for f, image in enumerate(sequence.frames) for p, truth in enumerate(image.people)
              if truth is not None and truth.valid and found['row'][f, p] >= 0]
    errors_mm = np.full((len(people), len(_SCORES)), np.nan)
    joints_m: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    seen = [i for i, one in enumerate(people) if found['found'][one.row]]
    for begin in range(0, len(seen), _BATCH):
        part = seen[begin:begin + _BATCH]
        truths, rows = ([getattr(people[i], name) for i in part] for name in ('truth', 'row'))
        true = _about_root(joint_set, meshes, _true_bodies(truths, meshes))
        true = true._replace(joints_m=_measured(joint_set, truths, true.joints_m))
        ours = _about_root(joint_set, meshes, _predicted_bodies(found, rows, meshes))
        aligned_m = procrustes_aligned(ours.joints_m, true.joints_m)
        errors_mm[part, 0] = _distance_mm(ours.joints_m, true.joints_m)
        errors_mm[part, 1] = _distance_mm(aligned_m, true.joints_m)
        if ours.vertices_m is not None and true.vertices_m is not None:
            chosen = slice(None) if vertices is None else vertices
            errors_mm[part, 2] = _distance_mm(ours.vertices_m[:, chosen],
                                              true.vertices_m[:, chosen])
        for k, i in enumerate(part):
            joints_m[people[i].image, people[i].person] = (ours.joints_m[k], true.joints_m[k])
    acceleration = _acceleration_errors(joints_m) if sequence.video else np.zeros(0)
    return SequenceErrors(people, errors_mm, acceleration, int(found['strangers'].sum()))


def summary(errors: list[SequenceErrors], detection: bool) -> dict:
    """Return the means over all people that were found, their share and, for AGORA, F1."""
    errors_mm = np.concatenate([one.errors_mm for one in errors])
    is_found, count = np.isfinite(errors_mm[:, 0]), len(errors_mm)
    scores: dict = {'people': count,
                    'found_percent': 100 * float(is_found.mean()) if count else None}
    for name, column in zip(_SCORES, errors_mm.T):
        scores[name] = mean_or_none(column[np.isfinite(column)])
    scores['acceleration_mm_frame2'] = mean_or_none(
        np.concatenate([one.acceleration_mm_frame2 for one in errors]))
    if detection and count:
        found, missed = int(is_found.sum()), int((~is_found).sum())
        false = sum(one.false_positives for one in errors)
        f1 = found / max(found + 0.5 * (false + missed), 1e-9)
        scores.update(f1=f1, precision=found / max(found + false, 1), recall=found / count)
        for normalised, name in (('nmje_mm', 'mpjpe_mm'), ('nmve_mm', 'pve_mm')):
            known = scores[name] is not None and f1 > 0
            scores[normalised] = scores[name] / f1 if known else None
    return scores


def _true_bodies(truths: list[PersonTruth], meshes: Meshes | None) -> _Bodies:
    joints_m = np.stack([truth.joints_m for truth in truths])
    if meshes is not None and truths[0].vertices_m is not None:
        return _Bodies(joints_m, np.stack([truth.vertices_m for truth in truths]))
    if meshes is None or truths[0].rotmat is None:
        return _Bodies(joints_m, None)
    vertices_m: list[np.ndarray | None] = [None] * len(truths)
    for gender in {truth.gender for truth in truths}:
        same = [i for i, truth in enumerate(truths) if truth.gender == gender]
        rotmat, betas = (np.stack([getattr(truths[i], name) for i in same])
                         for name in ('rotmat', 'betas'))
        mesh = meshes.of(gender)
        joints_m[same] = mesh.joints(rotmat, betas)
        for i, one_m in zip(same, mesh.vertices(rotmat, betas)):
            vertices_m[i] = one_m
    return _Bodies(joints_m, np.stack(vertices_m))


def _predicted_bodies(found: Predictions, rows: list[int], meshes: Meshes | None) -> _Bodies:
    if meshes is None:
        return _Bodies(found['joints_m'][rows][:, :24].astype(np.float64), None)
    betas = meshes.neutral.betas_of(found['rest_m'][rows])
    rotmat = found['rotmat'][rows]
    return _Bodies(meshes.neutral.joints(rotmat, betas), meshes.neutral.vertices(rotmat, betas))


def _about_root(joint_set: str, meshes: Meshes | None, bodies: _Bodies) -> _Bodies:
    """Return the joints that count and the vertices, about the root that the set prescribes."""
    if joint_set == 'smpl24' or meshes is None:
        joints_m = bodies.joints_m
        root_m = joints_m[:, list(_HIPS)].mean(axis=1, keepdims=True)
    else:
        joints_m = meshes.joints17(bodies.vertices_m)
        root_m = joints_m[:, :1]
        joints_m = joints_m[:, list(LSP14)] if joint_set == 'lsp14' else joints_m
    vertices_m = None if bodies.vertices_m is None else bodies.vertices_m - root_m
    return _Bodies(joints_m - root_m, vertices_m)


def _measured(joint_set: str, truths: list[PersonTruth], joints_m) -> np.ndarray:
    """Return the measured joints where the data set has them, else ``joints_m``."""
    if joint_set == 'smpl24' or truths[0].joints17_m is None:
        return joints_m
    measured_m = np.stack([truth.joints17_m for truth in truths])
    measured_m = measured_m - measured_m[:, :1]
    return measured_m[:, list(LSP14)] if joint_set == 'lsp14' else measured_m


def _distance_mm(found_m, true_m) -> np.ndarray:
    """Return the mean distance (N,) of points (N, n, 3)."""
    return 1000 * np.linalg.norm(found_m - true_m, axis=-1).mean(axis=-1)


def _acceleration_errors(joints_m: dict[tuple[int, int], tuple]) -> np.ndarray:
    """Return the errors (n,) of (image, person) → predicted and true joints."""
    errors = []
    for image, person in joints_m:
        three = [joints_m.get((image + k, person)) for k in (-1, 0, 1)]
        known = [one for one in three if one is not None]
        if len(known) == 3:
            ours, true = (known[0][i] - 2 * known[1][i] + known[2][i] for i in (0, 1))
            errors.append(1000 * np.linalg.norm(ours - true, axis=-1).mean())
    return np.asarray(errors)
