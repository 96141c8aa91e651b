"""
The layout for Foxglove has only keys that its viewers read.

That is what foxglove-sdk writes, where it is installed, and in any case what the open sources of
Foxglove Studio read, and of Lichtblick, which goes on from there. One setting has two names.
"""

import json
from pathlib import Path

import numpy as np
import pytest

try:
    from foxglove import layouts
except ImportError:
    layouts = None
needs_sdk = pytest.mark.skipif(
    layouts is None, reason='foxglove-sdk is not installed: pip install foxglove-sdk')

LAYOUT = Path(__file__).resolve().parents[2] / 'config' / 'niki.foxglove.json'
# configuration keys of each panel in their sources
OPEN_SOURCES = {
    '3D': {'cameraState', 'followTf', 'followMode', 'scene', 'publish', 'transforms', 'topics',
           'layers', 'imageMode'},
    'scene': {'enableStats', 'backgroundColor', 'labelScaleFactor', 'ignoreColladaUpAxis',
              'meshUpAxis', 'transforms', 'syncCamera', 'topicsVisible'},
    'transforms': {'editable', 'showLabel', 'labelSize', 'axisScale', 'lineWidth', 'lineColor',
                   'enablePreloading'},
    'DiagnosticSummary': {'minLevel', 'pinnedIds', 'topicToRender', 'hardwareIdFilter',
                          'sortByLevel', 'secondsUntilStale'},
    'DiagnosticStatusPanel': {'selectedHardwareId', 'selectedName', 'splitFraction',
                              'topicToRender', 'numericPrecision', 'secondsUntilStale'}}
OPEN_SOURCES['Image'] = OPEN_SOURCES['3D']
SDK_NAMES = {'3D': 'ThreeDeeConfig', 'Image': 'ImageConfig',
             'DiagnosticSummary': 'DiagnosticsSummaryConfig',
             'DiagnosticStatusPanel': 'DiagnosticsDetailConfig'}
# keys of the application, the same for every panel
OF_EVERY_PANEL = {'foxglovePanelTitle'}
OF_THE_RENDERER = {'cameraState', 'followMode', 'publish', 'imageMode'}


def words(name) -> set:
    return set(getattr(layouts, name)()._to_dict())


@pytest.fixture(scope='module')
def panels():
    return json.loads(LAYOUT.read_text('utf-8'))['configById']


def test_open_sources_have_every_key(panels):
    for name, config in panels.items():
        assert set(config) - OF_EVERY_PANEL <= OPEN_SOURCES[name.partition('!')[0]], name
    scene = panels['3D!bodies']['scene']
    assert set(scene) <= OPEN_SOURCES['scene']
    assert set(scene['transforms']) - {'axisSize'} <= OPEN_SOURCES['transforms']
    assert scene['transforms']['axisScale'] == scene['transforms']['axisSize']


@needs_sdk
def test_panels(panels):
    for name, config in panels.items():
        known = words(SDK_NAMES[name.partition('!')[0]])
        assert set(config) - OF_EVERY_PANEL - OF_THE_RENDERER <= known, name


@needs_sdk
def test_parts_of_the_scene(panels):
    space = panels['3D!bodies']
    assert set(space['cameraState']) <= words('ThreeDeeCameraState')
    assert set(space['scene']) <= words('BaseRendererSceneSettings')
    assert set(space['scene']['transforms']) - {'axisScale'} <= words('BaseRendererTransforms')
    assert set(space['topics']['/joints']) <= words('BaseRendererPointCloudTopicSettings')
    assert set(space['topics']['/markers']) <= words('BaseRendererRosMarkerTopicSettings')
    for layer in space['layers'].values():
        assert layer['layerId'] == 'foxglove.Grid'
        assert set(layer) <= words('BaseRendererGridLayerSettings')
    assert set(panels['Image!overlay']['imageMode']) <= words('ImageModeConfig')


@needs_sdk
def test_values_are_of_the_right_type(panels):
    joints = panels['3D!bodies']['topics']['/joints']
    made = layouts.BaseRendererPointCloudTopicSettings(
        visible=joints['visible'], color_mode=joints['colorMode'],
        color_field=joints['colorField'], gradient=tuple(joints['gradient']),
        min_value=joints['minValue'], max_value=joints['maxValue'],
        point_shape=joints['pointShape'], point_size=joints['pointSize'],
        decay_time=joints['decayTime'])
    written = {key: value for key, value in made._to_dict().items() if key in joints}
    assert {key: list(value) if isinstance(value, tuple) else value
            for key, value in written.items()} == joints


def test_the_layout_fits_the_node(panels):
    def leaves(node):
        return [node] if isinstance(node, str) else leaves(node['first']) + leaves(node['second'])
    assert sorted(leaves(json.loads(LAYOUT.read_text('utf-8'))['layout'])) == sorted(panels)
    assert {name.partition('!')[0] for name in panels} == {
        '3D', 'Image', 'DiagnosticSummary', 'DiagnosticStatusPanel'}
    space = panels['3D!bodies']
    assert set(space['topics']) == {'/markers', '/joints'}
    assert space['topics']['/joints']['colorField'] == 'confidence'
    sources = ''.join(file.read_text('utf-8')
                      for file in (LAYOUT.parents[1] / 'niki_ros' / 'ros').glob('*.py'))
    for word in ('joints', 'markers', 'overlay', '/diagnostics', space['followTf'], 'niki_ros'):
        assert f"'{word}'" in sources, word


def test_the_view_is_upright_from_behind_the_camera(panels):
    """Foxglove's phi is the polar angle from z; in the camera frame, y points down."""
    state = panels['3D!bodies']['cameraState']
    phi = np.radians(state['phi'])
    place = np.array([0, -np.sin(phi), np.cos(phi)]) * state['distance'] + state['targetOffset']
    up, forward = np.array([0, np.cos(phi), np.sin(phi)]), np.array([0, np.sin(phi), -np.cos(phi)])
    assert place[2] < 0 and place[1] < -1 and state['thetaOffset'] == 0
    assert up[1] < -0.9 and forward[2] > 0.9
