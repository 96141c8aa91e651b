"""
Score the effect of grey rectangles over legs, an arm or the lower half, on any clip.

The reference is the same solver on the clip without rectangles, not the ground truth: the scores
are the effect of the occlusion, not the error of the bodies.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
import json
from pathlib import Path
import sys
from typing import NamedTuple

from niki_ros.body.body import Body, OBSERVED
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import angle_rad
from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import SourceError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.scene.camera import Camera
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.evaluate.metrics import mean_or_none
from niki_training.evaluate.occluders import PARTS, RectangleOccluder, write_comparison
from niki_training.evaluate.replay import replay, replay_pipeline
from niki_training.evaluate.stage_errors import joints_after_stages, STAGES
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.files.outputs import check_arguments

SOLVERS = ('analytic', 'niki', 'niki-temporal')
COLUMNS = ('hidden_mm', 'seen_mm', 'root_mm', 'return_rad_s', 'missed_percent', 'ids',
           'claimed_percent', 'wrongly_percent')
_WRONG_MM = 150.0
"""A joint with the status observed that is off by more than this has the wrong status."""
_RETURN_S = 0.5  # time after a stretch in which the fastest turn of a joint is measured
_PELVIS = JOINT['pelvis']
_UNKNOWN_PX = 1e4  # distance to a keypoint without a position


def add_arguments(parser) -> None:
    parser.add_argument('video', help='a clip with at least one person')
    parser.add_argument('--part', action='append', choices=sorted(PARTS), help='default: all')
    parser.add_argument('--solver', action='append', help=f'default: {", ".join(SOLVERS)}')
    parser.add_argument('--hide-s', type=float, default=0.75,
                        help='length of a stretch with a rectangle (0.75)')
    parser.add_argument('--clear-s', type=float, default=0.5,
                        help='time without a rectangle before each stretch (0.5)')
    parser.add_argument('--camera', metavar='YAML', help='calibration of the camera')
    parser.add_argument('--fov-deg', type=float, default=60.0,
                        help='field of view without a calibration (60)')
    parser.add_argument('--max-frames', type=int)
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--overlay', type=Path, metavar='OUT.mp4',
                        help='write a video of the last solver without and with rectangles')


def main(args) -> int:
    from niki_ros.cli.arguments import parse_settings
    check_arguments(args, {'--overlay': args.overlay})
    settings = {'camera.fov_deg': args.fov_deg, **parse_settings(args.set)}
    clip = Clip(args.video, args.camera, args.max_frames)
    parts, solvers = args.part or list(PARTS), args.solver or list(SOLVERS)
    result = evaluate(clip, parts, solvers, settings, args.hide_s, args.clear_s, args.overlay)
    if args.json:
        print(json.dumps(result))
        return 0
    print(f'{"part":12s} {"solver":14s} ' + ' '.join(f'{c:>15s}' for c in COLUMNS))
    for part, rows in result['parts'].items():
        for name, row in rows.items():
            print(f'{part:12s} {name:14s} ' + ' '.join(
                f'{row[c]:15.1f}' if row[c] is not None else f'{"":15s}' for c in COLUMNS))
    print(f'\n{"hidden limb joints, mm":27s} ' + ' '.join(f'{s:>19s}' for s in STAGES))
    for part, rows in result['parts'].items():
        for name in solvers:
            print(f'{part:12s} {name:14s} ' + ' '.join(
                f'{"" if off is None else format(off, ".1f"):>19s}'
                for off in rows[name]['stages_hidden_mm'].values()))
    return 0


@dataclass(frozen=True)
class Clip:
    """A video that is read once for each recording, and its camera."""

    video: str
    calibration: str | None = None  # file of the camera, or None
    max_frames: int | None = None  # None = all

    def open(self):
        return open_source(self.video, max_frames=self.max_frames)

    def camera(self, width: int, height: int) -> Camera | None:
        """Return the calibrated camera for images of this size, or None."""
        if self.calibration is None:
            return None
        from niki_ros.sources.camera_file import camera_from_yaml
        return camera_from_yaml(self.calibration).resized(width, height)


@dataclass
class ClipRecording:
    """The observations of a front end in a clip."""

    size: tuple[int, int]  # width and height of the images, pixels
    rate_hz: float
    observations: list[list[JointObservation]] = field(default_factory=list)  # of each image
    stamps_ns: list[int] = field(default_factory=list)  # of the images

    def main_person(self, index: int) -> JointObservation | None:
        """Return the observation of the person who is seen in most images, or None."""
        return next((one for one in self.observations[index]
                     if one.follower == self._main_follower), None)

    @cached_property
    def _main_follower(self) -> int | None:
        """Return the number of the crop with the most images; of equals the first."""
        counts = Counter(one.follower for people in self.observations for one in people)
        return counts.most_common(1)[0][0] if counts else None


class Answers(NamedTuple):
    """What a solver says about every image."""

    bodies: list[list[Body]]
    stages_m: list[dict[int, list[np.ndarray]]]  # by id: :func:`joints_after_stages`


def evaluate(clip: Clip, parts, solvers, settings: dict, hide_s: float, clear_s: float,
             overlay: Path | None = None) -> dict:
    """Return the scores; ``overlay``: file of a video of the first part and the last solver."""
    config = apply_settings(PipelineConfig(), settings)
    clear = record(clip, config)
    if not any(clear.observations):
        raise SourceError(f'{clip.video}: the front end finds no person to hide')
    clear_answers = {name: replay_clip(clip, clear, name, settings) for name in solvers}
    result: dict = {}
    for part in parts:
        occluder = RectangleOccluder(PARTS[part], clear, hide_s, clear_s)
        painted, count = occluder.painted_count(), len(clear.observations)
        if not painted:
            raise SourceError(f'{clip.video} has {count} frames; {clear_s} s clear and '
                              f'{hide_s} s hidden do not fit in with a person in view')
        print(f'{part}: {painted} of {count} frames painted', file=sys.stderr, flush=True)
        occluded = record(clip, config, occluder)
        result[part] = {'observer': observer_scores(clear, occluded, occluder)}
        for name in solvers:
            before, now = clear_answers[name], replay_clip(clip, occluded, name, settings)
            result[part][name] = {
                **solver_scores(before.bodies, now.bodies, occluder, clear.stamps_ns),
                'stages_hidden_mm': hidden_after_stages_mm(before, now, occluder)}
            if overlay and part == parts[0] and name == solvers[-1]:
                write_comparison(overlay, clip, config, occluder, before.bodies, now.bodies)
    return {'video': clip.video, 'hide_s': hide_s, 'clear_s': clear_s, 'parts': result}


def record(clip: Clip, config: PipelineConfig,
           occluder: RectangleOccluder | None = None) -> ClipRecording:
    """Return the observations of the front end in the clip, with the rectangles if given."""
    observer = load_observer(config)
    try:
        with clip.open() as source:
            recording = ClipRecording((source.width, source.height), source.rate_hz)
            camera = clip.camera(*recording.size) or Camera.from_fov(
                *recording.size, config.camera.fov_deg)
            for frame in source:
                image = frame.image_rgb
                if occluder is not None:
                    image = occluder.paint(image, frame.index)
                recording.observations.append(observer.observe(image, camera, frame.stamp_ns))
                recording.stamps_ns.append(frame.stamp_ns)
    finally:
        observer.close()
    return recording


def replay_clip(clip: Clip, recording: ClipRecording, solver: str, settings: dict) -> Answers:
    """Return the bodies of every image, by the pipeline behind the recorded front end."""
    config = apply_settings(PipelineConfig(), settings)
    config.solver.name = solver
    pipeline = replay_pipeline(config, recording.observations)
    answers = Answers([], [])
    for bodies in replay(pipeline, clip.camera(*recording.size), recording.size,
                         recording.stamps_ns):
        answers.bodies.append(bodies)
        answers.stages_m.append({body.id: joints_after_stages(pipeline, body)
                                 for body in bodies})
    pipeline.close()
    return answers


def observer_scores(clear: ClipRecording, occluded: ClipRecording,
                    occluder: RectangleOccluder) -> dict:
    """Return the effect of the rectangles on the front end's own joints."""
    hidden_mm, seen_mm, missed = [], [], 0
    frames = occluder.hiding_frames()
    for index in frames:
        before = clear.main_person(index)
        if before is None:
            continue
        now = _nearest_observation(occluded.observations[index], before.box_px)
        missed += now is None
        if now is not None:
            off_mm = np.linalg.norm(now.own_joints_m[:24] - before.own_joints_m[:24], axis=1) * 1e3
            hidden_mm.extend(off_mm[occluder.hidden[index]])
            seen_mm.extend(off_mm[~occluder.hidden[index]])
    return {**dict.fromkeys(COLUMNS), 'hidden_mm': mean_or_none(hidden_mm),
            'seen_mm': mean_or_none(seen_mm), 'missed_percent': 100 * missed / max(len(frames), 1)}


