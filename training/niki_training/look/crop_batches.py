"""Batches of rendered crops for training, drawn anew on the device or read from shards."""

from niki_ros.body.skeleton import JOINT, MIRROR_29
from niki_ros.observers.view_network import SIZE_PX
import numpy as np
import torch

from niki_training.look.augmentation import (
    blurred_faces,
    draw_similarity,
    patched,
    recoloured,
    Similarity,
    step_generator,
)

_STREAM = 0  # of the random numbers of a step
_HEAD = JOINT['head'], JOINT['head_top']
_JOINTS, _BODY = list(MIRROR_29), list(MIRROR_29[:24])
_TWISTS = [joint - 1 for joint in MIRROR_29[1:24]]
TRUTH = ('uv', 'joints_m', 'rotmat', 'betas', 'twist', 'visible', 'in_image', 'present',
         'hidden_percent')


class RandomOrder:
    """Rows of batches in a random order that visits each row once before any of them again."""

    def __init__(self, size: int, seed: int, rank: int = 0, world: int = 1):
        """``rank`` is the number of this process, one of ``world``."""
        self.size, self._seed, self._rank, self._world = size, seed, rank, world
        self._epoch, self._order = -1, np.zeros(0, int)

    def rows(self, count: int, step: int) -> np.ndarray:
        """Return the rows (count,) of a step's batch of this process."""
        first = (step * self._world + self._rank) * count
        return np.array([self._row(*divmod(place, self.size))
                         for place in range(first, first + count)])

    def _row(self, epoch: int, place: int) -> int:
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self.size)
            self._epoch = epoch
        return int(self._order[place])


class StoredCrops:
    """
    Augmented crops in a random order that visits each of them once before any of them again.

    :param crops: sequence whose rows are dicts of arrays, ``image`` (n, 256, 256, 3) uint8 and
        ``TRUTH``. :param rank: number of this process, one of ``world``.
    """

    def __init__(self, crops, device, seed: int, rank: int = 0, world: int = 1):
        self._crops, self._device, self._seed, self._rank = crops, device, seed, rank
        self._order = RandomOrder(len(crops), seed, rank, world)

    def __len__(self) -> int:
        return len(self._crops)

    def batch(self, count: int, step: int) -> dict:
        """Return ``count`` augmented crops; ``image`` (N, 3, 256, 256) RGB 0 … 1 and ``TRUTH``."""
        own = crop_tensors(self._crops[self._order.rows(count, step)], self._device)
        generator = step_generator(self._seed, self._rank, step, _STREAM, self._device)
        return augmented(own, generator)


class RenderedCrops:
    """
    Crops that are rendered when they are needed, none of them twice.

    :param renderer: has ``batch(indices)``, the crops of these numbers, for numbers (n,).
    """

    def __init__(self, renderer, rank: int = 0, world: int = 1):
        self._renderer, self._rank, self._world = renderer, rank, world

    def batch(self, count: int, step: int) -> dict:
        """Return the ``count`` crops of a step; ``image`` (N, 3, 256, 256) and ``TRUTH``."""
        first = (step * self._world + self._rank) * count
        own = self._renderer.batch(np.arange(first, first + count))
        return {name: own[name] for name in ('image', *TRUTH)}


def crop_tensors(rows: dict, device) -> dict:
    """Return ``image`` (N, 3, S, S) RGB 0 … 1 and ``TRUTH`` of arrays of stored crops."""
    image = torch.from_numpy(np.ascontiguousarray(rows['image'])).to(device)
    out = {name: torch.from_numpy(np.ascontiguousarray(rows[name])).to(device) for name in TRUTH}
    out = {name: value.float() if value.is_floating_point() else value
           for name, value in out.items()}
    return {'image': image.permute(0, 3, 1, 2).float() / 255, **out}


def augmented(own: dict, generator: torch.Generator) -> dict:
    """Return crops moved without error of the truth, with parts in front and other colours."""
    moved = moved_crops(own, draw_similarity(len(own['image']), generator, shifts=False))
    head, head_top = (moved['uv'][:, joint] for joint in _HEAD)
    image = blurred_faces(moved['image'], head, head_top, generator)
    image, behind = patched(image, moved['uv'], generator)
    return {**moved, 'image': recoloured(image, generator), 'visible': moved['visible'] & ~behind}


def moved_crops(own: dict, move: Similarity) -> dict:
    """Return crops and their truth after a move without a shift."""
    turn = torch.eye(3, device=move.scale.device).repeat(len(move.scale), 1, 1)
    turn[:, :2, :2] = move.turns()
    sign = torch.ones_like(turn)
    # mirroring a rotation about an axis turns the other way round, except about x
    sign[:, 0, 1:] = sign[:, 1:, 0] = (1.0 - 2.0 * move.is_mirrored.float())[:, None]
    rotmat = move.sides(own['rotmat'], _BODY)
    local = rotmat * sign[:, None]
    mirror = torch.ones_like(turn[:, 0])
    mirror[:, 0] -= 2.0 * move.is_mirrored.float()
    # ``turn`` mirrors the axes of the view, and the root's rotation starts from mirrored axes
    root = turn @ rotmat[:, 0] * mirror[:, None, :]
    twist = move.sides(own['twist'], _TWISTS)
    flipped = twist * torch.tensor([1.0, -1.0], device=twist.device)
    uv = move.points(move.sides(own['uv'], _JOINTS))
    inside = move.sides(own['in_image'], _JOINTS) & (uv.abs() < 0.5).all(-1)
    return {
        # the open skeleton is symmetric, so that betas stay
        **own, 'image': move.images(own['image'], SIZE_PX), 'uv': uv, 'in_image': inside,
        'joints_m': move.vectors(move.sides(own['joints_m'], _JOINTS)),
        'rotmat': torch.cat([root[:, None], local[:, 1:]], dim=1),
        'twist': torch.where(move.is_mirrored[:, None, None], flipped, twist),
        'visible': move.sides(own['visible'], _JOINTS) & inside}
