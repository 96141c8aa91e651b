"""
Train every variant of the solver and compare them in one table.

The variants are trained one after another for the same number of steps, or the same time, and are
scored on held-out motion: ablations.md and ablations.json. The same command resumes the work.
"""

from pathlib import Path
import sys

from niki_ros.common.errors import ConfigError
from niki_ros.solvers import load_solver
import torch

from niki_training.common.arguments import positive_int
from niki_training.corrupt.protocol import PROTOCOL_ROWS
from niki_training.data.smpl_skeleton import load_skeleton
from niki_training.data.store import load_motion
from niki_training.evaluate import solver_protocol as protocol
from niki_training.export.niki import export
from niki_training.files.outputs import write_text
from niki_training.train.checkpoint import load_checkpoint
from niki_training.train.settings import TrainConfig
from niki_training.train.trainer import Trainer

# name of a variant → changed settings; temporal starts from two-stage, regression has the same
# size, and without-inverse has no losses of the errors and of the inverse direction
VARIANTS: dict[str, dict[str, object]] = {
    'two-stage': {},
    'one-stage': {'net.kind': 'one_stage', 'net.blocks': 16},
    'without-inverse': {'loss.boundary': 0, 'loss.independence': 0, 'loss.prior': 0,
                        'loss.zero': 0},
    'without-boundary': {'loss.boundary': 0},
    'without-independence': {'loss.independence': 0},
    'without-shape': {'net.use_shape': False},
    'regression': {'net.kind': 'mlp', 'net.blocks': 10, 'net.hidden': 512},
    'temporal': {'net.kind': 'temporal', 'batch': 40, 'learning_rate': 0.001, 'warmup': 100}}
# rows of the table of tracks → the frame at which the corruption begins
TRACK_ROWS = {'noise-20': 0, 'noise-40': 0, 'occluded-2': 24, 'truncated-legs': 24}


def add_arguments(parser) -> None:
    parser.add_argument('--data', type=Path, required=True, help='motion to train on')
    parser.add_argument('--val', type=Path, required=True, help='held-out motion to score on')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs and tables')
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument('--steps', type=int, help='of each; the same on every machine')
    length.add_argument('--minutes', type=float,
                        help='training time of each; fair only where no other program runs')
    parser.add_argument('--only', action='append', choices=list(VARIANTS), metavar='VARIANT',
                        help=f'may be repeated; default: all of {", ".join(VARIANTS)}')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='change a setting of every variant')
    parser.add_argument('--limit', type=int, default=1500, help='frames to score (1500)')
    parser.add_argument('--sequences', type=int, default=40, help='sequences to score (40)')
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (2)')


def main(args) -> int:
    torch.set_num_threads(args.threads)
    if (args.steps if args.minutes is None else args.minutes) <= 0:
        raise ConfigError(f'--{_length(args)}; expected more than 0')
    print(run(args))
    return 0


def run(args) -> str:
    names = [name for name in VARIANTS if name in (args.only or VARIANTS)]
    if 'temporal' in names and 'two-stage' not in names:
        names.insert(0, 'two-stage')
    configs = {name: variant(name, args.steps, args.minutes, args.set) for name in names}
    motion, skeleton = load_motion(args.data), load_skeleton()
    held_out = load_motion(args.val)
    frames = protocol.protocol_poses(held_out, skeleton, 0, limit=args.limit)
    windows = protocol.protocol_sequences(held_out, skeleton, 1, args.sequences)
    tables: dict = {'frames': {}, 'sequences': {}, 'runs': {}}
    for name, config in configs.items():
        print(f'{name}: {args.out / name}', file=sys.stderr)
        base = args.out / 'two-stage' / 'last.pt' if name == 'temporal' else None
        Trainer(config, motion, skeleton, args.out / name, base).run()
        _score(args.out / name, name, frames, windows, tables)
        protocol.write_json(args.out / 'ablations.json', tables)
        text = _text(tables, args)
        write_text(args.out / 'ablations.md', text + '\n')
    return text


def variant(name: str, steps: int | None, minutes: float | None, changes=()) -> TrainConfig:
    """Return the settings of a variant; ``changes`` (name=value) override its own."""
    config = TrainConfig()
    config.set('steps', steps or 1_000_000_000)     # without steps the run ends by time
    config.set('minutes', minutes or 0.0)
    given = [f'{key}={value}' for key, value in VARIANTS[name].items()]
    config.set_all((*given, *changes))
    config.net.kind = str(VARIANTS[name].get('net.kind', 'two_stage'))
    return config.check()


def _score(folder: Path, name: str, frames, windows, tables: dict) -> None:
    """Export a run and put its rows into the tables."""
    net, config, record = load_checkpoint(folder / 'last.pt')
    manifest = export(net, config, folder / 'model', name, {})
    solver = load_solver(str(folder / 'model'))
    tables['runs'][name] = {'parameters': manifest['parameters'], 'steps': record['step'],
                            'minutes': round(record['seconds'] / 60, 1)}
    if config.net.kind != 'temporal':
        for refined, title in ((False, f'{name}, unrefined'), (True, name)):
            solver.refine = refined
            solve = protocol.solve_in_batches(solver)
            tables['frames'][title] = {row: protocol.score_frames(solve, frames, row, 0)
                                       for row in PROTOCOL_ROWS}
    if name in ('two-stage', 'temporal'):
        tables['sequences'][name] = {row: protocol.score_sequences(solver, windows, row, 0, begin)
                                     for row, begin in TRACK_ROWS.items()}


def _length(args) -> str:
    return f'steps {args.steps}' if args.minutes is None else f'minutes {args.minutes:g}'


def _text(tables: dict, args) -> str:
    lines = ['# Ablations', '', f'{_length(args)} of training each on {args.data.name}, '
             f'{args.threads} threads; scored on {args.val.name}: {args.limit} frames, '
             f'{args.sequences} sequences.', '',
             '| variant | parameters | steps | minutes |', '|---|---|---|---|']
    lines += [f'| {name} | {run["parameters"]:,} | {run["steps"]:,} | {run["minutes"]} |'
              for name, run in tables['runs'].items()]
    plain = {k: v for k, v in tables['frames'].items() if 'unrefined' in k}
    refined = {k: v for k, v in tables['frames'].items() if 'unrefined' not in k}
    for title, table, score in (
            ('MPJPE, mm, network alone', plain, 'mpjpe_mm'),
            ('MPJPE, mm, refined', refined, 'mpjpe_mm'),
            ('local rotation error, degrees, network alone', plain, 'rotation_deg'),
            ('AUROC of the confidence', refined, 'auroc'),
            ('tracks: MPJPE, mm', tables['sequences'], 'mpjpe_mm'),
            ('tracks: acceleration error, mm/frame²', tables['sequences'], 'acceleration_mm')):
        if table:
            lines += ['', f'## {title}', '', protocol.markdown_table(table, score)]
    return '\n'.join(lines)
