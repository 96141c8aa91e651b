"""
Measure how much bodies depend on the rate of the camera, stage by stage.

niki-evaluate rates FOLDER
niki-evaluate rates VIDEO --every 2 3 --set solver.name=niki --replayed

The clip is played with every image, and with every n-th. The table has the mean distance between
the joints of the two at the same stamps, about the pelvis, after each stage. The front end follows
people by the image before and runs again for each n; with --replayed its observations are those of
the whole clip, and the differences are those of the stages behind it.
"""

import argparse
import json
from pathlib import Path
import sys
from typing import Any, Iterator, NamedTuple

from niki_ros.body.body import Body
from niki_ros.body.skeleton import JOINT
from niki_ros.cli.arguments import parse_settings
from niki_ros.common.errors import SourceError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.evaluate.replay import replay, replay_pipeline
from niki_training.evaluate.video_truth import read_trial

STAGES = ('front end', 'lifted', 'solved', 'fitted', 'smoothed')
GROUPS = {'all': tuple(range(24)),
          'trunk': tuple(JOINT[name] for name in (
              'left_hip', 'right_hip', 'spine1', 'spine2', 'spine3', 'neck', 'head',
              'left_collar', 'right_collar', 'left_shoulder', 'right_shoulder')),
          'arms': tuple(JOINT[f'{side}_{part}'] for side in ('left', 'right')
                        for part in ('elbow', 'wrist', 'hand')),
          'legs': tuple(JOINT[f'{side}_{part}'] for side in ('left', 'right')
                        for part in ('knee', 'ankle', 'foot'))}
_MAX_DISTANCE_M = 1.0  # a body whose root is farther away is another person


class RateClip(NamedTuple):
    """A video, and its camera or None for the field of view of the settings."""

    name: str
    video: str
    camera: Camera | None


class Recorded(NamedTuple):
    """Observations of a front end in every n-th image."""

    size: tuple  # width and height of the images, pixels
    stamps_ns: list[int]  # of the images
    observations: list[list]  # of each image


class StageJoints(NamedTuple):
    """One published person in one image."""

    joints_m: np.ndarray  # (stages, 24, 3) about the pelvis, camera axes
    root_m: np.ndarray  # (3,) published, optical frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('clip', type=Path, help='a video, or a folder with calibration.toml, one '
                        '.trc and a video per camera')
    parser.add_argument('--every', type=positive_int, nargs='+', default=[2, 3, 5], metavar='N',
                        help='play every N-th image (2 3 5)')
    parser.add_argument('--replayed', action='store_true',
                        help='only the stages behind the front end')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args: argparse.Namespace) -> int:
    result = measure(clips_of(args.clip), args.every, parse_settings(args.set), args.replayed)
    if args.json:
        print(json.dumps(result))
        return 0
    print(f'{"every":>5s} {"frames":>6s} {"joints":8s} '
          + ' '.join(f'{name:>10s}' for name in (*STAGES, 'root', 'published')) + '   mm')
    for every, row in result['rates'].items():
        for group in GROUPS:
            known = [*(row['stages'][stage][group] for stage in STAGES),
                     *((row['root_mm'], row['published_mm']) if group == 'all' else ())]
            print(f'{every:>5s} {row["frames"]:6d} {group:8s} '
                  + ' '.join(f'{value:10.1f}' for value in known))
    return 0


def clips_of(path: Path) -> list[RateClip]:
    """Return the cameras of a Pose2Sim folder, or the one clip of a video."""
    if (path / 'calibration.toml').exists():
        return [RateClip(clip.name, str(clip.video), clip.calibrated.camera)
                for clip in read_trial(path)]
    return [RateClip(path.name, str(path), None)]


def measure(clips: list[RateClip], every: list[int], settings: dict,
            is_replayed: bool = False) -> dict:
    """
    Return for every n the differences to the whole clips, mean over all people and images.

    :return: ``rates``: n → ``frames``, ``stages``: stage → joint group → mm about the pelvis,
        ``root_mm``, and ``published_mm`` of the joints in the optical frame.
    """
    pairs: dict[int, list] = {n: [] for n in every}
    for clip in clips:
        print(clip.name, file=sys.stderr, flush=True)
        complete = record(clip, settings)
        whole = joints_after_stages(clip, complete, settings)
        for n in every:
            part = (Recorded(complete.size, complete.stamps_ns[::n], complete.observations[::n])
                    if is_replayed else record(clip, settings, n))
            pairs[n] += matched(whole, joints_after_stages(clip, part, settings))
    if not all(pairs.values()):
        raise SourceError('no person is in the same images of the clip and of its parts; a longer '
                          'clip with a person in view is needed')
    return {'replayed': is_replayed, 'settings': settings,
            'rates': {str(n): differences(found) for n, found in pairs.items()}}


