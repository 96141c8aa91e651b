"""
``niki-evaluate video``: the whole pipeline on calibrated video with measured joints.

Twelve limb joints; root-aligned at the middle of the hips. Beside the pipeline's bodies stand the
joints of the front end's network in the same frames, before anything is taken off them, so that
what comes after it can be judged.
A second table follows a person through the stages of the pipeline.
With ``--passer-by MOTION`` a rendered person walks through the view in front of the measured one.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Dict, List

from niki_ros.body.skeleton import PARENTS_29
from niki_ros.common.errors import SourceError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.pipeline import load_pipeline
from niki_ros.sources.open import open_source
import numpy as np
from scipy.signal import butter, filtfilt

from niki_training.evaluate import stages
from niki_training.evaluate.video_truth import (
    LIMB_JOINTS,
    limb_joints,
    pa_aligned,
    read_calibration,
    read_trc,
)

HELP = 'the pipeline on calibrated video with measured joints (Pose2Sim trials)'
COLUMNS = ('observer_mpjpe_mm', 'observer_pa_mm', 'mpjpe_mm', 'pa_mpjpe_mm', 'root_mm',
           'root_percent', 'reprojection_px')
SAME_M, SAME_SHARE = 1.0, 0.35
"""
Who is farther from the measured person is somebody else: the root in metres, the limbs in the
image as a share of the person's size.
"""
STEADY = {'bone_length_cv_percent': '%',
          'acceleration_error_mm_frame2': 'mm/frame²',
          'observer_acceleration_error_mm_frame2': 'mm/frame²'}
"""Printed for each camera below the table."""
COVERED = 3
"""Limb joints behind the passer-by from which on a frame counts as covered."""

_SMOOTH = butter(4, 0.2)


class RecordingObserver:
    """Passes everything on to a front end and keeps what it said last."""

    def __init__(self, observer):
        """Stand before ``observer``."""
        self._observer = observer
        self.last: List = []

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        """Observe, and remember."""
        self.last = self._observer.observe(image_rgb, camera, stamp_ns, boxes_px)
        return self.last

    def __getattr__(self, name):
        """Everything else is the front end's."""
        return getattr(self._observer, name)


def add_arguments(parser):
    """Add the options of this verb."""
    parser.add_argument('folder', type=Path,
                        help='folder with calibration.toml, one .trc and a video per camera')
    parser.add_argument('--solver', default='niki-temporal')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--passer-by', type=Path, metavar='MOTION',
                        help='archive of motion: somebody rendered walks past in front')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    """Evaluate every camera of the folder and print a table or JSON."""
    from niki_ros.cli.arguments import parse_settings
    result = evaluate_folder(args.folder, args.solver, parse_settings(args.set), args.passer_by)
    if args.json:
        print(json.dumps(result))
        return 0
    print(f'{"camera":8s} {"frames":>6s} {"missed":>6s} {"ids":>4s} '
          + ' '.join(f'{c:>17s}' for c in COLUMNS))
    rows = {**result['cameras'], 'all': result['all']}
    if 'covered' in result:
        rows['covered'] = result['covered']
    steady = [row for row in result['cameras'].values() if 'ids' in row]
    for name, row in rows.items():
        print(f'{name:8s} {row["frames"]:6d} {row["missed"]:6d} {row.get("ids", ""):>4} '
              + ' '.join(f'{row[c]:17.1f}' for c in COLUMNS))
    print('\n' + stages.table(result['stages']) + '\n')
    for key, unit in STEADY.items():
        print(f'{key}: ' + ', '.join(f'{row[key]:.2f}' for row in steady) + f' {unit}')
    return 0


