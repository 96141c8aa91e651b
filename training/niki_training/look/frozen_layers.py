"""
What the frozen layers of a network return for the crops of each step.

On a CPU, ONNX Runtime takes a third of torch's time for them.
"""

from functools import cached_property

from niki_ros.backends import load_engine
from niki_ros.backends.engine import Engine
from niki_ros.models.graph import sha256
import numpy as np
import torch
from torch import nn

from niki_training.export.duplicates import without_duplicates
from niki_training.export.niki import graph_bytes
from niki_training.look.network import LookNet
from niki_training.look.trunk import INPUT, SIZE_PX

CROSSING = 'crossing'
"""Key of a batch: the tensors between frozen and trained layers, by name."""


class FrozenLayers:
    """
    The frozen layers of a network as they are now.

    :param net: with frozen layers. :param threads: of the CPU.
    """

    def __init__(self, net: LookNet, threads: int = 1):
        self.net, self._threads = net, threads

    @cached_property
    def _engine(self) -> Engine:
        # made when needed: it takes seconds, and stored features may be complete
        example = np.zeros((2, 3, SIZE_PX, SIZE_PX), np.float32)
        graph = without_duplicates(graph_bytes(
            Lower(self.net), {INPUT: example}, self.net.crossing))
        return load_engine(graph, threads=self._threads)

    def sha256(self) -> str:
        """Return the checksum of their weights."""
        return sha256(b''.join(p.detach().cpu().contiguous().numpy().tobytes()
                               for p in self.net.trunk.parameters() if not p.requires_grad))

    def __call__(self, image) -> dict:
        """Return {name: tensor} of ``LookNet.crossing`` for crops (N, 3, 256, 256), RGB 0 … 1."""
        if image.device.type != 'cpu':
            return self.net.lower(image.contiguous(memory_format=torch.channels_last))
        found = self._engine.run({INPUT: image.contiguous().numpy()})
        return {name: torch.from_numpy(found[name]) for name in self.net.crossing}


class FrozenBatches:
    """Batches of another source, with ``crossing`` in the place of the images."""

    def __init__(self, layers: FrozenLayers, source):
        self.layers, self._source = layers, source

    def batch(self, count: int, step: int) -> dict:
        """Return the batch of a step; ``crossing`` {name: tensor}, and the truth."""
        batch = self._source.batch(count, step)
        return {CROSSING: self.layers(batch.pop('image')), **batch}


class Lower(nn.Module):
    """The frozen layers and the landmark network as a graph."""

    def __init__(self, net: LookNet):
        super().__init__()
        self.net, self.landmarks = net, net.landmarks

    def forward(self, image):
        found = self.net.lower(image)
        return tuple(found[name] for name in self.net.crossing)
