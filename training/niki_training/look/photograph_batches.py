"""Random batches of photographs for training: augmented crops, and labels that move with them."""

from niki_ros.body.skeleton import JOINT, MIRROR_29
from niki_ros.observers.landmark_network import MIRROR_POINTS
from niki_ros.observers.landmark_observation import LANDMARK_WEIGHTS
from niki_ros.observers.view_network import SIZE_PX
import numpy as np
from scipy.special import expit
import torch

from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.look.augmentation import (
    draw_similarity,
    patched,
    recoloured,
    Similarity,
    step_generator,
)
from niki_training.look.photographs import COCO_LIMBS, Photographs
from niki_training.look.starts import joint_map

_STREAM = 1  # of the random numbers of a step
# COCO's hips are the points of the surface that annotators click, not joints
_LABELLED = [k for k, joint in enumerate(LIMB_JOINTS)
             if joint not in (JOINT['left_hip'], JOINT['right_hip'])]
_MAX_TRUST = 0.99  # of the teacher; 1 is a label
_HIDDEN, _SEEN = 1, 2  # COCO's labels
_FIRST_POINTS = 35  # landmarks, and the two points that give the next crop
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
    """
    Return what the teacher says, as arrays.

    ``landmarks`` (N, 39, 2) in sides from the centre, ``odds`` (N, 39, 2) of being visible and of
    being in the crop, ``world`` (N, 39, 3), ``flag`` (N,), ``trust`` (N, 39) in it, and ``joints``
    (N, 29, 3): image positions of joints and the trust in them.
    """
    count = len(photographs.jpeg)
    marks = photographs.landmarks.reshape(count, 39, 5)
    odds = expit(marks[..., 3:])
    trust = odds.min(-1) * photographs.is_taught[:, None]
    trust[:, _FIRST_POINTS:] = 0.0
    landmarks = marks[..., :2] / SIZE_PX - 0.5
    joints = np.concatenate([joint_map() @ landmarks[:, :33],
                             (trust[:, :33] @ LANDMARK_WEIGHTS.T)[..., None]], axis=-1)
    return {name: np.float32(value) for name, value in {
        'landmarks': landmarks, 'odds': odds, 'world': photographs.world.reshape(count, 39, 3),
        'flag': photographs.flag[:, 0], 'trust': trust, 'joints': joints}.items()}


def moved_labels(own: dict, move: Similarity) -> dict:
    """
    Return the labels after a move.

    :param own: tensors ``keypoints`` (N, 17, 3) and those of :func:`teacher_labels`.
    :return: the truth of :func:`niki_training.look.losses.photograph_losses`.
    """
    def points(name, mirror):
        return move.sides(own[name], mirror)
    landmarks, keypoints = points('landmarks', MIRROR_POINTS), points('keypoints', _MIRROR_COCO)
    joints = points('joints', list(MIRROR_29))
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
    return {
        'uv': uv, 'weight': weight, 'visible': visible, 'visible_known': known,
        'landmarks': move.points(landmarks), 'odds': points('odds', MIRROR_POINTS),
        'world': move.vectors(points('world', MIRROR_POINTS)), 'flag': own['flag'],
        'trust': points('trust', MIRROR_POINTS)}
