"""
Converts a TensorFlow.js graph model to ONNX, for the operators of NanoDet.

Results of convolutions stay in NCHW as long as the operators behind them do not depend on the
order of the axes; a Transpose is inserted where TensorFlow's NHWC order matters. Nodes that depend
on constants only are computed here. The graph is for one image; :func:`free_batch` frees the
batch.
"""

import base64
import json
from pathlib import Path

from niki_ros.common.errors import ModelError
import numpy as np
import onnx
from onnx import helper, numpy_helper

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def read_weights(model: dict, folder: Path) -> dict[str, np.ndarray]:
    """Return name → array; values stored as FP16 or as scaled integers become float32."""
    arrays = {}
    for group in model['weightsManifest']:
        data = b''.join((folder / path).read_bytes() for path in group['paths'])
        place = 0
        for entry in group['weights']:
            stored = entry.get('quantization', {})
            kind = np.dtype(stored.get('dtype', entry['dtype']))
            count = int(np.prod(entry['shape'], dtype=np.int64))
            array = np.frombuffer(data, kind, count, place).reshape(entry['shape'])
            place += count * kind.itemsize
            if 'scale' in stored:
                array = array * np.float32(stored['scale']) + np.float32(stored['min'])
            arrays[entry['name']] = array.astype(entry['dtype'])
    return arrays


