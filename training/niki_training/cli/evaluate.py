"""
``niki-evaluate``: the evaluation protocol, all baselines and models in one table.

``niki-evaluate video FOLDER`` measures the whole pipeline on calibrated video instead, and
``niki-evaluate occlude VIDEO`` what hiding parts of a person does, on any clip, and
``niki-evaluate dataset BENCHMARK FOLDER`` is 3DPW, AGORA, Human3.6M … for those who hold them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import NikiError
from niki_ros.common.plain_text import write_plainly
from niki_ros.solvers import load_solver, shipped_models

from niki_training.cli.arguments import positive
from niki_training.corrupt import corrupt
from niki_training.data.motion import load_motion
from niki_training.evaluate.model_fit import model_fit
from niki_training.evaluate.plots import draw_tables
from niki_training.evaluate.protocol import (
    by_solver,
    frame_row,
    markdown,
    note_figures,
    observation,
    rows_of,
    SEQUENCE,
    sequence_row,
    test_poses,
    write_json,
)
from niki_training.files.outputs import check_arguments

SEQUENCE_ROWS = {'clean': 0, 'noise-20': 0, 'noise-40': 0, 'occluded-2': 24, 'truncated-legs': 24,
                 'truncated-waist': 24, 'silent-2': 24}
"""Rows of the table for sequences, and the frame at which the corruption starts."""
SCORES = ('mpjpe_mm', 'pa_mpjpe_mm', 'rotation_deg', 'auroc')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-evaluate', description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='held-out motion')
    parser.add_argument('--model', action='append', default=[], metavar='NAME[=FOLDER]',
                        help='a solver by name, or a model folder; may be repeated')
    parser.add_argument('--tracks', action='store_true', help='score sequences through tracks too')
    parser.add_argument('--no-frames', action='store_true', help='leave out single frames')
    parser.add_argument('--model-fit', action='store_true', help='add gradient descent')
    parser.add_argument('--unrefined', action='store_true', help='add models without refinement')
    parser.add_argument('--every', type=positive, default=12, help='take every n-th frame (12)')
    parser.add_argument('--limit', type=positive, help='at most so many frames')
    parser.add_argument('--sequences', type=positive, default=100, help='how many sequences (100)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', nargs='?', const='-', metavar='FILE',
                        help='print one JSON object instead of tables, or write it to FILE')
    parser.add_argument('--plot', type=Path, help='draw the tables here (.png, .svg or .pdf)')
    parser.add_argument('--note', action='store_true',
                        help="put each model's figures into the manifest of its folder")
    return parser


def main(argv=None) -> int:
    """Run the command; errors become one line of text and exit code 2."""
    write_plainly()
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        if argv[:1] and argv[0] in ('video', 'occlude', 'rendered', 'dataset', 'landmarks',
                                    'lift'):
            return _other(*argv[:1], argv[1:])
        args = _parser().parse_args(argv)
        check_arguments(args, {'--json': args.json, '--plot': args.plot})
        tables = evaluate(args)
        _keep(args, tables)
    except (NikiError, OSError) as error:
        print(f'niki-evaluate: {error}', file=sys.stderr)
        return 2
    _print(args, tables)
    return 0


def _print(args, tables) -> None:
    """Print the tables as text or as JSON."""
    if args.json == '-':
        print(json.dumps(tables))
        return
    for score in () if args.no_frames else SCORES:
        print(f'\n{score}, frames\n\n{markdown(tables["frames"], score)}')
    for score in ('mpjpe_mm', 'acceleration_mm', 'rotation_deg'):
        if tables.get('sequences'):
            print(f'\n{score}, sequences\n\n{markdown(tables["sequences"], score)}')


def _keep(args, tables) -> None:
    """Write what was asked for: JSON, charts, the manifests of the models."""
    if args.json and args.json != '-':
        write_json(Path(args.json), tables)
    if args.plot:
        draw_tables(tables, args.plot)
    if args.note:
        protocol = (f'niki-evaluate on {args.data.name}, seed {args.seed}, one frame in '
                    f'{args.every}, at most {args.limit or "all"}; '
                    f'{args.sequences} sequences as the pipeline runs them; sizes 0.85 … 1.15')
        for item in args.model:
            name, _, folder = item.partition('=')
            note_figures(Path(folder) if folder else shipped_models() / name,
                         rows_of(name, tables), protocol)


def _other(verb, argv) -> int:
    """Run ``niki-evaluate video``, ``occlude``, ``rendered`` or ``dataset``."""
    from importlib import import_module
    module = import_module(f'niki_training.evaluate.{verb}')
    parser = argparse.ArgumentParser(prog=f'niki-evaluate {verb}', description=module.HELP)
    module.add_arguments(parser)
    return module.main(parser.parse_args(argv))


def evaluate(args) -> dict:
    """Return {frames, sequences} → solver → corruption → scores."""
    motion, skeleton = load_motion(args.data), open_skeleton()
    solvers = {}
    for item in ['analytic', *args.model]:
        name, _, folder = item.partition('=')
        solvers[name] = load_solver(folder or name)
    poses = test_poses(motion, skeleton, args.seed, args.every, 1, args.limit)
    ways = {'observation': observation}
    if args.model_fit:
        ways['model fit'] = model_fit(skeleton)
    ways.update({name: by_solver(solver) for name, solver in solvers.items()})
    if args.unrefined:
        for name, solver in solvers.items():
            if name != 'analytic':
                ways[f'{name}, unrefined'] = by_solver(_unrefined(solver))
    tables = {'frames': {
        name: {row: frame_row(solve, poses, row, args.seed) for row in corrupt.PROTOCOL}
        for name, solve in ways.items() if not args.no_frames}}
    if args.tracks:
        poses = test_poses(motion, skeleton, args.seed + 1, SEQUENCE, SEQUENCE, args.sequences)
        tables['sequences'] = {
            name: {row: sequence_row(solver, poses, row, args.seed, begin)
                   for row, begin in SEQUENCE_ROWS.items()}
            for name, solver in solvers.items()}
    return tables


def _unrefined(solver):
    """Return the same solver without the refinement."""
    import copy
    twin = copy.copy(solver)
    twin.refine = False
    return twin


if __name__ == '__main__':
    sys.exit(main())
