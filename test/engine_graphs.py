"""Stand-in graphs for the tests of backends and engines."""

from niki_ros.models.model_folder import write_model_folder
import numpy as np
from onnx import helper, load_from_string, numpy_helper, TensorProto


def mlp_graph(width=64, seed=0):
    """Bytes of a graph joints (N, 29, 3), sigma (N, 29) → rot6d (N, 144), error_z (N, 32)."""
    rng = np.random.RandomState(seed)
    sizes = {'w1': (116, width), 'b1': (width,), 'w2': (width, 176), 'b2': (176,)}
    values = {name: rng.standard_normal(size) / np.sqrt(size[0]) for name, size in sizes.items()}
    # near the rest pose: a random 6D vector is next to no rotation and magnifies every error
    values['b2'][:144] += np.tile([8, 0, 0, 0, 8, 0], 24)
    weights = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in values.items()]
    weights.append(numpy_helper.from_array(np.array([-1, 87], np.int64), 'flat_shape'))
    nodes = [
        helper.make_node('Reshape', ['joints', 'flat_shape'], ['flat']),
        helper.make_node('Concat', ['flat', 'sigma'], ['x'], axis=1),
        helper.make_node('Gemm', ['x', 'w1', 'b1'], ['h']),
        helper.make_node('LeakyRelu', ['h'], ['a']),
        helper.make_node('Gemm', ['a', 'w2', 'b2'], ['y']),
        helper.make_node('Split', ['y', 'split'], ['rot6d', 'error_z'], axis=1),
    ]
    weights.append(numpy_helper.from_array(np.array([144, 32], np.int64), 'split'))
    graph = helper.make_graph(
        nodes, 'stand_in',
        [helper.make_tensor_value_info('joints', TensorProto.FLOAT, ['n', 29, 3]),
         helper.make_tensor_value_info('sigma', TensorProto.FLOAT, ['n', 29])],
        [helper.make_tensor_value_info('rot6d', TensorProto.FLOAT, ['n', 144]),
         helper.make_tensor_value_info('error_z', TensorProto.FLOAT, ['n', 32])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    return model.SerializeToString()


def fp16_storage_graph(**options):
    """Bytes of :func:`mlp_graph` with its weights stored as FP16, each with a Cast to FP32."""
    model = load_from_string(mlp_graph(**options))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            name, values = tensor.name, numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f'{name}__half'))
            casts.append(helper.make_node('Cast', [f'{name}__half'], [name], to=1))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def spot_graph(size_px, outputs):
    """
    Bytes of a graph whose outputs are affine functions of the bright spot of an image.

    :param outputs: of the image (n, 3, size_px, size_px), by name: the shape without n, and the
        bias and the weights (2, …) of the spot's u, v in sizes of the image from its middle.
    """
    axis = np.arange(size_px, dtype=np.float32) / size_px - 0.5
    node, value = helper.make_node, helper.make_tensor_value_info
    constants = {'ones': np.ones((1, 3, 1, 1)), 'flat': np.array([-1, size_px**2]),
                 'grid': np.stack([np.tile(axis, size_px), np.repeat(axis, size_px)], 1),
                 'least': np.array(1e-6), 'second': np.array([1])}
    nodes = [
        node('Conv', ['image', 'ones'], ['grey']), node('Reshape', ['grey', 'flat'], ['light']),
        node('ReduceSum', ['light', 'second'], ['sum'], keepdims=1),
        node('Max', ['sum', 'least'], ['total']), node('MatMul', ['light', 'grid'], ['moment']),
        node('Div', ['moment', 'total'], ['spot_uv'])]
    for name, (shape, bias, weights) in outputs.items():
        size = int(np.prod(shape))
        constants[f'{name}_w'] = np.full((2, size), weights, float)
        constants[f'{name}_b'] = np.full(shape, bias, float).ravel()
        constants[f'{name}_shape'] = np.array([-1, *shape])
        nodes += [node('Gemm', ['spot_uv', f'{name}_w', f'{name}_b'], [f'{name}_flat']),
                  node('Reshape', [f'{name}_flat', f'{name}_shape'], [name])]
    graph = helper.make_graph(
        nodes, 'spot', [value('image', TensorProto.FLOAT, ['n', 3, size_px, size_px])],
        [value(name, TensorProto.FLOAT, ['n', *given[0]]) for name, given in outputs.items()],
        [numpy_helper.from_array(v if v.dtype.kind == 'i' else v.astype(np.float32), k)
         for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)],
                             ir_version=9).SerializeToString()


def mlp_folder(path, **options):
    """Write a model folder around :func:`mlp_graph` and return it."""
    return write_model_folder(path, mlp_graph(**options), {
        'name': 'stand-in', 'kind': 'niki', 'precision': 'fp32'})


def mlp_inputs(n=3, seed=1):
    """Return inputs of :func:`mlp_graph` for ``n`` people."""
    rng = np.random.RandomState(seed)
    return {'joints': rng.standard_normal((n, 29, 3)).astype(np.float32),
            'sigma': rng.uniform(size=(n, 29)).astype(np.float32)}
