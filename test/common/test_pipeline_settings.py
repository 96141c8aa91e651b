"""Settings: description, range, flattened names and errors."""

import re

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.settings import body_label, NodeConfig
import pytest

ALL = [*settings_of(PipelineConfig()), *settings_of(NodeConfig())]
NODE = {item.name for item in settings_of(NodeConfig())}


@pytest.mark.parametrize('item', ALL, ids=lambda item: item.name)
def test_every_setting_is_described_and_its_default_fits(item):
    assert item.help and not item.help.endswith('.')
    assert type(item.default) in (bool, int, float, str, tuple)
    apply_settings(NodeConfig() if item.name in NODE else PipelineConfig(),
                   {item.name: item.default})
    if item.low is not None and item.high is not None:
        assert item.low <= item.default <= item.high


def test_names_are_dotted_and_unique():
    names = [item.name for item in ALL]
    assert 'smoothing.min_cutoff_hz' in names and len(set(names)) == len(names)


def test_applied_in_place_and_reported_back():
    config = PipelineConfig()
    assert apply_settings(config, {'smoothing.beta': 2, 'observer.model': 'lite'}) is config
    assert config.smoothing.beta == 2.0 and type(config.smoothing.beta) is float
    values = {item.name: item.default for item in settings_of(config)}
    assert values['observer.model'] == 'lite'
    assert PipelineConfig().observer.model == 'full'


@pytest.mark.parametrize('name, value, expected', [
    ('smoothing.beta', 'much', 'float'), ('smoothing.beta', -0.1, '0.0 … 100.0'),
    ('smoothing.beta', float('nan'), '0.0 … 100.0'), ('smoothing.beta', True, 'float'),
    ('smoothing.enabled', 1, 'bool'),
    ('observer.max_people', 2.5, 'int'), ('observer.max_people', 0, '1 … 64'),
    ('observer.model', 'huge', 'lite, full, heavy'),
    ('conventions', [], 'niki, ros4hri'), ('conventions', ['rep155'], 'niki, ros4hri'),
    ('conventions', 3, 'niki, ros4hri'), ('conventions', [1], 'niki, ros4hri'),
    ('id_prefix', 'cam1', 'letters'), ('id_prefix', '1a', 'letters'),
    ('id_prefix', 'a/b', 'letters'), ('id_prefix', 'é', 'letters'),
    ('frame_prefix', 'a\nb', 'control'), ('qos.image_depth', 0, '1 … 100')])
def test_an_error_names_setting_value_and_range(name, value, expected):
    config = NodeConfig() if name in NODE else PipelineConfig()
    with pytest.raises(ConfigError, match=re.escape(expected)) as error:
        apply_settings(config, {name: value})
    text = str(error.value)
    assert name in text and (str(value) in text or repr(value) in text)


def test_an_unknown_setting_is_an_error_with_the_known_ones():
    with pytest.raises(ConfigError, match='smoothing.betta.*smoothing.beta,'):
        apply_settings(PipelineConfig(), {'smoothing.betta': 1.0})


@pytest.mark.parametrize('given, taken', [
    (['ros4hri', 'niki'], ('niki', 'ros4hri')), (('ros4hri',), ('ros4hri',)),
    ('ros4hri', ('ros4hri',)), (['niki', 'niki'], ('niki',))])
def test_lists_are_of_choices_in_their_own_order(given, taken):
    assert apply_settings(NodeConfig(), {'conventions': given}).conventions == taken


def test_labels_of_bodies():
    """A topic of REP-155 cannot begin with a digit; different prefixes give different labels."""
    assert body_label(NodeConfig(), 7) == '7'
    assert body_label(NodeConfig(conventions=('niki', 'ros4hri')), 7) == 'p7'
    assert body_label(NodeConfig(id_prefix='cam1_'), 23) == 'cam1_23'
    for frame_prefix, label in (('left/', 'left_7'), ('3/', 'p_3_7'), ('a.b/c_', 'a_b_c_7')):
        config = NodeConfig(conventions=('ros4hri',), frame_prefix=frame_prefix)
        assert body_label(config, 7) == label
        assert body_label(NodeConfig(frame_prefix=frame_prefix), 7) == '7'
