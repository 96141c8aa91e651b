"""
Score the whole pipeline on calibrated video with measured joints (Pose2Sim trials).

Errors are of twelve limb joints about the middle of the hips. The joints of the front end's
network, before their correction, are scored in the same frames. A second table has the errors
after each stage of the pipeline. With --passer-by a rendered person walks through the view in
front of the measured one.
"""

import json
from pathlib import Path
import sys
from typing import Iterator, NamedTuple

from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.load_pipeline import load_pipeline
from niki_ros.people.pipeline import Pipeline
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.evaluate import stage_errors
from niki_training.evaluate import video_scores as scores
from niki_training.evaluate.replay import RecordingObserver
from niki_training.evaluate.video_truth import LIMB_JOINTS, read_trial, TrialClip

MIN_COVERED_LIMBS = 3  # a frame with so many limb joints behind the passer-by counts as covered
_STEADINESS_UNITS = {'bone_length_cv_percent': '%',
                     'acceleration_error_mm_frame2': 'mm/frame²',
                     'observer_acceleration_error_mm_frame2': 'mm/frame²'}  # below the table


class ClipResult(NamedTuple):
    """Scores of one clip."""

    rows: np.ndarray  # (frames, columns) of :func:`video_scores.frame_scores`
    steadiness: dict  # scores over the whole clip
    stage_errors_mm: list[np.ndarray]  # (stages, columns) of each frame with a body


def add_arguments(parser) -> None:
    parser.add_argument('folder', type=Path,
                        help='folder with calibration.toml, one .trc and a video per camera')
    parser.add_argument('--solver', default='niki-temporal')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--passer-by', type=Path, metavar='MOTION',
                        help='archive of motion: a rendered person walks past in front')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    from niki_ros.cli.arguments import parse_settings
    result = evaluate_trial(args.folder, args.solver, parse_settings(args.set), args.passer_by)
    if args.json:
        print(json.dumps(result))
        return 0
    print(f'{"camera":8s} {"frames":>6s} {"missed":>6s} {"ids":>4s} '
          + ' '.join(f'{column:>17s}' for column in scores.COLUMNS))
    rows = {**result['cameras'], 'all': result['all']}
    if 'covered' in result:
        rows['covered'] = result['covered']
    for name, row in rows.items():
        print(f'{name:8s} {row["frames"]:6d} {row["missed"]:6d} {row.get("ids", ""):>4} '
              + ' '.join(f'{row[column]:17.1f}' for column in scores.COLUMNS))
    print('\n' + stage_errors.text_table(result['stages']) + '\n')
    with_steadiness = [row for row in result['cameras'].values() if 'ids' in row]
    for key, unit in _STEADINESS_UNITS.items():
        print(f'{key}: ' + ', '.join(f'{row[key]:.2f}' for row in with_steadiness) + f' {unit}')
    return 0


def evaluate_trial(folder: Path, solver: str, settings: dict,
                   passer_by: Path | None = None) -> dict:
    """
    Return the scores of every camera of a Pose2Sim folder, and of all together.

    :param passer_by: archive of motion of a person who is drawn in front; the scores of frames in
        which that person covers the measured one are then in ``covered``.
    """
    cameras, rows, covered, errors_mm = {}, [], [], []
    for clip, painter in clips_with_passer_by(folder, passer_by):
        result = evaluate_clip(clip, solver, settings, painter)
        errors_mm += result.stage_errors_mm
        rows.append(result.rows)
        cameras[clip.name] = {**scores.summary(result.rows), **result.steadiness}
        if painter:
            covered.append(result.rows[is_covered(painter)[:len(result.rows)]])
    total = {'solver': solver, 'settings': settings, 'cameras': cameras,
             'all': scores.summary(np.concatenate(rows)),
             'stages': stage_errors.mean_errors(errors_mm)}
    if covered:
        total['covered'] = scores.summary(np.concatenate(covered))
    return total


def clips_with_passer_by(folder: Path, motion: Path | None) -> Iterator[tuple]:
    """Yield each camera of a trial, and its :class:`PasserBy` or, without ``motion``, None."""
    if motion is not None:
        from niki_training.evaluate.passer_by import PasserBy
        from niki_training.render.motion import load_rooted_motion
        rooted = load_rooted_motion(motion)
    for clip in read_trial(folder):
        print(f'{clip.name}: {clip.video.name}', file=sys.stderr, flush=True)
        if motion is None:
            yield clip, None
            continue
        with open_source(str(clip.video)) as source:
            size = source.width, source.height
        painter = PasserBy(rooted, clip.calibrated, clip.limbs_m, size)
        yield clip, painter
        painter.close()


def is_covered(passer_by) -> np.ndarray:
    """Return (frames,) True where the passer-by covers the measured person."""
    return passer_by.covers.sum(1) >= MIN_COVERED_LIMBS


def evaluate_clip(clip: TrialClip, solver: str, settings: dict, passer_by=None) -> ClipResult:
    config = apply_settings(PipelineConfig(), settings)
    config.solver.name = solver
    loaded = load_pipeline(config)
    observer = RecordingObserver(loaded.observer)
    pipeline = Pipeline(observer, loaded.solver, config, loaded.lifter)
    camera = clip.calibrated.camera
    rows, bodies, true_of_bodies, observed_of_bodies, errors_mm = [], [], [], [], []
    with open_source(str(clip.video)) as source:
        for index, (frame, true_m) in enumerate(zip(source, clip.limbs_m)):
            image = passer_by.paint(frame.image_rgb, index) if passer_by else frame.image_rgb
            body = scores.nearest_body(pipeline.process(image, camera, frame.stamp_ns), true_m)
            observed_m = scores.observed_limbs_m(observer.last, camera.project(true_m))
            rows.append(scores.frame_scores(body, observed_m, true_m, camera))
            if body is not None:
                bodies.append(body)
                true_of_bodies.append(true_m)
                observed_of_bodies.append(_best_observed(observed_m, true_m))
                errors_mm.append(stage_errors.stage_errors_mm(
                    stage_errors.joints_after_stages(pipeline, body), true_m))
    pipeline.close()
    return ClipResult(np.array(rows), scores.steadiness(bodies, np.array(true_of_bodies),
                                                 np.array(observed_of_bodies)), errors_mm)


def _best_observed(observed_m: list[np.ndarray], true_m) -> np.ndarray:
    """Return the observed limbs (12, 3) nearest to the true ones; NaN where there are none."""
    return min(observed_m, key=lambda one_m: scores.aligned_error_m(one_m, true_m),
               default=np.full((len(LIMB_JOINTS), 3), np.nan))
