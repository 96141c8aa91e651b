"""
The graph of a BlazePose landmark network as a trainable torch module.

Tensors keep the names that they have in the graph, such as ``t300_clip``. Layers below a chosen
tensor can be frozen, and run apart from the layers above it, so that what they return is computed
once for a training on few pictures.
"""

import math
from typing import Iterable, NamedTuple, Sequence

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import ModelFolder
import onnx
from onnx import helper, numpy_helper
import torch
from torch import nn
import torch.nn.functional as F

from niki_training.export.weight_storage import store_as_fp32
from niki_training.importers.heat_map import PEAKS

INPUT, SIZE_PX = 'image', 256


class _Step(NamedTuple):
    """One operator: ``inputs`` and ``output`` are names of tensors."""

    operator: str
    inputs: tuple
    output: str
    options: tuple = ()


class _OneSidedConv(nn.Conv2d):
    """A convolution whose padding differs between the sides; ``edges`` as of ``F.pad``."""

    edges = (0, 0, 0, 0)

    def forward(self, x):
        return super().forward(F.pad(x, self.edges))


class Trunk(nn.Module):
    """
    Convolutions of a landmark graph up to the tensors ``wanted``; the others are left out.

    :param folder: model folder with a graph of Conv, Clip, Relu, Add, Resize, MaxPool, Pad,
        Sigmoid, Flatten, Reshape and Identity, input ``image`` (N, 3, 256, 256), RGB 0 … 1.
    :param wanted: names of the tensors to return.
    :param trainable_from: tensor; it and everything before it in the graph stay frozen. Empty =
        everything is trained.
    :raises ModelError: for another operator, or an unknown tensor.
    """

    def __init__(self, folder: ModelFolder, wanted: Sequence[str], trainable_from: str = ''):
        super().__init__()
        model = onnx.load_model_from_string(folder.load_graph().data)
        store_as_fp32(model)
        weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        nodes = _needed(model.graph.node, wanted, folder.name)
        self.wanted = tuple(wanted)
        self.convolutions = nn.ModuleDict()
        self._steps = [self._step(node, weights, folder.name) for node in nodes]
        self.shapes = self._shapes()
        self.freeze_below(trainable_from)

    def freeze_below(self, tensor: str) -> None:
        """Freeze the tensor and everything before it in the graph; empty = nothing."""
        self.trainable_from = tensor
        self._frozen = self._number_of(tensor) + 1 if tensor else 0
        for number, step in enumerate(self._steps):
            if step.output in self.convolutions:
                self.convolutions[step.output].requires_grad_(number >= self._frozen)
        self.crossing = self._crossing(self._frozen)
        """Names of the tensors that the trained layers read from the frozen ones."""

    def _crossing(self, count: int) -> tuple:
        """Return the names of tensors of the first ``count`` steps that are read after them."""
        above = {name for step in self._steps[count:] for name in step.inputs}
        below = {INPUT, *(step.output for step in self._steps[:count])}
        return tuple(sorted(below & (above | {*self.wanted})))

    def last_of_side(self, side_px: int, narrowest: bool = False) -> str:
        """
        Return the last tensor of the graph whose maps have this side, pixels.

        :param narrowest: the last of those where the fewest values cross from the tensors up to
            it to those behind it: the best place to cut the graph.
        """
        fitting = [number for number, step in enumerate(self._steps)
                   if self.shapes[step.output][1:] == (side_px, side_px)]
        if not fitting:
            raise ModelError(f'the trunk has no maps of {side_px} px')
        if narrowest:
            values = {number: sum(math.prod(self.shapes[name])
                                  for name in self._crossing(number + 1)) for number in fitting}
            fitting = [number for number in fitting if values[number] == min(values.values())]
        return self._steps[fitting[-1]].output

    def convolution_of(self, output: str) -> tuple[nn.Conv2d, str]:
        """Return the last convolution before an output of the graph, and its input's name."""
        step = self._steps[self._number_of(output)]
        while step.output not in self.convolutions:
            step = self._steps[self._number_of(step.inputs[0])]
        return self.convolutions[step.output], step.inputs[0]

    def _number_of(self, tensor: str) -> int:
        names = [step.output for step in self._steps]
        if tensor not in names:
            raise ModelError(f'the trunk has no tensor {tensor!r}; it has {", ".join(names)}')
        return names.index(tensor)

    def forward(self, image) -> dict:
        """Return {name: tensor} of ``wanted`` for crops (N, 3, 256, 256), RGB 0 … 1."""
        return self.upper(self.lower(image))

    def lower(self, image) -> dict:
        """Return the tensors ``crossing`` of the frozen layers for crops (N, 3, 256, 256)."""
        with torch.no_grad():
            return self._run({INPUT: image}, self._steps[:self._frozen], self.crossing)

    def upper(self, crossing: dict) -> dict:
        """Return the tensors ``wanted`` for those that :meth:`lower` returned."""
        return self._run(crossing, self._steps[self._frozen:], self.wanted)

    def _run(self, values: dict, steps: Iterable[_Step], names) -> dict:
        values = dict(values)
        for step in steps:
            if step.output in self.convolutions:
                values[step.output] = self.convolutions[step.output](values[step.inputs[0]])
            else:
                operands = [values[name] for name in step.inputs]
                values[step.output] = _OPERATORS[step.operator](*operands, *step.options)
        return {name: values[name] for name in names}

    def _shapes(self) -> dict:
        """Return the shape of each tensor without its first axis."""
        with torch.no_grad():
            names = [step.output for step in self._steps]
            values = self._run({INPUT: torch.zeros(1, 3, SIZE_PX, SIZE_PX)}, self._steps, names)
        return {name: tuple(value.shape[1:]) for name, value in values.items()}

    def _step(self, node, weights: dict, name: str) -> _Step:
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == 'Conv':
            weight, bias = (weights[key] for key in node.input[1:])
            self.convolutions[node.output[0]] = _convolution(weight, bias, options)
            return _Step('Conv', (node.input[0],), node.output[0])
        constants = [weights[key] for key in node.input[1:] if key in weights]
        try:
            extra = _OPTIONS.get(node.op_type, _no_options)(constants, options)
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f'{name}: {node.op_type} {node.name} with {options} is not among '
                             f'what the trunk can do ({error})') from error
        if node.op_type not in _OPERATORS:
            raise ModelError(f'{name}: the trunk knows no operator {node.op_type}; it knows '
                             f'Conv, {", ".join(_OPERATORS)}')
        inputs = tuple(key for key in node.input if key and key not in weights)
        return _Step(node.op_type, inputs, node.output[0], extra)


