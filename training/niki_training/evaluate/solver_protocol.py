"""The evaluation protocol of solvers: corrupted frames and sequences of held-out motion."""

import json
from pathlib import Path
from typing import Callable, NamedTuple

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import ConfigError, InputError
from niki_ros.models.model_folder import MANIFEST, read_model_folder, write_file
import numpy as np

from niki_training.corrupt.protocol import corrupt_for_row, PROTOCOL_ROWS
from niki_training.data.augmentation import random_cameras
from niki_training.data.motion import Motion
from niki_training.evaluate import metrics
from niki_training.evaluate.person_track import PersonTrack
from niki_training.files.outputs import write_text

SEQUENCE_FRAMES = 48
FRAME_NS = 33_333_333
_FIRST_SCORED_FRAME = 16  # of a sequence: before it the track has not seen a whole window
_SCORED_OCCLUSION_FRAMES = 15  # frames that are scored after the beginning of a corruption
_SOLVE_BATCH = 2048

# joints (N, 29, 3), sigma (N, 29) → joints, rotmat or None, confidence or None
Solve = Callable[[np.ndarray, np.ndarray], tuple]


class ProtocolPoses(NamedTuple):
    """Ground truth of B frames or sequences."""

    rotmat: np.ndarray  # (B, T, 24, 3, 3) local rotations, joint 0 in camera axes
    joints_m: np.ndarray  # (B, T, 29, 3)
    offsets_m: np.ndarray  # (B, 29, 3) of the bodies


def protocol_poses(motion: Motion, skeleton: Skeleton, seed: int, every: int = 12,
                   frames: int = 1, limit: int | None = None) -> ProtocolPoses:
    """
    Return sequences of T = ``frames`` with random cameras and body sizes of 0.85 … 1.15.

    :param every: distance of their first frames. :param limit: number of sequences at most.
    """
    rng = np.random.default_rng(seed)
    if motion.lengths.max() < frames:
        raise InputError(f'sequences of {frames} frames are scored, the longest piece has '
                         f'{motion.lengths.max()}: single images have no sequences')
    first = np.concatenate([
        s + np.arange(0, n - frames + 1, every)
        for s, n in zip(motion.starts, motion.lengths) if n >= frames])
    if limit and len(first) > limit:
        first = np.sort(rng.choice(first, limit, replace=False))
    rotmat = rotmat_from_rotvec(motion.rotvec[first[:, None] + np.arange(frames)])
    cameras = random_cameras(len(first), rng, pitch_deg=25)
    rotmat[:, :, 0] = cameras[:, None] @ rotmat[:, :, 0]
    offsets_m = skeleton.offsets() * rng.uniform(0.85, 1.15, len(first))[:, None, None]
    joints_m, _ = forward_kinematics(rotmat, offsets_m[:, None])
    return ProtocolPoses(rotmat, joints_m, offsets_m)


def protocol_sequences(motion: Motion, skeleton: Skeleton, seed: int,
                       limit: int | None = None) -> ProtocolPoses:
    """Return sequences of ``SEQUENCE_FRAMES`` frames; see :func:`protocol_poses`."""
    return protocol_poses(motion, skeleton, seed, SEQUENCE_FRAMES, SEQUENCE_FRAMES, limit)


def score_frames(solve: Solve, poses: ProtocolPoses, row: str, seed: int) -> dict[str, float]:
    """Return the scores on one corruption (row of the table) of single frames."""
    rng = np.random.default_rng([seed, PROTOCOL_ROWS.index(row)])
    noisy, sigma, wrong = corrupt_for_row(row, poses.joints_m, rng)
    found, rotmat, confidence = solve(noisy[:, 0], sigma[:, 0])
    return _scores(found, rotmat, confidence, poses.joints_m[:, 0], poses.rotmat[:, 0],
                   wrong[:, 0])


def _scores(found, found_rotmat, confidence, joints, rotmat, wrong) -> dict[str, float]:
    scores = {'mpjpe_mm': float(metrics.mpjpe_mm(found, joints).mean()),
              'pa_mpjpe_mm': float(metrics.pa_mpjpe_mm(found, joints).mean())}
    if found_rotmat is not None:
        scores['rotation_deg'] = float(metrics.rotation_deg(found_rotmat, rotmat).mean())
    if confidence is not None and wrong.any():
        scores['auroc'] = metrics.auroc(-confidence, wrong[:, :24])
    return scores


