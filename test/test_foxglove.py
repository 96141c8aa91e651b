"""The layout for Foxglove says only what Foxglove's own library knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

layouts = pytest.importorskip(
    'foxglove.layouts', reason='foxglove-sdk is not installed: pip install foxglove-sdk')

LAYOUT = Path(__file__).resolve().parents[1] / 'config' / 'niki.foxglove.json'
PANELS = {'3D': layouts.ThreeDeeConfig, 'Image': layouts.ImageConfig,
          'DiagnosticSummary': layouts.DiagnosticsSummaryConfig,
          'DiagnosticStatusPanel': layouts.DiagnosticsDetailConfig}
# kept by the application itself, and the same for every panel
OF_EVERY_PANEL = {'foxglovePanelTitle'}
OF_THE_RENDERER = {'cameraState', 'followMode', 'publish', 'imageMode', 'collapsedSections'}


def words(kind) -> set:
    """Return the names that a part of a layout may have, as the library writes them."""
    return set(kind()._to_dict())


@pytest.fixture(scope='module')
def panels():
    return json.loads(LAYOUT.read_text('utf-8'))['configById']


def test_panels(panels):
    for name, config in panels.items():
        known = words(PANELS[name.partition('!')[0]])
        assert set(config) - OF_EVERY_PANEL - OF_THE_RENDERER <= known, name


def test_parts_of_the_scene(panels):
    space = panels['3D!bodies']
    assert set(space['cameraState']) <= words(layouts.ThreeDeeCameraState)
    assert set(space['scene']) <= words(layouts.BaseRendererSceneSettings)
    assert set(space['scene']['transforms']) <= words(layouts.BaseRendererTransforms)
    assert set(space['topics']['/joints']) <= words(layouts.BaseRendererPointCloudTopicSettings)
    assert set(space['topics']['/markers']) <= words(layouts.BaseRendererRosMarkerTopicSettings)
    for layer in space['layers'].values():
        assert layer['layerId'] == 'foxglove.Grid'
        assert set(layer) <= words(layouts.BaseRendererGridLayerSettings)
    assert set(panels['Image!overlay']['imageMode']) <= words(layouts.ImageModeConfig)


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
