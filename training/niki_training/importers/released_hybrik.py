"""The released HybrIK: HRNet-W48, 29 heat map volumes, and four heads."""


import torch
from torch import nn

from niki_training.importers.hrnet import FEATURE, HrNet

JOINTS, TWISTS, BETAS, CELLS = 29, 23, 10, 64
SIZE_PX = 256
INPUT_NAMES = ['image']
OUTPUT_NAMES = ['uvd', 'max_probability', 'sigma', 'twist_cos_sin', 'betas', 'camera_scale',
                'twist_cos_sin_unnormalised']


class ReleasedHybrik(nn.Module):
    """
    Network from normalised images (N, 3, 256, 256) to joints in the crop and inputs of NIKI.

    ``uvd`` (N, 29, 3) are means of the heat map, -0.5 … 0.5 of the crop across, down and in depth.
    """

    def __init__(self):
        super().__init__()
        self.preact = HrNet(JOINTS * CELLS)
        self.decshape = nn.Linear(FEATURE, BETAS)
        self.decphi = nn.Linear(FEATURE, 2 * TWISTS)
        self.deccam = nn.Linear(FEATURE, 1)
        self.decsigma = nn.Linear(FEATURE, JOINTS)
        self.register_buffer('init_shape', torch.zeros(BETAS))
        self.register_buffer('init_cam', torch.zeros(1))
        self.register_buffer('steps', torch.arange(CELLS).float() / CELLS, persistent=False)

    def forward(self, image):
        heat, feature = self.preact(image)
        probability = heat.reshape(-1, JOINTS, CELLS**3).softmax(dim=-1)
        volume = probability.unflatten(-1, (CELLS, CELLS, CELLS))
        across, down, deep = ((2, 3), (2, 4), (3, 4))  # summed over the two other axes
        uvd = torch.stack([volume.sum(dim=axes) @ self.steps for axes in (across, down, deep)],
                          dim=-1) - 0.5
        raw = self.decphi(feature).unflatten(-1, (TWISTS, 2))
        twist = raw / (raw.square().sum(-1, keepdim=True).sqrt() + 1e-8)
        betas = self.decshape(feature) + self.init_shape
        camera_scale = self.deccam(feature) + self.init_cam
        sigma = self.decsigma(feature).sigmoid()
        return uvd, probability.amax(dim=-1), sigma, twist, betas, camera_scale, raw


def expected_keys() -> dict[str, tuple]:
    with torch.device('meta'):
        return {key: tuple(value.shape) for key, value in ReleasedHybrik().state_dict().items()}


def build(state: dict[str, torch.Tensor]) -> ReleasedHybrik:
    """Return the network with the weights of ``state``, ready to run."""
    net = ReleasedHybrik()
    net.load_state_dict(state)
    return net.eval().requires_grad_(False)
