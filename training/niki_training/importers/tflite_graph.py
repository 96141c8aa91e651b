"""
Converts a TFLite network to an ONNX graph in NCHW, for the operators of BlazePose.

The package ``tflite`` reads the flatbuffer. Weights that the file stores as FP16 with DEQUANTIZE
become FP32.
"""

from typing import Iterator

from niki_ros.common.errors import ModelError
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from niki_training.importers.graph_tools import model_of

_SAME, _RELU, _RELU6 = 0, 1, 3


class TFLiteFile:
    """The operators and constants of a TFLite file, whose layout is NHWC."""

    def __init__(self, data: bytes):
        try:
            import tflite
        except ImportError as error:
            raise ModelError('to read TFLite files the package tflite is needed '
                             f'({error}): pip install tflite') from error
        self._tflite = tflite
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._graph = self._model.Subgraphs(0)
        self._names = {v: k for k, v in vars(tflite.BuiltinOperator).items()
                       if isinstance(v, int)}
        self._half_of: dict[int, int] = {}
        self.inputs = [int(i) for i in self._graph.InputsAsNumpy()]
        self.outputs = {self._graph.Tensors(int(i)).Name().decode(): int(i)
                        for i in self._graph.OutputsAsNumpy()}

    def shape(self, index: int) -> list[int]:
        """Return the shape of a tensor, NHWC."""
        tensor = self._graph.Tensors(index)
        return [int(n) for n in tensor.ShapeAsNumpy()] if tensor.ShapeLength() else []

    def constant(self, index: int) -> np.ndarray:
        """Return a constant; FP16 becomes FP32."""
        index = self._half_of.get(index, index)
        tensor, kinds = self._graph.Tensors(index), self._tflite.TensorType
        dtype = {kinds.FLOAT32: np.float32, kinds.FLOAT16: np.float16,
                 kinds.INT32: np.int32}[tensor.Type()]
        data = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        array = np.frombuffer(data.tobytes(), dtype).reshape(self.shape(index))
        return array.astype(np.float32) if dtype is np.float16 else array

    def operators(self) -> Iterator[tuple]:
        """Yield name, inputs, output and options of every operator except DEQUANTIZE."""
        for i in range(self._graph.OperatorsLength()):
            op = self._graph.Operators(i)
            code = self._model.OperatorCodes(op.OpcodeIndex())
            name = self._names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs = [int(n) for n in op.InputsAsNumpy()]
            output = int(op.OutputsAsNumpy()[0])
            if name == 'DEQUANTIZE':
                self._half_of[output] = inputs[0]
            else:
                yield name, inputs, output, op.BuiltinOptions()

    def options(self, kind: str, table):
        """Return the options of an operator as an object of the package."""
        options = getattr(self._tflite, kind)()
        options.Init(table.Bytes, table.Pos)
        return options