def record(clip: RateClip, settings: dict, every: int = 1) -> Recorded:
    """Run the front end over every n-th image."""
    config = apply_settings(PipelineConfig(), settings)
    observer = load_observer(config)
    stamps_ns, observations = [], []
    with open_source(clip.video) as source:
        size = source.width, source.height
        camera = clip.camera or Camera.from_fov(*size, config.camera.fov_deg)
        for index, frame in enumerate(source):
            if index % every == 0:
                stamps_ns.append(frame.stamp_ns)
                observations.append(observer.observe(frame.image_rgb, camera, frame.stamp_ns))
    observer.close()
    return Recorded(size, stamps_ns, observations)


def joints_after_stages(clip: RateClip, recorded: Recorded,
                        settings: dict) -> dict[int, list[StageJoints]]:
    """Return the joints of the published people after each of ``STAGES``, by stamp."""
    # smoothing is the last stage that turns joints: without it the fitted pose is published
    unsmoothed = {**settings, 'smoothing.enabled': False}
    fitted = {(body.stamp_ns, body.id): _about_pelvis(body.joints_m)
              for _, body in _bodies(clip, recorded, unsmoothed)}
    found: dict[int, list[StageJoints]] = {stamp_ns: [] for stamp_ns in recorded.stamps_ns}
    for pipeline, body in _bodies(clip, recorded, settings):
        frame: Any = next(person.last_frame for person in pipeline.tracker.people
                          if person.id == body.id)
        seen = frame.latest_observation
        key = body.stamp_ns, body.id
        if key in fitted:
            found[body.stamp_ns].append(StageJoints(np.stack([
                _about_pelvis(seen.own_joints_m), _about_pelvis(seen.joints_m),
                _about_pelvis(frame.solution.joints_m), fitted[key],
                _about_pelvis(body.joints_m)]), np.asarray(body.root_m)))
    return found


def _bodies(clip: RateClip, recorded: Recorded, settings: dict) -> Iterator[tuple[Pipeline, Body]]:
    """Yield every body, and the pipeline in the state of its image."""
    config = apply_settings(PipelineConfig(), settings)
    pipeline = replay_pipeline(config, recorded.observations)
    for bodies in replay(pipeline, clip.camera, recorded.size, recorded.stamps_ns):
        for body in bodies:
            yield pipeline, body
    pipeline.close()


def _about_pelvis(joints_m) -> np.ndarray:
    """Return the first 24 joints (24, 3) about the pelvis."""
    return joints_m[:24] - joints_m[JOINT['pelvis']]


def matched(whole: dict[int, list[StageJoints]],
            part: dict[int, list[StageJoints]]) -> list[tuple[StageJoints, StageJoints]]:
    """Return each person of the part, and the nearest one of the whole clip in that image."""
    pairs = []
    for stamp_ns, people in part.items():
        for now in people:
            near = min(whole.get(stamp_ns, ()), default=None,
                       key=lambda one, now=now: np.linalg.norm(one.root_m - now.root_m))
            if near and np.linalg.norm(near.root_m - now.root_m) < _MAX_DISTANCE_M:
                pairs.append((near, now))
    return pairs


def differences(pairs: list[tuple[StageJoints, StageJoints]]) -> dict:
    """Return the mean differences of pairs of people, mm; see :func:`measure`."""
    off_m = np.array([now.joints_m - before.joints_m for before, now in pairs])
    root_m = np.array([now.root_m - before.root_m for before, now in pairs])
    distance_mm = 1e3 * np.linalg.norm(off_m, axis=-1).mean(0)
    published_m = off_m[:, -1] + root_m[:, None]
    return {'frames': len(pairs),
            'stages': {stage: {group: float(row[list(joints)].mean())
                               for group, joints in GROUPS.items()}
                       for stage, row in zip(STAGES, distance_mm)},
            'root_mm': float(1e3 * np.linalg.norm(root_m, axis=-1).mean()),
            'published_mm': float(1e3 * np.linalg.norm(published_m, axis=-1).mean())}