def _nearest_observation(observations, box_px) -> JointObservation | None:
    return min(observations, key=lambda one: np.abs(one.box_px - box_px).sum(), default=None)


def solver_scores(clear, occluded, occluder: RectangleOccluder, stamps_ns) -> dict:
    """Return the effect of the rectangles; ``clear`` and ``occluded`` are bodies of each image."""
    hidden_mm, seen_mm, root_mm, is_observed, is_wrong = [], [], [], [], []
    missed, frames = 0, occluder.hiding_frames()
    for index, before, now in _hidden_people(clear, occluded, occluder):
        missed += now is None
        if now is not None:
            hidden = occluder.hidden[index]
            off_mm = np.linalg.norm(_about_pelvis(now) - _about_pelvis(before), axis=1) * 1e3
            hidden_mm.extend(off_mm[hidden])
            seen_mm.extend(off_mm[~hidden])
            claimed = now.status[hidden] == OBSERVED
            is_observed.extend(claimed)
            is_wrong.extend(claimed & (off_mm[hidden] > _WRONG_MM))
            root_mm.append(np.linalg.norm(now.root_m - before.root_m) * 1e3)
    return {'hidden_mm': mean_or_none(hidden_mm), 'seen_mm': mean_or_none(seen_mm),
            'root_mm': mean_or_none(root_mm),
            'return_rad_s': fastest_return_rad_s(occluded, occluder, stamps_ns),
            'missed_percent': 100 * missed / max(len(frames), 1),
            'ids': len({body.id for bodies in occluded for body in bodies}),
            'claimed_percent': mean_or_none(np.asarray(is_observed) * 100.0),
            'wrongly_percent': mean_or_none(np.asarray(is_wrong) * 100.0)}


