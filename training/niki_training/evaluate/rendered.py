"""
Score every solver against the share of the body that is hidden, on rendered people.

The pairs of niki-data render --observe or niki-data observe hold observations and exact ground
truth. The whole pipeline runs on the observations with each solver; the front end's own joints are
scored, too. Frames without an observation, and those before a person is confirmed, are only
counted.
"""


from itertools import repeat
import json
from pathlib import Path
import sys
from typing import Iterator, NamedTuple, Sequence

from niki_ros.body.confidence import CONFIDENT_WITHIN_M
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINTS_29
from niki_ros.common.settings import PipelineConfig
from niki_ros.lifters.lifter import load_lifter
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.scene.depth import DepthNumbers, TRUNK_CORNERS
from niki_ros.solvers import load_solver
import numpy as np

from niki_training.evaluate import metrics, stage_errors
from niki_training.evaluate.metrics import mean_or_none
from niki_training.evaluate.plots import new_figure, save_figure
from niki_training.evaluate.replay import replay, ReplayObserver
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.files.outputs import check_arguments, write_text
from niki_training.front_end import observe
from niki_training.render.shards import read_shards

SOLVERS = ('analytic', 'niki', 'niki-temporal')
OBSERVER = 'observer'
GROUPS = {
    'trunk': ('pelvis', 'spine', 'neck', 'collar', 'hip', 'left_shoulder', 'right_shoulder'),
    'head': ('head',), 'arms': ('elbow', 'wrist', 'hand'), 'legs': ('knee', 'ankle', 'foot')}
_EDGES_PERCENT = np.arange(0, 101, 10)
_MIN_FRAMES = 30  # a tenth of the hidden share with fewer frames has no score
_CLEAR_PERCENT, _MUCH_HIDDEN_PERCENT = 1.0, 30.0
_LASTING_DEPTH_ERROR_RATIO, _DEPTH_ERROR_RATIO = 0.01, 0.02
_ROWS = ('mpjpe_mm', 'pa_mpjpe_mm', 'clear_mm', 'much_hidden_mm', 'seen_joints_mm',
         'unseen_joints_mm', 'relative_area', 'relative_mpjpe', 'relative_clear',
         'relative_much_hidden', 'ece_percent', 'answered_percent')


class Answers(NamedTuple):
    """What a solver says about n observations; NaN without a body."""

    joints_m: np.ndarray  # (n, 29, 3)
    confidence: np.ndarray  # (n, 24)
    stage_errors_mm: list[np.ndarray] = []  # of :func:`stage_errors_mm`, of each body


class Truth(NamedTuple):
    """Ground truth of n frames."""

    joints_m: np.ndarray  # (n, 29, 3) root-relative
    hidden_percent: np.ndarray  # (n,) of the silhouette
    visible: np.ndarray  # (n, 29) bool

    def at(self, mask) -> 'Truth':
        """Return the frames of a mask (n,)."""
        return Truth(*(array[mask] for array in self))


def add_arguments(parser) -> None:
    parser.add_argument('folder', type=Path, help='folder with shards of pairs')
    parser.add_argument('--split', default='val')
    parser.add_argument('--solver', action='append', metavar='NAME[=FOLDER]',
                        help=f'may be repeated; default: {", ".join(SOLVERS)}')
    parser.add_argument('--tracks', action='store_true',
                        help="only the solver's own track, without the rest of the pipeline")
    parser.add_argument('--depth', action='store_true',
                        help='give the pipeline the depth of the trunk, with errors of 1 %% that '
                        'last and 2 %% that do not')
    parser.add_argument('--clips', type=int, help='number of clips at most')
    parser.add_argument('--json', nargs='?', const='-', metavar='FILE',
                        help='print one JSON object instead of a table, or write it to FILE')
    parser.add_argument('--plot', type=Path, help='draw error against percent hidden (.png)')


def main(args) -> int:
    check_arguments(args, {'--json': args.json, '--plot': args.plot})
    shards = read_shards(args.folder, args.split)
    if args.clips:
        shards = {key: array[:args.clips] for key, array in shards.items()}
    shards = observe.with_recomputed_observations(shards)
    result = evaluate(shards, args.solver or SOLVERS, args.tracks, args.depth)
    print(json.dumps(result) if args.json == '-' else markdown(result))
    if args.json and args.json != '-':
        write_text(args.json, json.dumps(result, indent=1) + '\n')
    if args.plot:
        draw(result, args.plot)
    return 0


