"""Read motion files of one format, join them and write one store."""

import json
from pathlib import Path

from niki_ros.common.errors import InputError

from niki_training.data.motion import join_motions
from niki_training.data.readers import FORMATS, read_motion
from niki_training.data.readers.bvh import CMU
from niki_training.data.store import summary, write_store
from niki_training.files.outputs import check_arguments


def add_arguments(parser) -> None:
    parser.add_argument('files', type=Path, nargs='+',
                        help='clips, or the folder of a data set as it is unpacked')
    parser.add_argument('--format', choices=FORMATS, default='archive')
    parser.add_argument('--fps', type=float, help='frames per second of the videos behind h36m, '
                        '3dhp and hybrik (50, 25, 30)')
    parser.add_argument('--joint-map', type=Path, metavar='cmu|FILE',
                        help="for BVH: cmu for CMU's motion as B. Hahne converted it, or a JSON "
                        "file of this project's joint names to those of the file")
    parser.add_argument('--t-pose', choices=('rest', 'first-frame'),
                        help='for BVH: the T-pose is the pose of zero angles or the first frame '
                        '(default: first-frame for cmu, else rest)')
    parser.add_argument('--licence', required=True,
                        help='terms under which the motion may be used: one sentence, kept in the '
                        'store and in the models that are trained on it')
    parser.add_argument('--out', type=Path, required=True, help='the store (.npz)')


def main(args) -> int:
    check_arguments(args, {'--out': args.out})
    if not args.licence.strip():
        raise InputError('--licence is empty; say under which terms the motion may be used')
    names = _joint_map(args.joint_map)
    first = (args.t_pose or ('first-frame' if names is CMU else 'rest')) == 'first-frame'
    motion = join_motions([read_motion(path, args.format, names, args.fps, first)
                     for path in args.files])
    write_store(args.out, motion, args.licence, [path.name for path in args.files])
    print(summary(motion))
    print(f'licence: {args.licence}')
    return 0


def _joint_map(path):
    """Return the joint map of BVH files: that of CMU, the content of a JSON file, or None."""
    if path is None:
        return None
    if path == Path('cmu') and not path.exists():
        return CMU
    try:
        found = json.loads(path.read_text('utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not a joint map in JSON ({error})') from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise InputError(f"{path}: expected one JSON object, this project's joint name to the "
                         'file\'s, such as {"left_hip": "LeftUpLeg"}')
    return found
