"""
What the untouched landmark network says about a crop, from which the new heads start.

It stays as it is, so that the new heads can only add to it: its heat maps place a landmark that is
seen better than any vector of features does, see :mod:`niki_training.importers.heat_map`.
"""

from typing import NamedTuple

from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_network import PeakNumbers
from niki_ros.observers.landmark_observation import LANDMARK_WEIGHTS
import torch
from torch import nn

from niki_training.importers.heat_map import MIN_WEIGHT, WINDOW_SIGMA
from niki_training.look.starts import frame_map, joint_map, LANDMARKS
from niki_training.look.trunk import SIZE_PX, Trunk

OLD_OUTPUTS = {'landmarks': 195, 'world': 117, 'flag': 1, 'peaks': 99}
"""Outputs of the landmark network and their numbers of values."""
FEATURES = LANDMARKS * 8
"""Number of values of :attr:`JointStart.features`."""
_HEAT_MAP, _PEAK = 'heat_map', PeakNumbers()
_MIN_PROBABILITY = 0.01  # of those that become logits, and 1 - that the largest


class LandmarkNet(nn.Module):
    """The landmark network of a size, frozen."""

    def __init__(self, size: str):
        super().__init__()
        self.trunk = Trunk(find_model(f'landmarks-{size}'), (
            *(name for name in OLD_OUTPUTS if name != 'peaks'), _HEAT_MAP))
        self.requires_grad_(False)

    def forward(self, image) -> dict:
        """Return ``OLD_OUTPUTS`` for crops (N, 3, 256, 256), RGB 0 … 1."""
        # in single precision: its heat maps are sums of small numbers
        with torch.no_grad(), torch.autocast(image.device.type, enabled=False):
            found = {name: value.float() for name, value in self.trunk(image).items()}
            heat_map = found.pop(_HEAT_MAP)
            return {**found, 'peaks': peaks_of(heat_map[:, :LANDMARKS], found['landmarks'])}


def peaks_of(heat_map, landmarks) -> torch.Tensor:
    """
    Return the peaks (N, 99) as :func:`niki_training.importers.heat_map.add_peaks` does.

    :param heat_map: (N, 33, side, side) logits. :param landmarks: (N, 195).
    """
    side = heat_map.shape[-1]
    cell_px = SIZE_PX / side
    at = landmarks.unflatten(1, (-1, 5))[:, :LANDMARKS, :2] / cell_px
    offset = torch.arange(side, dtype=at.dtype, device=at.device) - at[..., None]
    weight = torch.exp(-offset.square() / (2 * WINDOW_SIGMA**2))
    heat = torch.sigmoid(heat_map)
    squared = heat * heat
    x, y = (torch.stack([weight[:, :, axis], (weight * offset)[:, :, axis]], dim=-1)
            for axis in (0, 1))
    sums = y.transpose(-1, -2) @ (squared @ x)  # (N, 33, 2, 2): rows by y, columns by x
    cubed = y[..., :1].transpose(-1, -2) @ (squared * heat @ x[..., :1])
    total = sums[..., 0, 0] + MIN_WEIGHT
    parts = [sums[..., 0, 1] / total * cell_px, sums[..., 1, 0] / total * cell_px,
             cubed[..., 0, 0] / total]
    return torch.stack(parts, dim=-1).flatten(1)


class JointStart(NamedTuple):
    """The joints of N crops by the landmark network."""

    uv: torch.Tensor  # (N, 29, 2) sides from the centre
    main: torch.Tensor  # (N, 87) joints, metres, or (N, 144) vectors of the pose layer
    visible: torch.Tensor  # (N, 29) logits
    present: torch.Tensor  # (N, 1) logit
    features: torch.Tensor  # (N, FEATURES)
    landmarks_uv: torch.Tensor  # (N, 33, 2) at the peaks of their heat maps
    landmarks_seen: torch.Tensor  # (N, 33) 0 … 1
    world_m: torch.Tensor  # (N, 33, 3)


class JointsOfLandmarks(nn.Module):
    """
    Linear maps from landmarks to what the new heads return.

    :param direct: whether ``main`` are joints, and not vectors.
    """

    def __init__(self, direct: bool):
        super().__init__()
        main = joint_map() if direct else frame_map().reshape(48, LANDMARKS)
        for name, value in (('joints', joint_map()), ('main', main),
                            ('weights', LANDMARK_WEIGHTS)):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def forward(self, old: dict) -> JointStart:
        """Return the start of the new heads for ``OLD_OUTPUTS``."""
        marks = old['landmarks'].unflatten(1, (-1, 5))[:, :LANDMARKS]
        world_m = old['world'].unflatten(1, (-1, 3))[:, :LANDMARKS]
        peaks = old['peaks'].unflatten(1, (LANDMARKS, 3))
        uv = (marks[..., :2] + peaks[..., :2]) / SIZE_PX - 0.5
        odds, height = torch.sigmoid(marks[..., 3:]), peaks[..., 2]
        at_peak = ((height - _PEAK.hidden) / (_PEAK.visible - _PEAK.hidden)).clamp(0.0, 1.0)
        seen = torch.minimum(odds.amin(-1), at_peak)
        features = torch.cat([uv.flatten(1), world_m.flatten(1), height, odds.flatten(1)], dim=1)
        return JointStart(
            self.joints @ uv, (self.main @ world_m).flatten(1),
            torch.logit(seen @ self.weights.T, _MIN_PROBABILITY),
            torch.logit(old['flag'], _MIN_PROBABILITY), features, uv, seen, world_m)
