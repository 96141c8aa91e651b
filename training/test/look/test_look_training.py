"""Training lowers the losses, and goes on after a kill as if nothing had happened."""

from dataclasses import replace
import json

from drawn_crops import DrawnCrops
from niki_ros.common.errors import ConfigError, InputError, ModelError
from niki_training.files.pieces import is_index, read_pieces, write_pieces
from niki_training.look.checkpoint import network_of, read_checkpoint
from niki_training.look.crop_batches import StoredCrops
from niki_training.look.features import store_features, StoredFeatures
from niki_training.look.frozen_layers import FrozenBatches, FrozenLayers
from niki_training.look.losses import crop_losses, laplace, projection_loss
from niki_training.look.network import HEADS, LookConfig, LookNet
from niki_training.look.settings import LookTrainConfig
from niki_training.look.train import LookTrainer
import numpy as np
import pytest
import torch

NETWORK = LookConfig(size='lite', width=32, error_width=16)
CONFIG = LookTrainConfig(batch=4, photographs=0, minutes=0.0, steps=4, warm_up_steps=1)
CROPS = DrawnCrops(8)


@pytest.fixture(scope='module')
def frozen():
    """Return batches of a network whose trunk is frozen up to maps of 16 px."""
    cut = LookNet(NETWORK).trunk.last_of_side(16, narrowest=True)
    net = LookNet(replace(NETWORK, trainable_from=cut))
    return FrozenBatches(FrozenLayers(net), StoredCrops(CROPS, 'cpu', 0))


def trainer(folder, network=NETWORK, config=CONFIG, start_from=None, crops=None,
            author='second author'):
    source = crops or StoredCrops(CROPS, 'cpu', config.seed)
    return LookTrainer(config, network, folder, source, start_from=start_from,
                       facts={'credits': [author]})


def no_log(step, seconds, values):
    """Log nothing."""


class SameCrops:
    """The same batch in every step."""

    def batch(self, count, step):
        return StoredCrops(CROPS, 'cpu', 0).batch(count, 0)


@pytest.mark.parametrize('head', HEADS)
def test_losses_fall_on_a_batch_that_is_seen_again(tmp_path, head):
    one = trainer(tmp_path, replace(NETWORK, head=head), replace(CONFIG, steps=12),
                  crops=SameCrops())
    values = [one.train_step() for _ in range(12)]
    names = {'uv', 'rot6d' if head == 'direct parameter' else 'joints'}
    first, last = (sum(float(row[name]) for name in names) for row in (values[0], values[-1]))
    assert last < 0.9 * first


def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path):
    whole = trainer(tmp_path / 'whole')
    whole.run(no_log)

    def kill(step, seconds, values):
        if step == 2:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / 'killed', config=replace(CONFIG, save_period_s=0.0)).run(kill)
    again = trainer(tmp_path / 'killed')
    assert again.step == 2
    again.run(no_log)
    assert again.step == whole.step == 4
    for name, value in whole.record()['average'].items():
        assert torch.equal(value, again.record()['average'][name]), name
    rows = [read_checkpoint(tmp_path / name)['optimizer']['state'] for name in ('whole', 'killed')]
    assert all(torch.equal(rows[0][k]['exp_avg'], rows[1][k]['exp_avg']) for k in rows[0])


def test_a_run_begins_with_the_weights_of_another_and_sees_other_crops(tmp_path):
    first = trainer(tmp_path / 'first')
    first.run(no_log)
    second = trainer(tmp_path / 'second', start_from=tmp_path / 'first', author='first author')
    assert (second.step, second.first_step) == (0, 4)
    assert torch.equal(second.net.out.weight, first.net.out.weight)
    second.run(no_log)
    record = read_checkpoint(tmp_path / 'second')
    assert record['total_steps'] == 8
    assert record['facts'] == {'credits': ['first author', 'second author']}
    assert isinstance(network_of(record, 'it'), LookNet)
    with pytest.raises(ModelError, match='another network'):
        trainer(tmp_path / 'third', replace(NETWORK, width=16), start_from=tmp_path / 'first')
    with pytest.raises(ConfigError, match='other settings'):
        trainer(tmp_path / 'first', replace(NETWORK, head='direct joint'))


def test_frozen_layers_of_the_average_are_those_that_the_heads_see(tmp_path):
    first = trainer(tmp_path / 'first', config=replace(CONFIG, trunk_rate=1e-3))
    first.run(no_log)
    cut = first.net.trunk.last_of_side(2, narrowest=True)
    second = trainer(tmp_path / 'second', replace(NETWORK, trainable_from=cut),
                     start_from=tmp_path / 'first')
    second.run(no_log)
    changed = [not torch.equal(one, other) for one, other in zip(
        first.net.trunk.parameters(), first.average.trunk.parameters())]
    assert any(changed)
    for averaged, own in zip(second.average.trunk.parameters(), second.net.trunk.parameters()):
        # bit by bit: zeros have signs
        assert averaged.numpy().tobytes() == own.detach().numpy().tobytes()


