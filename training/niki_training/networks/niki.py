"""The per-frame networks: the invertible NikiNet, and a regression network as baseline."""

from dataclasses import dataclass

import torch
from torch import nn

from niki_training.networks.flow import Flow
from niki_training.networks.kinematic import rot6d_from_rotmat, rotmat_from_rot6d
from niki_training.networks.swing import swing_twist

JOINTS, SIGMAS, ROTATIONS, TWISTS = 29 * 3, 29, 24 * 6, 23 * 2  # widths of the inputs and outputs
MIN_JOINTS_STD, MIN_ROT6D_STD = 0.08, 0.1  # of the normalisations: metres, and elements of 6D
CONDITION = 17  # betas (10), camera's down and forward axes in the trunk frame (6), size's sigma


@dataclass
class NetConfig:
    """Settings of a network."""

    kind: str = 'two_stage'  # ``one_stage``, ``two_stage``, ``temporal`` or ``mlp``
    width: int = 178  # width of the first flow's state
    blocks: int = 12  # its coupling blocks
    hidden: int = 288  # width of their nets
    twist_blocks: int = 6  # coupling blocks of the second stage
    twist_hidden: int = 192  # width of their nets
    temporal_blocks: int = 4  # coupling blocks over time
    temporal_hidden: int = 168  # width of their nets
    attention: int = 96  # width of their attention
    heads: int = 4  # of the attention
    window: int = 16  # input frames of the temporal network, the newest included
    use_shape: bool = True  # betas are an input


@dataclass
class Poses:
    """Poses of N observations."""

    rot6d: torch.Tensor  # (N, 144) 24 local rotations, 6D; the root in the trunk frame
    size: torch.Tensor  # (N, 1) log of the true size over the assumed size
    z: torch.Tensor  # (N, k) error latents
    swing: torch.Tensor | None = None  # (N, 144) 6D, or None

    @property
    def rotmat(self) -> torch.Tensor:
        """Return the rotations (N, 24, 3, 3)."""
        return rotmat_from_rot6d(self.rot6d.unflatten(-1, (24, 6)))


