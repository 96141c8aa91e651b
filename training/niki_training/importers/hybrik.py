"""Import a released checkpoint of HybrIK (HRNet-W48, 29 joints)."""

from pathlib import Path

from niki_ros.models.model_folder import ModelFolder, write_model_folder

from niki_training.importers import released_body, released_hybrik
from niki_training.importers.arguments import add_import_arguments, print_folder, set_threads
from niki_training.importers.checkpoint import read_checkpoint, take
from niki_training.importers.to_graph import graph_of


def add_arguments(parser) -> None:
    parser.add_argument('--smpl', metavar='FILE', type=Path, help='SMPL_NEUTRAL file, for a '
                        'checkpoint without its body: the distance is refined with it')
    add_import_arguments(parser, '.pth or .safetensors')


def main(args) -> int:
    set_threads(args)
    print_folder(import_hybrik(args.file, args.out, args.smpl))
    return 0


def import_hybrik(file, out, smpl: Path | None = None) -> ModelFolder:
    """Write the model folder of a released HybrIK checkpoint; ``smpl`` if its body is missing."""
    state, body = released_body.split_body(read_checkpoint(file), 'smpl.')
    state = take(state, released_hybrik.expected_keys())
    inputs = {'image': (3, released_hybrik.SIZE_PX, released_hybrik.SIZE_PX)}
    graph = graph_of(released_hybrik.build(state), inputs, released_hybrik.OUTPUT_NAMES)
    facts, left_out = released_body.body_facts(body, 'smpl')
    if not isinstance(facts['skeleton'], dict):
        facts, without_body = released_body.user_body_facts(smpl)
        left_out += without_body
    return write_model_folder(out, graph, {
        'name': 'hybrik-hrnet-w48', 'kind': 'hybrik', 'precision': 'fp32',
        'inputs': released_body.described_inputs(inputs), 'outputs': released_hybrik.OUTPUT_NAMES,
        'joints': 'JOINTS_29', **facts, 'left_out': left_out,
        'normalisation': {'mean': [0.406, 0.457, 0.480], 'std': [0.225, 0.224, 0.229],
                          'order': 'RGB, 0 … 1', 'depth_m': 2.2},
        'training_data': released_body.released_data(Path(file)), 'evaluation': {}})
