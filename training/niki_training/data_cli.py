"""
``niki-data``: motion files into one store, and bodies into skeletons.

The store is one ``.npz``: ``rotvec`` (F, 24, 3) float16 local rotation vectors in radians with y
up, ``lengths`` (P,), ``names`` (P,) as ``subject_clip``, ``fps``, ``licence``, ``sources``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from niki_ros.core.errors import InputError, NikiError
import numpy as np

from niki_training import observe_report
from niki_training.body import skeleton_from_smpl
from niki_training.data import Motion
from niki_training.readers import FORMATS, read_motion
from niki_training.render import cli as render_cli


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-data', description=__doc__)
    verbs = parser.add_subparsers(dest='verb', required=True)
    prepare = verbs.add_parser('prepare', help='read motion files, write one store')
    prepare.add_argument('files', type=Path, nargs='+')
    prepare.add_argument('--format', choices=FORMATS, default='archive')
    prepare.add_argument('--joint-map', type=Path, help='JSON for BVH: our name to theirs')
    prepare.add_argument('--licence', required=True, help='under which the motion may be used')
    prepare.add_argument('--out', type=Path, required=True)
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
    args = _parser().parse_args(argv)
    try:
        if args.verb == 'prepare':
            prepare(args)
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
            args.out.write_text(json.dumps(skeleton.to_dict()) + '\n', 'utf-8')
            print(f'{args.out}: {skeleton.name}, height {_height(skeleton):.2f} m')
    except (NikiError, OSError) as error:
        print(f'niki-data: {error}', file=sys.stderr)
        return 2
    return 0


def _height(skeleton) -> float:
    return float(np.ptp(skeleton.rest_joints_m[:, 1]))


def prepare(args) -> None:
    """Read all files, join them, write the store, show what is in it."""
    names = json.loads(args.joint_map.read_text('utf-8')) if args.joint_map else None
    parts = [read_motion(path, args.format, names) for path in args.files]
    motion = Motion(np.concatenate([p.rotvec for p in parts]),
                    np.concatenate([p.lengths for p in parts]),
                    np.concatenate([p.names for p in parts]))
    if not np.isfinite(motion.rotvec).all():
        raise InputError('the motion has values that are not finite')
    np.savez_compressed(
        args.out, rotvec=motion.rotvec.astype(np.float16), lengths=motion.lengths,
        names=motion.names.astype(str), fps=motion.fps, licence=args.licence,
        sources=np.asarray([p.name for p in args.files]))
    print(summary(motion))
    print(f'licence: {args.licence}')


def summary(motion: Motion) -> str:
    """Return counts, hours, and how the motion is spread over the subjects."""
    subjects = np.asarray([str(n).split('_')[0] for n in motion.names])
    frames = {s: int(motion.lengths[subjects == s].sum()) for s in sorted(set(subjects))}
    total = sum(frames.values())
    share = np.asarray(list(frames.values())) / total
    drawn = np.sqrt(share) / np.sqrt(share).sum()
    lines = [f'{len(motion.lengths)} pieces, {total} frames, '
             f'{total / motion.fps / 3600:.2f} hours, {len(frames)} subjects']
    order = np.argsort(-share)[:5]
    lines += [f'  subject {list(frames)[i]}: {share[i]:.1%} of the frames, drawn {drawn[i]:.1%}'
              for i in order]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
