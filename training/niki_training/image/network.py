"""Networks from the crop of a person to joints, rotations, shape, place and expected errors."""

from dataclasses import dataclass
from typing import NamedTuple

from niki_ros.body.skeleton import PARENTS_29, Skeleton
from niki_ros.common.errors import ConfigError
import torch
from torch import nn

from niki_training.image.backbone import build_backbone, REDUCTION
from niki_training.networks.kinematic import BODY_LAYER, rotmat_from_rot6d

HEADS = ('direct joint', 'direct parameter', 'kinematic')
JOINTS, ROT6D, BETAS, PLACE = 29 * 3, 24 * 6, 10, 3  # widths of the outputs
MEAN_255, STD_255 = 116.0, 58.0  # mean and deviation of the images, 0 … 255
LOG_ERROR = -2.5  # initial log of the expected errors: 82 mm of 7 mm … 1 m per coordinate


@dataclass
class PersonConfig:
    """Settings of one network."""

    head: str = 'kinematic'  # one of ``HEADS``
    backbone: str = 'resnet10t'  # see :func:`build_backbone`
    size_px: int = 64  # side of the crop
    width: int = 128  # channels after the backbone
    hidden: int = 512  # width of the fully connected layer


class PersonPrediction(NamedTuple):
    """Outputs of the network for each crop, in the axes of :mod:`niki_ros.observers.crop_view`."""

    joints_m: torch.Tensor  # (N, 29, 3) about the pelvis, metres
    rot6d: torch.Tensor | None  # (N, 24, 6), or None
    betas: torch.Tensor | None  # (N, 10), or None
    place: torch.Tensor  # (N, 3) uv and log scale of the pelvis
    log_error: torch.Tensor  # (N, 29) log of the expected error per coordinate, metres


class PersonNet(nn.Module):
    """
    One backbone with one of three heads.

    ``direct joint`` regresses the joints; ``direct parameter`` and ``kinematic`` regress the
    motion parameters, and the joints follow through the kinematic layer.
    """

    def __init__(self, config: PersonConfig, skeleton: Skeleton):
        super().__init__()
        if config.head not in HEADS:
            raise ConfigError(f'head is {config.head!r}; expected one of {", ".join(HEADS)}')
        if config.size_px % REDUCTION:
            raise ConfigError(f'size_px is {config.size_px}; expected a multiple of {REDUCTION}')
        self.config = config
        self.backbone, channels = build_backbone(config.backbone)
        cells = (config.size_px // REDUCTION)**2
        self.neck = nn.Sequential(
            nn.Conv2d(channels, config.width, 1, bias=False), nn.BatchNorm2d(config.width),
            nn.ReLU(), nn.Flatten(), nn.Linear(config.width * cells, config.hidden), nn.ReLU())
        self.out = nn.Linear(config.hidden, self._main() + PLACE)
        self.error = nn.Linear(config.hidden, 29)
        nn.init.normal_(self.out.weight, std=1e-3)
        nn.init.zeros_(self.out.bias)
        rest_m, basis_m = skeleton.rest_joints_m, skeleton.shape_basis_m
        for name, joints in (('offsets', rest_m), ('basis', basis_m)):
            self.register_buffer(name, _bones(torch.tensor(joints, dtype=torch.float32)))
        self.register_buffer('mean', torch.zeros(self._main() + PLACE))

    @property
    def direct(self) -> bool:
        """Whether the joints are regressed without the kinematic layer."""
        return self.config.head == 'direct joint'

    def _main(self) -> int:
        return JOINTS if self.direct else ROT6D + BETAS

    def set_mean(self, joints_m, rot6d, place) -> None:
        """Start from the mean of joints (n, 29, 3), rot6d (n, 24, 6) and place (n, 3)."""
        main = joints_m if self.direct else rot6d
        betas = torch.zeros(0 if self.direct else BETAS)
        self.mean.copy_(torch.cat([main.flatten(1).mean(0), betas, place.mean(0)]))

    def forward(self, image) -> PersonPrediction:
        """Return the prediction for crops (N, 3, S, S), RGB 0 … 255."""
        hidden = self.neck(self.backbone((image - MEAN_255) / STD_255))
        main, place = (self.out(hidden) + self.mean).split([self._main(), PLACE], dim=-1)
        # the loss of the expected errors must not change the features
        log_error = LOG_ERROR * (1 - torch.tanh(self.error(hidden.detach())))
        if self.direct:
            return PersonPrediction(main.unflatten(-1, (29, 3)), None, None, place, log_error)
        rot6d, betas = main[:, :ROT6D].unflatten(-1, (24, 6)), main[:, ROT6D:]
        return PersonPrediction(self.posed(rot6d, betas), rot6d, betas, place, log_error)

    def posed(self, rot6d, betas):
        """Return the joints (N, 29, 3), metres, of rotations (N, 24, 6) and betas (N, 10)."""
        offsets = self.offsets + torch.einsum('nb,bji->nji', betas, self.basis)
        return BODY_LAYER(rotmat_from_rot6d(rot6d), offsets)


def _bones(joints):
    """Return joints (..., 29, 3) relative to their parents; the root is unchanged."""
    parents = list(PARENTS_29)
    parents[0] = 0
    bones = joints - joints[..., parents, :]
    bones[..., 0, :] = joints[..., 0, :]
    return bones
