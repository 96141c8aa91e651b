"""Corruptions: the rows of the protocol, and random ones by named odds."""

from dataclasses import asdict, fields

from niki_ros.body.skeleton import open_skeleton
from niki_training.corrupt.joint_groups import LEGS
from niki_training.corrupt.odds import CorruptionOdds, HiddenOdds, NoiseOdds
from niki_training.corrupt.protocol import corrupt_for_row, PROTOCOL_ROWS
from niki_training.corrupt.training import corrupt_for_training, HIDDEN, NOISES
import numpy as np
import pytest

JOINTS_M = np.zeros((200, 2, 29, 3)) + open_skeleton().rest_joints_m
NOTHING = {'inexact_sigma': 0.0, 'single_joints': 0.0, 'swapped_legs': 0.0, 'begin_later': 0.0,
           'end_earlier': 0.0, 'misplaced': 0.0, 'no_sigma': 0.0}


def only(noise='exact', hidden='none', **odds):
    """Return odds of one noise and one kind of hidden joints."""
    def group(kind, name):
        return kind(**{field.name: float(field.name == name) for field in fields(kind)})
    return CorruptionOdds(noise=group(NoiseOdds, noise), hidden=group(HiddenOdds, hidden),
                          **{**NOTHING, **odds})


@pytest.mark.parametrize('row', PROTOCOL_ROWS)
def test_rows_of_the_protocol(row):
    noisy_m, sigma, wrong = corrupt_for_row(row, JOINTS_M, np.random.default_rng(0))
    assert np.allclose(noisy_m[..., 0, :], 0)
    assert 0 <= sigma.min() and sigma.max() <= 1
    kind, _, value = row.partition('-')
    if kind == 'noise':
        assert np.allclose(sigma, int(value) / 200)
        assert (noisy_m[..., 1, :] - JOINTS_M[..., 1, :]).std() == pytest.approx(
            np.sqrt(2) * int(value) / 1000, rel=0.1)
    if kind in ('occluded', 'silent'):
        assert (wrong.sum(-1) == 4 * int(value)).all()
        assert (sigma[wrong] == (kind == 'occluded')).all()


def test_every_corruption_has_odds_and_the_odds_have_a_corruption():
    assert list(NOISES) == list(asdict(NoiseOdds()))
    assert {*HIDDEN, 'none'} == {*asdict(HiddenOdds())}


@pytest.mark.parametrize('noise', NOISES)
def test_odds_choose_the_noise(noise):
    noisy_m, sigma = corrupt_for_training(JOINTS_M, np.random.default_rng(0), odds=only(noise))
    error_m = (noisy_m - JOINTS_M)[:, :, list(LEGS)]
    assert (np.abs(error_m).max() > 0.01) == (noise != 'exact')
    assert (sigma.max() > 0) == (noise != 'exact')
    along, across = error_m[..., 2].std(), error_m[..., 0].std()
    if noise in ('depth', 'landmark_like'):
        assert along > 1.5 * across
    if noise == 'landmark_like':
        assert np.abs(np.diff(error_m, axis=1)).mean() < np.abs(error_m).mean()


@pytest.mark.parametrize('hidden', HIDDEN)
def test_odds_choose_the_hidden_joints(hidden):
    noisy_m, sigma = corrupt_for_training(
        JOINTS_M, np.random.default_rng(0), odds=only(hidden=hidden))
    is_wrong = (np.abs(noisy_m - JOINTS_M) > 0.02).any(-1)
    # the pelvis is hidden in half of the bodies, which moves all joints relative to it
    is_wrong = is_wrong[~(sigma[..., 0] == 1).any(-1)]
    assert is_wrong.any() and not is_wrong[..., 15].any(), 'the head is never hidden'
    assert (sigma.max() == 1) == (hidden != 'silent_limbs')
    if hidden in ('legs', 'below_chest'):
        assert is_wrong[..., list(LEGS)].mean() > 0.98


def test_the_first_sequences_stay_clean():
    noisy_m, sigma = corrupt_for_training(JOINTS_M, np.random.default_rng(0), clean=50)
    assert np.array_equal(noisy_m[:50], JOINTS_M[:50]) and not sigma[:50].any()
    assert not np.array_equal(noisy_m[50:], JOINTS_M[50:])
