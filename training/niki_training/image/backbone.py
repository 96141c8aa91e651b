"""The convolutional part of a network: any of timm's, without its weights, or a plain one."""

from __future__ import annotations

from niki_ros.common.errors import ModelError
import torch
from torch import nn

PLAIN = 'plain'


def build_backbone(name: str) -> tuple:
    """
    Return a module from images (N, 3, S, S) to features (N, C, S / 32, S / 32), and C.

    :param name: a model of timm, or ``plain``: five strided convolutions, for tests.
    :raises ModelError: when timm is not there or does not know the name.
    """
    if name == PLAIN:
        widths = (3, 8, 16, 24, 32, 48)
        layers = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                  for a, b in zip(widths, widths[1:])]
        return nn.Sequential(*layers), widths[-1]
    timm = _timm()
    try:
        body = timm.create_model(name, pretrained=False, features_only=True, out_indices=(-1,))
    except RuntimeError as error:
        raise ModelError(f'backbone {name!r}: timm cannot make it ({error})') from error
    if body.feature_info.reduction()[-1] != 32:
        raise ModelError(f'backbone {name!r} reduces by {body.feature_info.reduction()[-1]}; '
                         'expected one that ends at 1/32')
    return _Last(body), body.feature_info.channels()[-1]


class _Last(nn.Module):
    """The last of a feature pyramid."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, image):
        """Return the coarsest features."""
        return self.body(image)[-1]


def _timm():
    """Import timm, also where torchvision's compiled operators do not fit this torch."""
    try:
        import timm
    except ImportError as error:
        raise ModelError(f'the backbones come from timm ({error}); pip install timm, or take '
                         f'the backbone {PLAIN!r}') from error
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        # a CPU build of torch beside torchvision for CUDA: no backbone uses its operators, but
        # their names must be known before torchvision can be imported
        library = torch.library.Library('torchvision', 'DEF')
        for operator in ('nms', 'qnms'):
            library.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) '
                           '-> Tensor')
        _LIBRARIES.append(library)
        import timm
    return timm


_LIBRARIES: list = []
"""Definitions live as long as their library object."""
