"""
Score the lifter and the solvers behind it on held-out motion.

Random cameras observe the motion with the errors of a front end (niki-evaluate landmarks); it is
lifted and solved as in the pipeline. Each part is left out in turn. The last table compares sigma
with the measured errors.
"""

import json
from pathlib import Path

from niki_ros.body.observation import HIDDEN_SIGMA, SIGMA_UNIT_M
from niki_ros.body.rotations import angle_rad
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.lifters.lifter import Lifter
from niki_ros.models.model_store import find_model
from niki_ros.solvers import load_solver
import numpy as np
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.evaluate.person_track import PersonTrack
from niki_training.evaluate.plots import draw_reliability
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.lift.data import LiftBatches
from niki_training.lift.pairs import LiftedPairs, LifterInputs
from niki_training.render.motion import load_rooted_motion

WINDOW_FRAMES, FRAME_NS = 27, 33_333_333
_FIRST_SCORED_FRAME = 10
_MIN_JOINTS = 20  # a bin of sigma with fewer joints is left out
_TWISTED = {'thighs': ('left_hip', 'right_hip'), 'forearms': ('left_elbow', 'right_elbow'),
           'upper arms': ('left_shoulder', 'right_shoulder'), 'head': ('neck',)}
"""Bones with a twist that joints do not determine → joints that turn them."""
_COMPLETE = 'as it runs'
# no extrapolation: the stages that are scored extrapolate hidden joints themselves
_VARIANTS = {_COMPLETE: LifterInputs(extrapolation=False),
             'without window': LifterInputs(window=False, extrapolation=False),
             'without the guess of depth': LifterInputs(depth=False, extrapolation=False)}
_NO_TWIST, _NO_ERRORS = 'without twist', 'exact keypoints and depth'
_SIGMA_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.95)


def add_arguments(parser) -> None:
    parser.add_argument('motion', type=Path, help='held-out motion with the path of the root')
    parser.add_argument('--lifter', default='lift', help='a model by name or folder (lift)')
    parser.add_argument('--model', action='append', help='solvers in addition to analytic '
                        '(default: niki and niki-temporal)')
    parser.add_argument('--windows', type=positive_int, default=60,
                        help='number of windows of 27 frames (60)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--plot', type=Path, help='draw measured errors over sigma (.png, .svg)')


def main(args) -> int:
    report = measure(args.motion, args.lifter, args.model or ['niki', 'niki-temporal'],
                     args.windows, args.seed)
    if args.plot:
        draw_reliability(report['sigma'], args.plot)
    if args.json:
        print(json.dumps(report))
        return 0
    head = ('mpjpe', 'seen', 'hidden', 'change', *_TWISTED)
    print(f'{"mm, and degrees of local rotation":44s} ' + ' '.join(f'{h:>10s}' for h in head))
    for way, solvers in report['ways'].items():
        for solver, row in solvers.items():
            print(f'{way + ", " + solver:44s} ' + ' '.join(
                f'{row[h]:10.1f}' if h in row else f'{"":10s}' for h in head))
    print('\n' + '\n'.join(f'sigma {row["expected_mm"]:6.0f} mm: {row["found_mm"]:6.0f} mm, '
                           f'{row["count"]} joints' for row in report['sigma']))
    return 0


def measure(motion: Path, lifter: str, solvers, windows: int, seed: int = 0) -> dict:
    """Return ``ways``: variant → solver → scores; ``sigma``: expected and measured errors."""
    rooted, skeleton = load_rooted_motion(motion), open_skeleton()
    network = Lifter(find_model(lifter).path)
    known = {name: load_solver(name) for name in ('analytic', *solvers)}
    ways: dict = {}
    complete = _VARIANTS[_COMPLETE]
    for name, inputs in {**_VARIANTS, _NO_TWIST: complete, _NO_ERRORS: complete}.items():
        batches = LiftBatches(rooted, skeleton, min(windows, 64), errors=name != _NO_ERRORS)
        pairs = LiftedPairs(batches, network, WINDOW_FRAMES, windows, seed, inputs)
        batch = pairs.draw(windows, np.random.default_rng(seed))
        if name == _COMPLETE:
            sigma = _sigma_rows(batch)
        ways[name] = {'lifted': _joint_scores(batch, batch['noisy'])}
        for solver in tqdm(known, disable=None, desc=name, leave=False):
            joints, rotmat = _solve(known[solver], batch, name != _NO_TWIST)
            ways[name][solver] = {**_joint_scores(batch, joints), **_twist_scores(batch, rotmat)}
    network.close()
    return {'ways': ways, 'sigma': sigma}


def _solve(solver, batch, with_twist: bool):
    """Return joints (N, T, 29, 3) and rotations (N, T, 24, 3, 3) of a person in every window."""
    joints, rotmat = np.empty(batch['joints'].shape), np.empty(batch['rotmat'].shape)
    for n in range(len(joints)):
        track = PersonTrack(solver)
        for t in range(WINDOW_FRAMES):
            solution = track.step(batch['noisy'][n, t], batch['sigma'][n, t], t * FRAME_NS,
                                  batch['twist'][n, t] if with_twist else None)
            joints[n, t], rotmat[n, t] = solution.joints_m, solution.rotmat
    return joints, rotmat


def _joint_scores(batch, joints) -> dict:
    """Return errors of the limb joints about the pelvis, mm, and their change per frame."""
    off_m = (joints - batch['joints'])[:, _FIRST_SCORED_FRAME:, LIMB_JOINTS]
    error_mm = 1e3 * np.linalg.norm(off_m, axis=-1)
    hidden = batch['sigma'][:, _FIRST_SCORED_FRAME:, LIMB_JOINTS] >= HIDDEN_SIGMA
    return {'mpjpe': float(error_mm.mean()), 'seen': float(error_mm[~hidden].mean()),
            'hidden': float(error_mm[hidden].mean()) if hidden.any() else float('nan'),
            'change': float(1e3 * np.linalg.norm(np.diff(off_m, axis=1), axis=-1).mean())}


def _twist_scores(batch, rotmat) -> dict:
    """Return the errors of the local rotations of ``_TWISTED``, degrees."""
    found, true = (one[:, _FIRST_SCORED_FRAME:] for one in (rotmat, batch['rotmat']))
    error = np.degrees(angle_rad(found, true))
    return {name: float(error[..., [JOINT[joint] for joint in joints]].mean())
            for name, joints in _TWISTED.items()}


def _sigma_rows(batch) -> list:
    """Return expected and measured errors per coordinate of lifted joints, in bins of sigma."""
    expected = SIGMA_UNIT_M * batch['sigma'][..., LIMB_JOINTS]
    found = np.sqrt(np.square((batch['noisy'] - batch['joints'])[..., LIMB_JOINTS, :]).mean(-1))
    rows = []
    for low, high in zip(_SIGMA_EDGES[:-1], _SIGMA_EDGES[1:]):
        inside = (expected >= SIGMA_UNIT_M * low) & (expected < SIGMA_UNIT_M * high)
        if inside.sum() > _MIN_JOINTS:
            rows.append({'expected_mm': float(1e3 * expected[inside].mean()),
                         'found_mm': float(1e3 * found[inside].mean()),
                         'count': int(inside.sum())})
    return rows