class Standard(nn.Module):
    """Fixed affine normalisation, stored with the weights."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer('mean', torch.zeros(width))
        self.register_buffer('std', torch.ones(width))

    def set(self, values, floor: float) -> None:
        """Set mean and deviation of ``values`` (N, width); deviations are at least ``floor``."""
        self.mean.copy_(values.mean(0))
        self.std.copy_(values.std(0).clamp_min(floor))

    def forward(self, x):
        return (x - self.mean) / self.std

    def inverse(self, y):
        return y * self.std + self.mean


class NikiNet(nn.Module):
    """
    Invertible network of joints ↔ (rotations, size, error), in one or two stages.

    ``solve`` turns an observation into pose and error, ``generate`` pose and error into the
    observation. They are inverse to each other for any weights, given the context (sigma, shape,
    camera). The observation is padded with zeros. Two stages: joints to swings, then swings and
    twists to rotations.
    """

    is_invertible = True

    def __init__(self, config: NetConfig, bf16: bool = False):
        super().__init__()
        self.config = config
        context = SIGMAS + CONDITION
        self.z_width = config.width - ROTATIONS - 1
        self.pad = config.width - JOINTS - SIGMAS
        self.joints_norm, self.six_norm = Standard(JOINTS), Standard(ROTATIONS)
        self.first = Flow(config.width, 89, context, config.blocks, config.hidden, bf16)
        self.two_stage = config.kind != 'one_stage'
        if self.two_stage:
            self.swing_norm = Standard(ROTATIONS)
            self.second = Flow(ROTATIONS + TWISTS, 95, context + self.z_width,
                               config.twist_blocks, config.twist_hidden, bf16)

    def set_normalisation(self, joints, rotmat, axes) -> None:
        """Set the normalisation from clean joints (N, 87), rotmat and bone axes (24, 3)."""
        set_norms(self, joints, rotmat)
        if self.two_stage:
            swing, _ = swing_twist(rotmat, axes)
            self.swing_norm.set(rot6d_from_rotmat(swing).flatten(1), MIN_ROT6D_STD)

    def context(self, sigma, condition):
        """Return the context (N, 46) of sigma (N, 29) and condition (N, 17)."""
        betas, rest = condition[..., :10], condition[..., 10:]
        betas = betas / 2 if self.config.use_shape else betas * 0
        return torch.cat([2 * sigma, betas, rest], dim=-1)

    def split_input(self, x):
        """Return the state: the first half is [joints, 2 pads], the second [sigma, pads]."""
        joints, sigma, pad = x.split([JOINTS, SIGMAS, self.pad], dim=-1)
        return torch.cat([joints, pad[..., :2], sigma, pad[..., 2:]], dim=-1)

    def merge_input(self, state):
        """Return [joints, sigma, pads] of a state; the inverse of :meth:`split_input`."""
        joints, pad, sigma, rest = state.split([JOINTS, 2, SIGMAS, self.pad - 2], dim=-1)
        return torch.cat([joints, sigma, pad, rest], dim=-1)

    def solve(self, joints, sigma, condition, twist=None) -> Poses:
        """
        Turn observations into poses and errors.

        :param joints: (N, 87) in the trunk frame, over the assumed size, metres.
        :param sigma: (N, 29). :param condition: (N, 17).
        :param twist: (N, 46) cosines and sines, zeros where unknown; None = all unknown.
        """
        context = self.context(sigma, condition)
        pad = joints.new_zeros(joints.shape[:-1] + (self.pad,))
        x = torch.cat([self.joints_norm(joints), sigma, pad], dim=-1)
        y, _ = self.first(self.split_input(x), context)
        body, size, z = y.split([ROTATIONS, 1, self.z_width], dim=-1)
        size = size * 0.1
        if not self.two_stage:
            return Poses(self.six_norm.inverse(body), size, z)
        if twist is None:
            twist = joints.new_zeros(joints.shape[:-1] + (TWISTS,))
        second, _ = self.second(torch.cat([body, twist], dim=-1), torch.cat([context, z], dim=-1))
        rot6d, twist_z = second.split([ROTATIONS, TWISTS], dim=-1)
        return Poses(self.six_norm.inverse(rot6d), size, torch.cat([z, twist_z], dim=-1),
                     self.swing_norm.inverse(body))

    def generate(self, rot6d, size, z, sigma, condition):
        """
        Turn poses and errors into observations.

        :param rot6d: (N, 144). :param size: (N, 1). :param z: (N, k), see :class:`Poses`.
        :param sigma: (N, 29). :param condition: (N, 17).
        :return: joints (N, 87), sigma (N, 29), pad (N, k), twist (N, 46) or None,
            swing (N, 144) or None.
        """
        context = self.context(sigma, condition)
        body, twist, swing = self.six_norm(rot6d), None, None
        if self.two_stage:
            z, twist_z = z.split([self.z_width, TWISTS], dim=-1)
            x = self.second.inverse(
                torch.cat([body, twist_z], dim=-1), torch.cat([context, z], dim=-1))
            body, twist = x.split([ROTATIONS, TWISTS], dim=-1)
            swing = self.swing_norm.inverse(body)
        state = self.first.inverse(torch.cat([body, size / 0.1, z], dim=-1), context)
        joints, sigma, pad = self.merge_input(state).split([JOINTS, SIGMAS, self.pad], dim=-1)
        return self.joints_norm.inverse(joints), sigma, pad, twist, swing

    forward = solve


class MlpNet(nn.Module):
    """Residual regression network of the same size, the baseline."""

    is_invertible = False

    def __init__(self, config: NetConfig, bf16: bool = False):
        super().__init__()
        self.config, self.bf16 = config, bf16
        self.joints_norm, self.six_norm = Standard(JOINTS), Standard(ROTATIONS)
        self.enter = nn.Linear(JOINTS + SIGMAS + CONDITION, config.hidden)
        self.layers = nn.ModuleList(
            nn.Linear(config.hidden, config.hidden) for _ in range(config.blocks))
        self.leave = nn.Linear(config.hidden, ROTATIONS + 1)
        self.act = nn.LeakyReLU(0.1)
        nn.init.normal_(self.leave.weight, std=0.02)

    def set_normalisation(self, joints, rotmat, axes) -> None:
        set_norms(self, joints, rotmat)

    def solve(self, joints, sigma, condition, twist=None) -> Poses:
        """Return poses without errors, see :meth:`NikiNet.solve`; the twist is not used."""
        betas, rest = condition[..., :10] / 2, condition[..., 10:]
        x = torch.cat([self.joints_norm(joints), 2 * sigma, betas, rest], dim=-1)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            h = self.enter(x)
            for i in range(0, len(self.layers), 2):
                h = h + self.layers[i + 1](self.act(self.layers[i](self.act(h))))
            y = self.leave(self.act(h)).float()
        rot6d, size = y.split([ROTATIONS, 1], dim=-1)
        return Poses(self.six_norm.inverse(rot6d), 0.1 * size, rot6d[..., :0])

    forward = solve


def set_norms(net, joints, rotmat) -> None:
    """Set a network's normalisation of joints (N, 87) and of rotations (N, 24, 3, 3)."""
    net.joints_norm.set(joints, MIN_JOINTS_STD)
    net.six_norm.set(rot6d_from_rotmat(rotmat).flatten(1), MIN_ROT6D_STD)


def parameters(net) -> int:
    """Return the number of weights."""
    return sum(p.numel() for p in net.parameters())
