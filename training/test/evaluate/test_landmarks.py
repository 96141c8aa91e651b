"""Measurements of the landmark network's errors."""

import json

from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.landmark_measurements import depth_slopes
import numpy as np


def test_the_slope_of_a_guess_is_found():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 12)) * 0.3
    guess = 0.5 * true + rng.normal(size=true.shape) * 0.1
    found = depth_slopes(true, guess, np.ones(true.shape, bool))
    assert set(found) == {'hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'}
    for row in found.values():
        assert abs(row['slope'] - 0.5) < 0.02 and abs(row['residual_mm'] - 100) < 5


def test_photographs_as_they_are_and_painted_over(photographs, tmp_path, capsys):
    assert evaluate_cli.main(['landmarks', str(photographs), '--limit', '24', '--json',
                              '--plot', str(tmp_path / 'noise.png')]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 10 < report['people'] <= 24
    wrist = report['photographs']['wrist']['seen']['0.9']
    painted = [bins['median'] for bins in report['painted']['wrist']['painted over'].values()
               if bins['count'] > 2]
    assert 0 < wrist['median'] < 0.2 < max(painted)
    assert (tmp_path / 'noise.png').stat().st_size > 10_000
