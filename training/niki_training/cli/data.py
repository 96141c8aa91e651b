"""
``niki-data``: motion files into one store, and bodies into skeletons.

The store is one ``.npz``: ``rotvec`` (F, 24, 3) float16 local rotation vectors in radians with y
up, ``lengths`` (P,), ``names`` (P,) as ``subject/clip``, ``fps``, ``licence``, ``sources``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from niki_ros.common.errors import InputError, NikiError
from niki_ros.common.plain_text import write_plainly
import numpy as np

from niki_training.data import split, xocc
from niki_training.data.body import skeleton_from_smpl
from niki_training.data.motion import joined
from niki_training.data.readers import FORMATS, read_motion
from niki_training.data.readers.bvh import CMU
from niki_training.data.store import summary, write_store
from niki_training.files.outputs import check_arguments, write_text
from niki_training.front_end import report as observe_report
from niki_training.render import cli as render_cli


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-data', description=__doc__)
    verbs = parser.add_subparsers(dest='verb', required=True)
    prepare = verbs.add_parser('prepare', help='read motion files, write one store')
    prepare.add_argument('files', type=Path, nargs='+',
                         help='clips, or the folder that the data set comes in')
    prepare.add_argument('--format', choices=FORMATS, default='archive')
    prepare.add_argument('--fps', type=float, help='frames a second of the videos behind h36m, '
                         '3dhp and hybrik (50, 25, 30)')
    prepare.add_argument('--joint-map', type=Path, metavar='cmu|FILE',
                         help="for BVH: cmu for CMU's motion as B. Hahne converted it, or JSON of "
                         'our names to theirs')
    prepare.add_argument('--t-pose', choices=('rest', 'first-frame'), help='for BVH: where the '
                         'T-pose is, at zero angles or in the first frame (cmu: first-frame; '
                         'else rest)')
    prepare.add_argument('--licence', required=True, help='under which the motion may be used: a '
                         'sentence of yours, kept with the motion and with what is trained on it')
    prepare.add_argument('--out', type=Path, required=True)
    splits = verbs.add_parser('split', help='train, val and test, no subject in two of them')
    split.add_arguments(splits)
    hide = verbs.add_parser('xocc', help="3DPW's images with occluders and cut off: 3DPW-XOCC")
    xocc.add_arguments(hide)
    show = verbs.add_parser('show', help='counts, hours, subjects, balance')
    show.add_argument('file', type=Path)
    body = verbs.add_parser('body', help='skeleton and shape space from a body model')
    body.add_argument('--smpl', type=Path, required=True, help='your SMPL or SMPL-X file')
    body.add_argument('--out', type=Path, required=True, help='JSON; keep it out of repositories')
    render = verbs.add_parser('render', help='people with exact truth, drawn from motion')
    render_cli.add_arguments(render)
    observe = verbs.add_parser('observe', help='a front end looks at rendered shards')
    render_cli.add_observe_arguments(observe)
    report = verbs.add_parser('report', help="a front end's errors on rendered people")
    observe_report.add_arguments(report)
    return parser


def main(argv=None) -> int:
    """Run the command; errors become one line of text and exit code 2."""
    write_plainly()
    args = _parser().parse_args(argv)
    try:
        check_arguments(args, _outputs(args))
        if args.verb == 'prepare':
            prepare(args)
        elif args.verb == 'split':
            return split.main(args)
        elif args.verb == 'xocc':
            return xocc.main(args)
        elif args.verb == 'show':
            print(summary(read_motion(args.file, 'archive')))
        elif args.verb == 'render':
            return render_cli.main(args)
        elif args.verb == 'observe':
            return render_cli.observe_shards(args)
        elif args.verb == 'report':
            return observe_report.main(args)
        else:
            skeleton = skeleton_from_smpl(args.smpl)
            write_text(args.out, json.dumps(skeleton.to_dict()) + '\n')
            print(f'{args.out}: {skeleton.name}, height {_height(skeleton):.2f} m')
    except (NikiError, OSError) as error:
        print(f'niki-data: {error}', file=sys.stderr)
        return 2
    return 0


def _outputs(args) -> dict:
    """Return the files that a verb writes, by option; in a folder those that are there."""
    if args.verb == 'split':
        files = (args.out / f'{name}.npz' for name in split.SPLITS)
        return {'--out': None, **{f'--out {one.name}': one for one in files if one.exists()}}
    if args.verb in ('prepare', 'body'):
        return {'--out': args.out}
    return {'--sheet': getattr(args, 'sheet', None)}


def _height(skeleton) -> float:
    return float(np.ptp(skeleton.rest_joints_m[:, 1]))


def prepare(args) -> None:
    """Read all files and folders, join them, write the store, show what is in it."""
    if not args.licence.strip():
        raise InputError('--licence is empty; say under which terms the motion may be used')
    names = _joint_map(args.joint_map)
    first = (args.t_pose or ('first-frame' if names is CMU else 'rest')) == 'first-frame'
    motion = joined([read_motion(path, args.format, names, args.fps, first)
                     for path in args.files])
    write_store(args.out, motion, args.licence, [path.name for path in args.files])
    print(summary(motion))
    print(f'licence: {args.licence}')


def _joint_map(path):
    """
    Read a map of joints for BVH, or return the known one; None where there is none.

    :raises InputError: when it is not one.
    """
    if path is None:
        return None
    if path == Path('cmu') and not path.exists():
        return CMU
    try:
        found = json.loads(path.read_text('utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a joint map in JSON ({error})') from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise InputError(f'{path}: a joint map is an object of our name to theirs for each joint, '
                         'such as {"left_hip": "LeftUpLeg"}')
    return found


if __name__ == '__main__':
    sys.exit(main())
