"""Line figures of the toy experiment: two arms of bones in the plane, in binary images."""

from dataclasses import dataclass

import numpy as np
import torch

from niki_training.networks.kinematic import KinematicLayer, planar_rotmat

SIZE_PX, MARGIN_PX, THICKNESS_PX = 128, 4, 5
BONE_PX = {1: 45.0, 2: 26.0, 3: 19.0, 4: 16.0}
"""Level → bone length. The paper has 45 px at level 1; more bones of that length would not fit."""
ORIENTATION_DEG, BETWEEN_DEG, BEND_DEG = (-60, 60), (40, 170), (-75, 75)  # ranges


@dataclass(frozen=True)
class Figure:
    """
    A figure of one level, with 3, 6, 8 or 10 motion parameters.

    Motion parameters (..., K): x, y of the middle in pixels, the orientation of the first arm
    (from level 2 on; at level 1 it points up), the angle between the arms, then the bends of both
    arms from the middle outwards, radians. Both arms begin at the middle; in ``layer`` the second
    one has a joint of its own there, which ``joints`` leaves out.
    """

    level: int
    layer: KinematicLayer
    joints: tuple  # the joints of the layer, without that second one
    bones: np.ndarray  # (B, 2) ends of the bones, indices into ``joints``: first arm, second arm
    low: np.ndarray  # (K,) smallest motion parameters
    high: np.ndarray  # (K,) largest

    def pose(self, theta):
        """Return the joints (..., J, 2) in pixels of motion parameters (..., K), tensors."""
        turn = theta[..., 2] if self.level > 1 else torch.zeros_like(theta[..., 0])
        angles = theta[..., 3 if self.level > 1 else 2:]
        joints = self.layer.pose(theta[..., :2], planar_rotmat(turn), angles)
        return joints[..., list(self.joints), :]

    def scaled(self, theta):
        """Return motion parameters (..., K) relative to their range, -1 … 1."""
        low, high = (torch.as_tensor(v, dtype=theta.dtype) for v in (self.low, self.high))
        return (2 * theta - low - high) / (high - low)

    def unscaled(self, share):
        """Invert :meth:`scaled`."""
        low, high = (torch.as_tensor(v, dtype=share.dtype) for v in (self.low, self.high))
        return (share * (high - low) + low + high) / 2

    def angles(self, joints) -> np.ndarray:
        """Return the angles (..., K - 2) in radians of the bones of joints (..., J, 2), arrays."""
        bone = joints[..., self.bones[:, 1], :] - joints[..., self.bones[:, 0], :]
        direction = np.arctan2(bone[..., 0], -bone[..., 1])
        first, second = np.split(direction, 2, axis=-1)
        out = [second[..., :1] - first[..., :1]]
        if self.level > 1:
            out = [first[..., :1], *out]
        for k in range(1, self.level):
            out += [a[..., k:k + 1] - a[..., k - 1:k] for a in (first, second)]
        return wrapped(np.concatenate(out, axis=-1))


def figure(level: int) -> Figure:
    """Return the figure of a level, 1 … 4, the number of bones in each arm."""
    up = (0.0, -BONE_PX[level])
    first = list(range(1, level + 1))
    second = list(range(level + 1, 2 * level + 2))
    parents = [-1, 0, *first[:-1], 0, *second[:-1]]
    offsets = [(0.0, 0.0), *[up] * level, (0.0, 0.0), *[up] * level]
    hinges = [(second[0], 1.0)]
    for k in range(level - 1):
        hinges += [(first[k], 1.0), (second[k + 1], 1.0)]
    turns = [BETWEEN_DEG] + [BEND_DEG] * (2 * level - 2)
    if level > 1:
        turns = [ORIENTATION_DEG, *turns]
    low, high = np.radians(np.array(turns, dtype=float)).T
    edges = np.array([MARGIN_PX, SIZE_PX - MARGIN_PX], dtype=float)
    arms = np.arange(1, 2 * level + 1)
    starts = np.where((arms == 1) | (arms == level + 1), 0, arms - 1)
    return Figure(
        level, KinematicLayer(parents, offsets=torch.tensor(offsets), hinges=hinges),
        (0, *first, *second[1:]), np.stack([starts, arms], axis=1),
        np.concatenate([edges[[0, 0]], low]), np.concatenate([edges[[1, 1]], high]))


def wrapped(angle):
    """Return angles in radians in -π … π."""
    return np.mod(angle + np.pi, 2 * np.pi) - np.pi


def draw_parameters(shape: Figure, count: int, rng) -> np.ndarray:
    """Return uniform motion parameters (count, K) of figures that are completely in the image."""
    kept: list = []
    while sum(map(len, kept)) < count:
        theta = rng.uniform(shape.low, shape.high, (2 * count, len(shape.low)))
        theta[:, :2] = 0
        joints = shape.pose(torch.tensor(theta, dtype=torch.float32)).numpy()
        low, high = joints.min(axis=1), joints.max(axis=1)
        fits = (high - low).max(axis=1) < SIZE_PX - 2 * MARGIN_PX
        room = rng.uniform(size=(len(theta), 2))
        first, last = MARGIN_PX - low, SIZE_PX - MARGIN_PX - high
        theta[:, :2] = first + room * (last - first)
        kept.append(theta[fits])
    return np.concatenate(kept)[:count]


def draw_images(shape: Figure, theta) -> np.ndarray:
    """Return binary images (count, 128, 128) uint8, 0 or 1, of motion parameters."""
    import cv2
    joints = shape.pose(torch.tensor(theta, dtype=torch.float32)).numpy()
    fixed = np.round(joints * 16).astype(int)
    images = np.zeros((len(theta), SIZE_PX, SIZE_PX), np.uint8)
    for image, points in zip(images, fixed):
        for start, end in shape.bones:
            cv2.line(image, points[start].tolist(), points[end].tolist(), 1, THICKNESS_PX,
                     cv2.LINE_8, 4)
    return images
