"""Export a checkpoint to a model folder; its confidence is fitted on held-out motion."""

import json
from pathlib import Path

from niki_ros.common.errors import ConfigError


def add_arguments(parser) -> None:
    parser.add_argument('checkpoint', type=Path, metavar='CHECKPOINT')
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='model folder to write')
    parser.add_argument('--name', help='name of the solver; default: that of the folder')
    parser.add_argument('--val', type=Path, help='held-out motion: fit the confidence on it')
    parser.add_argument('--figures', type=Path,
                        help='JSON of niki-evaluate: write the rows of this name into the '
                        'manifest (niki-evaluate --note does it for a folder that exists)')
    parser.add_argument('--body', type=Path,
                        help='the skeleton of the training, where that is not the open one')
    parser.add_argument('--fp16', action='store_true', help='write an FP16 graph as well')


def main(args) -> int:
    manifest = export_any(args)
    print(f"{args.folder}: {manifest['kind']}, {manifest['parameters']} parameters, "
          f"difference to torch {manifest['torch_difference']}")
    if args.fp16:
        error_mm = manifest['engine_error']['onnxruntime-fp16']['mm']
        rounded_mm = manifest['graphs']['fp16']['error']['mm']
        print(f"  fp16: p99 {error_mm['p99']:g} mm, at most {error_mm['max']:g} mm; rounded as on "
              f"a GPU p99 {rounded_mm['p99']:.3g} mm")
    return 0


def export_any(args) -> dict:
    """Export the checkpoint of any kind and return the manifest."""
    from niki_ros.lifters.lifter import KIND as LIFTER
    from niki_ros.observers.look_network import KIND as LOOK

    from niki_training.files.archives import kind_of
    from niki_training.files.pieces import is_index
    from niki_training.lift.export import export_lift
    from niki_training.look.checkpoint import checkpoint_index
    from niki_training.look.export import export_look
    exporters = {LIFTER: export_lift, LOOK: export_look}
    in_pieces = is_index(checkpoint_index(args.checkpoint))
    kind = LOOK if in_pieces else kind_of(args.checkpoint)
    if kind in exporters and args.fp16:
        raise ConfigError(f'--fp16 is for solvers; {args.checkpoint} is of kind {kind!r}: export '
                          f'it without, then niki-export cast {args.folder}')
    if kind in exporters:
        return exporters[kind](args.checkpoint, args.folder, args.name or args.folder.name)
    return _export_solver(args)


def _export_solver(args) -> dict:
    from niki_training.data.smpl_skeleton import load_skeleton
    from niki_training.evaluate.solver_protocol import rows_of_solver
    from niki_training.export.niki import export
    from niki_training.train.checkpoint import load_checkpoint
    net, config, record = load_checkpoint(args.checkpoint)
    name, skeleton = args.name or args.folder.name, load_skeleton(args.body)
    facts = {'motion_hash': record['data'], 'steps': record['step'],
             'training_seconds': round(record['seconds']), **_training_data(args.val, record)}
    if args.body:
        facts.update(skeleton=skeleton.to_dict(), joint_set=skeleton.name)
    if args.figures:
        facts['evaluation'] = {'protocol': f'niki-evaluate, {args.figures.name}',
                               **rows_of_solver(name, _tables(args.figures))}
    manifest = export(net, config, args.folder, name, facts, args.fp16)
    return _with_confidence(manifest, args, skeleton) if args.val else manifest


def _training_data(val, record: dict) -> dict:
    """Return the manifest's statements on the data: origin and licence, hash of the pairs."""
    from niki_training.data.store import licence_of, UNKNOWN
    from niki_training.export.niki import ORIGIN, PAIRED
    facts, text = {}, ''
    if record.get('pairs'):
        facts['pairs_hash'], text = record['pairs'], ORIGIN
    licence = licence_of(val) if val else UNKNOWN
    if licence != UNKNOWN:
        # niki-data split gives held-out motion the licence of the store that it was split from
        text = f'Motion of the store that {val.name} was split from; licence: {licence}'
    if record.get('pairs'):
        text += f' {PAIRED}'
    return {**facts, 'training_data': text} if text else facts


def _tables(path: Path) -> dict:
    try:
        tables = json.loads(path.read_text('utf-8'))
        return {name: dict(tables[name]) for name in ('frames', 'sequences') if name in tables}
    except (ValueError, TypeError) as error:
        raise ConfigError(f'{path}: not the JSON of niki-evaluate ({error})') from error


def _with_confidence(manifest: dict, args, skeleton) -> dict:
    """Fit the confidence of the exported solver on held-out motion and store it."""
    from niki_ros.models.model_folder import write_manifest
    from niki_ros.solvers.niki import NikiSolver

    from niki_training.data.store import load_motion
    from niki_training.evaluate.solver_protocol import protocol_poses
    from niki_training.export.confidence import fit_confidence
    poses = protocol_poses(load_motion(args.val), skeleton, seed=3, limit=1500)
    manifest['confidence'] = fit_confidence(NikiSolver.from_folder(args.folder), poses)
    return write_manifest(args.folder, manifest).manifest
