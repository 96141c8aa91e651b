"""
Import a landmark network of BlazePose.

The networks are in Google's npm package @mediapipe/pose (Apache-2.0). The branch of the mask is
removed: it is not used, and takes a third of the time. Of the heat maps the peaks remain, see
:mod:`niki_training.importers.heat_map`. The channels of ``heavy`` that are never active are
removed as well, with 39 % of its weights.
"""

from niki_ros.models.model_folder import ModelFolder, write_model_folder

from niki_training.export.weight_storage import with_fp16_storage
from niki_training.importers import graph_tools
from niki_training.importers.arguments import add_import_arguments, print_folder, set_threads
from niki_training.importers.heat_map import add_peaks, PEAKS
from niki_training.importers.inactive_channels import LISTED, read_channels, remove_channels
from niki_training.importers.tflite_graph import OnnxWriter, TFLiteFile

PACKAGE = '@mediapipe/pose 0.5.1675469404 (npm)'
VARIANTS = {
    'f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61': 'lite',
    'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f': 'full',
    '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe': 'heavy'}
OUTPUTS = {'landmarks': 'Identity', 'world': 'Identity_4', 'flag': 'Identity_1'}
"""Name of an output in the model folder → its name in the network."""
HEAT_MAP = 'Identity_3'
LANDMARKS = 33  # that have a peak; six further points give the next crop
MEANING = {
    'landmarks': '39 x (x, y, z in pixels of the crop, logit of visibility, logit of presence)',
    'world': '39 x (x, y, z) in metres about the middle of the hips, axes of the crop',
    'flag': 'probability that a person is in the crop',
    PEAKS: '33 x (x, y of the peak of the heat map around the landmark, relative to it, pixels of '
           'the crop; height of the peak, 0 … 1)'}
SIZE_PX = 256
WIDTHS = {'landmarks': 195, 'world': 117, 'flag': 1, PEAKS: 3 * LANDMARKS}
TRAINING_DATA = (
    'not published: pictures of people that Google has had annotated by hand, for the first '
    'version 60,000 in common poses and 25,000 of exercises (Bazarevsky et al., BlazePose, 2020); '
    '3D from fits of the body model GHUM (Grishchenko et al., BlazePose GHUM Holistic, 2022)')
_CUT = 'converted to ONNX; branch of the mask cut off; of the heat maps the peaks'
CHANGES = {'lite': _CUT, 'full': _CUT, 'heavy': f'{_CUT}; so are channels that are never active'}
AGREEMENT = {
    'lite': {'landmarks_px': 0.0028, 'logits': 0.00013, 'world_mm': 0.008, 'flag': 9e-6,
             'peaks_px': 0.0004, 'peak_heights': 5e-6},
    'full': {'landmarks_px': 0.0074, 'logits': 0.0032, 'world_mm': 0.054, 'flag': 2e-7,
             'peaks_px': 0.0017, 'peak_heights': 1.5e-5},
    'heavy': {'landmarks_px': 0.0112, 'logits': 0.00067, 'world_mm': 0.026, 'flag': 4e-7,
              'peaks_px': 0.0012, 'peak_heights': 1.3e-5}}
"""Largest differences of the graphs, measured by test_importers_frontend.py."""
MEASURED = ('LiteRT 2.3.0, its own interpreter, on the first 20 crops of '
            'training/test/frontend_fixture.py (ONNX Runtime 1.32.0)')


def add_arguments(parser) -> None:
    parser.add_argument('--variant', choices=tuple(VARIANTS.values()),
                        help='refuse a file of another variant')
    add_import_arguments(parser, 'pose_landmark_lite, _full or _heavy.tflite')


def main(args) -> int:
    set_threads(args)
    print_folder(import_blazepose(args.file, args.out, args.variant))
    return 0


def import_blazepose(file, out, variant: str | None = None) -> ModelFolder:
    """Write the model folder of ``pose_landmark_{lite,full,heavy}.tflite``, checked by hash."""
    wanted = {digest: (digest, name) for digest, name in VARIANTS.items()
              if variant in (None, name)}
    names = ', '.join(f'pose_landmark_{name}.tflite' for _, name in wanted.values())
    data, (digest, variant) = graph_tools.checked_bytes(file, wanted, f'{names} of {PACKAGE}')
    graph = landmark_graph(data, variant)
    return write_model_folder(out, graph, {
        'name': f'landmarks-{variant}', 'kind': 'landmarks', 'precision': 'fp32',
        'weights_stored': 'fp16', **graph_tools.graph_facts(graph), 'size_px': SIZE_PX,
        'inputs': {'image': {'shape': ['N', 3, SIZE_PX, SIZE_PX],
                             'meaning': 'crop around one upright person, RGB, 0 … 1'}},
        'outputs': {name: {'shape': ['N', width], 'meaning': MEANING[name]}
                    for name, width in WIDTHS.items()},
        'normalisation': 'RGB, 0 … 1',
        'origin': {'project': f'BlazePose GHUM 3D, {variant} (MediaPipe)', 'author': 'Google',
                   'package': PACKAGE, 'file': f'pose_landmark_{variant}.tflite',
                   'sha256': digest,
                   'changes': CHANGES[variant]},
        'license': 'Apache-2.0', 'training_data': TRAINING_DATA,
        'agreement': {'with': MEASURED, 'largest_difference': AGREEMENT[variant]}})


def landmark_graph(data: bytes, variant: str) -> bytes:
    """Return the graph of a TFLite file: the landmarks and the peaks of their heat maps."""
    source = TFLiteFile(data)
    model = OnnxWriter(source).model({ours: source.outputs[theirs] for ours, theirs in
                                      {**OUTPUTS, 'heat_map': HEAT_MAP}.items()})
    add_peaks(model, 'heat_map', SIZE_PX, LANDMARKS)
    # the biases that receive the constants of removed channels are no FP16 values any more
    changed = remove_channels(model, read_channels(LISTED, variant))
    return with_fp16_storage(model.SerializeToString(), changed)
