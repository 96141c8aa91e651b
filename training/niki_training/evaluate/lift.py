"""
``niki-evaluate lift``: the lifter and the solvers behind it on held-out motion.

The motion is seen through random cameras with a front end's errors (``niki-evaluate landmarks``),
lifted, and solved as the pipeline does. Each part is left out in turn, so that everybody sees what
it is worth; the last table says whether sigma comes true.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

from niki_ros.body.observation import HIDDEN_SIGMA, SIGMA_UNIT_M
from niki_ros.body.rotations import angle_rad
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.lifters.lifter import Lifter
from niki_ros.models.model_folder import find_model
from niki_ros.solvers import load_solver
import numpy as np
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.evaluate.person_track import PersonTrack
from niki_training.evaluate.plots import draw_reliability
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.lift.data import LiftBatches
from niki_training.lift.pairs import LiftedPairs, Way
from niki_training.render.motion import load_rooted_motion

HELP = 'the lifter and the solvers behind it on held-out motion, with parts left out in turn'
FRAMES, SETTLED, FRAME_NS = 27, 10, 33_333_333
TWISTED = {'thighs': ('left_hip', 'right_hip'), 'forearms': ('left_elbow', 'right_elbow'),
           'upper arms': ('left_shoulder', 'right_shoulder'), 'head': ('neck',)}
"""Bones whose twist joints alone do not tell, by the joint that turns them."""
WAYS = {'as it runs': Way(carried_on=False), 'without window': Way(False, True, False),
        'without the guess of depth': Way(True, False, False)}
NO_TWIST, NO_ERRORS = 'without twist', 'exact keypoints and depth'
SIGMA_EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.95)


def add_arguments(parser):
    """Add the options of this verb."""
    parser.add_argument('motion', type=Path, help='held-out motion with the path of the root')
    parser.add_argument('--lifter', default='lift', help='a model by name or folder')
    parser.add_argument('--model', action='append', help='solvers in addition to analytic '
                        '(default: niki and niki-temporal)')
    parser.add_argument('--windows', type=positive_int, default=60, help='of 27 frames (60)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--plot', type=Path, help='draw whether sigma comes true (.png, .svg)')


def main(args) -> int:
    """Evaluate and print."""
    report = measure(args.motion, args.lifter, args.model or ['niki', 'niki-temporal'],
                     args.windows, args.seed)
    if args.plot:
        draw_reliability(report['sigma'], args.plot)
    if args.json:
        print(json.dumps(report))
        return 0
    head = ('mpjpe', 'seen', 'hidden', 'change', *TWISTED)
    print(f'{"mm, and degrees of local rotation":44s} ' + ' '.join(f'{h:>10s}' for h in head))
    for way, solvers in report['ways'].items():
        for solver, row in solvers.items():
            print(f'{way + ", " + solver:44s} ' + ' '.join(
                f'{row[h]:10.1f}' if h in row else f'{"":10s}' for h in head))
    print('\n' + '\n'.join(f'sigma {row["expected_mm"]:6.0f} mm: {row["found_mm"]:6.0f} mm, '
                           f'{row["count"]} joints' for row in report['sigma']))
    return 0


def measure(motion: Path, lifter: str, solvers, windows: int, seed: int = 0) -> Dict:
    """
    Return {ways: way → solver → figures, sigma: reliability}.

    :param solvers: names of solvers in addition to ``analytic``. :param windows: of 27 frames.
    """
    rooted, skeleton = load_rooted_motion(motion), open_skeleton()
    network = Lifter(find_model(lifter).path)
    known = {name: load_solver(name) for name in ('analytic', *solvers)}
    ways: Dict = {}
    for name, way in {**WAYS, NO_TWIST: WAYS['as it runs'], NO_ERRORS: WAYS['as it runs']}.items():
        batches = LiftBatches(rooted, skeleton, min(windows, 64), errors=name != NO_ERRORS)
        pairs = LiftedPairs(batches, network, FRAMES, windows, seed, way)
        batch = pairs.draw(windows, np.random.default_rng(seed))
        if name == 'as it runs':
            sigma = _reliability(batch)
        ways[name] = {'lifted': _figures(batch, batch['noisy'])}
        for solver in tqdm(known, disable=None, desc=name, leave=False):
            joints, rotmat = _solved(known[solver], batch, name != NO_TWIST)
            ways[name][solver] = {**_figures(batch, joints), **_turned(batch, rotmat)}
    network.close()
    return {'ways': ways, 'sigma': sigma}


def _solved(solver, batch, with_twist: bool):
    """Run a person through every window; return joints (N, T, 29, 3) and rotations."""
    joints, rotmat = np.empty(batch['joints'].shape), np.empty(batch['rotmat'].shape)
    for n in range(len(joints)):
        track = PersonTrack(solver)
        for t in range(FRAMES):
            solution = track.step(batch['noisy'][n, t], batch['sigma'][n, t], t * FRAME_NS,
                                  batch['twist'][n, t] if with_twist else None)
            joints[n, t], rotmat[n, t] = solution.joints_m, solution.rotmat
    return joints, rotmat


def _figures(batch, joints) -> Dict:
    """Return errors of the limb joints about the pelvis, mm, and how they change in a frame."""
    off_m = (joints - batch['joints'])[:, SETTLED:, LIMB_JOINTS]
    error_mm = 1e3 * np.linalg.norm(off_m, axis=-1)
    hidden = batch['sigma'][:, SETTLED:, LIMB_JOINTS] >= HIDDEN_SIGMA
    return {'mpjpe': float(error_mm.mean()), 'seen': float(error_mm[~hidden].mean()),
            'hidden': float(error_mm[hidden].mean()) if hidden.any() else float('nan'),
            'change': float(1e3 * np.linalg.norm(np.diff(off_m, axis=1), axis=-1).mean())}


def _turned(batch, rotmat) -> Dict:
    """Return the errors of the local rotations of bones whose twist joints do not tell."""
    error = np.degrees(angle_rad(rotmat[:, SETTLED:], batch['rotmat'][:, SETTLED:]))
    return {name: float(error[..., [JOINT[joint] for joint in joints]].mean())
            for name, joints in TWISTED.items()}


def _reliability(batch) -> list:
    """Return the error per coordinate that sigma expects, and that of the lifted joints."""
    expected = SIGMA_UNIT_M * batch['sigma'][..., LIMB_JOINTS]
    found = np.sqrt(np.square((batch['noisy'] - batch['joints'])[..., LIMB_JOINTS, :]).mean(-1))
    rows = []
    for low, high in zip(SIGMA_EDGES[:-1], SIGMA_EDGES[1:]):
        inside = (expected >= SIGMA_UNIT_M * low) & (expected < SIGMA_UNIT_M * high)
        if inside.sum() > 20:
            rows.append({'expected_mm': float(1e3 * expected[inside].mean()),
                         'found_mm': float(1e3 * found[inside].mean()),
                         'count': int(inside.sum())})
    return rows
