"""Settings of a run: what no run can have is refused by name."""

import json

from niki_ros.common.errors import ConfigError
from niki_training.cli import train as train_cli
from niki_training.corrupt.odds import CorruptionOdds, NoiseOdds
from niki_training.train.settings import TrainConfig
import pytest
from small_runs import small_command

REFUSED = {
    'steps=0': 'steps is 0', 'steps.x=3': 'steps.x', 'net.hiden=3': 'net.hiden', 'net=3': 'net',
    'nothing=1': 'nothing', 'loss=3': 'loss', 'loss.nothing=1': 'loss', 'bf16=maybe': 'bool',
    'batch=many': 'int', 'net.kind=three_stage': 'one_stage', 'net.attention=10': 'net.heads',
    'clean_share=1.5': '0 … 1', 'net.width=100': '146', 'learning_rate=nan': 'learning_rate',
    'loss.joints=nan': 'loss.joints', 'loss.zero=-1': 'loss.zero',
    'loss.rotation=inf': 'loss.rotation', 'minutes=nan': 'minutes', 'minutes=-3': 'minutes',
    'seed=-1': 'seed', 'weight_decay=nan': 'weight_decay', 'weight_decay=-1': 'weight_decay',
    'ema=nan': 'ema', 'clip=nan': 'clip', 'corruption.noise.depth=-0.1': 'corruption.noise.depth',
    'corruption.misplaced=1.5': 'corruption.misplaced',
    'corruption.limbs.two=nan': 'corruption.limbs.two'}


@pytest.mark.parametrize('item', REFUSED)
def test_a_setting_that_no_run_can_have(item):
    config = TrainConfig()
    with pytest.raises(ConfigError, match=REFUSED[item]):
        config.set(*item.split('='))
        config.check()


def test_a_group_needs_odds():
    config = TrainConfig(corruption=CorruptionOdds(noise=NoiseOdds(0.0, 0.0, 0.0, 0.0)))
    with pytest.raises(ConfigError, match='corruption.noise'):
        config.check()


def test_settings_are_stored_as_plain_values():
    config = TrainConfig()
    config.set('corruption.noise.depth', '0.3')
    config.set('corruption.swapped_legs', '0')
    plain = json.loads(json.dumps(config.to_dict()))
    assert plain['corruption']['noise']['depth'] == 0.3
    assert TrainConfig.from_dict(plain) == config
    del plain['corruption']
    assert TrainConfig.from_dict(plain).corruption == CorruptionOdds(), 'settings of older runs'


@pytest.mark.parametrize('item, message', [
    ('steps', 'NAME=VALUE'), ('net.hiden=3', 'net.hiden'), ('net.kind=temporal', '--from')])
def test_the_command_names_the_setting(item, message, store, tmp_path, refused):
    refused(train_cli.main, [*small_command(store, tmp_path / 'run'), '--set', item], message)
    assert not (tmp_path / 'run' / 'last.pt').exists()