def evaluate_folder(folder: Path, solver: str, settings: Dict, passer_by=None) -> Dict:
    """
    Return the figures of every camera of a Pose2Sim folder, and of all together.

    :param passer_by: archive of motion of whom to draw in front, or None; then ``covered`` has
        the figures of the frames in which at least ``COVERED`` limb joints are behind.
    """
    trials = sorted(folder.glob('*.trc'))
    videos = sorted(folder.glob('*.mp4'))
    if len(trials) != 1 or not videos:
        raise SourceError(f'{folder} has {len(trials)} .trc and {len(videos)} .mp4 files; '
                          'expected one trial and a video per camera')
    truth = limb_joints(read_trc(trials[0]))
    cameras = sorted(read_calibration(folder / 'calibration.toml').items())
    draw = passers_by(passer_by)
    result, rows, covered, steps = {}, [], [], []
    for (name, calibrated), video in zip(cameras, videos):
        print(f'{name}: {video.name}', file=sys.stderr, flush=True)
        passer = draw(calibrated, truth, video) if draw else None
        frames, extra, errors = evaluate_clip(video, calibrated, truth, solver, settings, passer)
        steps += errors
        rows.append(frames)
        result[name] = {**summary(frames), **extra}
        if passer:
            covered.append(frames[passer.covers.sum(1)[:len(frames)] >= COVERED])
            passer.close()
    total = {'solver': solver, 'settings': settings, 'cameras': result,
             'all': summary(np.concatenate(rows)), 'stages': stages.means(steps)}
    if covered:
        total['covered'] = summary(np.concatenate(covered))
    return total


def passers_by(path):
    """Return what draws somebody in front of a camera; None without a motion."""
    if path is None:
        return None
    from niki_training.evaluate.passer_by import PasserBy
    from niki_training.render.motion import load_rooted_motion
    motion = load_rooted_motion(path)

    def draw(calibrated, truth, video):
        with open_source(str(video)) as source:
            size = source.width, source.height
        return PasserBy(motion, calibrated, calibrated.points(truth), size)
    return draw


def summary(frames) -> Dict:
    """Means over the frames that have a body; ``missed`` counts the others."""
    missed = np.isnan(frames[:, COLUMNS.index('mpjpe_mm')])
    means = np.nanmean(frames, axis=0)
    return {'frames': len(frames), 'missed': int(missed.sum()),
            'observer_missed': int(np.isnan(frames[:, 0]).sum()),
            **{name: float(value) for name, value in zip(COLUMNS, means)}}


def evaluate_clip(video, calibrated, truth, solver, settings, passer_by=None):
    """
    Run one clip.

    :return: an array (frames, len(COLUMNS)), the figures that need the whole clip, and the errors
        after each stage of the frames that have a body.
    """
    config = apply_settings(PipelineConfig(), settings)
    config.solver.name = solver
    pipeline = load_pipeline(config)
    pipeline.observer = observer = RecordingObserver(pipeline.observer)
    rows, bodies_seen, truth_seen, raw, steps = [], [], [], [], []
    with open_source(str(video)) as source:
        for index, (frame, world) in enumerate(zip(source, truth)):
            true = calibrated.points(world)
            image = passer_by.paint(frame.image_rgb, index) if passer_by else frame.image_rgb
            bodies = pipeline.process(image, calibrated.camera, frame.stamp_ns)
            body = nearest(bodies, true)
            there = calibrated.camera.project(true)
            seen = [o.own_joints_m[LIMB_JOINTS] for o in observer.last if is_there(o, there)]
            rows.append(frame_errors(body, seen, true, calibrated.camera))
            if body is not None:
                bodies_seen.append(body)
                truth_seen.append(true)
                steps.append(stages.stage_errors(stages.stages_of(pipeline, body), true))
                raw.append(min(seen, key=lambda one, true=true: aligned_error(one, true),
                               default=np.full((len(LIMB_JOINTS), 3), np.nan)))
    pipeline.close()
    return np.array(rows), clip_figures(bodies_seen, np.array(truth_seen), np.array(raw)), steps


def nearest(bodies, true):
    """Return the body whose limbs are nearest to the true ones (12, 3), None if all are far."""
    def apart(body):
        return np.linalg.norm(body.joints_m[LIMB_JOINTS].mean(0) - true.mean(0))
    best = min(bodies, key=apart, default=None)
    return best if best is not None and apart(best) < SAME_M else None