class GraphModel:
    """
    Converts the part of a graph model (.json) on which some values depend.

    :ivar weights: name → array in TensorFlow's order; may be changed before :meth:`nodes`.
    """

    def __init__(self, path: Path):
        model = json.loads(Path(path).read_text(encoding='utf-8'))
        self.weights = read_weights(model, Path(path).parent)
        self._nodes = {node['name']: node for node in model['modelTopology']['node']}
        self._made: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[str, np.ndarray] = {}   # value of TensorFlow → array
        self._plain: dict[str, str] = {}          # → ONNX value in TensorFlow's own order
        self._nchw: dict[str, str] = {}           # → ONNX value in NCHW, where that is NHWC

    def nodes(self, image: str, outputs: list[str]) -> dict[str, str]:
        """Convert what ``outputs`` need; return output → ONNX value in NHWC."""
        for name in self._order(outputs):
            node = self._nodes[name]
            inputs = [_key(i) for i in node.get('input', [])]
            if node['op'] == 'Placeholder':
                self._plain[name] = image
            elif node['op'] == 'Const':
                self._known[name] = self.weights[name]
            elif not self._fold(name, node['op'], inputs):
                write = getattr(self, f'_{node["op"].lower()}', None)
                if write is None:
                    raise ModelError(f'operator {node["op"]} is not known: another network?')
                write(name, inputs, node)
        return {name: self._in_order(name) for name in outputs}

    @property
    def parts(self) -> tuple:
        """The nodes and constants of the ONNX graph."""
        return self._made, self._constants

    def _order(self, outputs) -> list[str]:
        """Return the names of the nodes on which outputs depend, each after its inputs."""
        done: dict[str, None] = {}
        stack = list(outputs)
        while stack:
            rest = [_key(i).split(':')[0] for i in self._nodes[stack[-1]].get('input', [])]
            rest = [i for i in rest if i not in done]
            if rest:
                stack += rest
            else:
                done[stack.pop()] = None
        return list(done)

    def constant(self, values) -> str:
        """Return the ONNX value of an array; integers become int64."""
        values = np.asarray(values)
        if values.dtype.kind == 'i':
            values = values.astype(np.int64)
        name = f'c{len(self._constants)}'
        self._constants.append(numpy_helper.from_array(np.array(values), name))
        return name

    def emit(self, kind: str, inputs: list[str], **attributes) -> str:
        """Append a node and return its output."""
        name = f'{kind.lower()}{len(self._made)}'
        self._made.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def _in_order(self, name: str) -> str:
        if name in self._known:
            return self.constant(self._known[name])
        if name not in self._plain:
            self._plain[name] = self.emit('Transpose', [self._nchw[name]], perm=_TO_NHWC)
        return self._plain[name]

    def _in_nchw(self, name: str) -> str:
        if name not in self._nchw:
            self._nchw[name] = self.emit('Transpose', [self._in_order(name)], perm=_TO_NCHW)
        return self._nchw[name]

    def _fold(self, name, op, inputs) -> bool:
        """Compute a node whose inputs are constants; return False where that is not possible."""
        if not inputs or any(i not in self._known for i in inputs):
            return False
        values = [self._known[i] for i in inputs]
        if op == 'SparseToDense':
            indices, shape, amount, default = values
            dense = np.full(shape, default)
            if indices.size:
                dense[tuple(indices.T)] = amount
            self._known[name] = dense
        elif op in ('AddV2', 'Add'):
            self._known[name] = values[0] + values[1]
        elif op == 'Identity':
            self._known[name] = values[0]
        else:
            return False
        return True

    def _like(self, name, source, kind, **attributes):
        """Convert an element-wise operator."""
        held = self._nchw if source in self._nchw and source not in self._plain else self._plain
        value = held[source] if source in held else self._in_order(source)
        held[name] = self.emit(kind, [value], **attributes)

    def _leakyrelu(self, name, inputs, node):
        self._like(name, inputs[0], 'LeakyRelu', alpha=float(_attribute(node, 'alpha')))

    def _sigmoid(self, name, inputs, node):
        self._like(name, inputs[0], 'Sigmoid')

    def _identity(self, name, inputs, node):
        for held in (self._nchw, self._plain):
            if inputs[0] in held:
                held[name] = held[inputs[0]]

    def _add(self, name, inputs, node):
        if all(i in self._nchw or i in self._known for i in inputs):
            values = [self._nchw[i] if i in self._nchw else
                      self.constant(_bias_nchw(self._known[i])) for i in inputs]
            self._nchw[name] = self.emit('Add', values)
        else:
            self._plain[name] = self.emit('Add', [self._in_order(i) for i in inputs])

    _addv2 = _biasadd = _add

    def _conv2d(self, name, inputs, node):
        weight = self._known[inputs[1]].transpose(3, 2, 0, 1)
        pads = [0] * 4
        stride = _attribute(node, 'strides')[1]
        if _attribute(node, 'padding') == 'SAME':
            total = max(weight.shape[2] - stride, 0)
            pads = [total // 2] * 2 + [total - total // 2] * 2
        self._nchw[name] = self.emit(
            'Conv', [self._in_nchw(inputs[0]), self.constant(weight)], strides=[stride] * 2,
            kernel_shape=list(weight.shape[2:]), pads=pads)

    def _maxpool(self, name, inputs, node):
        kernel, strides = (_attribute(node, k)[1:3] for k in ('ksize', 'strides'))
        if _attribute(node, 'padding') != 'VALID':
            raise ModelError(f'{name}: pooling with padding is not known: another network?')
        self._nchw[name] = self.emit('MaxPool', [self._in_nchw(inputs[0])], kernel_shape=kernel,
                                     strides=strides)

    def _resizebilinear(self, name, inputs, node):
        half = _attribute(node, 'half_pixel_centers', False)
        align = _attribute(node, 'align_corners', False)
        mode = 'align_corners' if align else 'half_pixel' if half else 'asymmetric'
        sizes = [int(n) for n in self._known[inputs[1]]]
        self._nchw[name] = self.emit(
            'Resize', [self._in_nchw(inputs[0]), '', '', self.constant([1, -1, *sizes])],
            mode='linear', coordinate_transformation_mode=mode)

    def _pad(self, name, inputs, node):
        amounts = self._known[inputs[1]]
        more = [self.constant(self._known[inputs[2]])] if len(inputs) > 2 else []
        self._plain[name] = self.emit(
            'Pad', [self._in_order(inputs[0]),
                    self.constant([*amounts[:, 0], *amounts[:, 1]]), *more])

    _padv2 = _pad

    def _transpose(self, name, inputs, node):
        perm, source = self._known[inputs[1]].tolist(), inputs[0]
        if perm == _TO_NCHW and source in self._nchw:
            self._plain[name] = self._nchw[source]
        elif perm == _TO_NHWC and source in self._plain:
            self._nchw[name] = self._plain[source]
        else:
            self._plain[name] = self.emit('Transpose', [self._in_order(source)], perm=perm)

    def _reshape(self, name, inputs, node):
        shape = [0, *self._known[inputs[1]].tolist()[1:]]  # 0 = unchanged: the images
        self._plain[name] = self.emit('Reshape', [self._in_order(inputs[0]),
                                                  self.constant(shape)])

    def _concatv2(self, name, inputs, node):
        axis, parts = int(self._known[inputs[-1]]), inputs[:-1]
        if axis in (3, -1) and all(i in self._nchw for i in parts):
            self._nchw[name] = self.emit('Concat', [self._nchw[i] for i in parts], axis=1)
        else:
            self._plain[name] = self.emit('Concat', [self._in_order(i) for i in parts], axis=axis)

    def _splitv(self, name, inputs, node):
        sizes, axis = self._known[inputs[1]], int(self._known[inputs[2]])
        outs = [f'split{len(self._made)}_{i}' for i in range(len(sizes))]
        self._made.append(helper.make_node(
            'Split', [self._in_order(inputs[0]), self.constant(sizes)], outs, outs[0], axis=axis))
        for i, out in enumerate(outs):
            self._plain[f'{name}:{i}' if i else name] = out


def free_batch(graph: onnx.GraphProto) -> None:
    """Free the first dimension of a graph for one image; sizes of Resize become scales."""
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph))
    sizes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
             for v in (*model.graph.value_info, *model.graph.input)}
    wanted = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Resize':
            before, after = sizes[node.input[0]], wanted[node.input[3]]
            scales = np.array([1, 1, after[2] / before[2], after[3] / before[3]], np.float32)
            graph.initializer.append(numpy_helper.from_array(scales, f'{node.name}_scales'))
            del node.input[2:]
            node.input.append(f'{node.name}_scales')
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'N'


def _key(name: str) -> str:
    return name[:-2] if name.endswith(':0') else name.lstrip('^')


def _bias_nchw(values: np.ndarray) -> np.ndarray:
    """Return a constant that is added to NHWC values as one that is added to NCHW values."""
    if values.ndim == 4:
        return values.transpose(_TO_NCHW)
    return values.reshape(-1, 1, 1) if values.ndim == 1 else values


def _attribute(node: dict, name: str, default=None):
    """Return an attribute of a node: text, number, list or flag."""
    value = node.get('attr', {}).get(name)
    if not value:
        return default
    (kind, content), = value.items()
    if kind == 's':
        return base64.b64decode(content).decode()
    if kind == 'i':
        return int(content)
    if kind == 'list':
        return [int(i) for i in content.get('i', [])]
    return content
