"""Score solvers on held-out motion under every corruption of the protocol, in one table."""

import copy
import json
from pathlib import Path
from typing import Callable

from niki_ros.body.skeleton import open_skeleton
from niki_ros.solvers import load_solver, shipped_models

from niki_training.common.arguments import positive_int
from niki_training.corrupt.protocol import PROTOCOL_ROWS
from niki_training.data.store import load_motion
from niki_training.evaluate import solver_protocol as protocol
from niki_training.evaluate.model_fit import model_fit
from niki_training.evaluate.plots import draw_tables
from niki_training.files.outputs import check_arguments

SEQUENCE_ROWS = {'clean': 0, 'noise-20': 0, 'noise-40': 0, 'occluded-2': 24, 'truncated-legs': 24,
                 'truncated-waist': 24, 'silent-2': 24}
"""Rows of the table of sequences → the frame at which the corruption begins."""
SCORES = ('mpjpe_mm', 'pa_mpjpe_mm', 'rotation_deg', 'auroc')
SEQUENCE_SCORES = ('mpjpe_mm', 'acceleration_mm', 'rotation_deg')


def add_arguments(parser) -> None:
    parser.add_argument('--data', type=Path, required=True, help='held-out motion')
    parser.add_argument('--model', action='append', default=[], metavar='NAME[=FOLDER]',
                        help='a solver by name, or a model folder; may be repeated')
    parser.add_argument('--tracks', action='store_true', help='score sequences through tracks too')
    parser.add_argument('--no-frames', action='store_true', help='leave out single frames')
    parser.add_argument('--model-fit', action='store_true', help='add gradient descent')
    parser.add_argument('--unrefined', action='store_true', help='add models without refinement')
    parser.add_argument('--every', type=positive_int, default=12,
                        help='take every n-th frame (12)')
    parser.add_argument('--limit', type=positive_int, help='number of frames at most')
    parser.add_argument('--sequences', type=positive_int, default=100,
                        help='number of sequences (100)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', nargs='?', const='-', metavar='FILE',
                        help='print one JSON object instead of tables, or write it to FILE')
    parser.add_argument('--plot', type=Path, help='draw the tables here (.png, .svg or .pdf)')
    parser.add_argument('--note', action='store_true',
                        help="write each model's figures into the manifest of its folder")


def main(args) -> int:
    check_arguments(args, {'--json': args.json, '--plot': args.plot})
    tables = evaluate(args)
    if args.json and args.json != '-':
        protocol.write_json(Path(args.json), tables)
    if args.plot:
        draw_tables(tables, args.plot)
    if args.note:
        _note_models(args, tables)
    if args.json == '-':
        print(json.dumps(tables))
        return 0
    for score in () if args.no_frames else SCORES:
        print(f'\n{score}, frames\n\n{protocol.markdown_table(tables["frames"], score)}')
    for score in SEQUENCE_SCORES if tables.get('sequences') else ():
        print(f'\n{score}, sequences\n\n{protocol.markdown_table(tables["sequences"], score)}')
    return 0


def evaluate(args) -> dict:
    """Return {frames, sequences} → solver → corruption → scores."""
    motion, skeleton = load_motion(args.data), open_skeleton()
    solvers = {name: load_solver(folder or name)
               for name, _, folder in (item.partition('=') for item in ('analytic', *args.model))}
    poses = protocol.protocol_poses(motion, skeleton, args.seed, args.every, 1, args.limit)
    methods: dict[str, Callable] = {'observation': protocol.unsolved}
    if args.model_fit:
        methods['model fit'] = model_fit(skeleton)
    methods.update({name: protocol.solve_in_batches(solver) for name, solver in solvers.items()})
    if args.unrefined:
        methods.update({f'{name}, unrefined': protocol.solve_in_batches(_unrefined(solver))
                        for name, solver in solvers.items() if name != 'analytic'})
    tables = {'frames': {
        name: {row: protocol.score_frames(solve, poses, row, args.seed) for row in PROTOCOL_ROWS}
        for name, solve in methods.items() if not args.no_frames}}
    if args.tracks:
        poses = protocol.protocol_sequences(motion, skeleton, args.seed + 1, args.sequences)
        tables['sequences'] = {
            name: {row: protocol.score_sequences(solver, poses, row, args.seed, begin)
                   for row, begin in SEQUENCE_ROWS.items()}
            for name, solver in solvers.items()}
    return tables


def _unrefined(solver):
    twin = copy.copy(solver)
    twin.refine = False
    return twin


def _note_models(args, tables: dict) -> None:
    conditions = (f'niki-evaluate on {args.data.name}, seed {args.seed}, one frame in '
                  f'{args.every}, at most {args.limit or "all"}; '
                  f'{args.sequences} sequences as the pipeline runs them; sizes 0.85 … 1.15')
    for name, _, folder in (item.partition('=') for item in args.model):
        protocol.note_figures(Path(folder) if folder else shipped_models() / name,
                              protocol.rows_of_solver(name, tables), conditions)
