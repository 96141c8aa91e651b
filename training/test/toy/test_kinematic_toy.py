"""The toy experiment: figures, the sparse CNN, cells that go on, the command."""

import json

from niki_training.toy import experiment as kinematic_toy
from niki_training.toy.figures import draw_images, draw_parameters, figure, wrapped
from niki_training.toy.network import cells_of, ToyCnn
from niki_training.toy.report import claims, collect, draw, table
from niki_training.toy.train import (
    fitted,
    METHODS,
    run_cell,
    samples,
    scores,
    ToyConfig,
    TRAINED,
)
import numpy as np
import pytest
import torch

TINY = ToyConfig(train=256, test=64, epochs=1)


@pytest.mark.parametrize(('level', 'parameters'), [(1, 3), (2, 6), (3, 8), (4, 10)])
def test_figures_have_the_papers_parameters_and_are_read_back(level, parameters):
    shape = figure(level)
    theta = draw_parameters(shape, 50, np.random.default_rng(0))
    assert theta.shape == (50, parameters)
    joints = shape.pose(torch.tensor(theta, dtype=torch.float32)).numpy()
    assert joints.shape == (50, 2 * level + 1, 2)
    assert joints.min() >= 3.9 and joints.max() <= 124.1
    assert np.abs(wrapped(shape.angles(joints) - theta[:, 2:])).max() < 1e-4
    assert np.allclose(joints[:, 0], theta[:, :2], atol=1e-4)


def test_images_show_the_bones():
    shape = figure(2)
    theta = draw_parameters(shape, 5, np.random.default_rng(1))
    joints = shape.pose(torch.tensor(theta, dtype=torch.float32)).numpy()
    images = draw_images(shape, theta)
    assert set(np.unique(images)) == {0, 1}
    for image, points in zip(images, joints):
        for start, end in shape.bones:
            x, y = np.round((points[start] + points[end]) / 2).astype(int)
            assert image[y, x] == 1
        length = 4 * 26 * 5
        assert 0.5 * length < image.sum() < 1.6 * length


def test_the_sparse_network_is_the_ordinary_one():
    torch.manual_seed(0)
    net = ToyCnn(6).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    images = draw_images(figure(3), draw_parameters(figure(3), 6, np.random.default_rng(2)))
    images[0, :6, :9] = 1
    images[1, 125:, 120:] = 1
    cells = cells_of(images)
    windows, place = cells.pick(np.array([1, 0, 5]))
    sparse = net(windows.float(), place, 3)
    dense = net.dense(torch.tensor(images[[1, 0, 5]], dtype=torch.float32))
    assert dense.abs().max() > 1
    assert torch.allclose(sparse, dense, rtol=1e-4, atol=1e-3)
    gradients = [torch.autograd.grad(out.square().sum(), net.first.weight)[0]
                 for out in (sparse, dense)]
    assert torch.allclose(*gradients, rtol=1e-3, atol=1e-3 * gradients[1].abs().max().item())


def test_true_joints_score_zero_and_model_fit_finds_them():
    shape = figure(2)
    data = samples(shape, 30, seed=3)
    exact = scores(shape, data.joints, None, data)
    assert exact['joint_px'] == 0 and exact['angle_deg'] < 1e-3 and exact['bone_percent'] < 1e-4
    found = fitted(shape, data.joints)
    fit = scores(shape, shape.pose(found), found, data)
    assert fit['joint_px'] < 1.0 and fit['bone_percent'] < 1e-4
    noisy = data.joints + 3 * torch.randn(data.joints.shape)
    assert scores(shape, noisy, None, data)['bone_percent'] > 5


def test_a_cell_is_computed_once(tmp_path):
    first = run_cell(tmp_path, 'direct joint', 1, 0, TINY)
    again = run_cell(tmp_path, 'direct joint', 1, 0, TINY)
    assert first == again and 'model fit' in first
    (stored,) = tmp_path.glob('*.json')
    assert json.loads(stored.read_text())['joint_px'] == first['joint_px']
    other = run_cell(tmp_path, 'kinematic', 1, 1, TINY)
    assert other['bone_percent'] < 1e-3 and other['joint_px'] < 60


def test_the_report_says_which_claim_does_not_hold(tmp_path):
    rows = [{'method': m, 'level': level, 'joint_px': 2.0 * level + 0.1 * seed, 'angle_deg': 3.0,
             'bone_percent': 0.0} for level in (1, 4) for m in TRAINED for seed in (-1, 1)]
    rows = [dict(r, **({'model fit': r} if r['method'] == 'direct joint' else {})) for r in rows]
    results = collect(rows)
    verdicts = {text: holds for text, holds, _ in claims(results)}
    assert not verdicts['level 4: direct joint is worse than kinematic, angle error, °']
    assert verdicts['level 4: kinematic is within a tenth of the best, joint error, px']
    assert table(results).splitlines()[-2].startswith('| 1 | 2.00 ± 0.14 / 3.00 ± 0.00')
    pytest.importorskip('matplotlib')
    draw(results, tmp_path / 'figure.png')
    assert (tmp_path / 'figure.png').stat().st_size > 5000


def test_smoke_ends_with_the_row_of_level_1(tmp_path, capsys):
    assert kinematic_toy.main(['--smoke', '--out', str(tmp_path / 'toy')]) == 0
    printed = capsys.readouterr().out.strip()
    assert (tmp_path / 'toy' / 'table.md').read_text().strip() == printed
    last = printed.splitlines()[-1]
    assert last.startswith('| 1 |') and last.count('/') == 2 * len(METHODS)
    assert '±' not in last, 'one seed has no deviation'
