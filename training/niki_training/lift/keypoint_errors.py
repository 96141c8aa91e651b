"""
Simulated errors of a front end, on keypoints with known ground truth.

Measured on 6,307 images of people drawn from motion capture (network full, keypoints seen above
0.9, errors as shares of the mean distance of the limbs from the hips in the image, about 0.45 m of
the body): per coordinate 0.03 to 0.05 that last through a clip and 0.009 to 0.015 from image to
image, with long tails (90 % below three times the median). Hidden keypoints (seen below 0.5) are
off by 0.2 to 0.7 in all, at 0.5 to 0.9 by 0.08 to 0.17. The estimated depth is 0.6 to 0.7 of the
truth, and on calibrated video of a real person 0.44 (knees) to 0.63 (ankles), with a residual of
23 and 32 (hips) to 125 and 120 mm (wrists): the estimates of real people are flatter than those of
rendered ones.

On photographs (190 people of COCO, many of them cut off or in a crowd) it is worse: seen above 0.9
wrists 0.10, knees, ankles, elbows and shoulders 0.13 to 0.17, nose 0.10; at 0.5 to 0.9 0.2 to 0.3.
Hips, shoulders and head are always reported as seen: hips that the annotators call hidden are off
by 0.8 at a visibility of 1, and of hidden knees and elbows half are reported above 0.6.
"""

from dataclasses import dataclass
import math
from typing import Callable, NamedTuple

from niki_ros.body.keypoints import KEYPOINTS, MIRROR_KEYPOINTS
from niki_ros.lifters.window import AGES_S
import torch

from niki_training.networks.kinematic import axis_angle_rotmat


@dataclass(frozen=True)
class KeypointErrorNumbers:
    """Numbers of :class:`KeypointErrors`; errors in the image are over the person's size."""

    lasting: float = 0.045  # error that lasts through a clip
    flicker: float = 0.012  # from image to image
    hidden: float = 0.35  # of hidden keypoints
    doubtful: float = 0.12  # of keypoints with a visibility below 0.9
    image_count: int = 32  # images with a flicker of their own; older images repeat it


_COUNT = len(KEYPOINTS)
_MIN_DEPTH_M = 0.3
_LEGS = [i for i, name in enumerate(KEYPOINTS) if name.rpartition('_')[2] in
         ('knee', 'ankle', 'heel', 'toe')]
# keypoints that are hidden together
HIDDEN_GROUPS = [[2, 4, 15, 17], [3, 5, 16, 18], [8, 10, 19], [9, 11, 20], [4, 15, 17],
                 [5, 16, 18], [10, 19], [11, 20], _LEGS]
# odds of a hidden keypoint to be reported as seen: limbs seldom, the trunk nearly always
_SILENT_ODDS = torch.tensor([0.8] * 2 + [0.25] * 4 + [0.8] * 2 + [0.25] * 4 + [0.8] * 3
                            + [0.25] * 6)
# (21,) error of the estimated depth that lasts through a clip
_DEPTH_SIGMA_M = torch.tensor([0.025] * 2 + [0.065] * 2 + [0.1] * 2 + [0.065] * 2 + [0.085] * 2
                              + [0.115] * 2 + [0.09] * 3 + [0.1] * 4 + [0.115] * 2)
# ages (N,), s → true keypoints (N, 21, 3), axes of the view, metres
TrueKeypoints = Callable[[torch.Tensor], torch.Tensor]


class KeypointWindows(NamedTuple):
    """Inputs of the network: W ages of the keypoints of N people."""

    rays: torch.Tensor  # (N, W, 21, 2) tangents
    seen: torch.Tensor  # (N, W, 21) visibility 0 … 1
    guess_m: torch.Tensor  # (N, W, 21) estimated depth about the hips