def _needed(nodes, wanted, name: str) -> list:
    """Return the nodes, in their order, that the tensors ``wanted`` depend on."""
    made_by = {output: node for node in nodes for output in node.output}
    unknown = [tensor for tensor in wanted if tensor not in made_by]
    if unknown:
        last = [tensor for tensor in made_by if not tensor.startswith(f'{PEAKS}_')][-12:]
        raise ModelError(f'{name} has no tensor {", ".join(unknown)}; its last ones are '
                         f'{", ".join(last)}')
    needed, queue = set(), list(wanted)
    while queue:
        tensor = queue.pop()
        if tensor in made_by and tensor not in needed:
            needed.add(tensor)
            queue += made_by[tensor].input
    return [node for node in nodes if node.output[0] in needed]


def _convolution(weight, bias, options: dict) -> nn.Conv2d:
    """Return the layer of a weight (O, I / groups, h, w) and a bias (O,)."""
    top, left, bottom, right = options['pads']
    groups = options['group']
    sizes = weight.shape[1] * groups, weight.shape[0], weight.shape[2:], options['strides']
    if (top, left) == (bottom, right):
        layer = nn.Conv2d(*sizes, padding=(top, left), groups=groups)
    else:
        layer = _OneSidedConv(*sizes, groups=groups)
        layer.edges = (left, right, top, bottom)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        layer.bias.copy_(torch.from_numpy(bias.copy()))
    return layer


def _clip_options(constants, options) -> tuple:
    low, high = (float(value) for value in constants)
    return low, high


def _resize_options(constants, options) -> tuple:
    if (options['mode'], options['coordinate_transformation_mode']) != (b'linear', b'half_pixel'):
        raise ValueError('expected linear, half_pixel')
    return (tuple(float(value) for value in constants[-1][2:]),)


def _pool_options(constants, options) -> tuple:
    if any(options.get('pads', ())):
        raise ValueError('expected no padding')
    return tuple(options['kernel_shape']), tuple(options['strides'])


def _pad_options(constants, options) -> tuple:
    """Return the amounts in the order of ``F.pad``: last axis first, before and after."""
    amounts = [int(value) for value in constants[0]]
    half = len(amounts) // 2
    return (tuple(value for axis in reversed(range(half))
                  for value in (amounts[axis], amounts[axis + half])),)


def _reshape_options(constants, options) -> tuple:
    return (tuple(int(value) for value in constants[0]),)


def _no_options(constants, options) -> tuple:
    return ()


def _clip(x, low: float, high: float):
    return F.relu6(x) if (low, high) == (0.0, 6.0) else x.clamp(low, high)


def _resize(x, scales: tuple):
    return F.interpolate(x, scale_factor=scales, mode='bilinear', align_corners=False)


_OPTIONS = {'Clip': _clip_options, 'Resize': _resize_options, 'MaxPool': _pool_options,
            'Pad': _pad_options, 'Reshape': _reshape_options}
_OPERATORS = {
    'Clip': _clip, 'Relu': torch.relu, 'Add': torch.add, 'Resize': _resize,
    'MaxPool': F.max_pool2d, 'Pad': F.pad, 'Sigmoid': torch.sigmoid,
    'Flatten': lambda x: x.flatten(1), 'Reshape': torch.reshape, 'Identity': lambda x: x}
