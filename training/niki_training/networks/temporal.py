"""
The temporal network: the per-frame network, then coupling blocks with attention to past frames.

The coupling blocks change one half of the per-frame rotations by scale and shift. These depend on
the other half and, by attention, on the rotations and observations of the past 15 frames, in the
newest trunk frame. Later frames have no influence, so the map of the newest frame is invertible
and there is no delay. The past is an input and an output of the network.
"""

from dataclasses import replace

import torch
from torch import nn

from niki_training.networks.flow import Coupling
from niki_training.networks.kinematic import rotmat_from_rot6d
from niki_training.networks.niki import (
    CONDITION,
    JOINTS,
    NetConfig,
    NikiNet,
    Poses,
    ROTATIONS,
    SIGMAS,
)

TOKEN = 9 + 138 + JOINTS + SIGMAS + 1
"""
Width of a past frame: root rotation, the other rotations in 6D, joints, sigma, and 1 (0 = absent).

Root and joints are in camera axes, so a past frame does not depend on any trunk.
"""
PAD = 32
_EMBEDDING = 128
_ABSENT_SCORE = -30  # added to the attention score of an absent frame


class PastCoupling(Coupling):
    """Coupling block that also attends to tokens (N, K, d) of past frames; starts as identity."""

    def __init__(self, changed, kept, context, hidden, token, attention, heads, bf16=False):
        super().__init__(changed, kept, context, hidden, bf16)
        nn.init.zeros_(self.last.weight)
        self.heads = heads
        self.query = nn.Linear(hidden, attention)
        self.key_value = nn.Linear(token, 2 * attention)
        self.out = nn.Linear(attention, hidden)

    def _nets(self, b, context):
        context, tokens, absent = context
        hidden = self.act(self.first(torch.cat([b, context], dim=-1)))
        count = tokens.shape[1]
        query = self.query(hidden).unflatten(-1, (self.heads, 1, -1))
        pair = self.key_value(tokens).unflatten(-1, (2, self.heads, -1))
        key, value = pair.permute(2, 0, 3, 1, 4).unbind(0)
        score = (query @ key.transpose(-1, -2)) * query.shape[-1]**-0.5
        score = score + absent.reshape(-1, 1, 1, count)
        found = (torch.softmax(score.float(), dim=-1).to(value.dtype) @ value).flatten(1)
        hidden = hidden + self.out(found)
        hidden = hidden + self.act(self.second(hidden))
        return self.last(hidden)


