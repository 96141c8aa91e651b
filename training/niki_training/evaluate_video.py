"""
``niki-evaluate video``: the whole pipeline on calibrated video with measured joints.

Twelve limb joints; root-aligned at the middle of the hips. Beside the pipeline's bodies stand the
front end's own joints of the same frames, so that what comes after the front end can be judged.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Dict, List

from niki_ros.core.config import apply_settings, PipelineConfig
from niki_ros.core.errors import SourceError
from niki_ros.core.skeleton import PARENTS_29
from niki_ros.pipeline import load_pipeline
from niki_ros.sources import open_source
import numpy as np

from niki_training.video_truth import (
    LIMB_JOINTS,
    limb_joints,
    pa_aligned,
    read_calibration,
    read_trc,
)

HELP = 'the pipeline on calibrated video with measured joints (Pose2Sim trials)'
COLUMNS = ('observer_mpjpe_mm', 'observer_pa_mm', 'mpjpe_mm', 'pa_mpjpe_mm', 'root_mm',
           'root_percent', 'reprojection_px')


class RecordingObserver:
    """Passes everything on to a front end and keeps what it said last."""

    def __init__(self, observer):
        """Stand before ``observer``."""
        self._observer = observer
        self.last: List = []

    def observe(self, image_rgb, camera, stamp_ns):
        """Observe, and remember."""
        self.last = self._observer.observe(image_rgb, camera, stamp_ns)
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
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    """Evaluate every camera of the folder and print a table or JSON."""
    from niki_ros.cli.run import parse_settings
    result = evaluate_folder(args.folder, args.solver, parse_settings(args.set))
    if args.json:
        print(json.dumps(result))
        return 0
    print(f'{"camera":8s} {"frames":>6s} {"missed":>6s} ' + ' '.join(f'{c:>17s}' for c in COLUMNS))
    for name, row in result['cameras'].items():
        print(f'{name:8s} {row["frames"]:6d} {row["missed"]:6d} '
              + ' '.join(f'{row[c]:17.1f}' for c in COLUMNS))
    total = result['all']
    print(f'{"all":8s} {total["frames"]:6d} {total["missed"]:6d} '
          + ' '.join(f'{total[c]:17.1f}' for c in COLUMNS))
    return 0


def evaluate_folder(folder: Path, solver: str, settings: Dict) -> Dict:
    """Return the figures of every camera of a Pose2Sim folder, and of all together."""
    trials = sorted(folder.glob('*.trc'))
    videos = sorted(folder.glob('*.mp4'))
    if len(trials) != 1 or not videos:
        raise SourceError(f'{folder} has {len(trials)} .trc and {len(videos)} .mp4 files; '
                          'expected one trial and a video per camera')
    truth = limb_joints(read_trc(trials[0]))
    cameras = sorted(read_calibration(folder / 'calibration.toml').items())
    result, rows = {}, []
    for (name, calibrated), video in zip(cameras, videos):
        print(f'{name}: {video.name}', file=sys.stderr, flush=True)
        frames, extra = evaluate_clip(video, calibrated, truth, solver, settings)
        rows.append(frames)
        result[name] = {**summary(frames), **extra}
    return {'solver': solver, 'settings': settings, 'cameras': result,
            'all': summary(np.concatenate(rows))}


def summary(frames) -> Dict:
    """Means over the frames that have a body; ``missed`` counts the others."""
    missed = np.isnan(frames[:, COLUMNS.index('mpjpe_mm')])
    means = np.nanmean(frames, axis=0)
    return {'frames': len(frames), 'missed': int(missed.sum()),
            'observer_missed': int(np.isnan(frames[:, 0]).sum()),
            **{name: float(value) for name, value in zip(COLUMNS, means)}}


def evaluate_clip(video, calibrated, truth, solver, settings):
    """Return an array (frames, len(COLUMNS)) and the figures that need the whole clip."""
    config = apply_settings(PipelineConfig(), settings)
    config.solver.name = solver
    pipeline = load_pipeline(config)
    pipeline.observer = observer = RecordingObserver(pipeline.observer)
    rows, bodies_seen, truth_seen = [], [], []
    with open_source(str(video)) as source:
        for frame, world in zip(source, truth):
            true = calibrated.points(world)
            bodies = pipeline.process(frame.image_rgb, calibrated.camera, frame.stamp_ns)
            body = nearest(bodies, true)
            seen = [o.joints_m[LIMB_JOINTS] for o in observer.last]
            rows.append(frame_errors(body, seen, true, calibrated.camera))
            if body is not None:
                bodies_seen.append(body)
                truth_seen.append(true)
    pipeline.close()
    return np.array(rows), clip_figures(bodies_seen, np.array(truth_seen))


def nearest(bodies, true):
    """Return the body whose limbs are nearest to the true ones (12, 3), or None."""
    def apart(body):
        return np.linalg.norm(body.joints_m[LIMB_JOINTS].mean(0) - true.mean(0))
    return min(bodies, key=apart, default=None)


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


def clip_figures(bodies, truth) -> Dict:
    """Steadiness over a clip: bone lengths, acceleration, ids."""
    if len(bodies) < 3:
        return {}
    joints = np.stack([body.joints_m for body in bodies])
    bones = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS_29[1:])], axis=-1)
    bend = np.diff(joints[:, LIMB_JOINTS], 2, axis=0)
    true_bend = np.diff(truth, 2, axis=0)
    roots = np.stack([body.root_m for body in bodies])
    return {
        'bone_length_cv_percent': float(100 * (bones.std(0) / bones.mean(0)).mean()),
        'acceleration_mm_frame2': float(np.linalg.norm(bend, axis=-1).mean() * 1e3),
        'acceleration_error_mm_frame2': float(
            np.linalg.norm(bend - true_bend, axis=-1).mean() * 1e3),
        'root_acceleration_mm_frame2': float(
            np.linalg.norm(np.diff(roots, 2, axis=0), axis=-1).mean() * 1e3),
        'ids': len({body.id for body in bodies}),
    }
