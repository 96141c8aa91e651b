"""
What a front end gets wrong, on keypoints of which the truth is known.

Measured on 6,307 images of people drawn from motion capture (network full, keypoints seen above
0.9, errors as shares of the mean distance of the limbs from the hips in the image, about 0.45 m of
the body): per coordinate 0.03 to 0.05 that last through a clip and 0.009 to 0.015 from image to
image, with long tails (90 % below three times the median). Hidden keypoints (seen below 0.5) are
off by 0.2 to 0.7 in all, at 0.5 to 0.9 by 0.08 to 0.17. The guess of depth is 0.6 to 0.7 of the
truth, and on calibrated video of a real person 0.44 (knees) to 0.63 (ankles), with a residual of
23 and 32 (hips) to 125 and 120 mm (wrists): real people are made flatter than rendered ones.

On photographs (190 people of COCO, many of them cut off or in a crowd) it is worse: seen above 0.9
wrists 0.10, knees, ankles, elbows and shoulders 0.13 to 0.17, nose 0.10; at 0.5 to 0.9 0.2 to 0.3;
and hips, shoulders and head are always called seen: hips that the annotators call hidden are off
by 0.8 at a visibility of 1, and of hidden knees and elbows half are called seen above 0.6.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from niki_ros.body.keypoints import KEYPOINTS, MIRROR_KEYPOINTS
from niki_ros.lifters.window import AGES_S
import torch

from niki_training.networks.kinematic import axis_angle_rotmat

LASTING, QUICK, HIDDEN, DOUBTED = 0.045, 0.012, 0.35, 0.12
_IMAGES = 32
_POINTS = len(KEYPOINTS)
_LEGS = [i for i, name in enumerate(KEYPOINTS) if name.rpartition('_')[2] in
         ('knee', 'ankle', 'heel', 'toe')]
_GROUPS = [[2, 4, 15, 17], [3, 5, 16, 18], [8, 10, 19], [9, 11, 20], [4, 15, 17], [5, 16, 18],
           [10, 19], [11, 20], _LEGS]
_SILENT = torch.tensor([0.8] * 2 + [0.25] * 4 + [0.8] * 2 + [0.25] * 4 + [0.8] * 3 + [0.25] * 6)
_GUESS_M = torch.tensor([0.025] * 2 + [0.065] * 2 + [0.1] * 2 + [0.065] * 2 + [0.085] * 2
                        + [0.115] * 2 + [0.09] * 3 + [0.1] * 4 + [0.115] * 2)


class Seen(NamedTuple):
    """Inputs of the network as in ``Window``, with a leading axis."""

    rays: torch.Tensor
    seen: torch.Tensor
    guess_m: torch.Tensor


def with_errors(camera, count: int, rng, errors: bool = True) -> Seen:
    """
    Return windows of keypoints as a front end with a camera of some rate would see them.

    :param camera: function of ages (N,) in seconds: true keypoints (N, 21, 3), axes of the view.
    :param errors: False: everything is seen, and exactly.
    """
    torch.manual_seed(int(rng.integers(1 << 31)))
    period_s = torch.exp(_uniform(count, math.log(1 / 120), math.log(1 / 5)))
    ages = torch.as_tensor(AGES_S, dtype=torch.float32)
    steps = torch.floor(ages / period_s[:, None] + 1e-4)
    share = (ages / period_s[:, None] - steps).clamp(0, 1)
    drawn = Errors(camera(torch.zeros(count)), count)
    out = []
    for slot in range(len(ages)):
        # images further apart than the ages are interpolated, as at run time
        first, weight = steps[:, slot], share[:, slot]
        mixed = []
        for index in (first, first + 1):
            age_s = index * period_s
            truth = camera(age_s)
            mixed.append(drawn.of(truth, age_s, index.long()) if errors else exact(truth))
        out.append([(1 - weight.view(-1, *[1] * (a.ndim - 1))) * a
                    + weight.view(-1, *[1] * (a.ndim - 1)) * b for a, b in zip(*mixed)])
    rays, seen, guess = (torch.stack(values, 1) for values in zip(*out))
    begun = torch.where(_chance(count, 0.3), _uniform(count, 0, 1.4), torch.full((count,), 9.0))
    seen = seen * (ages <= begun[:, None] + 0.02)[..., None]
    return Seen(rays, seen, guess)


def exact(truth, *_):
    """Return rays, sight and guess as :meth:`Errors.of` does, without errors."""
    tangents = truth[..., :2] / truth[..., 2:].clamp_min(0.3)
    return tangents, torch.ones_like(truth[..., 0]), _about_hips(truth)[..., 2]


def _about_hips(points):
    return points - points[:, :2].mean(1, keepdim=True)


def _uniform(count, low, high):
    return torch.rand(count) * (high - low) + low


def _chance(count, share):
    return torch.rand(count) < share


def _tailed(*shape):
    """Return normal numbers of which some are large."""
    scale = torch.rand(*shape[:-1], 1).clamp_min(1e-3).pow(-0.33)
    return torch.randn(*shape) * scale / 1.35


class Errors:
    """
    The errors of N people over time: drawn once, the same for the same image.

    :param truth: (N, 21, 3) keypoints in the newest image, which give the size.
    :param images: of so many errors that flicker are drawn; older images have those again.
    """

    def __init__(self, truth, count: int, images: int = _IMAGES):
        """Draw."""
        self._images = images
        tangents = truth[..., :2] / truth[..., 2:].clamp_min(0.3)
        middle = tangents[:, :2].mean(1, keepdim=True)
        self.size = (tangents - middle)[:, :12].norm(dim=-1).mean(1).clamp_min(1e-3)
        worse = torch.exp(torch.randn(count, 1, 1) * 0.5) * 0.85
        self.lasting = [_tailed(count, _POINTS, 2) * LASTING * worse for _ in range(2)]
        self.wave = _uniform(count, 0.6, 4.0), _uniform(count, 0, 2 * math.pi)
        self.quick = _tailed(count, images, _POINTS, 2) * QUICK * worse[:, None]
        self.hidden = torch.randn(count, _POINTS, 2) * HIDDEN
        pan = torch.randn(count, 2) * torch.tensor([0.25, 0.08])
        self.pan = pan * _chance(count, 0.2)[:, None]
        self._hide(count, tangents)
        self._guess(count)
        self.swap_s = torch.where(_chance(count, 0.02), _uniform(count, 0.02, 0.4),
                                  torch.full((count,), -1.0))

    def _hide(self, count, tangents):
        """Choose what is hidden, and when: groups, below a height, aside of a line."""
        hidden = torch.rand(count, _POINTS) < 0.03
        for group in _GROUPS:
            hidden[:, group] |= _chance(count, 0.035)[:, None]
        for axis, share, sides in ((1, 0.16, (1,)), (0, 0.08, (1, -1))):
            for side in sides:
                at = tangents[..., axis] * side
                low, high = at.min(1).values, at.max(1).values
                line = low + (high - low) * _uniform(count, 0.2, 1.0)
                hidden |= (at > line[:, None]) & _chance(count, share)[:, None]
        self.is_hidden = hidden
        # most things have been hidden for longer than the window, some have just come or gone
        since = torch.where(_chance(count, 0.5), torch.full((count,), 9.0),
                            _uniform(count, 0.0, 1.4))
        until = torch.where(_chance(count, 0.8), torch.full((count,), -1.0),
                            _uniform(count, 0.0, 1.0))
        self.hidden_s = until, since
        self.sight = 1 - 0.06 * torch.rand(count, _POINTS).pow(3)
        self.doubted = torch.rand(count, _POINTS) < 0.1
        self.sight = torch.where(self.doubted, torch.rand(count, _POINTS) * 0.4 + 0.5, self.sight)
        # of a limb that is hidden every third time nothing is said, of the trunk nearly always
        silent = torch.rand(count, _POINTS) < _SILENT
        self.blind = torch.where(silent, self.sight, torch.rand(count, _POINTS).pow(1.5) * 0.5)
        self.lasting = [one + self.doubted[..., None] * torch.randn_like(one) * DOUBTED
                        for one in self.lasting]

    def _guess(self, count):
        """Draw how the guess of depth is wrong."""
        lean = torch.randn(count, 3) * torch.tensor([0.12, 0.15, 0.03])
        self.lean = axis_angle_rotmat(torch.nn.functional.normalize(lean, dim=-1),
                                      lean.norm(dim=-1))
        self.slope = torch.randn(count, 1) * 0.18 + 0.66 + torch.randn(count, _POINTS) * 0.15
        self.slope[:, :2] = self.slope[:, :2] * 0.5 + 0.5
        for group in _GROUPS[:4]:
            flip = torch.where(_chance(count, 0.04), -1.0, 1.0)
            self.slope[:, group] *= flip[:, None]
        self.depth = [_tailed(count, _POINTS, 1)[..., 0] * _GUESS_M for _ in range(2)]
        self.depth_quick = torch.randn(count, self._images, _POINTS) * 0.012
        self.no_guess = _chance(count, 0.15)

    def of(self, truth, age_s, index):
        """Return rays (N, 21, 2), sight (N, 21) and guess (N, 21) of the image of this age."""
        each = torch.arange(len(truth))
        index = index % self._images
        speed, phase = self.wave
        wave = (2 * math.pi * age_s / speed + phase)[:, None]
        slow = (wave.cos(), wave.sin())
        until, since = self.hidden_s
        hidden = self.is_hidden & ((age_s >= until) & (age_s <= since))[:, None]
        off = self.lasting[0] * slow[0][..., None] + self.lasting[1] * slow[1][..., None]
        off = off + self.quick[each, index] + hidden[..., None] * self.hidden
        tangents = truth[..., :2] / truth[..., 2:].clamp_min(0.3)
        tangents = tangents + off * self.size[:, None, None] + (self.pan * age_s[:, None])[:, None]
        sight = torch.where(hidden, self.blind, self.sight)
        about = (_about_hips(truth) @ self.lean.transpose(1, 2))[..., 2]
        guess = about * self.slope + self.depth[0] * slow[0] + self.depth[1] * slow[1]
        guess = guess + self.depth_quick[each, index]
        guess = guess + hidden * self.hidden[..., 0] * 0.4
        guess = torch.where(self.no_guess[:, None], torch.zeros_like(guess), guess)
        swap = (age_s <= self.swap_s)[:, None]
        return (torch.where(swap[..., None], tangents[:, MIRROR_KEYPOINTS], tangents),
                torch.where(swap, sight[:, MIRROR_KEYPOINTS], sight),
                torch.where(swap, -guess[:, MIRROR_KEYPOINTS], guess))