class TemporalNet(nn.Module):
    """The per-frame network, frozen, and the coupling blocks over time."""

    is_invertible = True

    def __init__(self, config: NetConfig, bf16: bool = False):
        super().__init__()
        self.config, self.bf16 = config, bf16
        self.frame = NikiNet(replace(config, kind='two_stage'), bf16).requires_grad_(False)
        self.past = config.window - 1
        self.embed = nn.Sequential(
            nn.Linear(TOKEN, _EMBEDDING), nn.LeakyReLU(0.1), nn.Linear(_EMBEDDING, _EMBEDDING))
        self.age = nn.Parameter(0.02 * torch.randn(self.past, _EMBEDDING))
        self.half = (ROTATIONS + PAD) // 2
        context = SIGMAS + CONDITION + 1 + self.frame.z_width + 46
        self.blocks = nn.ModuleList(
            PastCoupling(self.half, self.half, context, config.temporal_hidden, _EMBEDDING,
                         config.attention, config.heads, bf16)
            for _ in range(config.temporal_blocks))

    def set_normalisation(self, joints, rotmat, axes) -> None:
        self.frame.set_normalisation(joints, rotmat, axes)

    def start_from(self, frame: NikiNet) -> None:
        """Copy the weights of a trained per-frame network."""
        self.frame.load_state_dict(frame.state_dict())

    def token(self, rot6d, joints, sigma, turn):
        """
        Return the newest frame (N, 264), camera axes, as a past frame for later ones.

        :param rot6d: (N, 144), root in the trunk frame. :param joints: (N, 87) likewise.
        :param sigma: (N, 29). :param turn: (N, 3, 3) camera from trunk.
        """
        root = turn @ rotmat_from_rot6d(rot6d[:, :6])
        joints = joints.unflatten(-1, (29, 3)) @ turn.transpose(-1, -2)
        return torch.cat([root.flatten(1), rot6d[:, 6:], joints.flatten(1), sigma,
                          torch.ones_like(sigma[:, :1])], dim=-1)

    def tokens(self, past, turn):
        """
        Rotate the past frames into the newest trunk frame and embed them.

        :param past: (N, K, 264). :param turn: (N, 3, 3) camera from trunk.
        :return: tokens (N, K, d), and scores (N, K) that exclude absent frames from the attention.
        """
        root, rot6d, joints, sigma, here = past.split([9, 138, JOINTS, SIGMAS, 1], dim=-1)
        back = turn.transpose(-1, -2)[:, None]
        root = back @ root.unflatten(-1, (3, 3))
        joints = joints.unflatten(-1, (29, 3)) @ turn[:, None]
        joints = self.frame.joints_norm(joints.flatten(2))
        rot6d = (rot6d - self.frame.six_norm.mean[6:]) / self.frame.six_norm.std[6:]
        plain = torch.cat([3 * root.flatten(2), rot6d, joints, 2 * sigma, here], dim=-1) * here
        return self.embed(plain) + self.age, _ABSENT_SCORE * (1 - here[..., 0])

    def _flow(self, rot6d, poses, context, tokens, absent):
        """Run the coupling blocks over time on the per-frame rotations (N, 144)."""
        pad = rot6d.new_zeros(rot6d.shape[0], PAD)
        state = torch.cat([self.frame.six_norm(rot6d), pad], dim=-1)
        a, b = state.split(self.half, dim=-1)
        known = (torch.cat([context, 10 * poses.size, poses.z], dim=-1), tokens, absent)
        for i, block in enumerate(self.blocks):
            if i % 2:
                a, _ = block(a, b, known)
            else:
                b, _ = block(b, a, known)
        body, z = torch.cat([a, b], dim=-1).split([ROTATIONS, PAD], dim=-1)
        return self.frame.six_norm.inverse(body), z

    def solve(self, joints, sigma, condition, twist, turn, past):
        """
        Solve the newest frame of N tracks, see :meth:`NikiNet.solve`.

        :param turn: (N, 3, 3) camera from trunk. :param past: (N, 15, 264), newest last.
        :return: the poses, and the past (N, 15, 264) of the next frame.
        """
        poses = self.frame.solve(joints, sigma, condition, twist)
        tokens, absent = self.tokens(past, turn)
        context = self.frame.context(sigma, condition)
        rot6d, z = self._flow(poses.rot6d, poses, context, tokens, absent)
        token = self.token(poses.rot6d, joints, sigma, turn)
        solved = Poses(rot6d, poses.size, torch.cat([poses.z, z], dim=-1), poses.swing)
        return solved, torch.cat([past[:, 1:], token[:, None]], dim=1)

    def generate(self, rot6d, size, z, sigma, condition, turn, past):
        """Invert :meth:`solve`; the pad of the temporal blocks is at the end of the pad."""
        z, time_z = z.split([z.shape[-1] - PAD, PAD], dim=-1)
        tokens, absent = self.tokens(past, turn)
        context = self.frame.context(sigma, condition)
        a, b = torch.cat([self.frame.six_norm(rot6d), time_z], dim=-1).split(self.half, dim=-1)
        known = (torch.cat([context, 10 * size, z], dim=-1), tokens, absent)
        for i, block in reversed(list(enumerate(self.blocks))):
            if i % 2:
                a = block.inverse(a, b, known)
            else:
                b = block.inverse(b, a, known)
        body, time_pad = torch.cat([a, b], dim=-1).split([ROTATIONS, PAD], dim=-1)
        joints, sigma, pad, twist, swing = self.frame.generate(
            self.frame.six_norm.inverse(body), size, z, sigma, condition)
        return joints, sigma, torch.cat([pad, time_pad], dim=-1), twist, swing

    def solve_windows(self, batch):
        """Return poses of windows (B, T, …), in training, and their past (B · T, 15, 264)."""
        shape = batch['sigma'].shape[:2]
        flat = {k: v.flatten(0, 1) for k, v in batch.items()}
        joints = flat['joints'].flatten(1)
        with torch.no_grad():
            poses = self.frame.solve(joints, flat['sigma'], flat['condition'], flat.get('twist'))
            token = self.token(poses.rot6d, joints, flat['sigma'], flat['turn'])
            before = token.new_zeros(shape[0], self.past, TOKEN)
            token = torch.cat([before, token.unflatten(0, shape)], dim=1)
            past = token.unfold(1, self.past, 1)[:, :shape[1]].transpose(-1, -2).flatten(0, 1)
        with torch.autocast(joints.device.type, torch.bfloat16, enabled=self.bf16):
            tokens, absent = self.tokens(past, flat['turn'])
        context = self.frame.context(flat['sigma'], flat['condition'])
        rot6d, z = self._flow(poses.rot6d, poses, context, tokens, absent)
        return Poses(rot6d, poses.size, torch.cat([poses.z, z], dim=-1)), past