def evaluate(shards: dict, solvers: Sequence[str], tracks: bool = False,
             depth: bool = False) -> dict:
    """
    Return counts, and in ``ways`` the scores of the observer and of every solver.

    :param shards: of :func:`read_shards`. :param solvers: names, or NAME=FOLDER.
    :param tracks: run the solver's track alone. :param depth: with the depth of the trunk.
    """
    found, hidden = shards['obs_found'], shards['hidden_percent']
    joints_m = shards['joints_m'] - shards['joints_m'][:, :, :1]
    truth = Truth(joints_m, hidden, shards['visible']).at(found)
    observed_m = shards.get(observe.UNCORRECTED_JOINTS, shards['obs_joints_m'])[found]
    results = {OBSERVER: scores(observed_m, None, truth)}
    for item in solvers:
        name, _, folder = item.partition('=')
        print(name, file=sys.stderr, flush=True)
        solver = load_solver(folder or name)
        answers = run_tracks(solver, shards) if tracks else run_pipeline(solver, shards, depth)
        answered = np.isfinite(answers.joints_m).all((1, 2))
        true = truth.at(answered)
        own = scores(answers.joints_m[answered], answers.confidence[answered], true)
        relative = relative_scores(own, scores(observed_m[answered], None, true))
        results[name] = {**own, **relative, 'answered_percent': 100 * float(answered.mean())}
        if answers.stage_errors_mm:
            results[name]['stages'] = stage_errors.mean_errors(answers.stage_errors_mm)
    tenth = _tenth(hidden)
    return {
        'clips': len(found), 'frames': int(found.size), 'scored': int(found.sum()),
        'way': 'tracks' if tracks else 'pipeline',
        'found_clear': mean_or_none(found[hidden < _CLEAR_PERCENT]),
        'frames_by_tenth': [int((tenth == k).sum()) for k in range(10)],
        'found_by_tenth': [mean_or_none(found[tenth == k]) for k in range(10)],
        'ways': results}


def _tenth(hidden_percent) -> np.ndarray:
    return np.clip(np.digitize(hidden_percent, _EDGES_PERCENT) - 1, 0, 9)


def run_tracks(solver, shards: dict) -> Answers:
    """Return the answers of the solver's tracks to all observations."""
    joints_m, confidence = [], []
    for clip, found in enumerate(shards['obs_found']):
        track = solver.start_track()
        for t in np.flatnonzero(found):
            solution = track.step(shards['obs_joints_m'][clip, t], shards['obs_sigma'][clip, t],
                                  int(t) * observe.FRAME_NS)
            joints_m.append(solution.joints_m)
            confidence.append(solution.confidence)
    return Answers(np.stack(joints_m), np.stack(confidence))


def run_pipeline(solver, shards: dict, depth: bool = False) -> Answers:
    """Return the answers of the whole pipeline to all observations."""
    width, height = (int(side) for side in shards['image_size'][0])
    config = PipelineConfig()
    lifter, errors = load_lifter(config), LandmarkErrors.read()
    joints_m, confidence = [], []
    errors_mm: list[np.ndarray] = []
    for clip, found in enumerate(shards['obs_found']):
        pipeline = Pipeline(ReplayObserver(clip_observations(shards, clip, errors)), solver,
                            config, lifter)
        camera = Camera(shards['camera_matrix'][clip], width, height)
        stamps_ns = [t * observe.FRAME_NS for t in range(len(found))]
        depth_m = (depth_images_m(shards['joints_m'][clip], (width, height), clip) if depth
                   else repeat(None))
        replayed = replay(pipeline, camera, (width, height), stamps_ns, depth_m)
        for is_found, bodies, true_m in zip(found, replayed, shards['joints_m'][clip]):
            if is_found:
                joints_m.append(bodies[0].joints_m - bodies[0].joints_m[:1] if bodies
                                else np.full((29, 3), np.nan))
                confidence.append(bodies[0].confidence if bodies else np.full(24, np.nan))
                errors_mm.extend(stage_errors.stage_errors_mm(
                    stage_errors.joints_after_stages(pipeline, body), true_m[LIMB_JOINTS])
                    for body in bodies[:1])
    return Answers(np.stack(joints_m), np.stack(confidence), errors_mm)


def depth_images_m(joints_m, size, seed: int) -> Iterator[np.ndarray]:
    """Yield depth images of the surface of the trunk alone, of joints (n, 29, 3), metres."""
    rng = np.random.default_rng(seed)
    lasting_ratio = rng.normal(0, _LASTING_DEPTH_ERROR_RATIO)
    for trunk_m in joints_m[:, TRUNK_CORNERS]:
        error_ratio = lasting_ratio + rng.normal(0, _DEPTH_ERROR_RATIO)
        surface_m = trunk_m[:, 2].mean() - DepthNumbers.surface_m
        yield np.full(size[::-1], surface_m * (1 + error_ratio), np.float32)


def clip_observations(shards: dict, clip: int,
                      errors: LandmarkErrors) -> Iterator[list[JointObservation]]:
    """Yield the list of one or no observation of each frame of a clip."""
    for t, is_found in enumerate(shards['obs_found'][clip]):
        yield [observe.observation_at(shards, clip, t, errors)] if is_found else []


