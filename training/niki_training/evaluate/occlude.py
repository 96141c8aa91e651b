"""
``niki-evaluate occlude``: parts of a person are painted over, and found again or not.

A grey rectangle hides legs, an arm or the lower half for stretches of frames; every solver sees
the same front end's observations. The truth is the same solver's run on the clean clip, so any
video will do: what is measured is what an occlusion does, not how true the clean run is.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Dict, List

from niki_ros.body.body import OBSERVED
from niki_ros.body.rotations import angle_rad
from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import SourceError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.pipeline import load_pipeline
from niki_ros.sources.open import open_source
import numpy as np

from niki_training.evaluate.occluders import PARTS, Rectangles
from niki_training.files.outputs import check_arguments

HELP = 'what rectangles over parts of a person do to every joint, on any clip'
SOLVERS = ('analytic', 'niki', 'niki-temporal')
COLUMNS = ('hidden_mm', 'seen_mm', 'root_mm', 'return_rad_s', 'missed_percent', 'ids',
           'claimed_percent', 'wrongly_percent')
WRONG_MM = 150.0
"""A joint that is called observed and is off by more than this is called so wrongly."""
_PELVIS = JOINT['pelvis']
_RETURN_S = 0.5


def add_arguments(parser):
    """Add the options of this verb."""
    parser.add_argument('video', help='a clip with at least one person')
    parser.add_argument('--part', action='append', choices=sorted(PARTS), help='default: all')
    parser.add_argument('--solver', action='append', help=f'default: {", ".join(SOLVERS)}')
    parser.add_argument('--hide-s', type=float, default=0.75, help='length of a stretch (0.75)')
    parser.add_argument('--clear-s', type=float, default=0.5, help='time before each (0.5)')
    parser.add_argument('--camera', metavar='YAML', help='calibration of the camera')
    parser.add_argument('--fov-deg', type=float, default=60.0, help='where there is none (60)')
    parser.add_argument('--max-frames', type=int)
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--overlay', type=Path, metavar='OUT.mp4',
                        help='clean and painted side by side, with the last solver of the list')


def main(args) -> int:
    """Evaluate the clip and print a table or JSON."""
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
    return 0


class Clip:
    """A video that is read again for every pass, and its camera."""

    def __init__(self, video, camera=None, max_frames=None):
        """Take the names; nothing is read yet."""
        self.video, self._camera, self._max_frames = str(video), camera, max_frames

    def open(self):
        """Return the source of frames."""
        return open_source(self.video, max_frames=self._max_frames)

    def camera(self, width, height):
        """Return the calibrated camera, or None."""
        if self._camera is None:
            return None
        from niki_ros.sources.camera_file import camera_from_yaml
        given = self._camera
        return (camera_from_yaml(given) if isinstance(given, (str, Path)) else given).resized(
            width, height)


class Replay:
    """A front end that says again what another one said, frame by frame."""

    def __init__(self, frames: List[list]):
        """Play ``frames``, one list of observations each."""
        self._frames = iter(frames)
        self.faults: Dict[str, str] = {}

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        """Return the next frame's."""
        return list(next(self._frames))

    def reset(self):
        """Nothing is remembered."""

    def close(self):
        """Nothing to free."""

    def describe(self):
        """Name it."""
        return {'observer': 'replay'}


def evaluate(clip, parts, solvers, settings, hide_s, clear_s, overlay=None) -> Dict:
    """Return the figures of every part and solver."""
    config = apply_settings(PipelineConfig(), settings)
    clean = observed(clip, config)
    if not any(clean.seen):
        raise SourceError(f'{clip.video}: the front end sees nobody; nothing can be hidden')
    runs = {name: replayed(clip, clean.seen, name, settings) for name in solvers}
    result: Dict = {}
    for part in parts:
        paint = Rectangles(PARTS[part], clean, hide_s, clear_s)
        if not any(box is not None for box in paint.boxes):
            raise SourceError(f'{clip.video} has {len(clean.seen)} frames; {clear_s} s clear and '
                              f'{hide_s} s hidden do not fit in with a person in view')
        print(f'{part}: {sum(box is not None for box in paint.boxes)} of {len(clean.seen)} frames '
              'painted', file=sys.stderr, flush=True)
        dark = observed(clip, config, paint)
        result[part] = {'observer': observer_row(clean, dark, paint)}
        for name in solvers:
            bodies = replayed(clip, dark.seen, name, settings)
            result[part][name] = solver_row(runs[name], bodies, paint, clean.stamps_ns)
            if overlay and part == parts[0] and name == solvers[-1]:
                from niki_training.evaluate.occluders import write_overlay
                write_overlay(overlay, clip, config, paint, runs[name], bodies)
    return {'video': clip.video, 'hide_s': hide_s, 'clear_s': clear_s, 'parts': result}


class Observed:
    """What a front end saw in a clip: ``seen`` per frame, ``stamps_ns``, ``size`` of the image."""

    def __init__(self, size, rate_hz):
        """Start empty."""
        self.size, self.rate_hz = size, rate_hz
        self.seen: List[list] = []
        self.stamps_ns: List[int] = []

    def main(self, index):
        """Return the largest person of a frame, or None."""
        return max(self.seen[index], key=lambda o: float(o.box_px[3] - o.box_px[1]), default=None)


