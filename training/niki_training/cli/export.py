"""``niki-export``: checkpoint to model folder, with confidence fitted on held-out motion."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from niki_ros.common.errors import ConfigError, NikiError
from niki_ros.common.plain_text import write_plainly
from niki_ros.lifters.lifter import KIND as LIFTER

from niki_training.data.body import load_skeleton
from niki_training.data.motion import load_motion
from niki_training.data.store import licence_of, UNKNOWN
from niki_training.evaluate.protocol import rows_of, test_poses
from niki_training.export.confidence import fit_confidence
from niki_training.export.niki import export, ORIGIN, PAIRED
from niki_training.files.archives import kind_of
from niki_training.train.loop import load_checkpoint


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-export', description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('folder', type=Path, help='model folder to write')
    parser.add_argument('--name', help="the solver's name; default: the folder's")
    parser.add_argument('--val', type=Path, help='held-out motion: fit the confidence on it')
    parser.add_argument('--figures', type=Path,
                        help='JSON of niki-evaluate: the rows of this name go into the manifest '
                        '(niki-evaluate --note does it to a folder that is there)')
    parser.add_argument('--body', type=Path,
                        help='the skeleton it was trained on, if that was not the open one')
    parser.add_argument('--fp16', action='store_true', help='write an FP16 graph besides')
    return parser


def main(argv=None) -> int:
    """Run the command; errors become one line of text and exit code 2."""
    write_plainly()
    args = _parser().parse_args(argv)
    try:
        manifest = run(args)
    except (NikiError, OSError) as error:
        print(f'niki-export: {error}', file=sys.stderr)
        return 2
    print(f"{args.folder}: {manifest['kind']}, {manifest['parameters']} parameters, "
          f"difference to torch {manifest['torch_difference']}")
    if args.fp16:
        error = manifest['engine_error']['onnxruntime-fp16']['mm']
        print(f"  fp16: p99 {error['p99']:g} mm, at most {error['max']:g} mm; rounded as on a GPU "
              f"p99 {manifest['graphs']['fp16']['error']['mm']['p99']:.3g} mm")
    return 0


def _tables(path: Path) -> dict:
    """Read what ``niki-evaluate --json FILE`` wrote."""
    try:
        tables = json.loads(path.read_text('utf-8'))
        return {name: dict(tables[name]) for name in ('frames', 'sequences') if name in tables}
    except (ValueError, TypeError) as error:
        raise ConfigError(f'{path}: not the JSON of niki-evaluate ({error})') from error


def run(args) -> dict:
    """Export, and fit the confidence of what was exported."""
    from niki_training.image.export import export_person
    from niki_training.image.train import KIND as PERSON
    from niki_training.lift.export import export_lift
    special = {PERSON: export_person, LIFTER: export_lift}.get(kind_of(args.checkpoint))
    if special is not None:
        return special(args.checkpoint, args.folder, args.name or args.folder.name)
    net, config, record = load_checkpoint(args.checkpoint)
    facts = {'motion_hash': record['data'], 'steps': record['step'],
             'training_seconds': round(record['seconds'])}
    if record.get('pairs'):
        facts.update(training_data=f'{ORIGIN} {PAIRED}', pairs_hash=record['pairs'])
    licence = licence_of(args.val) if args.val else UNKNOWN
    if licence != UNKNOWN:
        # niki-data split gives held-out motion the licence of the store that it was split from
        facts['training_data'] = (f'Motion of the store that {args.val.name} was split from; '
                                  f'licence: {licence}')
        if record.get('pairs'):
            facts['training_data'] += f' {PAIRED}'
    name, skeleton = args.name or args.folder.name, load_skeleton(args.body)
    if args.body:
        facts.update(skeleton=skeleton.to_dict(), joint_set=skeleton.name)
    if args.figures:
        facts['evaluation'] = {'protocol': f'niki-evaluate, {args.figures.name}',
                               **rows_of(name, _tables(args.figures))}
    manifest = export(net, config, args.folder, name, facts, args.fp16)
    if args.val:
        from niki_ros.solvers.niki import NikiSolver
        poses = test_poses(load_motion(args.val), skeleton, seed=3, limit=1500)
        fitted = fit_confidence(NikiSolver.from_folder(args.folder), poses)
        manifest['confidence'] = fitted
        text = json.dumps(manifest, indent=1) + '\n'
        (args.folder / 'manifest.json').write_text(text, 'utf-8')
    return manifest


if __name__ == '__main__':
    sys.exit(main())