def scores(joints_m, confidence, truth: Truth) -> dict:
    """Return the scores of joints (n, 29, 3), root-relative, and confidence (n, 24) or None."""
    error_mm = joint_errors_mm(joints_m, truth.joints_m)
    frame_mm, hidden = error_mm.mean(1), truth.hidden_percent
    tenth, visible = _tenth(hidden), truth.visible[:, :24]
    result = {
        'mpjpe_mm': mean_or_none(frame_mm),
        'pa_mpjpe_mm': mean_or_none(metrics.pa_mpjpe_mm(joints_m, truth.joints_m)),
        'clear_mm': mean_or_none(frame_mm[hidden < _CLEAR_PERCENT]),
        'much_hidden_mm': mean_or_none(frame_mm[hidden > _MUCH_HIDDEN_PERCENT]),
        'seen_joints_mm': mean_or_none(error_mm[visible]),
        'unseen_joints_mm': mean_or_none(error_mm[~visible]),
        'by_tenth_mm': means_by_tenth(frame_mm, tenth),
        'groups_by_tenth_mm': {
            name: means_by_tenth(error_mm[:, group_joints(name)].mean(1), tenth)
            for name in GROUPS}}
    if confidence is not None:
        right = error_mm < 1e3 * CONFIDENT_WITHIN_M
        result['calibration'] = metrics.calibration(confidence[:, 1:], right[:, 1:])
        result['ece_percent'] = metrics.calibration_error_percent(result['calibration'])
    return result


def joint_errors_mm(found_m, true_m) -> np.ndarray:
    """Return the distances (n, 24) of the joints of (n, 29, 3) after root alignment."""
    off_m = (found_m - found_m[:, :1]) - (true_m - true_m[:, :1])
    return 1e3 * np.linalg.norm(off_m[:, :24], axis=-1)


def group_joints(name: str) -> list[int]:
    """Return the indices of the joints of one of ``GROUPS``."""
    def kind(joint):
        return joint.replace('left_', '').replace('right_', '')
    return [j for j in range(24) if any(
        JOINTS_29[j] == part or kind(JOINTS_29[j]).startswith(part) for part in GROUPS[name])]


def means_by_tenth(values, tenth) -> list[float | None]:
    """Return the mean of values (n,) in each tenth; None for too few."""
    return [mean_or_none(values[tenth == k]) if (tenth == k).sum() >= _MIN_FRAMES else None
            for k in range(10)]


def relative_scores(own: dict, observer: dict) -> dict:
    """Return scores over those of the observer, and the ratio of the areas under the curve."""
    both = [(a, b) for a, b in zip(own['by_tenth_mm'], observer['by_tenth_mm']) if b is not None]
    area = float(sum(a for a, _ in both) / sum(b for _, b in both)) if both else None
    result = {'relative_area': area}
    for key in ('mpjpe_mm', 'clear_mm', 'much_hidden_mm'):
        result[f'relative_{key[:-3]}'] = own[key] / observer[key] if observer[key] else None
    return result


def markdown(result: dict) -> str:
    def cell(value, digits=1):
        return '' if value is None else f'{value:.{digits}f}'
    ways = result['ways']
    clear = '' if result['found_clear'] is None else f'{100 * result["found_clear"]:.1f}'
    lines = [f'{result["clips"]} clips, {result["frames"]} frames, {result["scored"]} with the '
             f'person found; of the unhidden ones {clear} % found.', '',
             '| % hidden | frames | found % | ' + ' | '.join(ways) + ' |',
             '|---' * (3 + len(ways)) + '|']
    for k, (count, share) in enumerate(zip(result['frames_by_tenth'], result['found_by_tenth'])):
        lines.append(f'| {_EDGES_PERCENT[k]}–{_EDGES_PERCENT[k + 1]} | {count} | '
                     f'{cell(None if share is None else 100 * share)} | '
                     + ' | '.join(cell(way['by_tenth_mm'][k]) for way in ways.values()) + ' |')
    lines += ['', '| MPJPE, mm | ' + ' | '.join(ways) + ' |', '|---' * (1 + len(ways)) + '|']
    for key in _ROWS:
        digits = 2 if key.startswith('relative') else 1
        lines.append(f'| {key} | ' + ' | '.join(
            cell(way.get(key), digits) for way in ways.values()) + ' |')
    for name, way in ways.items():
        if 'stages' in way:
            lines += ['', f'{name}, 12 limb joints:', '',
                      stage_errors.text_table(way['stages'])]
    return '\n'.join(lines)


def draw(result: dict, path: Path) -> None:
    """Draw error against percent hidden, of the body and of groups of joints, and calibration."""
    figure = new_figure(figsize=(14, 6), layout='constrained')
    panels = figure.subplots(2, 3).ravel()
    middle = (_EDGES_PERCENT[:-1] + _EDGES_PERCENT[1:]) / 2
    for axes, name in zip(panels, ('whole body', *GROUPS)):
        for way, row in result['ways'].items():
            values = row['groups_by_tenth_mm'].get(name, row['by_tenth_mm'])
            axes.plot(middle, [np.nan if v is None else v for v in values], 'o-', label=way)
        axes.set(title=name, xlabel='% of the silhouette hidden', ylabel='error, mm')
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
    save_figure(figure, path, dpi=100)
