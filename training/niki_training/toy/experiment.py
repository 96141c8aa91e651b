"""
Run the toy experiment of "Deep Kinematic Pose Regression" (Zhou et al. 2016).

Four methods on images of line figures with 3, 6, 8 and 10 motion parameters: direct joint, direct
parameter, kinematic, and model fit to the output of direct joint. Started again with the same
--out, the experiment is resumed: python -m niki_training.toy.experiment --out runs/toy
"""

import argparse
from concurrent.futures import as_completed
from pathlib import Path
import sys
import tempfile

from niki_training.common.processes import process_pool
from niki_training.files.outputs import write_text
from niki_training.toy.report import claims, collect, draw, table
from niki_training.toy.train import run_cell, ToyConfig, TRAINED

_OUT = Path('runs/kinematic_toy')
SMOKE = ToyConfig(train=2048, test=300, epochs=4)


def _parser() -> argparse.ArgumentParser:
    config = ToyConfig()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='folder of the results, table.md, figure.png '
                        f'({_OUT}; with --smoke only table.md, and only where --out is given)')
    parser.add_argument('--levels', type=int, nargs='+', default=[1, 2, 3, 4])
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--epochs', type=int, default=config.epochs,
                        help=f'the paper has 50; default {config.epochs}, to save time')
    parser.add_argument('--train', type=int, default=config.train, help='images')
    parser.add_argument('--workers', type=int, default=2, help='processes of one thread each')
    parser.add_argument('--smoke', action='store_true',
                        help='level 1 and a few images: under a minute')
    return parser


def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    if args.smoke:
        return _smoke(args.out)
    args.out = args.out or _OUT
    args.out.mkdir(parents=True, exist_ok=True)
    config = ToyConfig(train=args.train, epochs=args.epochs)
    rows = _run(args, config)
    results = collect(rows)
    minutes = sum(row['cpu_s'] for row in rows) / 60
    lines = [f'{config.train} images, {config.epochs} epochs, seeds: {args.seeds}; {minutes:.0f} '
             'minutes of processor time. Joint error px / angle error ° / bone-length deviation '
             '%, mean ± standard deviation over the seeds.',
             '', table(results), '', '| claim | holds | figures |', '|---|---|---|']
    lines += [f'| {claim} | {"yes" if holds else "NO"} | {figures} |'
              for claim, holds, figures in claims(results)]
    text = '\n'.join(lines)
    write_text(args.out / 'table.md', text + '\n')
    draw(results, args.out / 'figure.png')
    print(text)
    return 0


def _smoke(out: Path | None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        rows = [run_cell(folder, method, 1, 0, SMOKE) for method in TRAINED]
    text = table(collect(rows))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / 'table.md', text + '\n')
    print(text)
    return 0


def _run(args, config: ToyConfig) -> list:
    """Return the results of all cells; seed by seed: an interrupted run has complete tables."""
    cells = [(method, level, seed) for seed in range(args.seeds) for level in args.levels
             for method in TRAINED]
    with process_pool(args.workers) as pool:
        waiting = [pool.submit(run_cell, args.out, *cell, config) for cell in cells]
        for done, future in enumerate(as_completed(waiting), 1):
            row = future.result()
            print(f'{done}/{len(cells)} {row["method"]}, level {row["level"]}, seed '
                  f'{row["seed"]}: {row["joint_px"]:.2f} px, {row["cpu_s"]:.0f} s of processor '
                  'time', file=sys.stderr, flush=True)
    return [future.result() for future in waiting]


if __name__ == '__main__':
    sys.exit(main())