def test_steps_that_are_not_finite_change_nothing_and_end_the_run(tmp_path):
    class Broken(SameCrops):
        def batch(self, count, step):
            own = super().batch(count, step)
            own['joints_m'][0] = torch.nan
            return own
    one = trainer(tmp_path, config=replace(CONFIG, max_failures=2), crops=Broken())
    before = {name: value.clone() for name, value in one.net.state_dict().items()}
    one.train_step()
    assert all(torch.equal(before[name], value) for name, value in one.net.state_dict().items())
    one.train_step()
    with pytest.raises(ModelError, match='3 steps in a row are not finite .*joints'):
        one.train_step()


def test_precision_of_a_gpu_is_refused_without_one(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    with pytest.raises(ConfigError, match='fp16'):
        trainer(tmp_path, config=replace(CONFIG, precision='fp16'))


def test_stored_features_are_those_of_the_frozen_layers(frozen, tmp_path):
    net, source = frozen.layers.net, StoredCrops(CROPS, 'cpu', 0)
    folder = store_features(frozen, 40, tmp_path / 'features', {'crops': 'dots'})
    features = StoredFeatures(folder, 'cpu', 0)
    batch = features.batch(40, 0)
    assert set(batch['crossing']) == set(net.crossing) and batch['uv'].shape == (40, 29, 2)
    # rows are in order: the first 32 are the first batch of the source
    with torch.no_grad():
        wanted = net.lower(source.batch(32, 0)['image'])
    for name, value in wanted.items():
        off = (batch['crossing'][name][:32] - value).abs().max()
        assert off < 0.02 * value.abs().max(), name
    one = trainer(tmp_path / 'run', net.config, crops=features)
    one.run(no_log)
    assert one.step == 4
    with pytest.raises(InputError, match='other crops'):
        store_features(frozen, 40, folder, {'crops': 'others'})


def test_a_step_on_what_frozen_layers_return_is_one_on_the_images(frozen, tmp_path):
    network, source = frozen.layers.net.config, StoredCrops(CROPS, 'cpu', 0)
    wanted, found = (trainer(tmp_path / name, network, crops=crops).train_step()
                     for name, crops in (('images', source), ('frozen', frozen)))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-4), name


def test_a_dropout_out_of_range_is_named():
    with pytest.raises(ConfigError, match='dropout is 1'):
        replace(CONFIG, dropout=1.0).check()


def test_pieces_reassemble_and_a_damaged_one_is_named(tmp_path):
    index, data = tmp_path / 'last.json', np.random.default_rng(0).bytes(1000)
    write_pieces(index, data, '001', {'step': 1}, piece_bytes=300)
    assert is_index(index) and read_pieces(index) == data
    assert json.loads(index.read_text())['step'] == 1
    write_pieces(index, data[::-1], '002', {}, piece_bytes=300)
    assert read_pieces(index) == data[::-1]
    names = sorted(path.name for path in tmp_path.glob('*.pt'))
    assert names == [f'last-002-0{k}.pt' for k in range(4)]
    (tmp_path / names[1]).write_bytes(b'x' * 300)
    with pytest.raises(ModelError, match='last-002-01.pt is damaged'):
        read_pieces(index)
    (tmp_path / names[1]).unlink()
    with pytest.raises(ModelError, match='last-002-01.pt'):
        read_pieces(index)
    index.write_text('{}')
    assert not is_index(index)
    with pytest.raises(ModelError, match='no index'):
        read_pieces(index)


def test_expected_errors_are_right_where_their_loss_is_lowest():
    error = torch.tensor(np.random.default_rng(0).laplace(scale=0.05, size=(20000, 1)))
    sigmas = torch.linspace(0.02, 0.1, 81)
    values = [float(laplace(error, torch.full((20000,), float(s))).mean()) for s in sigmas]
    assert abs(sigmas[int(np.argmin(values))] - 0.05) < 0.002


def test_joints_that_project_to_their_positions_have_no_loss():
    joints_m = torch.tensor(CROPS.arrays['joints_m'])
    weight = torch.ones(8, 29)
    exact = joints_m[..., :2] * 0.4 + 0.1
    assert projection_loss(joints_m, exact, weight) < 2e-3
    assert projection_loss(joints_m, exact + 0.1 * torch.randn(8, 29, 2), weight) > 0.02


def test_nobody_s_joints_are_not_learned_from_empty_scenes():
    own = StoredCrops(CROPS, 'cpu', 0).batch(4, 0)
    own['present'] = torch.zeros(4)
    with torch.no_grad():
        values = crop_losses(LookNet(NETWORK)(own['image']), own, 'kinematic')
    assert values['present'] > 0
    assert all(values[name] == 0 for name in ('uv', 'joints', 'twist', 'visible', 'betas'))