def is_there(observation, true_px) -> bool:
    """
    Whether an observation is of the person whose limbs are at ``true_px`` (12, 2).

    Left and right may be mistaken: that is an error to be counted, not somebody else.
    """
    found = observation.keypoints_px[LIMB_JOINTS]
    sides = found.reshape(-1, 2, 2)[:, ::-1].reshape(-1, 2)
    off = min(np.nanmedian(np.linalg.norm(one - true_px, axis=1)) for one in (found, sides))
    return bool(off < SAME_SHARE * np.ptp(true_px, axis=0).max())


def frame_errors(body, seen, true, camera) -> List[float]:
    """One row of ``COLUMNS``; NaN where there is nobody."""
    row = [np.nan] * len(COLUMNS)
    if seen:
        errors = [aligned_error(joints, true) for joints in seen]
        best = int(np.argmin(errors))
        row[0] = errors[best] * 1e3
        row[1] = np.linalg.norm(pa_aligned(seen[best], true) - true, axis=1).mean() * 1e3
    if body is not None:
        joints = body.joints_m[LIMB_JOINTS]
        row[2] = aligned_error(joints, true) * 1e3
        row[3] = np.linalg.norm(pa_aligned(joints, true) - true, axis=1).mean() * 1e3
        off = np.linalg.norm(hips(joints) - hips(true))
        row[4], row[5] = off * 1e3, 100 * off / np.linalg.norm(hips(true))
        pixels = camera.project(body.joints_m) - body.keypoints_px
        trusted = np.append(body.confidence, [0.0] * 5) > 0.5
        if trusted.any() and np.isfinite(pixels[trusted]).any():
            row[6] = np.nanmean(np.linalg.norm(pixels[trusted], axis=1))
    return row


def hips(limbs) -> np.ndarray:
    """Middle of the hips (..., 1, 3) of twelve limb joints."""
    return limbs[..., :2, :].mean(-2, keepdims=True)


def aligned_error(joints, true) -> float:
    """Mean distance in metres after the middles of the hips are laid on each other."""
    return float(np.linalg.norm((joints - hips(joints)) - (true - hips(true)), axis=-1).mean())


def bend_error(joints, truth) -> float:
    """
    Mean acceleration error of limbs (n, 12, 3) relative to the hips, mm per frame squared.

    The truth is freed of its noise, which is 40 mm/frame² in the Pose2Sim trial: a Butterworth
    filter of fourth order, forwards and backwards, as is usual for markers (Winter 2009), at a
    fifth of the highest frequency: 6 Hz in a video of 60.
    """
    relative = truth - hips(truth)
    if len(truth) > 3 * len(_SMOOTH[0]):
        relative = filtfilt(*_SMOOTH, relative, axis=0)
    bend = np.diff((joints - hips(joints)) - relative, 2, axis=0)
    return float(np.nanmean(np.linalg.norm(bend, axis=-1)) * 1e3)


def clip_figures(bodies, truth, raw) -> Dict:
    """
    Steadiness over a clip: bone lengths, acceleration, ids.

    :param truth: (n, 12, 3) camera axes. :param raw: (n, 12, 3) the front end's, NaN where none.
    """
    if len(bodies) < 3:
        return {}
    joints = np.stack([body.joints_m for body in bodies])
    bones = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS_29[1:])], axis=-1)
    bend = np.diff(joints[:, LIMB_JOINTS], 2, axis=0)
    roots = np.stack([body.root_m for body in bodies])
    return {
        'bone_length_cv_percent': float(100 * (bones.std(0) / bones.mean(0)).mean()),
        'acceleration_mm_frame2': float(np.linalg.norm(bend, axis=-1).mean() * 1e3),
        'acceleration_error_mm_frame2': bend_error(joints[:, LIMB_JOINTS], truth),
        'observer_acceleration_error_mm_frame2': bend_error(raw, truth),
        'root_acceleration_mm_frame2': float(
            np.linalg.norm(np.diff(roots, 2, axis=0), axis=-1).mean() * 1e3),
        'ids': len({body.id for body in bodies}),
    }
