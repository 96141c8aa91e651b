"""
BlazePose's landmark networks as model folders (``niki-import blazepose``).

They come in Google's npm package ``@mediapipe/pose`` (Apache-2.0). The branches of the mask and of
the heat map are cut off: nothing here needs them, and they take half of the time.
"""

from __future__ import annotations

from pathlib import Path

from niki_ros.model_folder import ModelFolder, write_model_folder

from niki_training.importers.graph_tools import (
    checked_bytes,
    IR_VERSION,
    macs,
    OPSET,
    parameters,
    stored_half,
)
from niki_training.importers.tflite_graph import OnnxWriter, TFLiteFile

PACKAGE = '@mediapipe/pose 0.5.1675469404 (npm)'
VARIANTS = {
    'f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61': 'lite',
    'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f': 'full',
    '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe': 'heavy'}
OUTPUTS = {'landmarks': 'Identity', 'flag': 'Identity_1', 'world': 'Identity_4'}
"""Our name → the network's."""
MEANING = {
    'landmarks': '39 x (x, y, z in pixels of the crop, logit of visibility, logit of presence)',
    'flag': 'probability that a person is in the crop',
    'world': '39 x (x, y, z) in metres about the middle of the hips, axes of the crop'}


def import_blazepose(file, out) -> ModelFolder:
    """
    Turn ``pose_landmark_{lite,full,heavy}.tflite`` into a model folder and return it.

    :raises ModelError: when it is another file.
    """
    digests = {digest: (digest, name) for digest, name in VARIANTS.items()}
    data, (digest, variant) = checked_bytes(
        file, digests, f'pose_landmark_lite, _full or _heavy.tflite of {PACKAGE}')
    source = TFLiteFile(data)
    model = OnnxWriter(source).model({ours: source.outputs[theirs]
                                      for ours, theirs in OUTPUTS.items()})
    graph = stored_half(model.SerializeToString())
    shapes = {output.name: output.type.tensor_type.shape.dim[1].dim_value
              for output in model.graph.output}
    return write_model_folder(out, graph, {
        'name': f'landmarks-{variant}', 'kind': 'landmarks', 'precision': 'fp32',
        'weights_stored': 'fp16', 'opset': OPSET, 'ir_version': IR_VERSION,
        'parameters': parameters(graph), 'macs': macs(graph), 'size_px': 256,
        'inputs': {'image': ['N', 3, 256, 256]},
        'outputs': {name: {'shape': ['N', shapes[name]], 'meaning': text}
                    for name, text in MEANING.items()},
        'normalisation': 'RGB, 0 … 1',
        'origin': {'name': f'BlazePose GHUM 3D, {variant}', 'author': 'Google', 'package': PACKAGE,
                   'file': Path(file).name, 'sha256': digest,
                   'changes': 'converted to ONNX; branches of mask and heat map cut off'},
        'license': 'Apache-2.0',
        'training_data': 'pictures of people that Google has annotated and has not published; '
                         '3D from fits of the GHUM body model (model card BlazePose GHUM 3D)'})
