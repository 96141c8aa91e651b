"""
Is an exported graph the network? In exact arithmetic, and in the arithmetic that runs.

A flow multiplies by exp(…) in every block, so on inputs far outside any data the rounding of FP32
grows to parts in a thousand of the result, in torch as in any engine: comparing two FP32 results
says nothing there. So the graph is also evaluated in FP64, where it must be torch's FP64 network,
and the engine's FP32 error is set beside torch's own.
"""

from __future__ import annotations

import copy

from niki_ros.backends import load_engine
from niki_ros.common.errors import ModelError
import numpy as np
import torch
from torch import nn

from niki_training.networks.niki import CONDITION, JOINTS, SIGMAS, TWISTS
from niki_training.networks.temporal import TOKEN

LIMIT = 1e-4
"""Largest difference of an element: absolute, or relative where its size is above 1."""
SCALES = (1.0, 20.0)
"""Sizes of the random joints: as in data, and far outside any."""
ROUNDING = 5.0
"""So many times torch's own FP32 error may an engine's be, where that is above the limit."""


class Graph(nn.Module):
    """What the graph computes: tensors in, tensors out."""

    def __init__(self, net):
        """Keep the network."""
        super().__init__()
        self.net = net

    def forward(self, joints, sigma, condition, twist, *state):
        """Solve; a network with memory takes and gives its state too."""
        if state:
            poses, past = self.net.solve(joints, sigma, condition, twist, *state)
            return poses.rot6d, poses.size, poses.z, past
        poses = self.net.solve(joints, sigma, condition, twist)
        z = poses.z if poses.z.shape[-1] else poses.size
        return poses.rot6d, poses.size, z


def example_inputs(kind: str, count: int, scale: float = 1.0, seed: int = 0) -> dict:
    """Return random inputs of the graph, float32; ``scale`` 20 is far outside any data."""
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


def differences(net, kind: str, graph: bytes, scale: float = 1.0, count: int = 16) -> dict:
    """
    Compare a graph with its network on random inputs, against the network in FP64.

    :return: ``fp64`` of the graph in FP64, ``fp32`` of ONNX Runtime, ``torch_fp32`` of torch: the
        largest difference of an element, relative where the element is larger than 1.
    """
    inputs = example_inputs(kind, count, scale, seed=1)
    truth = _in_torch(_doubled(net), inputs, torch.float64)
    return {
        'fp64': _largest(_in_fp64(graph, inputs), truth),
        'fp32': _largest(load_engine(graph, threads=1).run(inputs).values(), truth),
        'torch_fp32': _largest(_in_torch(net, inputs, torch.float32), truth)}


def check_graph(net, kind: str, graph: bytes) -> dict:
    """
    Return the differences at every scale, ``{scale: {fp64, fp32, torch_fp32}}``.

    :raises ModelError: when the graph is not the network, or its engine rounds worse than torch.
    """
    found = {f'{scale:g}': differences(net, kind, graph, scale) for scale in SCALES}
    for scale, values in found.items():
        allowed = max(LIMIT, ROUNDING * values['torch_fp32'])
        # written so that NaN is refused
        if not (values['fp64'] <= LIMIT and values['fp32'] <= allowed):
            raise ModelError(f'the exported graph is not the network: on random inputs of scale '
                             f'{scale} it differs from torch in FP64 by {values}; limit {LIMIT}')
    return {s: {k: float(f'{v:.3g}') for k, v in row.items()} for s, row in found.items()}


def _largest(found, truth) -> float:
    """Return the largest difference of any element of any output."""
    return max(float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max())
               for a, b in zip(found, truth))


def _in_torch(net, inputs: dict, dtype) -> list:
    with torch.no_grad():
        outputs = Graph(net).eval()(*(torch.from_numpy(v).to(dtype) for v in inputs.values()))
    return [value.numpy() for value in outputs]


def _doubled(net):
    """Return the network in FP64, with those of its constants that a graph holds in FP32."""
    net = copy.deepcopy(net).double()
    for part in net.modules():
        if isinstance(part, nn.LeakyReLU):
            part.negative_slope = float(np.float32(part.negative_slope))
    return net


def _in_fp64(graph: bytes, inputs: dict) -> list:
    """Evaluate a graph operator by operator in FP64, with the reference of ONNX."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    doubles = {name: value.astype(np.float64) for name, value in inputs.items()}
    return ReferenceEvaluator(model).run(None, doubles)
