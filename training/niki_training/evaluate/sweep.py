"""
Effect of one number of a stage, or of one setting, on the figures of calibrated video.

niki-evaluate sweep extrapolate_hidden_joints.full_weight_s FOLDER 0.5 1 2
niki-evaluate sweep smoothing.beta FOLDER 1 2.5 5 --passer-by MOTION

People are found once; the pipeline behind the front end runs again with every value. The value
in use is among the rows and marked with a star.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
import json
from pathlib import Path
import sys
from typing import Any, Dict, List, NamedTuple

from niki_ros.cli.arguments import parse_settings
from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.pipeline import load_pipeline
from niki_ros.people.pipeline import Pipeline
from niki_ros.people.stages import STAGES
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.evaluate import video
from niki_training.evaluate.video_truth import LIMB_JOINTS, limb_joints, read_calibration, read_trc

FIGURES = ('mpjpe_mm', 'pa_mpjpe_mm', 'root_mm', 'acceleration_error_mm_frame2', 'missed')
"""Columns of the table."""


class RecordedClip(NamedTuple):
    """
    The observations of one camera.

    :param size: width and height of the images, pixels. :param stamps_ns: of the images.
    :param observations: list of observations of each image.
    :param true_m: (frames, 12, 3) measured limb joints, camera axes.
    :param covered: (frames,) True where the passer-by covers the person.
    """

    camera: Any
    size: tuple
    stamps_ns: List[int]
    observations: List[list]
    true_m: np.ndarray
    covered: np.ndarray


class Replay:
    """A front end that returns recorded observations."""

    def __init__(self, clip: RecordedClip):
        """Index the observations by stamp."""
        self._by_stamp = dict(zip(clip.stamps_ns, clip.observations))
        self.faults: Dict[str, str] = {}

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        """Return the observations of this stamp."""
        return self._by_stamp[stamp_ns]

    def reset(self):
        """Do nothing: the observations stay."""

    def close(self):
        """Do nothing."""

    def describe(self):
        """Return the name of this front end."""
        return {'observer': 'replay'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
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
    """Print a row of figures for each value."""
    in_use = value_in_use(args.number, parse_settings(args.set))
    clips = record(args.folder, parse_settings(args.set), args.passer_by)
    rows = {}
    for value in sorted({*args.values, float(in_use)}):
        print(f'{args.number} = {value:g}', file=sys.stderr, flush=True)
        rows[value] = figures(clips, parse_settings(args.set), args.number, value)
    if args.json:
        print(json.dumps({'number': args.number, 'in_use': in_use, 'rows': rows}))
        return 0
    columns = list(next(iter(rows.values())))
    print(f'{args.number:>24s} ' + ' '.join(f'{column:>28s}' for column in columns))
    for value, row in rows.items():
        star = '*' if value == in_use else ' '
        print(f'{value:23g}{star} ' + ' '.join(f'{row[column]:28.2f}' for column in columns))
    return 0


def value_in_use(number: str, settings: Dict) -> float:
    """
    Return the value of a number of a stage, or of a setting.

    :raises ConfigError: for a name that does not exist or stands for no number.
    """
    stage, _, name = number.partition('.')
    known = {item.name: item.default for item in settings_of(
        apply_settings(PipelineConfig(), settings))}
    if stage in STAGES and STAGES[stage].Numbers is not None:
        known = {f'{stage}.{item.name}': getattr(STAGES[stage].Numbers(), item.name)
                 for item in fields(STAGES[stage].Numbers)}
    value = known.get(number)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        numbers = [key for key, one in known.items()
                   if isinstance(one, (int, float)) and not isinstance(one, bool)]
        raise ConfigError(f'{number!r} is no number of a stage and no setting that is a number; '
                          f'stages: {", ".join(STAGES)}; numbers here: {", ".join(numbers)}')
    return value


def record(folder: Path, settings: Dict, passer_by=None) -> List[RecordedClip]:
    """Run the front end over every camera of a Pose2Sim folder."""
    truth_m = limb_joints(read_trc(next(iter(sorted(folder.glob('*.trc'))))))
    cameras = sorted(read_calibration(folder / 'calibration.toml').items())
    draw = video.passers_by(passer_by)
    clips = []
    for (name, calibrated), path in zip(cameras, sorted(folder.glob('*.mp4'))):
        print(f'{name}: {path.name}', file=sys.stderr, flush=True)
        passer = draw(calibrated, truth_m, path) if draw else None
        observer = load_pipeline(apply_settings(PipelineConfig(), settings)).observer
        stamps_ns, seen = [], []
        with open_source(str(path)) as source:
            size = source.width, source.height
            for index, frame in enumerate(source):
                image = passer.paint(frame.image_rgb, index) if passer else frame.image_rgb
                stamps_ns.append(frame.stamp_ns)
                seen.append(observer.observe(image, calibrated.camera, frame.stamp_ns))
        observer.close()
        count = min(len(seen), len(truth_m))
        covered = np.zeros(count, bool)
        if passer:
            covered = passer.covers.sum(1)[:count] >= video.COVERED
            passer.close()
        true_m = np.stack([calibrated.points(world) for world in truth_m[:count]])
        clips.append(RecordedClip(calibrated.camera, size, stamps_ns, seen, true_m, covered))
    return clips


def figures(clips: List[RecordedClip], settings: Dict, number: str, value: float) -> Dict:
    """Return the figures of the pipeline with one number changed."""
    rows, covered, errors = [], [], []
    for clip in clips:
        pipeline = changed_pipeline(clip, settings, number, value)
        blank = np.zeros((*clip.size[::-1], 3), np.uint8)
        bodies, true_m = [], []
        for stamp_ns, seen, true in zip(clip.stamps_ns, clip.observations, clip.true_m):
            body = video.nearest(pipeline.process(blank, clip.camera, stamp_ns), true)
            true_px = clip.camera.project(true)
            own_m = [o.own_joints_m[LIMB_JOINTS] for o in seen if video.is_there(o, true_px)]
            rows.append(video.frame_errors(body, own_m, true, clip.camera))
            if body is not None:
                bodies.append(body)
                true_m.append(true)
        covered.append(clip.covered)
        errors.append(video.clip_figures(bodies, np.array(true_m), np.array(true_m)))
        pipeline.close()
    every, hidden = np.array(rows), np.concatenate(covered)
    result = {**video.summary(every), 'acceleration_error_mm_frame2': float(np.mean(
        [one['acceleration_error_mm_frame2'] for one in errors if one]))}
    result = {name: result[name] for name in FIGURES}
    if hidden.any():
        result['covered_mpjpe_mm'] = video.summary(every[hidden])['mpjpe_mm']
    return result


def changed_pipeline(clip: RecordedClip, settings: Dict, number: str, value: float) -> Pipeline:
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
    loaded = load_pipeline(config)
    loaded.observer.close()
    return Pipeline(Replay(clip), loaded.solver, config, loaded.lifter, numbers)
