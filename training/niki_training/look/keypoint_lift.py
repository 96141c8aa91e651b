"""
The stage of the network that lifts keypoints of a crop to a pose.

It is the lifter of the pipeline without a past, and begins with its weights: those have seen
millions of views of motion capture, where rendered crops show some ten thousand.
"""

from typing import NamedTuple

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINT_IS_JOINT
from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_keypoints import KEYPOINTS_FROM_LANDMARKS
import torch
from torch import nn

from niki_training.lift import network as lifter
from niki_training.lift.export import load_lifter
from niki_training.look.landmarks import JointStart

_IMAGE_FEATURES = lifter.POINTS * 4  # of one image
# logarithm of the size of a person in tangents, where the width of the crop is not known
_LOG_SIZE = -1.8
_BETAS = 10


class CropKeypoints(NamedTuple):
    """The 21 keypoints of N crops; axes of the view."""

    uv: torch.Tensor  # (N, 21, 2) sides from the centre, any scale
    seen: torch.Tensor  # (N, 21) visibility 0 … 1
    depth_m: torch.Tensor  # (N, 21) estimated depth about the middle of the hips


class LiftedPose(NamedTuple):
    """Outputs for N crops."""

    main: torch.Tensor  # (N, 87) joints or (N, 144) vectors, as the network's head
    betas: torch.Tensor  # (N, 10), or (N, 0) where the joints are the output
    twist: torch.Tensor  # (N, 46)
    state: torch.Tensor  # (N, W) of the last hidden layer


class KeypointLift(nn.Module):
    """
    Residual layers from keypoints of a crop to a pose.

    :param frames: (144, 87) linear map from joints to the vectors of
        :class:`niki_training.look.pose.PoseLayer`, or None where the joints are the output.
    :param hidden: length of the image features that can be added.
    """

    def __init__(self, frames, hidden: int):
        super().__init__()
        start = load_lifter(find_model('lift').path)
        self.first = nn.Linear(_IMAGE_FEATURES, start.width)
        self.image = nn.Linear(hidden, start.width)
        nn.init.zeros_(self.image.weight)
        nn.init.zeros_(self.image.bias)
        self.middle = start.middle
        self.norm = start.last[0]
        main = lifter.JOINTS * 3 if frames is None else len(frames)
        self._widths = (main, 0 if frames is None else _BETAS, lifter.BONES * 2)
        self.last = nn.Linear(start.width, sum(self._widths))
        self._start(start, frames)

    def forward(self, keypoints: CropKeypoints, hidden=None) -> LiftedPose:
        """Return the poses; ``hidden`` (N, H) are features of the image, None without one."""
        state = self.first(image_features(keypoints))
        if hidden is not None:
            state = state + self.image(hidden)
        state = nn.functional.silu(state)
        for block in self.middle:
            state = state + block(state)
        state = self.norm(state)
        main, betas, twist = self.last(state).split(self._widths, dim=1)
        return LiftedPose(main, betas, twist, state)

    def _start(self, start: lifter.LiftNet, frames) -> None:
        """Take the weights of the newest image, and of what the lifter says about joints."""
        with torch.no_grad():
            self.first.weight.copy_(start.first.weight[:, :_IMAGE_FEATURES])
            self.first.bias.copy_(start.first.bias + _LOG_SIZE * start.first.weight[:, -1])
            joints = slice(0, lifter.JOINTS * 3)
            twist = slice(lifter.JOINTS * 5, None)
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)
            for own, old in ((self.last.weight, start.last[1].weight),
                             (self.last.bias, start.last[1].bias)):
                main = old[joints] if frames is None else frames @ old[joints]
                own[:len(main)], own[-lifter.BONES * 2:] = main, old[twist]


def image_features(keypoints: CropKeypoints) -> torch.Tensor:
    """Return the lifter's features (N, 84) of one image, relative to the trunk and the size."""
    uv, seen, depth_m = (value[:, None] for value in keypoints)
    return lifter.features(uv, seen, depth_m, torch.zeros_like(uv[:, 0, 0]))[:, :_IMAGE_FEATURES]


class KeypointChoice(nn.Module):
    """Picks the keypoints: joints by the new heads, other points by the landmark network."""

    def __init__(self):
        super().__init__()
        for name, value in (('joint', torch.tensor(JOINT_OF_KEYPOINT)),
                            ('is_joint', torch.tensor(KEYPOINT_IS_JOINT)),
                            ('means', torch.tensor(KEYPOINTS_FROM_LANDMARKS).float())):
            self.register_buffer(name, value, persistent=False)

    def forward(self, uv, visible, joints_m, start: JointStart) -> CropKeypoints:
        """
        Return the keypoints of N crops.

        :param uv: (N, 29, 2). :param visible: (N, 29) logits. :param joints_m: (N, 29, 3).
        """
        depth_m = joints_m[..., 2] - joints_m[:, 1:3, 2].mean(1, keepdim=True)
        return CropKeypoints(
            torch.where(self.is_joint[:, None], uv[:, self.joint],
                        self.means @ start.landmarks_uv),
            torch.where(self.is_joint, torch.sigmoid(visible)[:, self.joint],
                        start.landmarks_seen @ self.means.T),
            torch.where(self.is_joint, depth_m[:, self.joint],
                        start.world_m[..., 2] @ self.means.T))
