"""Exports a checkpoint of ``niki-train lift`` to a model folder of the pipeline."""

from pathlib import Path

from niki_ros.backends import load_engine
from niki_ros.body.keypoints import KEYPOINTS
from niki_ros.body.skeleton import OPEN_SKELETON
from niki_ros.common.errors import ModelError
from niki_ros.lifters.lifter import INPUTS, KIND, OUTPUTS
from niki_ros.lifters.window import AGES_S
from niki_ros.models.graph import sha256
from niki_ros.models.model_folder import read_model_folder, write_model_folder
import numpy as np
import torch

from niki_training.data.store import UNKNOWN
from niki_training.export.niki import fill_weights, graph_bytes, IR_VERSION, OPSET, ORIGIN
from niki_training.export.weight_storage import with_fp16_storage, with_fp32_storage
from niki_training.files.archives import read_record
from niki_training.lift.network import LiftNet, MirroredLift

MAKER = 'niki-train lift'
# of the graph to torch, with weights in full and in half precision
_MAX_DIFFERENCE_M, _MAX_HALF_DIFFERENCE_M = 1e-5, 1e-4


def load_lifter(path: Path) -> LiftNet:
    """
    Return the averaged network of a checkpoint, its weights rounded to half precision.

    A graph that stores them in half precision is then the same network.

    :param path: a checkpoint, or a model folder made by :func:`export_lift`.
    """
    return _exported(path) if Path(path).is_dir() else _network_of(read_record(path, MAKER), path)


def _exported(folder: Path) -> LiftNet:
    model = read_model_folder(folder)
    model.check_kind(KIND, f'niki-export of a checkpoint of {MAKER}')
    facts = model.manifest.get('training', {})
    if not {'width', 'blocks'} <= set(facts):
        raise ModelError(f'{folder}: the manifest does not state the size of the network; only '
                         'models of niki-export do')
    net = LiftNet(facts['width'], facts['blocks'])
    state = net.state_dict()
    fill_weights(state, with_fp32_storage(model.load_graph().data), folder)
    net.load_state_dict(state)
    return net.eval()


def _network_of(record: dict, path: Path) -> LiftNet:
    if record.get('kind') != KIND:
        raise ModelError(f'{path} is no checkpoint of {MAKER}')
    net = LiftNet(record['width'], record['blocks'])
    net.load_state_dict({name: value.half().float() for name, value in record['average'].items()})
    return net.eval()


def examples(count: int) -> dict:
    """Return random inputs for ``count`` people."""
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(count, *shape)) * 0.2 for name, shape in INPUTS.items()}
    values['seen'] = rng.random(values['seen'].shape)
    return {name: value.astype(np.float32) for name, value in values.items()}


def difference_m(graph: bytes, joints_m) -> float:
    """Return the largest difference of the graph's joints to ``joints_m`` on the examples."""
    found = load_engine(graph, threads=1).run(examples(len(joints_m)))['joints']
    return float(np.abs(found - joints_m).max())


def export_lift(checkpoint: Path, folder: Path, name: str) -> dict:
    """Write a model folder and return its manifest."""
    record = read_record(checkpoint, MAKER)
    net = MirroredLift(_network_of(record, checkpoint))
    graph = graph_bytes(net, examples(3), OUTPUTS)
    with torch.no_grad():
        truth = net(*map(torch.from_numpy, examples(16).values())).joints_m.numpy()
    error = difference_m(graph, truth)
    if not error < _MAX_DIFFERENCE_M:
        raise ModelError(f'the exported graph differs from torch by {error:g} m; '
                         f'limit {_MAX_DIFFERENCE_M:g}')
    half = with_fp16_storage(graph)
    is_half = difference_m(half, truth) < _MAX_HALF_DIFFERENCE_M
    graph = half if is_half else graph
    licence = record.get('licence', UNKNOWN)
    origin = ORIGIN if licence == UNKNOWN else f'Motion of a store; licence: {licence}'
    manifest = {
        'name': name, 'kind': KIND, 'sha256': sha256(graph), 'precision': 'fp32',
        'weights_stored': 'fp16' if is_half else 'fp32', 'opset': OPSET, 'ir_version': IR_VERSION,
        'parameters': sum(p.numel() for p in net.parameters()), 'joint_set': 'open29',
        'skeleton': OPEN_SKELETON, 'keypoints': list(KEYPOINTS), 'ages_s': AGES_S.tolist(),
        'mirrored': 'mean with the mirror image; in the graph',
        'normalisation': 'about the trunk, over the size in the image; in the graph',
        'inputs': {key: ['N', *shape] for key, shape in INPUTS.items()},
        'outputs': list(OUTPUTS), 'license': 'Apache-2.0', 'training_data': origin,
        'training': {key: record[key] for key in ('step', 'passed_s', 'width', 'blocks')},
        'torch_difference': error}
    return write_model_folder(folder, graph, manifest).manifest
