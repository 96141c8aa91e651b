"""Exports a network that looks at people to a model folder of kind ``look``."""

from dataclasses import asdict
from pathlib import Path

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_images import check_images, crops
from niki_ros.body.skeleton import OPEN_SKELETON
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import (
    MANIFEST,
    ModelFolder,
    read_model_folder,
    write_model_folder,
)
from niki_ros.models.model_store import find_model
from niki_ros.observers.look_network import KIND, MAKER, OUTPUTS
import numpy as np
import torch
from torch import nn

from niki_training.export.duplicates import without_duplicates
from niki_training.export.graph_facts import weight_bytes
from niki_training.export.niki import fill_weights, graph_bytes, IR_VERSION, OPSET
from niki_training.export.weight_storage import with_fp16_storage, with_fp32_storage
from niki_training.files.archives import reason
from niki_training.look.checkpoint import network_of, read_checkpoint
from niki_training.look.network import LookConfig, LookNet
from niki_training.look.trunk import INPUT, SIZE_PX

MEANING = {
    'landmarks': '39 x (x, y, z in pixels of the crop, logit of visibility, logit of presence)',
    'world': '39 x (x, y, z) in metres about the middle of the hips, axes of the crop',
    'flag': 'probability that a person is in the crop, of the landmark network',
    'peaks': '33 x (x, y from landmark to peak of its heat map, pixels; height of the peak)',
    'uv': 'joints in the crop, sides from its centre',
    'uv_sigma': 'expected absolute error per coordinate of uv, sides',
    'joints': 'metres about the pelvis, axes of the crop: x right, y down, z forward',
    'joints_sigma': 'expected absolute error per coordinate of joints, metres: across, in depth',
    'visible': 'probability that the joint is seen',
    'twist': 'cosine and sine of the twist of joints 1 … 23',
    'present': 'probability that the crop is of a person'}
_SINGLE = ('lift.last.', 'old.')
"""
Layers that stay in single precision: differences of large sums tell the direction of a short bone,
and half precision would move the joints by 0.9 mm, a finger tip by 4 … 40 mm.
"""
# largest differences of the graph to torch over the largest value of each output, of one network,
# and with weights in half precision instead of single precision
_MAX_RATIO, _MAX_HALF_RATIO = 5e-4, 0.02


class LookGraph(nn.Module):
    """The computation of the graph: from crops (N, 3, 256, 256) to ``OUTPUTS``."""

    def __init__(self, net: LookNet):
        super().__init__()
        self.net, self.landmarks = net, net.landmarks

    def forward(self, image):
        found = self.net(image)
        return (found.landmarks, found.world, found.flag, found.peaks, found.uv, found.uv_sigma,
                found.joints_m, found.joints_sigma_m, torch.sigmoid(found.visible), found.twist,
                torch.sigmoid(found.present)[:, None])


def export_look(checkpoint: Path, folder: Path, name: str) -> dict:
    """Write the model folder of a run or its checkpoint, and return the manifest."""
    record = read_checkpoint(checkpoint)
    net = network_of(record, checkpoint)
    training = {'steps': record['total_steps'], 'seconds': round(record['total_seconds'], 1),
                **record.get('config', {})}
    facts = {'training': training, **record.get('facts', {})}
    return write_look(net, folder, name, facts).manifest


def read_start(path: Path) -> dict:
    """
    Return the record with which another run begins: of a checkpoint, or of a model folder.

    A model folder has the averaged weights, rounded to half precision, and no moments.
    """
    if not (Path(path) / MANIFEST).is_file():
        return read_checkpoint(path)
    model = read_model_folder(path)
    model.check_kind(KIND, MAKER)
    facts = model.manifest
    try:
        network, training = facts['network'], facts['training']
        state = LookNet(LookConfig(**network)).state_dict()
        steps, seconds = int(training['steps']), float(training['seconds'])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path}: the manifest does not state the network and its training '
                         f'({reason(error)}); only models of niki-export do') from error
    fill_weights(state, with_fp32_storage(model.load_graph().data), path)
    return {'kind': KIND, 'network': network, 'net': state, 'average': state, 'optimizer': None,
            'total_steps': steps, 'total_seconds': seconds,
            'facts': {'credits': facts.get('credits', [])}}


