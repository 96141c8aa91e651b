"""
NIKI over time: a third flow whose couplings also look at the frames before.

The per-frame network answers first. Then couplings change one half of its rotations by scale and
shift that come from the other half and, by attention, from the past 15 frames: their answers and
observations, turned into the newest trunk's frame. Only the past is attended to, so the map of the
newest frame stays invertible, nothing waits for a later frame, and the state is explicit.
"""

from __future__ import annotations

import torch
from torch import nn

from niki_training.networks.flow import Coupling
from niki_training.networks.kinematic import rotmat_from_6d
from niki_training.networks.niki import (
    CONDITION,
    JOINTS,
    NetConfig,
    NikiNet,
    Poses,
    ROTATIONS,
    SIGMAS,
)
from niki_training.train import losses

TOKEN = 9 + 138 + JOINTS + SIGMAS + 1
"""Of one past frame: root rotation, the other rotations in 6D, joints, sigma, and 1 if it is one.
Root and joints are in camera axes, so the state does not depend on any trunk."""
PAD = 32


class PastCoupling(Coupling):
    """A coupling whose nets also attend to tokens (N, K, d) of past frames."""

    def __init__(self, changed, kept, context, hidden, token, attention, heads):
        """Start as the identity: the temporal network begins as the per-frame one."""
        super().__init__(changed, kept, context, hidden)
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
    """The per-frame network, frozen, and the couplings over time."""

    def __init__(self, config: NetConfig):
        """Build both."""
        super().__init__()
        self.config = config
        frame = NetConfig(**{**config.to_dict(), 'kind': 'two_stage'})
        self.frame = NikiNet(frame).requires_grad_(False)
        self.past = config.window - 1
        width = 128
        self.embed = nn.Sequential(
            nn.Linear(TOKEN, width), nn.LeakyReLU(0.1), nn.Linear(width, width))
        self.age = nn.Parameter(0.02 * torch.randn(self.past, width))
        self.half = (ROTATIONS + PAD) // 2
        context = SIGMAS + CONDITION + 1 + self.frame.z_width + 46
        self.blocks = nn.ModuleList(
            PastCoupling(self.half, self.half, context, config.temporal_hidden, width,
                         config.attention, config.heads)
            for _ in range(config.temporal_blocks))

    def start_from(self, frame: NikiNet) -> None:
        """Take over a trained per-frame network."""
        self.frame.load_state_dict(frame.state_dict())

    def token(self, six, joints, sigma, turn):
        """
        Describe one frame for later ones.

        :param six: (N, 144), root in the trunk's frame. :param joints: (N, 87) likewise.
        :param turn: (N, 3, 3) camera from trunk.
        :return: (N, 264) in camera axes.
        """
        root = turn @ rotmat_from_6d(six[:, :6])
        joints = joints.unflatten(-1, (29, 3)) @ turn.transpose(-1, -2)
        return torch.cat([root.flatten(1), six[:, 6:], joints.flatten(1), sigma,
                          torch.ones_like(sigma[:, :1])], dim=-1)

    def tokens(self, past, turn):
        """
        Turn the past (N, K, 264) into the newest trunk's frame and embed it.

        :return: tokens (N, K, d), and what keeps absent frames out of the attention (N, K).
        """
        root, six, joints, sigma, here = past.split([9, 138, JOINTS, SIGMAS, 1], dim=-1)
        back = turn.transpose(-1, -2)[:, None]
        root = back @ root.unflatten(-1, (3, 3))
        joints = joints.unflatten(-1, (29, 3)) @ turn[:, None]
        norm = self.frame.joints_norm
        joints = (joints.flatten(2) - norm.mean) / norm.std
        six = (six - self.frame.six_norm.mean[6:]) / self.frame.six_norm.std[6:]
        plain = torch.cat([3 * root.flatten(2), six, joints, 2 * sigma, here], dim=-1) * here
        return self.embed(plain) + self.age, -30 * (1 - here[..., 0])

    def _flow(self, six, poses, context, tokens, absent):
        """Run the couplings over time on the per-frame rotations (N, 144)."""
        state = torch.cat([self.frame.six_norm(six), six.new_zeros(six.shape[0], PAD)], dim=-1)
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
        Solve the newest frame of N tracks.

        :param turn: (N, 3, 3) camera from trunk. :param past: (N, 15, 264) tokens, newest last.
        :return: the poses, and the newest state (N, 15, 264) for the next call.
        """
        poses = self.frame.solve(joints, sigma, condition, twist)
        tokens, absent = self.tokens(past, turn)
        context = self.frame.context(sigma, condition)
        six, z = self._flow(poses.six, poses, context, tokens, absent)
        token = self.token(poses.six, joints, sigma, turn)
        solved = Poses(six, poses.size, torch.cat([poses.z, z], dim=-1), poses.swing)
        return solved, torch.cat([past[:, 1:], token[:, None]], dim=1)

    def generate(self, six, size, z, sigma, condition, turn, past):
        """
        Turn poses and errors of the newest frame back into observations, given the past.

        :return: what the per-frame network's does, the pad with this one's at its end.
        """
        z, time_z = z.split([z.shape[-1] - PAD, PAD], dim=-1)
        tokens, absent = self.tokens(past, turn)
        context = self.frame.context(sigma, condition)
        a, b = torch.cat([self.frame.six_norm(six), time_z], dim=-1).split(self.half, dim=-1)
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
        """
        Solve every frame of windows (B, T, …), each from its own past: for training.

        :return: the poses, and each frame's past (B T, 15, 264).
        """
        shape = batch['sigma'].shape[:2]
        flat = {k: v.flatten(0, 1) for k, v in batch.items()}
        joints = flat['joints'].flatten(1)
        with torch.no_grad():
            poses = self.frame.solve(joints, flat['sigma'], flat['condition'], flat.get('twist'))
            token = self.token(poses.six, joints, flat['sigma'], flat['turn'])
            token = token.unflatten(0, shape)
            token = torch.cat([token.new_zeros(shape[0], self.past, TOKEN), token], dim=1)
            past = token.unfold(1, self.past, 1)[:, :shape[1]].transpose(-1, -2).flatten(0, 1)
        with torch.autocast(joints.device.type, torch.bfloat16, enabled=self.blocks[0].bf16):
            tokens, absent = self.tokens(past, flat['turn'])
        context = self.frame.context(flat['sigma'], flat['condition'])
        six, z = self._flow(poses.six, poses, context, tokens, absent)
        return Poses(six, poses.size, torch.cat([poses.z, z], dim=-1)), past

    def losses(self, batch, axes, clean: int = 0) -> dict:
        """
        Losses of windows: of each frame, of the acceleration, of the errors, and of the way back.

        :param clean: so many of the first windows are uncorrupted.
        """
        shape = batch['sigma'].shape[:2]
        solved, past = self.solve_windows(batch)
        # the per-frame network is frozen: only the error that is added here can be trained
        poses = Poses(solved.six, solved.size, solved.z[:, -PAD:])
        flat = {k: v.flatten(0, 1) for k, v in batch.items()}
        values = losses.regression_losses(poses, flat, axes)
        joints = losses.posed_joints(poses.six, poses.size, flat)
        error = (joints - flat['target']) @ flat['turn'].transpose(-1, -2)
        error = (error * flat['scale'][:, None, None]).unflatten(0, shape)
        jerk = error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]
        values['acceleration'] = jerk.square().sum(-1).add(1e-8).sqrt().mean()
        newest = slice(shape[1] - 1, None, shape[1])   # of each window: neighbours are too alike
        frames = {k: v[newest] for k, v in flat.items()}
        values.update(losses.error_losses(
            self.frame.six_norm, Poses(poses.six[newest], poses.size[newest], poses.z[newest]),
            frames, clean))
        if clean:
            values['zero'] = poses.z[:clean * shape[1]].square().mean()
            values['boundary'] = self._boundary(
                {k: v[:clean] for k, v in frames.items()}, past[newest][:clean], axes)
        return values

    def _boundary(self, frames, past, axes):
        """Return the boundary loss of single frames (N, …) with their past."""
        def generate(six, size, z, sigma, condition):
            return self.generate(six, size, z, sigma, condition, frames['turn'], past)

        return losses.boundary_loss(self.frame, frames, axes, generate, more_z=PAD)
