"""
``niki-evaluate rendered``: error against the share of the body that is hidden.

Reads pairs of ``niki-data render --observe`` or ``niki-data observe``: what a real front end saw
of rendered people, beside their exact truth. The whole pipeline runs on these observations with
every solver; the front end's own joints are scored beside it. Frames in which the front end found
nobody are counted, not scored; nor are the first of a clip, before the pipeline believes.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Dict

from niki_ros.body.confidence import CONFIDENT_WITHIN_M
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINTS_29
from niki_ros.common.settings import PipelineConfig
from niki_ros.files.atomic_write import atomic_write
from niki_ros.lifters.lifter import load_lifter
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
import numpy as np

from niki_training.evaluate import metrics
from niki_training.evaluate.plots import new_figure
from niki_training.files.outputs import check_arguments, write_text
from niki_training.front_end.observe import (
    FRAME_NS,
    recomputed_observation,
    UNCORRECTED_JOINTS,
    with_recomputed_observations,
)
from niki_training.render.shards import read_shards

HELP = 'error against percent of the body hidden, on rendered people (niki-data render --observe)'
SOLVERS = ('analytic', 'niki', 'niki-temporal')
OBSERVER = 'observer'
GROUPS = {
    'trunk': ('pelvis', 'spine', 'neck', 'collar', 'hip', 'left_shoulder', 'right_shoulder'),
    'head': ('head',), 'arms': ('elbow', 'wrist', 'hand'), 'legs': ('knee', 'ankle', 'foot')}
EDGES = np.arange(0, 101, 10)
FEWEST = 30
"""A tenth of the axis with fewer frames than this does not count."""
CLEAR_PERCENT, MUCH_PERCENT = 1.0, 30.0


def add_arguments(parser) -> None:
    """Add the options of this verb."""
    parser.add_argument('folder', type=Path, help='folder with shards of pairs')
    parser.add_argument('--split', default='val')
    parser.add_argument('--solver', action='append', metavar='NAME[=FOLDER]',
                        help=f'may be repeated; default: {", ".join(SOLVERS)}')
    parser.add_argument('--tracks', action='store_true',
                        help="only the solver's own track, without the rest of the pipeline")
    parser.add_argument('--clips', type=int, help='at most so many clips')
    parser.add_argument('--json', nargs='?', const='-', metavar='FILE',
                        help='print one JSON object instead of a table, or write it to FILE')
    parser.add_argument('--plot', type=Path, help='draw error against percent hidden (.png)')


def main(args) -> int:
    """Evaluate and print."""
    check_arguments(args, {'--json': args.json, '--plot': args.plot})
    shards = read_shards(args.folder, args.split)
    if args.clips:
        shards = {key: array[:args.clips] for key, array in shards.items()}
    result = evaluate(with_recomputed_observations(shards), args.solver or SOLVERS, args.tracks)
    if args.json == '-':
        print(json.dumps(result))
    else:
        print(markdown(result))
    if args.json and args.json != '-':
        write_text(args.json, json.dumps(result, indent=1) + '\n')
    if args.plot:
        draw(result, args.plot)
    return 0


def evaluate(shards: Dict, solvers, tracks: bool = False) -> Dict:
    """
    Score the observer and every solver.

    :param shards: arrays (clips, frames, ...) of :func:`read_shards`.
    :param solvers: names, or NAME=FOLDER.
    :param tracks: run the solver's track alone, not the pipeline.
    :return: ``frames``, ``found`` by tenths, and for each way its figures.
    """
    found, hidden = shards['obs_found'], shards['hidden_percent']
    joints = shards['joints_m'] - shards['joints_m'][:, :, :1]
    truth = {'joints': joints[found], 'hidden': hidden[found], 'visible': shards['visible'][found]}
    seen = shards[UNCORRECTED_JOINTS if UNCORRECTED_JOINTS in shards else 'obs_joints_m'][found]
    ways = {OBSERVER: figures(seen, None, truth)}
    for item in solvers:
        name, _, folder = item.partition('=')
        print(name, file=sys.stderr, flush=True)
        follow = followed if tracks else piped
        answer, confidence = follow(load_solver(folder or name), shards)
        given = np.isfinite(answer).all((1, 2))
        same = {key: value[given] for key, value in truth.items()}
        ways[name] = figures(answer[given], confidence[given], same)
        ways[name].update(relative(ways[name], figures(seen[given], None, same)),
                          answered_percent=100 * float(given.mean()))
    tenth = np.clip(np.digitize(hidden, EDGES) - 1, 0, 9)
    return {
        'clips': len(found), 'frames': int(found.size), 'scored': int(found.sum()),
        'way': 'tracks' if tracks else 'pipeline',
        'found_clear': _mean(found[hidden < CLEAR_PERCENT]),
        'frames_by_tenth': [int((tenth == k).sum()) for k in range(10)],
        'found_by_tenth': [_mean(found[tenth == k]) for k in range(10)],
        'ways': ways}


def followed(solver, shards: Dict):
    """Run a track over every clip; return joints (n, 29, 3) and confidence (n, 24) of n found."""
    joints, confidence = [], []
    for clip, found in enumerate(shards['obs_found']):
        track = solver.start_track()
        for t in np.flatnonzero(found):
            solution = track.step(shards['obs_joints_m'][clip, t], shards['obs_sigma'][clip, t],
                                  int(t) * FRAME_NS)
            joints.append(solution.joints_m)
            confidence.append(solution.confidence)
    return np.stack(joints), np.stack(confidence)


class Replay:
    """An observer that says again what was observed."""

    def __init__(self, shards: Dict, clip: int, errors: LandmarkErrors):
        """Say what was observed in this clip; ``errors`` are those of the front end."""
        self._shards, self._clip, self._errors = shards, clip, errors
        self.faults: Dict[str, str] = {}

    def observe(self, image_rgb, camera, stamp_ns: int, boxes_px=None) -> list:
        """Return the observation at ``stamp_ns``, as a list of one or none."""
        t = stamp_ns // FRAME_NS
        if not self._shards['obs_found'][self._clip, t]:
            return []
        if 'obs_landmarks' in self._shards:
            return [recomputed_observation(self._shards, self._clip, t, self._errors)]
        fields = ('joints_m', 'sigma', 'keypoints_px', 'box_px', 'score', 'keypoint_sigma_px',
                  'lengths_m', 'length_sigma_m')
        seen = {key: self._shards[f'obs_{key}'][self._clip, t]
                for key in fields if f'obs_{key}' in self._shards}
        return [JointObservation(sigma_200mm=seen.pop('sigma'), **seen)]


def piped(solver, shards: Dict):
    """Run the pipeline; like :func:`followed`, NaN where it answers nothing."""
    width, height = (int(v) for v in shards['image_size'][0])
    blank = np.zeros((height, width, 3), np.uint8)
    joints, confidence = [], []
    config = PipelineConfig()
    lifter, errors = load_lifter(config), LandmarkErrors.read()
    for clip, found in enumerate(shards['obs_found']):
        pipeline = Pipeline(Replay(shards, clip, errors), solver, config, lifter)
        camera = Camera(shards['camera_matrix'][clip], width, height)
        for t in range(len(found)):
            bodies = pipeline.process(blank, camera, t * FRAME_NS)
            if found[t]:
                body = bodies[0] if bodies else None
                joints.append(np.full((29, 3), np.nan) if body is None
                              else body.joints_m - body.joints_m[:1])
                confidence.append(np.full(24, np.nan) if body is None else body.confidence)
    return np.stack(joints), np.stack(confidence)


def figures(found, confidence, truth: Dict) -> Dict:
    """
    Return all figures of one way.

    :param found: (n, 29, 3) root-relative. :param confidence: (n, 24), or None.
    :param truth: ``joints`` (n, 29, 3), ``hidden`` (n,), ``visible`` (n, 29).
    """
    error = joint_errors_mm(found, truth['joints'])
    frame, hidden = error.mean(1), truth['hidden']
    tenth = np.clip(np.digitize(hidden, EDGES) - 1, 0, 9)
    seen = truth['visible'][:, :24]
    out = {
        'mpjpe_mm': _mean(frame),
        'pa_mpjpe_mm': _mean(metrics.pa_mpjpe_mm(found, truth['joints'])),
        'clear_mm': _mean(frame[hidden < CLEAR_PERCENT]),
        'much_hidden_mm': _mean(frame[hidden > MUCH_PERCENT]),
        'seen_joints_mm': _mean(error[seen]), 'unseen_joints_mm': _mean(error[~seen]),
        'by_tenth_mm': by_tenth(frame, tenth),
        'groups_by_tenth_mm': {name: by_tenth(error[:, group_joints(name)].mean(1), tenth)
                               for name in GROUPS}}
    if confidence is not None:
        right = error < 1e3 * CONFIDENT_WITHIN_M
        out['calibration'] = calibration(confidence[:, 1:], right[:, 1:])
        out['ece_percent'] = calibration_error(out['calibration'])
    return out


def joint_errors_mm(found, truth) -> np.ndarray:
    """Distances (n, 24) of the joints after root alignment, mm."""
    apart = (found - found[:, :1]) - (truth - truth[:, :1])
    return 1e3 * np.linalg.norm(apart[:, :24], axis=-1)


def group_joints(name: str) -> list:
    """Return the indices of the joints of one of ``GROUPS``."""
    def kind(joint):
        return joint.replace('left_', '').replace('right_', '')
    return [j for j in range(24) if any(
        JOINTS_29[j] == part or kind(JOINTS_29[j]).startswith(part) for part in GROUPS[name])]


def by_tenth(value, tenth) -> list:
    """Return the mean of ``value`` (n,) in every tenth of the axis; None where too few are."""
    return [_mean(value[tenth == k]) if (tenth == k).sum() >= FEWEST else None
            for k in range(10)]


def _mean(values):
    return float(np.mean(values)) if np.size(values) else None


def relative(way: Dict, observer: Dict) -> Dict:
    """Return the area under the curve and the figures of the goal over the observer's."""
    both = [(a, b) for a, b in zip(way['by_tenth_mm'], observer['by_tenth_mm']) if b is not None]
    out = {'relative_area': float(sum(a for a, _ in both) / sum(b for _, b in both))
           if both else None}
    for key in ('mpjpe_mm', 'clear_mm', 'much_hidden_mm'):
        out[f'relative_{key[:-3]}'] = way[key] / observer[key] if observer[key] else None
    return out


