"""Settings: written once, flattened, refused with their name."""

from __future__ import annotations

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.settings import body_label, NodeConfig
import pytest

ALL = [*settings_of(PipelineConfig()), *settings_of(NodeConfig())]


@pytest.mark.parametrize('item', ALL, ids=lambda item: item.name)
def test_every_setting_is_described_and_its_default_fits(item):
    assert item.help and not item.help.endswith('.')
    assert type(item.default) in (bool, int, float, str, tuple)
    config = next(config for config in (PipelineConfig(), NodeConfig())
                  if item.name in {one.name for one in settings_of(config)})
    apply_settings(config, {item.name: item.default})
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


@pytest.mark.parametrize('name, value, message', [
    ('smoothing.betta', 1.0, "unknown setting 'smoothing.betta'; known: "),
    ('smoothing.beta', 'much', "smoothing.beta is 'much'; expected a value of type float"),
    ('smoothing.beta', -0.1, 'smoothing.beta is -0.1; expected 0.0 … 100.0'),
    ('smoothing.beta', float('nan'), 'smoothing.beta is nan'),
    ('smoothing.beta', True, 'smoothing.beta is True'),
    ('smoothing.enabled', 1, 'smoothing.enabled is 1; expected a value of type bool'),
    ('observer.max_people', 2.5, 'observer.max_people is 2.5'),
    ('observer.max_people', 0, 'observer.max_people is 0; expected 1 … 64'),
    ('observer.model', 'huge', "observer.model is 'huge'; expected one of lite, full, heavy")])
def test_refused_by_name(name, value, message):
    with pytest.raises(ConfigError) as error:
        apply_settings(PipelineConfig(), {name: value})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize('given, taken', [
    (['ros4hri', 'niki'], ('niki', 'ros4hri')), (('ros4hri',), ('ros4hri',)),
    ('ros4hri', ('ros4hri',)), (['niki', 'niki'], ('niki',))])
def test_lists_are_of_choices_in_their_own_order(given, taken):
    assert apply_settings(NodeConfig(), {'conventions': given}).conventions == taken


@pytest.mark.parametrize('name, value, message', [
    ('conventions', [], 'conventions is []; expected a list of one or more of niki, ros4hri'),
    ('conventions', ['rep155'], "conventions is ['rep155']"), ('conventions', 3, 'conventions is'),
    ('conventions', [1], 'conventions is [1]'),
    ('id_prefix', 'cam1', "id_prefix is 'cam1'; expected letters, digits and _"),
    ('frame_prefix', 'a\nb', "frame_prefix is 'a\\nb'; expected a text without control"),
    ('id_prefix', '1a', "id_prefix is '1a'"), ('id_prefix', 'a/b', "id_prefix is 'a/b'"),
    ('id_prefix', 'é', "id_prefix is 'é'"), ('qos.image_depth', 0, 'qos.image_depth is 0')])
def test_node_settings_refused_by_name(name, value, message):
    with pytest.raises(ConfigError) as error:
        apply_settings(NodeConfig(), {name: value})
    assert str(error.value).startswith(message)


def test_labels_of_bodies():
    """A topic of REP-155 cannot begin with a digit; two prefixes can never give one label."""
    assert body_label(NodeConfig(), 7) == '7'
    assert body_label(NodeConfig(conventions=('niki', 'ros4hri')), 7) == 'p7'
    assert body_label(NodeConfig(id_prefix='cam1_'), 23) == 'cam1_23'
    for frame_prefix, label in (('left/', 'left_7'), ('3/', 'p_3_7'), ('a.b/c_', 'a_b_c_7')):
        config = NodeConfig(conventions=('ros4hri',), frame_prefix=frame_prefix)
        assert body_label(config, 7) == label
        assert body_label(NodeConfig(frame_prefix=frame_prefix), 7) == '7'
