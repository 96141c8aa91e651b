"""The camera network of the one-stage release, which estimates the position of the person."""


import torch
from torch import nn

from niki_training.importers.released_body import ReleasedJoints
from niki_training.importers.released_niki import ReleasedNiki

PREFIX = 'regressor.camnet.'
HIDDEN, CAMERA = 1024, 3
ENTERED = 29 * 2 + 29 * 3 + 29 + CAMERA
_LAYERS = (0, 3, 6, 9)
"""Indices of the linear layers; between them are a dropout, without effect here, and a ReLU."""


def expected_keys() -> dict[str, tuple]:
    widths = (ENTERED, HIDDEN, HIDDEN, HIDDEN, CAMERA)
    keys: dict[str, tuple] = {f'{PREFIX}init_cam': (CAMERA,)}
    for n, layer in enumerate(_LAYERS):
        keys[f'{PREFIX}camera_net.{layer}.weight'] = (widths[n + 1], widths[n])
        keys[f'{PREFIX}camera_net.{layer}.bias'] = (widths[n + 1],)
    return keys


class NikiWithCamera(nn.Module):
    """The one-stage release with its camera network and the joints of its training's body."""

    def __init__(self, niki: ReleasedNiki, state: dict[str, torch.Tensor], joints: ReleasedJoints):
        super().__init__()
        self.niki, self.joints = niki, joints
        self.register_buffer('mean_camera', state[f'{PREFIX}init_cam'])
        parts: list = []
        for layer in _LAYERS:
            weight = state[f'{PREFIX}camera_net.{layer}.weight']
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.load_state_dict({'weight': weight,
                                    'bias': state[f'{PREFIX}camera_net.{layer}.bias']})
            parts += [linear, nn.ReLU()]
        self.net = nn.Sequential(*parts[:-1]).requires_grad_(False)

    @property
    def input_names(self) -> list:
        return [*self.niki.input_names, 'betas', 'uv', 'camera_guess']

    @property
    def output_names(self) -> list:
        return [*self.niki.output_names, 'camera']

    def forward(self, joints, sigma, betas, uv, camera_guess):
        """
        Solve N people and estimate the camera of each crop.

        :param joints: (N, 29, 3) root-aligned, metres. :param sigma: (N, 29).
        :param betas: (N, 10) of SMPL. :param uv: (N, 29, 2) ratios of the crop, -0.5 … 0.5.
        :param camera_guess: (N, 3) HybrIK's scale, and the root's x and y in metres.
        :return: the results of the flow, and the camera (N, 3) in the form of the guess.
        """
        solved = self.niki(joints, sigma)
        posed = self.joints(solved[0], betas)
        entered = torch.cat([uv.flatten(1), posed.flatten(1), sigma, camera_guess], dim=-1)
        return (*solved, self.net(entered) + self.mean_camera)
