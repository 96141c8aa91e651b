"""Body shapes in training batches: as the pipeline gives them to the solver."""

from niki_ros.body.skeleton import open_skeleton
from niki_training.data.shape_estimates import ShapeNumbers, with_pipeline_betas
import numpy as np


def drawn(numbers, sequences=200, frames=3):
    """Return betas and their uncertainty of sequences that had the true betas and 0.5."""
    true_betas = np.random.default_rng(0).normal(size=(sequences, 10))
    betas = np.repeat(true_betas, frames, axis=0)
    return (betas, *with_pipeline_betas(
        betas, np.full(len(betas), 0.5), true_betas, sequences // 2, open_skeleton(),
        np.random.default_rng(1), numbers))


def test_betas_of_the_pipeline_have_errors_and_no_uncertainty():
    true_betas, betas, sigma = drawn(ShapeNumbers())
    replaced = (betas != true_betas).any(axis=1)
    assert 0.4 < replaced.mean() < 0.7, 'four of ten, and seven of ten from a front end'
    assert (sigma[replaced] == 0).all() and (sigma[~replaced] == 0.5).all()
    per_sequence = replaced.reshape(-1, 3)
    assert (per_sequence == per_sequence[:, :1]).all(), 'one shape in a sequence'
    assert 0.3 < np.abs(betas - true_betas)[replaced].mean() < 1.0


def test_the_uncertainty_can_be_given():
    true_betas, betas, sigma = drawn(ShapeNumbers(gives_uncertainty=True))
    replaced = (betas != true_betas).any(axis=1)
    assert sigma[replaced].min() >= ShapeNumbers().min_beta_sigma
