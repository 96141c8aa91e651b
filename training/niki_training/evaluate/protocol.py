"""The evaluation protocol: one table of corruptions by solvers, for frames and for sequences."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import Skeleton
from niki_ros.body.solution import Solution
from niki_ros.common.errors import ConfigError, InputError
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.model_folder import MANIFEST, read_model_folder, write_file
from niki_ros.people.person import Person, Sighting, step_people
from niki_ros.people.stages import make_stages, StageParts
import numpy as np

from niki_training.corrupt.protocol import corrupt_for_row, PROTOCOL_ROWS
from niki_training.data.augmentation import random_cameras
from niki_training.data.motion import Motion
from niki_training.evaluate import metrics
from niki_training.files.outputs import write_text

SEQUENCE = 48
SETTLED = 16
"""Frames of a sequence that are not scored: the track has not seen a window yet."""


def test_poses(motion: Motion, skeleton: Skeleton, seed: int, every: int = 12, frames: int = 1,
               limit: int | None = None):
    """
    Return truth of every 12th frame, or of sequences: seeded cameras and sizes 0.85 … 1.15.

    :return: rotmat (B, T, 24, 3, 3) camera axes, joints (B, T, 29, 3), offsets (B, 29, 3).
    :raises InputError: when no piece is so long.
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
    views = random_cameras(len(first), rng, pitch_deg=25)
    rotmat[:, :, 0] = views[:, None] @ rotmat[:, :, 0]
    offsets = skeleton.offsets() * rng.uniform(0.85, 1.15, len(first))[:, None, None]
    joints, _ = forward_kinematics(rotmat, offsets[:, None])
    return rotmat, joints, offsets


def frame_row(solve, poses, name: str, seed: int) -> dict:
    """
    Score one solver on one corruption of single frames.

    :param solve: (joints, sigma) → (joints, rotmat or None, confidence or None).
    """
    rotmat, joints, _ = poses
    rng = np.random.default_rng([seed, PROTOCOL_ROWS.index(name)])
    noisy, sigma, wrong = corrupt_for_row(name, joints, rng)
    found, turned, confidence = solve(noisy[:, 0], sigma[:, 0])
    return _scores(found, turned, confidence, joints[:, 0], rotmat[:, 0], wrong[:, 0])


def _scores(found, turned, confidence, joints, rotmat, wrong) -> dict:
    row = {'mpjpe_mm': float(metrics.mpjpe_mm(found, joints).mean()),
           'pa_mpjpe_mm': float(metrics.pa_mpjpe_mm(found, joints).mean())}
    if turned is not None:
        row['rotation_deg'] = float(metrics.rotation_deg(turned, rotmat).mean())
    if confidence is not None and wrong.any():
        row['auroc'] = metrics.auroc(-confidence, wrong[:, :24])
    return row


class PersonTrack:
    """
    One person who is stepped through stages of the pipeline that need no image.

    Scored is the body that would be published, of the estimated size.
    """

    STAGES = ('estimate_size', 'extrapolate_hidden_joints', 'solve')

    def __init__(self, solver):
        """Start without a past."""
        self._solver, parts = solver, StageParts(PipelineConfig(), solver)
        self._person = Person(lambda: make_stages(parts, self.STAGES),
                              Sighting(0, np.zeros(4), None))

    def step(self, joints_m, sigma, stamp_ns: int, twist_cos_sin=None) -> Solution:
        """
        Solve one frame: (29, 3), (29,) and twists (23, 2) if known.

        :return: the solution, joints of the published body's size.
        """
        nowhere = np.full((29, 2), np.nan)
        seen = JointObservation(joints_m, sigma, nowhere, np.zeros(4), 1.0, np.full(29, np.inf),
                                twist_cos_sin)
        frame = step_people([self._person], [self._person.begin(seen, None, stamp_ns)])[0]
        offsets_m = self._solver.skeleton.offsets(frame.betas)
        joints_m, _ = forward_kinematics(frame.solution.rotmat, offsets_m)
        return replace(frame.solution, joints_m=joints_m)


