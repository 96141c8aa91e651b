"""
The layout for Foxglove says only what its viewers know.

That is what foxglove-sdk writes, where it is installed, and in any case what the open sources of
Foxglove Studio read, and of Lichtblick, which goes on from there. One setting has two names.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

try:
    from foxglove import layouts
except ImportError:
    layouts = None
needs_sdk = pytest.mark.skipif(
    layouts is None, reason='foxglove-sdk is not installed: pip install foxglove-sdk')

LAYOUT = Path(__file__).resolve().parents[2] / 'config' / 'niki.foxglove.json'
# as their sources declare the configuration of each panel
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
# kept by the application itself, and the same for every panel
OF_EVERY_PANEL = {'foxglovePanelTitle'}
OF_THE_RENDERER = {'cameraState', 'followMode', 'publish', 'imageMode'}


def words(name) -> set:
    """Return the names that a part of a layout may have, as the library writes them."""
    return set(getattr(layouts, name)()._to_dict())


@pytest.fixture(scope='module')
def panels():
    return json.loads(LAYOUT.read_text('utf-8'))['configById']


def test_the_open_sources_know_every_key(panels):
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
    """The library's dataclasses take them."""
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
