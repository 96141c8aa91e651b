"""
Losses of a network that looks at people: on rendered crops, and on photographs with keypoints.

Expected errors are trained by the likelihood of a Laplace distribution, whose scale is the mean
absolute error. Errors are constants in it: a network that could lower this loss by better
expectations instead of better joints would give up difficult crops.
"""

from dataclasses import dataclass

from niki_ros.body.skeleton import PARENTS_29
import torch
import torch.nn.functional as F

from niki_training.look.network import LookOutput
from niki_training.networks.kinematic import rot6d_from_rotmat

_PARENTS = list(PARENTS_29[1:])


@dataclass(frozen=True)
class LossNumbers:
    """Weights of the losses."""

    uv: float = 8.0  # of the distance in the crop, per side
    # of hidden joints, whose places in the crop can only be guessed, over that of visible ones
    hidden_uv: float = 0.3
    gone_percent: float = 90.0  # of the silhouette; of a person who is hidden more,
    gone: float = 0.2  # all losses over those of others
    joints: float = 8.0  # of the distance in space, per metre
    guess: float = 2.0  # likewise before keypoints are lifted
    rot6d: float = 0.2  # of the squared error of 6D rotations; joints do not tell every twist
    direct_rot6d: float = 2.0  # likewise for the head ``direct parameter``, which has no joints
    betas: float = 0.02  # of the squared error
    bones: float = 5.0  # of the error of bone lengths, per metre
    errors: float = 0.1  # of the likelihood of the expected errors
    twist: float = 0.3  # of 1 - cosine of the error
    visible: float = 0.2  # of the cross entropy
    present: float = 0.2  # of the cross entropy
    # photographs:
    keypoints: float = 8.0  # of the distance in the crop, per side
    taught: float = 0.35  # a joint where the teacher says it, over one with a label
    projection: float = 8.0  # of joints in space seen as the keypoints, per side


NEAR = 1.0  # sides from the centre; farther joints have no position in the crop


def crop_losses(found: LookOutput, truth: dict, head: str,
                numbers: LossNumbers = LossNumbers()) -> dict:
    """
    Return the weighted losses on N rendered crops, each a scalar.

    Joints count for ``direct joint`` and ``kinematic``, parameters for ``direct parameter`` and
    ``kinematic``, as in "Deep Kinematic Pose Regression" (Zhou et al. 2016).

    :param truth: tensors of the batch renderer: ``uv`` (N, 29, 2), ``joints_m`` (N, 29, 3),
        ``rotmat`` (N, 24, 3, 3), ``betas`` (N, 10), ``twist`` (N, 23, 2), ``visible``
        (N, 29), ``present`` and ``hidden_percent`` (N,).
    :param head: one of :data:`niki_training.look.network.HEADS`.
    """
    present = truth['present'].float()[:, None]
    # of a person who is hidden the crop shows nothing but how likely each pose is
    is_gone = (truth['hidden_percent'] > numbers.gone_percent)[:, None]
    there = present * torch.where(is_gone, numbers.gone, 1.0)
    near = there * (truth['uv'].abs().amax(-1) < NEAR)
    weight = near * torch.where(truth['visible'], 1.0, numbers.hidden_uv)
    uv, error_m = found.uv - truth['uv'], found.joints_m - truth['joints_m']
    values = {
        'uv': numbers.uv * (distance(uv) * weight).mean(),
        'visible': numbers.visible * (binary(found.visible, truth['visible']) * there).mean(),
        'present': numbers.present * (binary(found.present, truth['present'])
                                      * ~(is_gone[:, 0] & (truth['present'] > 0))).mean(),
        'errors': numbers.errors * (
            (laplace(uv, found.uv_sigma) * near).mean()
            + (laplace(error_m[..., :2], found.joints_sigma_m[..., 0]) * there).mean()
            + (laplace(error_m[..., 2:], found.joints_sigma_m[..., 1]) * there).mean()),
    }
    if head != 'direct parameter':
        guess = distance(found.guess_m - truth['joints_m'])
        values['guess'] = numbers.guess * (guess * there).mean()
    return {**values, **pose_losses(found, truth, there, head, numbers)}


