"""
Compares an exported graph with its network, in FP64 and in the FP32 arithmetic that runs.

A flow multiplies by exp(…) in every block, so that on inputs far outside any data the rounding of
FP32 grows to parts in a thousand of the result, in torch as in any engine: two FP32 results cannot
be compared there. Therefore the graph is evaluated in FP64, where it must equal torch's FP64
network, and the engine's FP32 error is compared with that of torch.
"""

import copy

from niki_ros.backends import load_engine
from niki_ros.common.errors import ModelError
import numpy as np
import torch
from torch import nn

from niki_training.export.weight_storage import store_as_fp32
from niki_training.networks.niki import CONDITION, JOINTS, SIGMAS, TWISTS
from niki_training.networks.temporal import TOKEN

MAX_DIFFERENCE = 1e-4  # of an element: absolute, or relative where its size is above 1
SCALES = (1.0, 20.0)  # scales of the random joints: as in data, and far outside any data
_COUNT = 64  # random inputs; the largest errors of 16 differ by 7 between two equal libraries
MAX_ROUNDING_RATIO = 5.0  # FP32 error of an engine over that of torch, above the limit


class SolverGraph(nn.Module):
    """The function that the graph of a solver computes, with tensors as inputs and outputs."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, joints, sigma, condition, twist, *state):
        """Return rot6d, size, error_z, and the new state of a temporal network."""
        if state:
            poses, past = self.net.solve(joints, sigma, condition, twist, *state)
            return poses.rot6d, poses.size, poses.z, past
        poses = self.net.solve(joints, sigma, condition, twist)
        z = poses.z if poses.z.shape[-1] else poses.size
        return poses.rot6d, poses.size, z


def example_inputs(kind: str, count: int, scale: float = 1.0, seed: int = 0) -> dict:
    """Return random inputs (count, …) of the graph, float32; scale 20 is far outside any data."""
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
        # the state is an output of the graph, whose range does not depend on the scale
        past = rng.normal(size=(count, 15, TOKEN))
        past[..., -1] = rng.random((count, 15)) < 0.8
        inputs['past'] = past
    return {k: v.astype(np.float32) for k, v in inputs.items()}


def differences(net, kind: str, graph: bytes, scale: float = 1.0,
                count: int = _COUNT) -> dict:
    """
    Compare a graph on random inputs with its network in FP64.

    :return: the largest difference of an element, relative where the element is larger than 1:
        ``fp64`` of the graph in FP64, ``fp32`` of ONNX Runtime, ``torch_fp32`` of torch.
    """
    inputs = example_inputs(kind, count, scale, seed=1)
    truth = _in_torch(_doubled(net), inputs, torch.float64)
    return {
        'fp64': _largest(_in_fp64(graph, inputs), truth),
        'fp32': _largest(load_engine(graph, threads=1).run(inputs).values(), truth),
        'torch_fp32': _largest(_in_torch(net, inputs, torch.float32), truth)}


def check_graph(net, kind: str, graph: bytes) -> dict:
    """Return the :func:`differences` at each scale, checked: {scale: {fp64, fp32, torch_fp32}}."""
    found = {f'{scale:g}': differences(net, kind, graph, scale) for scale in SCALES}
    for scale, values in found.items():
        allowed = max(MAX_DIFFERENCE, MAX_ROUNDING_RATIO * values['torch_fp32'])
        # this order of the comparison refuses NaN
        if not (values['fp64'] <= MAX_DIFFERENCE and values['fp32'] <= allowed):
            raise ModelError('the exported graph is not the network: at the input scale '
                             f'{scale} it differs by {values}; limit {MAX_DIFFERENCE}')
    return {s: {k: float(f'{v:.3g}') for k, v in row.items()} for s, row in found.items()}


def _largest(found, truth) -> float:
    return max(float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max())
               for a, b in zip(found, truth))


def _in_torch(net, inputs: dict, dtype) -> list:
    with torch.no_grad():
        tensors = [torch.from_numpy(v).to(dtype) for v in inputs.values()]
        outputs = SolverGraph(net).eval()(*tensors)
    return [value.numpy() for value in outputs]


def _doubled(net):
    """Return the network in FP64, with the constants that a graph stores in FP32 rounded to it."""
    net = copy.deepcopy(net).double()
    for part in net.modules():
        if isinstance(part, nn.LeakyReLU):
            part.negative_slope = float(np.float32(part.negative_slope))
    return net


def _in_fp64(graph: bytes, inputs: dict) -> list:
    """Evaluate a graph in FP64 with the reference implementation of ONNX."""
    import onnx
    from onnx.reference import ReferenceEvaluator
    model = onnx.load_from_string(graph)
    store_as_fp32(model)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    doubles = {name: value.astype(np.float64) for name, value in inputs.items()}
    return ReferenceEvaluator(model).run(None, doubles)
