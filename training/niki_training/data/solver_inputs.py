"""Inputs of a solver network from observed joints, by the same steps as at run time."""

from niki_ros.body.shape import body_scale, shape_information, size_sigma
from niki_ros.body.skeleton import Skeleton
from niki_ros.body.trunk_frame import trunk_frame
from niki_ros.solvers.joint_filter import JointFilter
import numpy as np

from niki_training.data.frame_rate import FPS


def solver_inputs(joints_m, sigma, skeleton: Skeleton, betas=None, beta_sigma=None) -> dict:
    """
    Return the inputs of a solver network for N observations.

    :param joints_m: (N, 29, 3) camera axes, metres. :param sigma: (N, 29) over 200 mm, 0 … 1.
    :param betas: (N, 10), or None to estimate them frame by frame.
    :param beta_sigma: (N,) standard deviation of the first of ``betas``; None = 0.
    :return: ``joints`` (N, 29, 3) in the trunk frame and scaled to the mean body, ``sigma``,
        ``condition`` (N, 17), ``turn`` (N, 3, 3) camera from trunk, ``scale`` (N,) and ``offsets``
        (N, 29, 3) of the body, scaled likewise.
    """
    if betas is None:
        betas, information = shape_information(joints_m, sigma, skeleton)
        beta_sigma = size_sigma(information)
    beta_sigma = np.zeros(len(joints_m)) if beta_sigma is None else beta_sigma
    scale = body_scale(betas, skeleton)
    frame = trunk_frame(joints_m, sigma, skeleton.rest(betas))
    return {
        'joints': frame.to_trunk(joints_m) / scale[:, None, None],
        'sigma': sigma,
        'condition': np.concatenate([betas, frame.camera_axes(), beta_sigma[:, None]], axis=-1),
        'turn': frame.camera_from_trunk,
        'scale': scale,
        'offsets': skeleton.offsets(betas) / scale[:, None, None],
    }


def filter_windows(joints_m, sigma, betas, frames: int, skeleton: Skeleton):
    """
    Pass B windows through the pipeline's joint filter; return joints about the trunk and sigma.

    :param joints_m: (B · frames, 29, 3) camera axes, metres. :param sigma: (B · frames, 29).
    :param betas: (B · frames, 10).
    """
    origin_m = trunk_frame(joints_m, sigma, skeleton.rest(betas)).origin_m
    points_m = (joints_m - origin_m[:, None]).reshape(-1, frames, 29, 3)
    sigma = sigma.reshape(-1, frames, 29)
    joint_filter = JointFilter()
    steps = [joint_filter.step(points_m[:, t], sigma[:, t], 1 / FPS) for t in range(frames)]
    points_m, sigma = (np.stack(values, axis=1) for values in zip(*steps))
    return points_m.reshape(-1, 29, 3), sigma.reshape(-1, 29)


def with_targets(inputs: dict, rotmat, joints_m, betas, skeleton: Skeleton) -> dict:
    """
    Add the ground truth to the inputs of N observations; all arrays become float32.

    :param rotmat: (N, 24, 3, 3) and ``joints_m`` (N, 29, 3) in camera axes. :param betas: (N, 10).
    :return: the inputs with ``rotmat`` (N, 24, 3, 3) and ``target`` (N, 29, 3) in the trunk frame
        of the observation, the target about the pelvis and scaled as the observation is; ``size``
        (N, 1), log of true over assumed size.
    """
    truth = rotmat.copy()
    truth[:, 0] = np.swapaxes(inputs['turn'], -1, -2) @ truth[:, 0]
    target = (joints_m @ inputs['turn']) / inputs['scale'][:, None, None]
    size = np.log(body_scale(betas, skeleton) / inputs['scale'])[:, None]
    batch = dict(inputs, rotmat=truth, target=target, size=size)
    return {name: value.astype(np.float32) for name, value in batch.items()}
