"""Random batches of photographs for training: augmented crops, and labels that move with them."""

from niki_ros.body.skeleton import JOINT, MIRROR_29
from niki_ros.observers.view_network import SIZE_PX
import numpy as np
import torch

from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.look.augmentation import (
    draw_similarity,
    patched,
    recoloured,
    Similarity,
    step_generator,
)
from niki_training.look.landmarks import JointsOfLandmarks, OLD_OUTPUTS
from niki_training.look.photographs import COCO_LIMBS, Photographs

_STREAM = 1  # of the random numbers of a step
# COCO's hips are the points of the surface that annotators click, not joints
_LABELLED = [k for k, joint in enumerate(LIMB_JOINTS)
             if joint not in (JOINT['left_hip'], JOINT['right_hip'])]
_MAX_TRUST = 0.99  # of the teacher; 1 is a label
_HIDDEN, _SEEN = 1, 2  # COCO's labels
_MIRROR_COCO = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


class PhotographBatches:
    """
    Draws crops of photographs with labels; one call is one step's batch.

    :param photographs: of the training split. :param device: of the batches.
    :param rank: number of the process, which draws batches of its own.
    """

    def __init__(self, photographs: Photographs, device, seed: int, rank: int = 0):
        self._seed, self._rank, self._device = seed, rank, device
        arrays = {'image': photographs.images(), 'keypoints': photographs.keypoints,
                  **teacher_labels(photographs)}
        self._arrays = {name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
                        for name, value in arrays.items()}

    def __len__(self) -> int:
        return len(self._arrays['image'])

    def batch(self, count: int, step: int) -> dict:
        """
        Return ``count`` augmented crops, the truth of ``losses.photograph_losses``.

        ``image`` (N, 3, 256, 256) is RGB 0 … 1.
        """
        generator = step_generator(self._seed, self._rank, step, _STREAM, self._device)
        rows = torch.randint(len(self), (count,), generator=generator, device=self._device)
        own = {name: value[rows] for name, value in self._arrays.items()}
        own['image'] = own['image'].permute(0, 3, 1, 2).float() / 255
        move = draw_similarity(count, generator)
        labels = moved_labels(own, move)
        image = move.images(own['image'], SIZE_PX)
        image, behind = patched(image, labels['uv'], generator)
        labels['visible'] &= ~behind
        return {'image': recoloured(image, generator), **labels}


def teacher_labels(photographs: Photographs) -> dict:
    """Return the array ``joints`` (N, 29, 3): positions by the teacher, and the trust in them."""
    rows = [photographs.landmarks, photographs.world, photographs.flag, photographs.peaks]
    old = dict(zip(OLD_OUTPUTS, (torch.from_numpy(np.float32(row)) for row in rows)))
    start = JointsOfLandmarks(direct=True)(old)
    trust = start.visible.sigmoid().numpy() * photographs.is_taught[:, None]
    return {'joints': np.concatenate([start.uv.numpy(), trust[..., None]], axis=-1)}


def moved_labels(own: dict, move: Similarity) -> dict:
    """
    Return the labels after a move.

    :param own: tensors ``keypoints`` (N, 17, 3) and those of :func:`teacher_labels`.
    :return: the truth of :func:`niki_training.look.losses.photograph_losses`.
    """
    def points(name, mirror):
        return move.sides(own[name], mirror)
    keypoints, joints = points('keypoints', _MIRROR_COCO), points('joints', list(MIRROR_29))
    uv, weight = move.points(joints[..., :2]), joints[..., 2].clamp_max(_MAX_TRUST)
    limbs = keypoints[:, list(COCO_LIMBS)]
    label_uv, labels = move.points(limbs[..., :2]), limbs[..., 2]
    known = torch.zeros_like(weight, dtype=torch.bool)
    known[:, LIMB_JOINTS] = labels > 0
    visible = torch.zeros_like(known)
    visible[:, LIMB_JOINTS] = labels == _SEEN
    at = LIMB_JOINTS[_LABELLED]
    has = labels[:, _LABELLED] > 0
    uv[:, at] = torch.where(has[..., None], label_uv[:, _LABELLED], uv[:, at])
    weight[:, at] = torch.where(has, 1.0, weight[:, at])
    return {'uv': uv, 'weight': weight, 'visible': visible, 'visible_known': known}
