"""
The layers of the released NIKI network with random weights, for a comparison of times.

Two flows of 16 blocks (29.0 M parameters). As in the release, each block computes scale and shift
for all values and masks half of them.
"""

from typing import Any, Callable, Dict, List, Tuple

from niki_ros.benchmarks.timing import percentiles, times_ms
import numpy as np

BLOCKS_COUNT, HIDDEN_WIDTH = 16, 512
FLOW_WIDTHS = ((186, 176), (190, 190))
"""Widths of the input and the output of the nets of each flow (twist and swing)."""


def bench_release(seconds: float = 2.0) -> Tuple[Dict[str, float], str]:
    """Return the times for one person, and the library that ran: PyTorch, or numpy without it."""
    try:
        # by name: nothing in niki_ros may need torch, which is only compared with
        from importlib import import_module
        work, library = _in_torch(import_module('torch'))
    except ImportError:
        work, library = _in_numpy(), f'numpy {np.__version__}'
    return percentiles(times_ms(work, seconds)), library


def _net_widths(inputs: int, outputs: int) -> List[Tuple[int, int]]:
    """Return the inputs and outputs of the layers of one net."""
    widths = (inputs, HIDDEN_WIDTH, HIDDEN_WIDTH, outputs)
    return list(zip(widths, widths[1:]))


def _in_torch(torch) -> Tuple[Callable[[], Any], str]:
    nn = torch.nn

    def net(inputs, outputs):
        first, second, last = (nn.Linear(a, b) for a, b in _net_widths(inputs, outputs))
        return nn.Sequential(first, nn.LeakyReLU(), second, nn.LeakyReLU(), last)

    flows = [[(net(i, o), net(i, o)) for _ in range(BLOCKS_COUNT)] for i, o in FLOW_WIDTHS]
    masks = [torch.arange(o) % 2 == 0 for _, o in FLOW_WIDTHS]
    x = torch.randn(1, FLOW_WIDTHS[0][1])

    def work():
        with torch.inference_mode():
            for blocks, mask, (inputs, outputs) in zip(flows, masks, FLOW_WIDTHS):
                y = nn.functional.pad(x, (0, outputs - x.shape[1]))
                for scale, shift in blocks:
                    kept = y * mask
                    padded = nn.functional.pad(kept, (0, inputs - outputs))
                    gain = torch.tanh(scale(padded)) * ~mask
                    y = kept + ~mask * (y * torch.exp(gain) + shift(padded))
        return y
    return work, f'torch {torch.__version__}, {torch.get_num_threads()} threads'


def _in_numpy() -> Callable[[], Any]:
    rng = np.random.RandomState(0)

    def net(inputs, outputs):
        return [(rng.standard_normal(size).astype(np.float32) * 0.05,
                 np.zeros(size[1], np.float32)) for size in _net_widths(inputs, outputs)]

    def run(layers, x):
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            if i < 2:
                x = np.where(x > 0, x, 0.01 * x)
        return x

    flows = [[(net(i, o), net(i, o)) for _ in range(BLOCKS_COUNT)] for i, o in FLOW_WIDTHS]
    x = rng.standard_normal((1, FLOW_WIDTHS[0][1])).astype(np.float32)

    def work():
        for blocks, (inputs, outputs) in zip(flows, FLOW_WIDTHS):
            y = np.pad(x, ((0, 0), (0, outputs - x.shape[1])))
            mask = (np.arange(outputs) % 2 == 0).astype(np.float32)
            for scale, shift in blocks:
                kept = y * mask
                padded = np.pad(kept, ((0, 0), (0, inputs - outputs)))
                gain = np.tanh(run(scale, padded)) * (1 - mask)
                y = kept + (1 - mask) * (y * np.exp(gain) + run(shift, padded))
        return y
    return work
