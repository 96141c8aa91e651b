"""Import a released checkpoint of NIKI."""

from pathlib import Path

from niki_ros.models.model_folder import ModelFolder, write_model_folder

from niki_training.export.graph_facts import weight_bytes
from niki_training.importers import released_body, released_camera
from niki_training.importers.arguments import add_import_arguments, print_folder, set_threads
from niki_training.importers.checkpoint import read_checkpoint, take
from niki_training.importers.released_niki import expected_keys, KINDS, ReleasedNiki
from niki_training.importers.to_graph import graph_of

_INPUT_SHAPES = {'joints': (29, 3), 'sigma': (29,), 'twist_cos_sin': (23, 2), 'betas': (10,),
                 'uv': (29, 2), 'camera_guess': (3,)}


def add_arguments(parser) -> None:
    parser.add_argument('--kind', choices=tuple(KINDS), required=True)
    add_import_arguments(parser, '.pth or .safetensors')


def main(args) -> int:
    set_threads(args)
    print_folder(import_niki(args.file, args.kind, args.out))
    return 0


def import_niki(file, kind: str, out) -> ModelFolder:
    """Write the model folder of a released NIKI checkpoint, ``one_stage`` or ``twist_swing``."""
    state, body = released_body.split_body(read_checkpoint(file), 'regressor.smpl_layer.')
    net, without_camera = _network(state, body, kind)
    inputs = {name: _INPUT_SHAPES[name] for name in net.input_names}
    graph = graph_of(net, inputs, net.output_names)
    facts, without_body = released_body.body_facts(body, 'smpl_layer')
    return write_model_folder(out, graph, {
        'name': f'niki-released-{kind.replace("_", "-")}', 'kind': f'released_{kind}',
        'precision': 'fp32', 'weight_bytes': weight_bytes(graph),
        'inputs': released_body.described_inputs(inputs), 'outputs': net.output_names,
        'joints': 'JOINTS_29', 'normalisation': 'joints root-aligned, as in the release; '
        'sigma 0 … 1; input pad 0; uv -0.5 … 0.5 of the crop; camera: scale (the distance is '
        '1000 / (256 scale) metres), x and y in metres',
        **facts, 'left_out': without_camera + without_body,
        'training_data': released_body.released_data(Path(file)), 'evaluation': {}})


def _network(state: dict, body: dict | None, kind: str) -> tuple:
    """Return the network of a checkpoint without its body, and the parts that are not used."""
    expected = expected_keys(kind)
    with_camera = kind == 'one_stage' and any(k.startswith(released_camera.PREFIX) for k in state)
    if with_camera:
        expected.update(released_camera.expected_keys())
    state = take(state, expected)
    net = ReleasedNiki(state, kind).eval()
    if not with_camera:
        return net, []
    if body is None:
        return net, ['camnet: its inputs are joints of the SMPL layer, which this file lacks']
    joints = released_body.ReleasedJoints(body)
    return released_camera.NikiWithCamera(net, state, joints).eval(), []
