"""Flows of affine coupling blocks, each of which changes one half of the state."""

import torch
from torch import nn

_MAX_LOG_SCALE = 0.5


class Coupling(nn.Module):
    """
    Affine coupling block: a' = a · exp(scale(b, c)) + shift(b, c), with b unchanged.

    RealNVP (Dinh et al. 2017). The scale and shift nets share their first two layers. ``context``
    (c) is known in both directions. The block starts near the identity.

    :param changed: width of the half that changes. :param kept: of the other half.
    :param context: width of the context. :param hidden: of the hidden layers.
    :param bf16: products in bfloat16: for training, several times faster on new CPUs.
    """

    def __init__(self, changed: int, kept: int, context: int, hidden: int, bf16: bool = False):
        super().__init__()
        self.bf16 = bf16
        self.first = nn.Linear(kept + context, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 2 * changed)
        self.act = nn.LeakyReLU(0.1)
        nn.init.normal_(self.last.weight, std=0.02)
        nn.init.zeros_(self.last.bias)

    def scale_shift(self, b, context):
        """Return the log of the scale, bounded, and the shift, each (N, changed)."""
        if self.bf16:
            with torch.autocast(b.device.type, torch.bfloat16):
                out = self._nets(b, context)
        else:
            out = self._nets(b, context)
        log_scale, shift = out.to(b.dtype).chunk(2, dim=-1)
        return _MAX_LOG_SCALE * torch.tanh(log_scale), shift

    def _nets(self, b, context):
        hidden = self.act(self.first(torch.cat([b, context], dim=-1)))
        hidden = hidden + self.act(self.second(hidden))
        return self.last(hidden)

    def forward(self, a, b, context):
        """Return a' (N, changed) and the log-determinant (N,)."""
        log_scale, shift = self.scale_shift(b, context)
        return a * torch.exp(log_scale) + shift, log_scale.sum(dim=-1)

    def inverse(self, a, b, context):
        """Return the argument a (N, changed) for which :meth:`forward` gives this one."""
        log_scale, shift = self.scale_shift(b, context)
        return (a - shift) * torch.exp(-log_scale)


class Flow(nn.Module):
    """Stack of coupling blocks that change the second half, the first (``split``), and so on."""

    def __init__(self, width: int, split: int, context: int, blocks: int, hidden: int,
                 bf16: bool = False):
        super().__init__()
        self.width, self.split = width, split
        widths = [(width - split, split), (split, width - split)]
        self.blocks = nn.ModuleList(
            Coupling(*widths[i % 2], context, hidden, bf16) for i in range(blocks))

    def _halves(self, x):
        return x[..., :self.split], x[..., self.split:]

    def forward(self, x, context):
        """Return y (N, width) and the log-determinant of dy/dx (N,)."""
        a, b = self._halves(x)
        log_det = x.new_zeros(x.shape[:-1])
        for i, block in enumerate(self.blocks):
            if i % 2:
                a, gain = block(a, b, context)
            else:
                b, gain = block(b, a, context)
            log_det = log_det + gain
        return torch.cat([a, b], dim=-1), log_det

    def inverse(self, y, context):
        """Return the x (N, width) for which :meth:`forward` gives y (N, width)."""
        a, b = self._halves(y)
        for i, block in reversed(list(enumerate(self.blocks))):
            if i % 2:
                a = block.inverse(a, b, context)
            else:
                b = block.inverse(b, a, context)
        return torch.cat([a, b], dim=-1)
