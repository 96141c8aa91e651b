"""
The released NIKI flows, in a network that computes only the values that are used.

The release computes scale and shift for all values and masks half of them. Its masks select every
other value; therefore a block here reads one half and changes the other: the results are equal,
with half of the first and last matrices.
"""

from typing import NamedTuple

from niki_ros.common.errors import ModelError
import torch
from torch import nn

from niki_training.networks.kinematic import rotmat_from_rot6d

BLOCKS, HIDDEN, BETAS = 16, 512, 10
JOINTS_SIGMA, PAD, ROTATIONS = 116, 60, 144


class FlowNames(NamedTuple):
    """Names of the parts of one flow in the release, and its width."""

    mask: str
    scale: str
    shift: str
    layers: tuple
    width: int
    shape_mask: str = ''


ONE_STAGE = (FlowNames('regressor.flow.mask', 'regressor.flow.s.{}', 'regressor.flow.t.{}',
                       (0, 2, 4), 176),)
TWIST_SWING = (
    FlowNames('regressor.flow_j2s.jts_masks', 'regressor.flow_j2s.jts_nets.{}.encoder',
              'regressor.flow_j2s.jts_nett.{}.encoder', (0, 3, 6), 176,
              'regressor.flow_j2s.shape_masks'),
    FlowNames('regressor.flow_s2r.mask', 'regressor.flow_s2r.s.{}', 'regressor.flow_s2r.t.{}',
              (0, 3, 6), 190),
)
KINDS = {'one_stage': ONE_STAGE, 'twist_swing': TWIST_SWING}


def expected_keys(kind: str) -> dict[str, tuple]:
    """Return every key of a released checkpoint of ``kind`` with its shape."""
    keys: dict[str, tuple] = {}
    for flow in KINDS[kind]:
        entered = flow.width + (BETAS if flow.shape_mask else 0)
        keys[flow.mask] = (BLOCKS, flow.width)
        if flow.shape_mask:
            keys[flow.shape_mask] = (BLOCKS,)
        widths = (entered, HIDDEN, HIDDEN, flow.width)
        for net in (flow.scale, flow.shift):
            for block in range(BLOCKS):
                for n, layer in enumerate(flow.layers):
                    name = f'{net.format(block)}.{layer}'
                    keys[f'{name}.weight'] = (widths[n + 1], widths[n])
                    keys[f'{name}.bias'] = (widths[n + 1],)
    return keys


class ReleasedFlow(nn.Module):
    """One flow of the release; a block maps changed → changed · exp(tanh(s(kept))) + t(kept)."""

    def __init__(self, state: dict[str, torch.Tensor], names: FlowNames):
        super().__init__()
        masks = state[names.mask]
        self.width = names.width
        self.keeps_odd = _alternating(masks, names.mask)
        shape = state.get(names.shape_mask)
        self.shape_gain = [0.0] * BLOCKS if shape is None else [float(v) for v in shape]
        self.nets = nn.ModuleList(
            nn.ModuleList(self._net(state, net.format(block), names, masks[block].bool(), block)
                          for net in (names.scale, names.shift)) for block in range(BLOCKS))

    @property
    def takes_betas(self) -> bool:
        """Whether the flow uses betas; the release multiplies them by zero."""
        return any(self.shape_gain)

    def forward(self, x, betas=None):
        """Return y (N, width) of x (N, width); betas (N, 10) only where :attr:`takes_betas`."""
        halves = x.unflatten(-1, (self.width // 2, 2))
        even, odd = halves[..., 0], halves[..., 1]
        for block, (scale, shift) in enumerate(self.nets):
            kept, changed = (odd, even) if self.keeps_odd[block] else (even, odd)
            entered = kept if not self.shape_gain[block] else torch.cat([kept, betas], dim=-1)
            changed = changed * torch.exp(torch.tanh(scale(entered))) + shift(entered)
            even, odd = (changed, kept) if self.keeps_odd[block] else (kept, changed)
        return torch.stack([even, odd], dim=-1).flatten(-2)

    def _net(self, state, prefix: str, names: FlowNames, kept, block: int) -> nn.Sequential:
        """Return one net with the columns and rows that the mask selects."""
        weights = [state[f'{prefix}.{layer}.weight'] for layer in names.layers]
        biases = [state[f'{prefix}.{layer}.bias'] for layer in names.layers]
        columns = [weights[0][:, :names.width][:, kept]]
        if self.shape_gain[block]:
            columns.append(weights[0][:, names.width:] * self.shape_gain[block])
        return nn.Sequential(
            _linear(torch.cat(columns, dim=1), biases[0]), nn.LeakyReLU(0.01),
            _linear(weights[1], biases[1]), nn.LeakyReLU(0.01),
            _linear(weights[2][~kept], biases[2][~kept]))


class ReleasedNiki(nn.Module):
    """The released model in evaluation mode, with its input pad at zero."""

    def __init__(self, state: dict[str, torch.Tensor], kind: str):
        super().__init__()
        self.kind = kind
        self.flows = nn.ModuleList(ReleasedFlow(state, names) for names in KINDS[kind])

    @property
    def input_names(self) -> list[str]:
        """The inputs of :meth:`forward` that are used, in order."""
        names = ['joints', 'sigma']
        if self.kind == 'twist_swing':
            names.append('twist_cos_sin')
        if self.flows[0].takes_betas:
            names.append('betas')
        return names

    @property
    def output_names(self) -> list[str]:
        if self.kind == 'one_stage':
            return ['rotmat', 'rot6d', 'error_z']
        return ['rotmat', 'rot6d', 'twist_error_z', 'swing6d', 'swing_error_z']

    def forward(self, joints, sigma, twist_cos_sin=None, betas=None):
        """
        Solve N people.

        :param joints: (N, 29, 3) root-aligned. :param sigma: (N, 29).
        :param twist_cos_sin: (N, 23, 2), for twist_swing. :param betas: (N, 10), where used.
        :return: in the order of :attr:`output_names`; rotations (N, 24, 3, 3) and (N, 24, 6).
        """
        pad = torch.zeros_like(sigma[:, :1]).expand(-1, PAD)
        x = torch.cat([joints.flatten(1), sigma, pad], dim=-1)
        y = self.flows[0](x, betas)
        rot6d, error_z = y[:, :ROTATIONS], y[:, ROTATIONS:]
        if self.kind == 'one_stage':
            rot6d = rot6d.unflatten(-1, (24, 6))
            return rotmat_from_rot6d(rot6d), rot6d, error_z
        swing, swing_error_z = rot6d, error_z
        y = self.flows[1](torch.cat([swing, twist_cos_sin.flatten(1)], dim=-1))
        rot6d = y[:, :ROTATIONS].unflatten(-1, (24, 6))
        return (rotmat_from_rot6d(rot6d), rot6d, y[:, ROTATIONS:], swing.unflatten(-1, (24, 6)),
                swing_error_z)


def _alternating(masks, name: str) -> list[bool]:
    """Return for each block whether it keeps the odd values; raise for any other mask."""
    keeps_odd = masks[:, 1] > 0.5
    odd = (torch.arange(masks.shape[1]) % 2).float()
    wanted = torch.where(keeps_odd[:, None], odd, 1 - odd)
    if not torch.equal(masks, wanted):
        raise ModelError(f'{name} does not select every other value, as a released NIKI flow does')
    return keeps_odd.tolist()


def _linear(weight, bias) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.clone(), requires_grad=False)
    layer.bias = nn.Parameter(bias.clone(), requires_grad=False)
    return layer