def pose_losses(found, truth: dict, there, head: str,
                numbers: LossNumbers = LossNumbers()) -> dict:
    """
    Return the weighted losses of joints, rotations, shape and twists, each a scalar.

    :param found: has ``joints_m``, ``rot6d``, ``betas`` and ``twist`` of :class:`LookOutput`.
    :param truth: as of :func:`crop_losses`. :param there: (N, 1) weights.
    """
    off = 1 - F.cosine_similarity(found.twist, truth['twist'], dim=-1)
    values = {'twist': numbers.twist * (off * there).mean()}
    if head != 'direct parameter':
        error_m = distance(found.joints_m - truth['joints_m'])
        values['joints'] = numbers.joints * (error_m * there).mean()
    if head != 'direct joint':
        values.update(_parameter_losses(found, truth, there[:, 0], head, numbers))
    return values


def _parameter_losses(found, truth, there, head: str, numbers: LossNumbers) -> dict:
    """Return the losses of rotations and shape; ``there`` (N,)."""
    weight = numbers.rot6d if head == 'kinematic' else numbers.direct_rot6d
    rot6d = (found.rot6d - rot6d_from_rotmat(truth['rotmat'])).square().sum(-1)
    betas = (found.betas - truth['betas']).square().mean(-1)
    values = {'rot6d': weight * (rot6d * there[:, None]).mean(),
              'betas': numbers.betas * (betas * there).mean()}
    if head == 'kinematic':
        bones_m = (bone_lengths(found.joints_m) - bone_lengths(truth['joints_m'])).abs()
        values['bones'] = numbers.bones * (bones_m * there[:, None]).mean()
    return values


def photograph_losses(found: LookOutput, truth: dict,
                      numbers: LossNumbers = LossNumbers()) -> dict:
    """
    Return the weighted losses on N crops of photographs, each a scalar.

    :param truth: tensors of :mod:`niki_training.look.photograph_batches`: ``uv`` (N, 29, 2) and
        ``weight`` (N, 29) of joints by keypoints (1) or by the teacher (its trust), ``visible``
        and ``visible_known`` (N, 29).
    """
    weight = truth['weight'] * torch.where(truth['weight'] < 1, numbers.taught, 1.0)
    uv = found.uv - truth['uv']
    seen = binary(found.visible, truth['visible']) * truth['visible_known'].float()
    return {
        'keypoints': numbers.keypoints * (distance(uv) * weight).mean(),
        'projection': numbers.projection * projection_loss(
            found.joints_m, torch.where((truth['weight'] > 0)[..., None], truth['uv'], found.uv),
            truth['weight']),
        'seen': numbers.visible * seen.mean(),
        'there': numbers.present * binary(found.present, torch.ones_like(found.present)).mean(),
        # labels only: the teacher's errors are those of the network
        'keypoint_errors': numbers.errors * (
            laplace(uv, found.uv_sigma) * (truth['weight'] == 1)).mean(),
    }


def projection_loss(joints_m, uv, weight) -> torch.Tensor:
    """
    Return how far joints seen from afar are from their image positions, sides of the crop.

    Scale and shift of the weak perspective are those that fit best; nobody knows the camera of a
    photograph. The image positions are constants.

    :param joints_m: (N, 29, 3). :param uv: (N, 29, 2). :param weight: (N, 29).
    """
    uv, across_m = uv.detach(), joints_m[..., :2]
    share = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
    uv = uv - (uv * share[..., None]).sum(1, keepdim=True)
    across_m = across_m - (across_m * share[..., None]).sum(1, keepdim=True)
    size = (across_m.square().sum(-1) * share).sum(1).clamp_min(1e-4)
    scale = (((uv * across_m).sum(-1) * share).sum(1) / size).clamp_min(0.0).detach()
    off = distance(scale[:, None, None] * across_m - uv)
    # with four joints or fewer nearly every pose fits
    enough = (weight > 0).sum(1) > 4
    return ((off * share).sum(1) * enough).mean()


def bone_lengths(joints_m) -> torch.Tensor:
    """Return the lengths (N, 28) of the bones that end in joints 1 … 28, metres."""
    return distance(joints_m[:, 1:] - joints_m[:, _PARENTS], 1e-10)


def distance(difference, tiny: float = 1e-6) -> torch.Tensor:
    """Return lengths (…,) of vectors (…, k), with a finite gradient at zero."""
    return (difference.square().sum(-1) + tiny).sqrt()


def laplace(error, sigma) -> torch.Tensor:
    """
    Return the negative log-likelihood (…,) of the scale of a Laplace distribution, per coordinate.

    :param error: (…, k), a constant. :param sigma: (…,) expected mean absolute error.
    """
    return error.detach().abs().mean(-1) / sigma + torch.log(sigma)


def binary(logit, probability) -> torch.Tensor:
    """Return the cross entropy of logits and probabilities or truth values of the same shape."""
    return F.binary_cross_entropy_with_logits(logit, probability.float(), reduction='none')