def observed_windows(true_keypoints: TrueKeypoints, count: int, rng,
                     with_errors: bool = True) -> KeypointWindows:
    """Return windows of keypoints as a front end observes them at a random frame rate."""
    torch.manual_seed(int(rng.integers(1 << 31)))
    period_s = torch.exp(_uniform(count, math.log(1 / 120), math.log(1 / 5)))
    ages_s = torch.as_tensor(AGES_S, dtype=torch.float32)
    steps = torch.floor(ages_s / period_s[:, None] + 1e-4)
    fraction = (ages_s / period_s[:, None] - steps).clamp(0, 1)
    errors = KeypointErrors(true_keypoints(torch.zeros(count)), count)
    windows = []
    for slot in range(len(ages_s)):
        # between images further apart than the ages the run time interpolates, too
        image, weight = steps[:, slot], fraction[:, slot]
        pair = []
        for index in (image, image + 1):
            age_s = index * period_s
            true_m = true_keypoints(age_s)
            pair.append(errors.observed(true_m, age_s, index.long()) if with_errors
                        else exact(true_m))
        windows.append([(1 - weight.view(-1, *[1] * (a.ndim - 1))) * a
                        + weight.view(-1, *[1] * (a.ndim - 1)) * b for a, b in zip(*pair)])
    rays, seen, guess_m = (torch.stack(values, 1) for values in zip(*windows))
    first_seen_s = torch.where(_chance(count, 0.3), _uniform(count, 0, 1.4),
                               torch.full((count,), 9.0))
    seen = seen * (ages_s <= first_seen_s[:, None] + 0.02)[..., None]
    return KeypointWindows(rays, seen, guess_m)


def exact(true_m, *_) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _tangents(true_m), torch.ones_like(true_m[..., 0]), _about_hips(true_m)[..., 2]


def _tangents(points_m):
    return points_m[..., :2] / points_m[..., 2:].clamp_min(_MIN_DEPTH_M)


def _about_hips(points_m):
    return points_m - points_m[:, :2].mean(1, keepdim=True)


def _uniform(count, low, high):
    return torch.rand(count) * (high - low) + low


def _chance(count, odds):
    return torch.rand(count) < odds


def _long_tailed(*shape):
    """Return normal numbers, some of which are large."""
    scale = torch.rand(*shape[:-1], 1).clamp_min(1e-3).pow(-0.33)
    return torch.randn(*shape) * scale / 1.35