class OnnxWriter:
    """Converts the operators of a TFLite file to nodes of an ONNX graph."""

    def __init__(self, file: TFLiteFile):
        self._file = file
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        # a bound of Clip has to be a scalar
        self._bounds = [self._constant(name, np.array(limit, np.float32))
                        for name, limit in (('zero', 0), ('six', 6))]
        self._values = {file.inputs[0]: 'image'}
        # a PAD in front of a convolution becomes the padding of that convolution
        self._padded: dict[int, tuple] = {}

    def model(self, outputs: dict[str, int]) -> onnx.ModelProto:
        """Return what ``outputs`` (name → tensor) depend on."""
        for name, inputs, output, table in self._file.operators():
            write = getattr(self, f'_{name.lower()}', None)
            if write is None:
                raise ModelError(f'operator {name} is not known: another network?')
            write(inputs, output, table)
        size = self._file.shape(self._file.inputs[0])
        shape = ['N', size[3], size[1], size[2]]
        infos = []
        for name, number in outputs.items():
            self._nodes.append(helper.make_node('Identity', [self._values[number]], [name], name))
            infos.append(helper.make_tensor_value_info(
                name, TensorProto.FLOAT, self._output_shape(number)))
        return model_of(helper.make_graph(
            self._nodes, 'landmarks',
            [helper.make_tensor_value_info('image', TensorProto.FLOAT, shape)], infos,
            self._constants))

    def _output_shape(self, number: int) -> list:
        """Return the shape of a tensor: maps are NCHW, all others (N, C) after flattening."""
        shape = self._file.shape(number)
        maps = shape[1:3] if len(shape) == 4 and shape[1] > 1 else []
        return ['N', shape[-1], *maps]

    def _emit(self, kind: str, inputs: list[str], output: int, **attributes) -> str:
        name = f't{output}_{kind.lower()}'
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        self._values[output] = name
        return name

    def _constant(self, name: str, values: np.ndarray) -> str:
        self._constants.append(numpy_helper.from_array(values.copy(), name))
        return name

    def _activate(self, code: int, output: int) -> None:
        value = self._values[output]
        if code == _RELU:
            self._emit('Relu', [value], output)
        elif code == _RELU6:
            self._emit('Clip', [value, *self._bounds], output)
        elif code:
            raise ModelError(f'activation {code} is not known: another network?')

    def _conv_2d(self, inputs, output, table):
        # OHWI → OIHW
        self._conv(inputs, output, self._file.options('Conv2DOptions', table), (0, 3, 1, 2), 1)

    def _depthwise_conv_2d(self, inputs, output, table):
        options = self._file.options('DepthwiseConv2DOptions', table)
        # 1HWC → C1HW
        self._conv(inputs, output, options, (3, 0, 1, 2), self._file.shape(inputs[1])[3])

    def _conv(self, inputs, output, options, order, groups):
        source, pads = self._padded.get(inputs[0], (inputs[0], np.zeros(4, int)))
        weight = self._file.constant(inputs[1]).transpose(order)
        stride = options.StrideH()
        if options.Padding() == _SAME:
            _, height, width, _ = self._file.shape(inputs[0])
            rows, columns = (_same(n, k, stride)
                             for n, k in zip((height, width), weight.shape[2:]))
            pads = pads + [rows[0], columns[0], rows[1], columns[1]]
        self._emit('Conv', [self._values[source], self._constant(f't{output}_weight', weight),
                            self._constant(f't{output}_bias', self._file.constant(inputs[2]))],
                   output, strides=[stride, stride], pads=[int(p) for p in pads], group=groups,
                   kernel_shape=list(weight.shape[2:]))
        self._activate(options.FusedActivationFunction(), output)

    def _pad(self, inputs, output, table):
        (_, (top, bottom), (left, right), (before, after)) = self._file.constant(inputs[1])
        if before == after == 0:
            self._padded[output] = inputs[0], np.array([top, left, bottom, right])
            return
        amounts = np.array([0, before, top, left, 0, after, bottom, right], np.int64)
        self._emit('Pad', [self._values[inputs[0]],
                           self._constant(f't{output}_pads', amounts)], output)

    def _add(self, inputs, output, table):
        self._emit('Add', [self._values[i] for i in inputs], output)
        options = self._file.options('AddOptions', table)
        self._activate(options.FusedActivationFunction(), output)

    def _max_pool_2d(self, inputs, output, table):
        options = self._file.options('Pool2DOptions', table)
        kernel = [options.FilterHeight(), options.FilterWidth()]
        self._emit('MaxPool', [self._values[inputs[0]]], output, kernel_shape=kernel,
                   strides=[options.StrideH(), options.StrideW()])

    def _resize_bilinear(self, inputs, output, table):
        before, after = self._file.shape(inputs[0]), self._file.shape(output)
        scales = np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32)
        self._emit('Resize', [self._values[inputs[0]], '',
                              self._constant(f't{output}_scales', scales)], output,
                   mode='linear', coordinate_transformation_mode='half_pixel')

    def _logistic(self, inputs, output, table):
        self._emit('Sigmoid', [self._values[inputs[0]]], output)

    def _reshape(self, inputs, output, table):
        self._emit('Flatten', [self._values[inputs[0]]], output)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TFLite's SAME padding, whose odd pixel is at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