def sequence_row(solver, poses, name: str, seed: int, occluded_from: int = 0) -> dict:
    """
    Score a solver, as the pipeline runs it, on one corruption of sequences (B, T, …).

    :param occluded_from: frame before which nothing is corrupted.
    """
    rotmat, joints, _ = poses
    rng = np.random.default_rng([seed, 77, PROTOCOL_ROWS.index(name)])
    noisy, sigma, wrong = corrupt_for_row(name, joints, rng)
    noisy[:, :occluded_from] = joints[:, :occluded_from]
    sigma[:, :occluded_from] = 0
    found = np.empty(joints.shape)
    turned = np.empty(rotmat.shape)
    for b in range(len(joints)):
        track = PersonTrack(solver)
        for t in range(joints.shape[1]):
            solution = track.step(noisy[b, t], sigma[b, t], t * 33_333_333)
            found[b, t], turned[b, t] = solution.joints_m, solution.rotmat
    begin = max(SETTLED, occluded_from)
    end = joints.shape[1] if occluded_from == 0 else occluded_from + 15
    part = np.s_[:, begin:end]
    flat = [x[part].reshape(-1, *x.shape[2:]) for x in (found, turned, joints, rotmat, wrong)]
    row = _scores(flat[0], flat[1], None, flat[2], flat[3], flat[4])
    row['acceleration_mm'] = metrics.acceleration_mm(found[part], joints[part])
    row['input_mpjpe_mm'] = float(metrics.mpjpe_mm(noisy[part], joints[part]).mean())
    row['input_acceleration_mm'] = metrics.acceleration_mm(noisy[part], joints[part])
    return row


def observation(joints, sigma):
    """Return the observation itself: the first baseline."""
    return joints, None, None


def by_solver(solver, batch: int = 2048):
    """Return a solver's answers in the form that :func:`frame_row` wants."""
    def solve(joints, sigma):
        parts = [solver.solve(joints[i:i + batch], sigma[i:i + batch])
                 for i in range(0, len(joints), batch)]
        return tuple(np.concatenate([getattr(p, name) for p in parts])
                     for name in ('joints_m', 'rotmat', 'confidence'))
    return solve


def markdown(table: dict, score: str = 'mpjpe_mm') -> str:
    """Return the table {solver: {corruption: scores}} in Markdown."""
    rows = list(dict.fromkeys(r for scores in table.values() for r in scores))
    lines = ['| | ' + ' | '.join(table) + ' |', '|---' * (len(table) + 1) + '|']
    for row in rows:
        cells = [table[s].get(row, {}).get(score) for s in table]
        text = ' | '.join('' if c is None else f'{c:.2f}' for c in cells)
        lines.append(f'| {row} | {text} |')
    return '\n'.join(lines)


def write_json(path: Path, table: dict) -> None:
    """Write the table."""
    write_text(path, json.dumps(table, indent=1) + '\n')


def rows_of(name: str, tables: dict) -> dict:
    """
    Return one solver's rows of the tables, rounded: {frames, sequences} → corruption → scores.

    :raises ConfigError: when the tables have no such solver.
    """
    rows = {table: solvers[name] for table, solvers in tables.items() if name in solvers}
    if not rows:
        raise ConfigError(f'the figures have no solver {name!r}; they have '
                          f'{sorted({n for t in tables.values() for n in t})}')
    return {table: {row: {score: round(value, 3) for score, value in scores.items()}
                    for row, scores in found.items()} for table, found in rows.items()}


def note_figures(folder: Path, rows: dict, protocol: str) -> None:
    """
    Put figures into the manifest of a model folder.

    :param rows: see :func:`rows_of`. :param protocol: in words: data, seed, how many.
    """
    manifest = read_model_folder(folder).manifest
    manifest['evaluation'] = {**manifest.get('evaluation', {}), 'protocol': protocol, **rows}
    write_file(Path(folder) / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
