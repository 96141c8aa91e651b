"""
Measure the effect of one number of a stage, or of one setting, on the scores of calibrated video.

niki-evaluate sweep extrapolate_hidden_joints.full_weight_s FOLDER 0.5 1 2
niki-evaluate sweep smoothing.beta FOLDER 1 2.5 5 --passer-by MOTION

People are found once; the pipeline behind the front end runs again with every value. The value
in use is among the rows and marked with a star.
"""

import argparse
from dataclasses import replace
import json
from pathlib import Path
import sys
from typing import Any, NamedTuple

from niki_ros.cli.arguments import parse_settings
from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.people.pipeline import Pipeline
from niki_ros.people.stages import STAGES
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.evaluate import video
from niki_training.evaluate import video_scores as scores
from niki_training.evaluate.replay import replay, replay_pipeline

FIGURES = ('mpjpe_mm', 'pa_mpjpe_mm', 'root_mm', 'acceleration_error_mm_frame2', 'missed')


class RecordedClip(NamedTuple):
    """The observations of one camera."""

    camera: Any
    size: tuple  # width and height of the images, pixels
    stamps_ns: list[int]  # of the images
    observations: list[list]  # list of observations of each image
    true_m: np.ndarray  # (frames, 12, 3) measured limb joints, camera axes
    covered: np.ndarray  # (frames,) True where the passer-by covers the person


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('number', metavar='STAGE.NUMBER',
                        help='a number of a stage of niki_ros.people.stages, or a setting')
    parser.add_argument('folder', type=Path,
                        help='folder with calibration.toml, one .trc and a video per camera')
    parser.add_argument('values', type=float, nargs='+', metavar='VALUE')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--passer-by', type=Path, metavar='MOTION',
                        help='archive of motion: a rendered person walks past in front')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args: argparse.Namespace) -> int:
    settings = parse_settings(args.set)
    in_use = value_in_use(args.number, settings)
    clips = record(args.folder, settings, args.passer_by)
    rows = {}
    for value in sorted({*args.values, float(in_use)}):
        print(f'{args.number} = {value:g}', file=sys.stderr, flush=True)
        rows[value] = figures(clips, settings, args.number, value)
    if args.json:
        print(json.dumps({'number': args.number, 'in_use': in_use, 'rows': rows}))
        return 0
    columns = list(next(iter(rows.values())))
    print(f'{args.number:>24s} ' + ' '.join(f'{column:>28s}' for column in columns))
    for value, row in rows.items():
        star = '*' if value == in_use else ' '
        print(f'{value:23g}{star} ' + ' '.join(f'{row[column]:28.2f}' for column in columns))
    return 0


def value_in_use(number: str, settings: dict) -> float:
    """Return the value of a number of a stage, or of a setting."""
    stage = number.partition('.')[0]
    known = {item.name: item.default for item in settings_of(
        apply_settings(PipelineConfig(), settings))}
    if stage in STAGES and STAGES[stage].Numbers is not None:
        known = {f'{stage}.{name}': value for name, value in vars(STAGES[stage].Numbers()).items()}
    numbers = {name: value for name, value in known.items() if type(value) in (int, float)}
    if number not in numbers:
        raise ConfigError(f'{number!r} is no number of a stage and no setting that is a number; '
                          f'stages: {", ".join(STAGES)}; numbers here: {", ".join(numbers)}')
    return numbers[number]


def record(folder: Path, settings: dict, passer_by: Path | None = None) -> list[RecordedClip]:
    """Run the front end over every camera; ``passer_by`` is an archive of motion, see video."""
    clips = []
    for clip, painter in video.clips_with_passer_by(folder, passer_by):
        observer = load_observer(apply_settings(PipelineConfig(), settings))
        stamps_ns, seen = [], []
        with open_source(str(clip.video)) as source:
            size = source.width, source.height
            for index, frame in enumerate(source):
                image = painter.paint(frame.image_rgb, index) if painter else frame.image_rgb
                stamps_ns.append(frame.stamp_ns)
                seen.append(observer.observe(image, clip.calibrated.camera, frame.stamp_ns))
        observer.close()
        true_m = clip.limbs_m[:len(seen)]
        covered = (video.is_covered(painter)[:len(true_m)] if painter
                   else np.zeros(len(true_m), bool))
        clips.append(RecordedClip(clip.calibrated.camera, size, stamps_ns, seen, true_m, covered))
    return clips


def figures(clips: list[RecordedClip], settings: dict, number: str, value: float) -> dict:
    rows, covered, errors = [], [], []
    for clip in clips:
        pipeline = changed_pipeline(clip, settings, number, value)
        bodies, true_of_bodies = [], []
        replayed = replay(pipeline, clip.camera, clip.size, clip.stamps_ns)
        for found, seen, true_m in zip(replayed, clip.observations, clip.true_m):
            body = scores.nearest_body(found, true_m)
            observed_m = scores.observed_limbs_m(seen, clip.camera.project(true_m))
            rows.append(scores.frame_scores(body, observed_m, true_m, clip.camera))
            if body is not None:
                bodies.append(body)
                true_of_bodies.append(true_m)
        covered.append(clip.covered)
        true_m = np.array(true_of_bodies)
        errors.append(scores.steadiness(bodies, true_m, true_m))
        pipeline.close()
    every, hidden = np.array(rows), np.concatenate(covered)
    result = {**scores.summary(every), 'acceleration_error_mm_frame2': float(np.mean(
        [one['acceleration_error_mm_frame2'] for one in errors if one]))}
    result = {name: result[name] for name in FIGURES}
    if hidden.any():
        result['covered_mpjpe_mm'] = scores.summary(every[hidden])['mpjpe_mm']
    return result


def changed_pipeline(clip: RecordedClip, settings: dict, number: str, value: float) -> Pipeline:
    """Return a pipeline that replays a clip, with one number of a stage or one setting changed."""
    stage, _, name = number.partition('.')
    config = apply_settings(PipelineConfig(), settings)
    numbers = {}
    if stage in STAGES:
        kind = type(getattr(STAGES[stage].Numbers(), name))
        numbers = {stage: replace(STAGES[stage].Numbers(), **{name: kind(value)})}
    else:
        default = {item.name: item.default for item in settings_of(config)}[number]
        apply_settings(config, {number: type(default)(value)})
    return replay_pipeline(config, clip.observations, numbers)