def write_look(net: LookNet, folder: Path, name: str, facts: dict) -> ModelFolder:
    """
    Write the model folder of a network; its weights are stored in half precision.

    :param facts: further keys of the manifest: training data, credits, figures.
    :raises ModelError: when the graph does not return what the network returns.
    """
    image = torch.from_numpy(crops(check_images(), SIZE_PX))
    full = _outputs(net, image)
    half_net = LookNet(net.config)
    half_net.load_state_dict({key: value if _is_single(key) else value.half().float()
                              for key, value in net.state_dict().items()})
    half = _outputs(half_net, image)
    rounding = _differences(full, half)
    _check('weights in half precision change the outputs', rounding, _MAX_HALF_RATIO)
    graph = without_duplicates(graph_bytes(LookGraph(half_net), {INPUT: image[:2]}, OUTPUTS))
    names = [*net.state_dict(), *(name for name, _ in net.named_buffers())]
    graph = with_fp16_storage(graph, keep={f'net.{key}' for key in names if _is_single(key)})
    found = load_engine(graph, threads=1).run({INPUT: image.numpy()})
    agreement = _differences(half, found)
    _check('the exported graph differs from torch', agreement, _MAX_RATIO)
    return write_model_folder(folder, graph, {
        'name': name, **_manifest(net, graph), 'torch_difference': agreement,
        'half_precision_difference': rounding, **facts})


def _is_single(key: str) -> bool:
    # biases are short, and those of the trunk are as large as what they are added to
    return key.startswith(_SINGLE) or key.endswith('.bias')


def _manifest(net: LookNet, graph: bytes) -> dict:
    """Return what the manifest states about network and graph."""
    trunk = find_model(f'landmarks-{net.config.size}').manifest
    return {
        'kind': KIND, 'precision': 'fp32', 'weights_stored': 'fp16',
        'weight_bytes': weight_bytes(graph), 'opset': OPSET, 'ir_version': IR_VERSION,
        'parameters': sum(p.numel() for p in net.parameters()), 'size_px': SIZE_PX,
        'joint_set': 'open29', 'skeleton': OPEN_SKELETON, 'head': net.config.head,
        'normalisation': 'RGB, 0 … 1',
        'inputs': {INPUT: {'shape': ['N', 3, SIZE_PX, SIZE_PX],
                           'meaning': 'crop around one person, RGB, 0 … 1'}},
        'outputs': {key: {'shape': ['N', *shape], 'meaning': MEANING[key]}
                    for key, shape in OUTPUTS.items()},
        'origin': {**trunk['origin'], 'trunk': trunk['name'], 'trunk_sha256': trunk['sha256'],
                   'changes': 'converted to ONNX; branches of mask and heat map cut off; new '
                   'heads; trained on'},
        'license': trunk['license'], 'trunk_training_data': trunk['training_data'],
        'network': asdict(net.config)}


def _outputs(net: LookNet, image) -> dict:
    """Return {name: array} of ``OUTPUTS``."""
    with torch.no_grad():
        values = LookGraph(net).eval()(image)
    return {key: value.numpy() for key, value in zip(OUTPUTS, values)}


def _differences(wanted: dict, found: dict) -> dict:
    """Return the largest difference of each output over its largest value, at least over 1."""
    with np.errstate(invalid='ignore'):  # of infinite outputs, whose difference is NaN
        ratios = {key: np.abs(found[key] - value).max() / max(np.abs(value).max(), 1.0)
                  for key, value in wanted.items()}
    return {key: float(f'{ratio:.2g}') for key, ratio in ratios.items()}


def _check(fault: str, differences: dict, limit: float) -> None:
    over = {key: value for key, value in differences.items() if not value <= limit}
    if over:
        raise ModelError(f'{fault}, relative to the largest value: {over}; limit {limit:g}')
