"""
Keypoints of rendered people as a landmark network might see them, which train the lift alone.

A few thousand poses with limbs of other people, from other sides and with simulated errors are
worth more than the pictures of them that there is time to look at.
"""

from dataclasses import dataclass

from niki_ros.body.skeleton import open_skeleton
import numpy as np
import torch

from niki_training.lift.data import KeypointBody, LEFT_ARM, LEGS, RIGHT_ARM
from niki_training.lift.keypoint_errors import KeypointErrors
from niki_training.look.keypoint_lift import CropKeypoints
from niki_training.networks.kinematic import axis_angle_rotmat
from niki_training.networks.swing import bone_axes, swing_twist


@dataclass(frozen=True)
class SimulationNumbers:
    """Numbers of :class:`SimulatedKeypoints`."""

    least: int = 192  # people of a step, by repeating those of its crops
    limb_odds: float = 0.3  # of legs or an arm of another person
    joint_rad: float = 0.12  # deviation of each joint's angle
    turn_odds: float = 0.5  # of another side towards the camera
    angle_rad: float = 0.2  # how wrong the roll of a followed crop is, as in the augmentation
    distance_m: tuple = (1.5, 10.0)


class SimulatedKeypoints:
    """Draws keypoints and the poses behind them."""

    def __init__(self, numbers: SimulationNumbers = SimulationNumbers()):
        skeleton = open_skeleton()
        self.numbers, self._body = numbers, KeypointBody(skeleton)
        self._axes = torch.as_tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)

    def draw(self, truth: dict, seed: int) -> tuple[CropKeypoints, dict]:
        """
        Return keypoints of people in the poses of crops, and ``joints_m``, ``rotmat`` … of them.

        :param truth: of crops, as of :func:`niki_training.look.losses.crop_losses`.
        """
        device = truth['rotmat'].device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            people = torch.nonzero(truth['present'].cpu() > 0.5)[:, 0]
            times = -(-self.numbers.least // max(len(people), 1))
            rows = people.repeat(times)
            rotmat = self._posed(truth['rotmat'].cpu().float()[rows])
            betas = truth['betas'].cpu().float()[rows[torch.randperm(len(rows))]]
            keypoints, own = self._seen(rotmat, betas)
        return (CropKeypoints(*(value.to(device) for value in keypoints)),
                {name: value.to(device) for name, value in own.items()})

    def _posed(self, rotmat):
        """Return rotations (N, 24, 3, 3) with other limbs, other angles and other sides."""
        count, rotmat = len(rotmat), rotmat.clone()
        for limb in (LEGS, LEFT_ARM, RIGHT_ARM):
            other = rotmat[torch.randperm(count)]
            swap = torch.nonzero(torch.rand(count) < self.numbers.limb_odds)[:, 0]
            rotmat[swap[:, None], limb] = other[swap][:, limb]
        axis = torch.nn.functional.normalize(torch.randn(count, 21, 3), dim=-1)
        noise = axis_angle_rotmat(axis, torch.randn(count, 21) * self.numbers.joint_rad)
        rotmat[:, 1:22] = rotmat[:, 1:22] @ noise
        # crops are turned until their people are upright
        down = torch.tensor([0.0, 1.0, 0.0]).repeat(count, 1)
        angle = (torch.rand(count) * 2 - 1) * torch.pi * (
            torch.rand(count) < self.numbers.turn_odds)
        rotmat[:, 0] = axis_angle_rotmat(down, angle) @ rotmat[:, 0]
        return rotmat

    def _seen(self, rotmat, betas):
        """Return keypoints with errors, turned as crops are, and the truth in the same axes."""
        numbers, count = self.numbers, len(rotmat)
        points = self._body.points(rotmat[:, None], betas.numpy())[:, 0]
        low, high = np.log(numbers.distance_m)
        away_m = torch.exp(low + (high - low) * torch.rand(count, 1))
        hips_m = points[:, 1:3].mean(1, keepdim=True)
        placed = points[:, 29:] - hips_m
        placed[..., 2] += away_m
        first = torch.zeros(count)
        uv, seen, depth_m = KeypointErrors(placed, count).observed(placed, first, first.long())
        up = uv[:, 6:8].mean(1) - uv[:, :2].mean(1)
        # clockwise from upright; the crop is turned back by it, not quite
        lean = torch.atan2(up[:, 0], -up[:, 1]) + torch.randn(count) * numbers.angle_rad
        turn = axis_angle_rotmat(torch.tensor([0.0, 0.0, 1.0]).repeat(count, 1), -lean)
        uv = uv @ turn[:, :2, :2].mT
        rotmat = torch.cat([(turn @ rotmat[:, 0])[:, None], rotmat[:, 1:]], 1)
        joints_m = (points[:, :29] - points[:, :1]) @ turn.mT
        twist = swing_twist(rotmat, self._axes)[1]
        return (CropKeypoints(uv, seen, depth_m),
                {'rotmat': rotmat, 'betas': betas, 'joints_m': joints_m, 'twist': twist})