def score_sequences(solver, poses: ProtocolPoses, row: str, seed: int,
                    occluded_from: int = 0) -> dict[str, float]:
    """Return the scores on one corruption from frame ``occluded_from``, as the pipeline solves."""
    rng = np.random.default_rng([seed, 77, PROTOCOL_ROWS.index(row)])
    noisy, sigma, wrong = corrupt_for_row(row, poses.joints_m, rng)
    noisy[:, :occluded_from] = poses.joints_m[:, :occluded_from]
    sigma[:, :occluded_from] = 0
    found, rotmat = np.empty(poses.joints_m.shape), np.empty(poses.rotmat.shape)
    for b in range(len(found)):
        track = PersonTrack(solver)
        for t in range(found.shape[1]):
            solution = track.step(noisy[b, t], sigma[b, t], t * FRAME_NS)
            found[b, t], rotmat[b, t] = solution.joints_m, solution.rotmat
    begin = max(_FIRST_SCORED_FRAME, occluded_from)
    end = found.shape[1] if occluded_from == 0 else occluded_from + _SCORED_OCCLUSION_FRAMES
    part = np.s_[:, begin:end]
    flat = [x[part].reshape(-1, *x.shape[2:])
            for x in (found, rotmat, poses.joints_m, poses.rotmat, wrong)]
    truth = poses.joints_m[part]
    return {**_scores(flat[0], flat[1], None, flat[2], flat[3], flat[4]),
            'acceleration_mm': metrics.acceleration_error_mm_frame2(found[part], truth),
            'input_mpjpe_mm': float(metrics.mpjpe_mm(noisy[part], truth).mean()),
            'input_acceleration_mm': metrics.acceleration_error_mm_frame2(noisy[part], truth)}


def unsolved(joints, sigma) -> tuple:
    """Return the corrupted joints themselves: the baseline ``observation``."""
    return joints, None, None


def solve_in_batches(solver) -> Solve:
    """Return a solver as :func:`score_frames` expects it."""
    def solve(joints, sigma):
        parts = [solver.solve(joints[i:i + _SOLVE_BATCH], sigma[i:i + _SOLVE_BATCH])
                 for i in range(0, len(joints), _SOLVE_BATCH)]
        return tuple(np.concatenate([getattr(p, name) for p in parts])
                     for name in ('joints_m', 'rotmat', 'confidence'))
    return solve


def markdown_table(table: dict, score: str = 'mpjpe_mm') -> str:
    """Return one score of the table solver → corruption → scores in Markdown."""
    rows = list(dict.fromkeys(r for scores in table.values() for r in scores))
    lines = ['| | ' + ' | '.join(table) + ' |', '|---' * (len(table) + 1) + '|']
    for row in rows:
        cells = [table[s].get(row, {}).get(score) for s in table]
        text = ' | '.join('' if c is None else f'{c:.2f}' for c in cells)
        lines.append(f'| {row} | {text} |')
    return '\n'.join(lines)


def write_json(path: Path, tables: dict) -> None:
    write_text(path, json.dumps(tables, indent=1) + '\n')


def rows_of_solver(name: str, tables: dict) -> dict:
    """Return {frames, sequences} → corruption → scores of one solver, rounded."""
    rows = {table: solvers[name] for table, solvers in tables.items() if name in solvers}
    if not rows:
        raise ConfigError(f'the figures have no solver {name!r}; they have '
                          f'{sorted({n for t in tables.values() for n in t})}')
    return {table: {row: {score: round(value, 3) for score, value in scores.items()}
                    for row, scores in found.items()} for table, found in rows.items()}


def note_figures(folder: Path, rows: dict, protocol: str) -> None:
    """Write ``rows`` into a manifest; ``protocol`` says data, seed and counts in words."""
    manifest = read_model_folder(folder).manifest
    manifest['evaluation'] = {**manifest.get('evaluation', {}), 'protocol': protocol, **rows}
    write_file(Path(folder) / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
