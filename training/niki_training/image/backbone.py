"""Backbones of image networks: those of timm, without weights, and a plain one."""

from niki_ros.common.errors import ModelError
import torch
from torch import nn

PLAIN = 'plain'
REDUCTION = 32  # side of an image over that of the features


def build_backbone(name: str) -> tuple:
    """
    Return a module from images (N, 3, S, S) to features (N, C, S / 32, S / 32), and C.

    :param name: a model of timm, or ``plain``: five strided convolutions, for tests.
    """
    if name == PLAIN:
        widths = (3, 8, 16, 24, 32, 48)
        layers = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                  for a, b in zip(widths, widths[1:])]
        return nn.Sequential(*layers), widths[-1]
    timm = _timm()
    try:
        backbone = timm.create_model(name, pretrained=False, features_only=True, out_indices=(-1,))
    except RuntimeError as error:
        raise ModelError(f'backbone {name!r}: timm cannot make it ({error})') from error
    reduction = backbone.feature_info.reduction()[-1]
    if reduction != REDUCTION:
        raise ModelError(f'backbone {name!r} reduces by {reduction}; expected {REDUCTION}')
    return _CoarsestFeatures(backbone), backbone.feature_info.channels()[-1]


class _CoarsestFeatures(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body    # the name of the weights in checkpoints

    def forward(self, image):
        return self.body(image)[-1]


def _timm():
    """Import timm, also where torchvision's compiled operators do not match this torch."""
    try:
        import timm
    except ImportError as error:
        raise ModelError(f'the backbones come from timm ({error}); pip install timm, or take '
                         f'the backbone {PLAIN!r}') from error
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
        # a CPU build of torch with torchvision for CUDA: no backbone uses its operators, but
        # their names must be defined before torchvision can be imported
        library = torch.library.Library('torchvision', 'DEF')
        for operator in ('nms', 'qnms'):
            library.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) '
                           '-> Tensor')
        _LIBRARIES.append(library)
        import timm
    return timm


_LIBRARIES: list = []  # library objects; torch removes the definitions when the object is deleted