def hidden_after_stages_mm(clear: Answers, occluded: Answers,
                           occluder: RectangleOccluder) -> dict[str, float | None]:
    """Return the effect of the rectangles on hidden limb joints after each stage."""
    off_mm: list[np.ndarray] = []
    for index, before, now in _hidden_people(clear.bodies, occluded.bodies, occluder):
        if now is not None:
            pair_m = [np.array(answers.stages_m[index][body.id])  # (stages, 12, 3)
                      for answers, body in ((clear, before), (occluded, now))]
            before_m, now_m = (one - one[:, :2].mean(1, keepdims=True) for one in pair_m)
            hidden = occluder.hidden[index][LIMB_JOINTS]
            off_mm.extend(1e3 * np.linalg.norm(now_m - before_m, axis=-1).T[hidden])
    return {stage: mean_or_none([row[i] for row in off_mm]) for i, stage in enumerate(STAGES)}


def fastest_return_rad_s(bodies, occluder: RectangleOccluder, stamps_ns) -> float | None:
    """Return the fastest turn of a hidden joint in the time after it reappears, or None."""
    fastest = None
    for end, hidden in occluder.reappearances():
        for index in range(end, len(bodies)):
            if (stamps_ns[index] - stamps_ns[end]) * 1e-9 > _RETURN_S:
                break
            for now in bodies[index]:
                before = next((b for b in bodies[index - 1] if b.id == now.id), None)
                if before is not None:
                    turned_rad = angle_rad(before.rotmat, now.rotmat)[hidden].max(initial=0.0)
                    dt_s = (now.stamp_ns - before.stamp_ns) * 1e-9
                    fastest = max(fastest or 0.0, float(turned_rad / dt_s))
    return fastest


def _hidden_people(clear, occluded, occluder: RectangleOccluder):
    """Yield index, body without the rectangle, and with it or None, of frames with a rectangle."""
    for index in occluder.hiding_frames():
        before = _body_at(clear[index], occluder.keypoints_px[index])
        if before is not None:
            yield index, before, _nearest(occluded[index], before)


def _about_pelvis(body: Body) -> np.ndarray:
    """Return the joints (24, 3) about the pelvis, metres."""
    return (body.joints_m - body.joints_m[_PELVIS])[:24]


def _body_at(bodies, keypoints_px) -> Body | None:
    """Return the body whose keypoints (29, 2) are nearest to these, or None."""
    def apart_px(body):
        return np.nan_to_num(np.abs(body.keypoints_px - keypoints_px), nan=_UNKNOWN_PX).mean()
    return min(bodies, key=apart_px, default=None)


def _nearest(bodies, before: Body) -> Body | None:
    """Return the body with the root nearest to that of ``before``, or None."""
    return min(bodies, key=lambda body: np.linalg.norm(body.root_m - before.root_m), default=None)
