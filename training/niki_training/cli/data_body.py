"""Make a skeleton and shape space from an SMPL or SMPL-X file."""

import json
from pathlib import Path

import numpy as np

from niki_training.data.smpl_skeleton import skeleton_from_smpl
from niki_training.files.outputs import check_arguments, write_text


def add_arguments(parser) -> None:
    parser.add_argument('--smpl', type=Path, required=True, help='an SMPL or SMPL-X file')
    parser.add_argument('--out', type=Path, required=True,
                        help='the skeleton (JSON); keep it out of repositories')


def main(args) -> int:
    check_arguments(args, {'--out': args.out})
    skeleton = skeleton_from_smpl(args.smpl)
    write_text(args.out, json.dumps(skeleton.to_dict()) + '\n')
    height_m = np.ptp(skeleton.rest_joints_m[:, 1])
    print(f'{args.out}: {skeleton.name}, height {height_m:.2f} m')
    return 0