class KeypointErrors:
    """The errors of N people over time; keypoints (N, 21, 3) of the newest image give the size."""

    def __init__(self, true_m, count: int, numbers: KeypointErrorNumbers = KeypointErrorNumbers()):
        self._numbers = numbers
        tangents = _tangents(true_m)
        middle = tangents[:, :2].mean(1, keepdim=True)
        self._size = (tangents - middle)[:, :12].norm(dim=-1).mean(1).clamp_min(1e-3)
        scale = torch.exp(torch.randn(count, 1, 1) * 0.5) * 0.85
        self._lasting = [_long_tailed(count, _COUNT, 2) * numbers.lasting * scale
                         for _ in range(2)]
        self._period_s, self._phase = _uniform(count, 0.6, 4.0), _uniform(count, 0, 2 * math.pi)
        self._flicker = (_long_tailed(count, numbers.image_count, _COUNT, 2) * numbers.flicker
                         * scale[:, None])
        self._hidden_offset = torch.randn(count, _COUNT, 2) * numbers.hidden
        pan = torch.randn(count, 2) * torch.tensor([0.25, 0.08])
        self._pan_per_s = pan * _chance(count, 0.2)[:, None]
        self._draw_visibility(count, tangents)
        self._draw_depth(count)
        self._swapped_s = torch.where(_chance(count, 0.02), _uniform(count, 0.02, 0.4),
                                      torch.full((count,), -1.0))

    def _draw_visibility(self, count, tangents):
        """Draw which keypoints are hidden, and when: groups, below or at one side of a line."""
        hidden = torch.rand(count, _COUNT) < 0.03
        for group in HIDDEN_GROUPS:
            hidden[:, group] |= _chance(count, 0.035)[:, None]
        for axis, odds, sides in ((1, 0.16, (1,)), (0, 0.08, (1, -1))):
            for side in sides:
                at = tangents[..., axis] * side
                low, high = at.min(1).values, at.max(1).values
                line = low + (high - low) * _uniform(count, 0.2, 1.0)
                hidden |= (at > line[:, None]) & _chance(count, odds)[:, None]
        self._is_hidden = hidden
        # most are hidden throughout the window, some appear or disappear in it
        self._hidden_from_s = torch.where(_chance(count, 0.5), torch.full((count,), 9.0),
                                          _uniform(count, 0.0, 1.4))
        self._hidden_until_s = torch.where(_chance(count, 0.8), torch.full((count,), -1.0),
                                           _uniform(count, 0.0, 1.0))
        self._seen = 1 - 0.06 * torch.rand(count, _COUNT).pow(3)
        doubtful = torch.rand(count, _COUNT) < 0.1
        self._seen = torch.where(doubtful, torch.rand(count, _COUNT) * 0.4 + 0.5, self._seen)
        silent = torch.rand(count, _COUNT) < _SILENT_ODDS
        self._seen_of_hidden = torch.where(silent, self._seen,
                                           torch.rand(count, _COUNT).pow(1.5) * 0.5)
        self._lasting = [one + doubtful[..., None] * torch.randn_like(one)
                         * self._numbers.doubtful for one in self._lasting]

    def _draw_depth(self, count):
        lean = torch.randn(count, 3) * torch.tensor([0.12, 0.15, 0.03])
        self._lean = axis_angle_rotmat(torch.nn.functional.normalize(lean, dim=-1),
                                       lean.norm(dim=-1))
        self._slope = torch.randn(count, 1) * 0.18 + 0.66 + torch.randn(count, _COUNT) * 0.15
        self._slope[:, :2] = self._slope[:, :2] * 0.5 + 0.5
        for group in HIDDEN_GROUPS[:4]:
            flip = torch.where(_chance(count, 0.04), -1.0, 1.0)
            self._slope[:, group] *= flip[:, None]
        self._depth_m = [_long_tailed(count, _COUNT, 1)[..., 0] * _DEPTH_SIGMA_M for _ in range(2)]
        self._depth_flicker_m = torch.randn(count, self._numbers.image_count, _COUNT) * 0.012
        self._has_no_depth = _chance(count, 0.15)

    def observed(self, true_m, age_s, index):
        """
        Return tangents (N, 21, 2), visibility (N, 21) and depth (N, 21) of one image.

        :param true_m: (N, 21, 3). :param age_s: (N,) of the image. :param index: (N,) its number.
        """
        each, index = torch.arange(len(true_m)), index % self._numbers.image_count
        angle = (2 * math.pi * age_s / self._period_s + self._phase)[:, None]
        cos, sin = angle.cos(), angle.sin()
        hidden = self._is_hidden & ((age_s >= self._hidden_until_s)
                                    & (age_s <= self._hidden_from_s))[:, None]
        off = self._lasting[0] * cos[..., None] + self._lasting[1] * sin[..., None]
        off = off + self._flicker[each, index] + hidden[..., None] * self._hidden_offset
        pan = (self._pan_per_s * age_s[:, None])[:, None]
        tangents = _tangents(true_m) + off * self._size[:, None, None] + pan
        seen = torch.where(hidden, self._seen_of_hidden, self._seen)
        about_m = (_about_hips(true_m) @ self._lean.transpose(1, 2))[..., 2]
        guess_m = about_m * self._slope + self._depth_m[0] * cos + self._depth_m[1] * sin
        guess_m = guess_m + self._depth_flicker_m[each, index]
        guess_m = guess_m + hidden * self._hidden_offset[..., 0] * 0.4
        guess_m = torch.where(self._has_no_depth[:, None], torch.zeros_like(guess_m), guess_m)
        swapped = (age_s <= self._swapped_s)[:, None]
        return (torch.where(swapped[..., None], tangents[:, MIRROR_KEYPOINTS], tangents),
                torch.where(swapped, seen[:, MIRROR_KEYPOINTS], seen),
                torch.where(swapped, -guess_m[:, MIRROR_KEYPOINTS], guess_m))
