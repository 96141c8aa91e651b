"""
The CNN of the toy experiment, computed only where the image is not blank.

conv 5×5×8, max pool 4, conv 5×5×8, max pool 2, conv 3×3×8, FC 1024, FC 1024 (dropout 0.3). The
receptive field of a cell of the first pool is 8 × 8 pixels. For a line figure it is blank in nine
of ten cells. Their value is that of the bias, so only the other cells are convolved: the same
numbers, ten times faster.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F  # noqa: N812

from niki_training.toy.figures import SIZE_PX

POOL, FIELD, CHANNELS = 4, 8, 8  # sides of first pool and receptive field, pixels; channels
CELLS = SIZE_PX // POOL


@dataclass(frozen=True)
class Cells:
    """The cells of images that are not blank."""

    windows: np.ndarray  # (N, 64) uint8 receptive fields
    place: np.ndarray  # (N,) index in the image
    ends: np.ndarray  # (images + 1,) first cell of each image, then N

    def __len__(self):
        """Return the number of images."""
        return len(self.ends) - 1

    def pick(self, images) -> tuple:
        """Return windows and places in the batch, tensors, of images (n,) by index."""
        counts = self.ends[images + 1] - self.ends[images]
        begins = np.cumsum(counts) - counts
        rows = np.arange(counts.sum()) - np.repeat(begins - self.ends[images], counts)
        place = self.place[rows] + np.repeat(np.arange(len(images)) * CELLS**2, counts)
        return torch.from_numpy(self.windows[rows]), torch.from_numpy(place)


def cells_of(images) -> Cells:
    """Return the cells of images (count, 128, 128) uint8 that are not blank."""
    margin = (FIELD - POOL) // 2
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (FIELD, FIELD), axis=(1, 2))
    views = views[:, ::POOL, ::POOL].reshape(len(images), CELLS**2, FIELD**2)
    seen = views.any(axis=-1)
    image, place = np.nonzero(seen)
    ends = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
    return Cells(views[image, place], place.astype(np.int64), ends)


class ToyCnn(nn.Module):
    """The CNN of the paper, with so many outputs."""

    def __init__(self, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 5, padding=2)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2)
        self.third = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.wide = nn.Linear(CHANNELS * (CELLS // 2)**2, 1024)
        self.last_wide = nn.Linear(1024, 1024)
        self.out = nn.Linear(1024, outputs)
        self.dropout = nn.Dropout(0.3)

    def forward(self, windows, place, count: int):
        """Return outputs (count, outputs) for images as windows and places of :class:`Cells`."""
        # the pool's maximum over 16 positions, as one product with 16 shifted kernels
        shifted = [F.pad(self.first.weight, (x, 3 - x, y, 3 - y))
                   for y in range(POOL) for x in range(POOL)]
        kernels = torch.stack(shifted).reshape(POOL**2 * CHANNELS, FIELD**2)
        kernels = kernels.to(windows.dtype)
        found = F.linear(windows, kernels).unflatten(-1, (POOL**2, CHANNELS)).max(1).values
        bias = self.first.bias.to(found.dtype)
        cells = bias.relu().expand(count * CELLS**2, CHANNELS)
        cells = cells.index_copy(0, place, (found + bias).relu())
        grid = cells.view(count, CELLS, CELLS, CHANNELS).permute(0, 3, 1, 2)
        return self._rest(grid)

    def dense(self, images):
        """Return the same output for images (count, 128, 128), by ordinary convolutions."""
        return self._rest(F.max_pool2d(self.first(images[:, None]), POOL).relu())

    def _rest(self, grid):
        grid = F.max_pool2d(self.second(grid).relu(), 2)
        flat = self.third(grid).relu().flatten(1)
        wide = self.dropout(self.last_wide(self.wide(flat).relu()).relu())
        with torch.autocast('cpu', enabled=False):
            return self.out(wide.float())
