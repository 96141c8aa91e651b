"""
Body shapes as the network gets them at run time: estimated, from the pipeline, or true.

Each function returns betas and the standard deviation of the first of them, the size.
"""

from dataclasses import dataclass

from niki_ros.body.shape import resized_betas, scale_per_beta, shape_information, size_sigma
from niki_ros.body.skeleton import Skeleton
import numpy as np


@dataclass(frozen=True)
class ShapeNumbers:
    """Shares and errors of the shapes in a batch."""

    true_ratio: float = 0.25  # share of single frames with the true betas and no uncertainty
    pipeline_ratio: float = 0.4  # share of the sequences with betas as the pipeline estimates them
    pairs_pipeline_ratio: float = 0.7  # likewise, of the sequences from a front end
    min_beta_sigma: float = 0.3  # smallest of the pipeline's first beta; the largest is 1
    proportions_error: float = 0.6  # standard deviation of the pipeline's error in the other betas
    gives_uncertainty: bool = False  # of the pipeline's betas: the pipeline gives the solver none


def single_frame_betas(joints_m, sigma, true_betas, skeleton: Skeleton, rng,
                       numbers: ShapeNumbers = ShapeNumbers()):
    """
    Estimate the shape of single frames; a part of them gets the true shape.

    :param joints_m: (N, 29, 3) metres. :param sigma: (N, 29). :param true_betas: (N, 10).
    """
    betas, information = shape_information(joints_m, sigma, skeleton)
    is_true = rng.random(len(true_betas)) < numbers.true_ratio
    beta_sigma = np.where(is_true, 0.0, size_sigma(information))
    return np.where(is_true[:, None], true_betas, betas), beta_sigma


def tracked_betas(joints_m, sigma, true_betas, frames: int, skeleton: Skeleton, rng):
    """
    Estimate the shape in each frame of B windows from all frames until then, as a track does.

    The information before the window is random: 0.05 to 150 times that of its first frame.

    :param joints_m: (B · frames, 29, 3) metres. :param sigma: (B · frames, 29).
    :param true_betas: (B, 10).
    """
    betas, information = shape_information(joints_m, sigma, skeleton)
    betas = betas.reshape(-1, frames, 10, 1)
    information = information.reshape(-1, frames, 10, 10)
    before = np.exp(rng.uniform(-3, 5, (len(true_betas), 1, 1))) * information[:, 0]
    root = np.linalg.cholesky(before + 1e-6 * np.eye(10))
    noise = np.linalg.solve(root.swapaxes(1, 2), rng.normal(size=(len(true_betas), 10, 1)))
    total = np.cumsum(information, axis=1) + before[:, None]
    vector = np.cumsum(information @ betas, axis=1) + (
        before @ (true_betas[..., None] + np.clip(noise, -1, 1)))[:, None]
    mean = np.linalg.solve(total + np.eye(10), vector)[..., 0]
    return np.clip(mean, -5, 5).reshape(-1, 10), size_sigma(total.reshape(-1, 10, 10))


def with_pipeline_betas(betas, beta_sigma, true_betas, paired: int, skeleton: Skeleton, rng,
                        numbers: ShapeNumbers = ShapeNumbers()):
    """
    Replace the betas of some sequences by betas as the pipeline estimates them.

    :param betas: (B · T, 10). :param beta_sigma: (B · T,). :param true_betas: (B, 10).
    :param paired: number of sequences, the last ones, that come from a front end.
    """
    count, frames = len(true_betas), len(betas) // len(true_betas)
    ratio = np.full(count, numbers.pipeline_ratio)
    ratio[count - paired:] = numbers.pairs_pipeline_ratio
    chosen = rng.random(count) < ratio
    sigma = rng.uniform(numbers.min_beta_sigma, 1.0, count)
    scale_error = sigma * scale_per_beta(skeleton) * rng.normal(size=count)
    near = resized_betas(true_betas, scale_error, skeleton)
    near[:, 1:] += numbers.proportions_error * rng.normal(size=near[:, 1:].shape)
    near, sigma, chosen = (np.repeat(values, frames, axis=0) for values in (near, sigma, chosen))
    given = sigma if numbers.gives_uncertainty else 0.0
    return np.where(chosen[:, None], near, betas), np.where(chosen, given, beta_sigma)