def observed(clip, config, paint=None) -> Observed:
    """Run the front end over the clip, painted where ``paint`` says so."""
    from niki_ros.observers import load_observer
    observer = load_observer(config)
    try:
        with clip.open() as source:
            out = Observed((source.width, source.height), source.rate_hz)
            camera = clip.camera(*out.size)
            for frame in source:
                image = frame.image_rgb if paint is None else paint.on(
                    frame.image_rgb, frame.index)
                lens = camera or _assumed(config, out.size)
                out.seen.append(observer.observe(image, lens, frame.stamp_ns))
                out.stamps_ns.append(frame.stamp_ns)
    finally:
        observer.close()
    return out


def _assumed(config, size):
    from niki_ros.scene.camera import Camera
    return Camera.from_fov(*size, config.camera.fov_deg)


def replayed(clip, seen, solver, settings) -> List[list]:
    """Return the bodies of every frame, by a pipeline whose front end is ``seen``."""
    config = apply_settings(PipelineConfig(), settings)
    config.solver.name = solver
    pipeline = load_pipeline(config)
    pipeline.observer.close()
    pipeline.observer = Replay(seen)
    bodies = []
    with clip.open() as source:
        camera = clip.camera(source.width, source.height)
        for frame in source:
            bodies.append(pipeline.process(frame.image_rgb, camera, frame.stamp_ns))
    return bodies


def observer_row(clean: Observed, dark: Observed, paint) -> Dict:
    """Return what the rectangles do to the front end's own joints."""
    hidden, seen, missed = [], [], 0
    for index in paint.painted():
        was = clean.main(index)
        now = min(dark.seen[index], key=lambda o, was=was: np.abs(o.box_px - was.box_px).sum(),
                  default=None) if was else None
        missed += was is not None and now is None
        if now is not None:
            apart = np.linalg.norm(now.own_joints_m[:24] - was.own_joints_m[:24], axis=1) * 1e3
            hidden.extend(apart[paint.hides[index]])
            seen.extend(apart[~paint.hides[index]])
    return {'hidden_mm': _mean(hidden), 'seen_mm': _mean(seen), 'root_mm': None,
            'return_rad_s': None, 'missed_percent': 100 * missed / len(paint.painted()),
            'ids': None, 'claimed_percent': None, 'wrongly_percent': None}


def solver_row(clean, dark, paint, stamps_ns) -> Dict:
    """Return what the rectangles do to a solver's bodies."""
    hidden, seen, roots, missed, claimed = [], [], [], 0, []
    wrongly: List[bool] = []
    painted = paint.painted()
    who = _most_seen(clean)
    for index in painted:
        was = next((body for body in clean[index] if body.id == who), None)
        if was is None:
            continue
        now = _nearest(dark[index], was)
        missed += now is None
        if now is not None:
            apart = np.linalg.norm((now.joints_m - now.joints_m[_PELVIS])
                                   - (was.joints_m - was.joints_m[_PELVIS]), axis=1)[:24] * 1e3
            hidden.extend(apart[paint.hides[index]])
            seen.extend(apart[~paint.hides[index]])
            sure = now.status[paint.hides[index]] == OBSERVED
            claimed.extend(sure)
            wrongly.extend(sure & (apart[paint.hides[index]] > WRONG_MM))
            roots.append(np.linalg.norm(now.root_m - was.root_m) * 1e3)
    return {'hidden_mm': _mean(hidden), 'seen_mm': _mean(seen), 'root_mm': _mean(roots),
            'return_rad_s': fastest_return(dark, paint, stamps_ns),
            'missed_percent': 100 * missed / len(painted),
            'ids': len({body.id for bodies in dark for body in bodies}),
            'claimed_percent': _mean(np.asarray(claimed) * 100.0),
            'wrongly_percent': _mean(np.asarray(wrongly) * 100.0)}


def fastest_return(bodies, paint, stamps_ns):
    """Return how fast a hidden joint turns at most, rad/s, in the time after it comes back."""
    fastest = None
    for end, hides in paint.returns():
        for index in range(end, len(bodies)):
            if (stamps_ns[index] - stamps_ns[end]) * 1e-9 > _RETURN_S:
                break
            for now in bodies[index]:
                before = next((b for b in bodies[index - 1] if b.id == now.id), None)
                if before is not None:
                    turned = angle_rad(before.rotmat, now.rotmat)[hides].max()
                    seconds = (now.stamp_ns - before.stamp_ns) * 1e-9
                    fastest = max(fastest or 0.0, float(turned / seconds))
    return fastest


def _most_seen(frames) -> int:
    """Return the id of whom there is most of."""
    ids = [body.id for bodies in frames for body in bodies]
    return max(set(ids), key=ids.count) if ids else 0


def _nearest(bodies, was):
    """Return the body whose root is nearest to that of ``was``, or None."""
    return min(bodies, key=lambda body: np.linalg.norm(body.root_m - was.root_m), default=None)


def _mean(values):
    return float(np.mean(values)) if len(values) else None