def calibration(claimed, right, bins: int = 10) -> Dict:
    """Return what was claimed and what came true in bins of confidence, and their shares."""
    which = np.minimum((np.asarray(claimed) * bins).astype(int), bins - 1)
    count = np.bincount(which.ravel(), minlength=bins)
    safe = np.maximum(count, 1)
    return {'claimed': (np.bincount(which.ravel(), np.ravel(claimed), bins) / safe).tolist(),
            'true': (np.bincount(which.ravel(), np.ravel(right), bins) / safe).tolist(),
            'share': (count / count.sum()).tolist()}


def calibration_error(table: Dict) -> float:
    """Return the expected calibration error in percent."""
    claimed, true, share = (np.asarray(table[key]) for key in ('claimed', 'true', 'share'))
    return float(100 * (share * np.abs(claimed - true)).sum())


def markdown(result: Dict) -> str:
    """Return the tables in Markdown."""
    def cell(value, digits=1):
        return '' if value is None else f'{value:.{digits}f}'
    ways = result['ways']
    clear = '' if result['found_clear'] is None else f'{100 * result["found_clear"]:.1f}'
    lines = [f'{result["clips"]} clips, {result["frames"]} frames, {result["scored"]} with the '
             f'person found; of the unhidden ones {clear} % found.', '',
             '| % hidden | frames | found % | ' + ' | '.join(ways) + ' |',
             '|---' * (3 + len(ways)) + '|']
    for k in range(10):
        share = result['found_by_tenth'][k]
        lines.append(f'| {EDGES[k]}–{EDGES[k + 1]} | {result["frames_by_tenth"][k]} | '
                     f'{cell(None if share is None else 100 * share)} | '
                     + ' | '.join(cell(way['by_tenth_mm'][k]) for way in ways.values()) + ' |')
    lines += ['', '| MPJPE, mm | ' + ' | '.join(ways) + ' |', '|---' * (1 + len(ways)) + '|']
    for key in ('mpjpe_mm', 'pa_mpjpe_mm', 'clear_mm', 'much_hidden_mm', 'seen_joints_mm',
                'unseen_joints_mm', 'relative_area', 'relative_mpjpe', 'relative_clear',
                'relative_much_hidden', 'ece_percent',
                'answered_percent'):
        digits = 2 if key.startswith('relative') else 1
        lines.append(f'| {key} | ' + ' | '.join(
            cell(way.get(key), digits) for way in ways.values()) + ' |')
    return '\n'.join(lines)


def draw(result: Dict, path: Path) -> None:
    """Draw the error against percent hidden: the whole body, and each group of joints."""
    figure = new_figure(figsize=(14, 6), layout='constrained')
    panels = figure.subplots(2, 3).ravel()
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    for axes, name in zip(panels, ('whole body', *GROUPS)):
        for way, row in result['ways'].items():
            values = row['by_tenth_mm'] if name == 'whole body' else (
                row['groups_by_tenth_mm'][name])
            axes.plot(middle, [np.nan if v is None else v for v in values], 'o-', label=way)
        axes.set_title(name)
        axes.set_xlabel('% of the silhouette hidden')
        axes.set_ylabel('error, mm')
        axes.set_ylim(bottom=0)
    for way, row in result['ways'].items():
        if 'calibration' in row:
            table = row['calibration']
            panels[5].plot(table['claimed'], table['true'], 'o-',
                           label=f'{way}: {row["ece_percent"]:.1f} %')
    panels[5].plot([0, 1], [0, 1], 'k:')
    panels[5].set_title('confidence: claimed and true, expected calibration error')
    panels[0].legend()
    panels[5].legend()
    with atomic_write(path) as part:
        figure.savefig(part, dpi=100)
