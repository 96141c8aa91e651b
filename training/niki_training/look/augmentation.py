"""
Augmentation of crops that moves their labels with them.

A crop is mirrored, rotated about its centre, scaled and shifted. Rotation and scale are exact in
space too, because the optical axis of a view goes through the centre of its crop; a shift by a
twentieth of a side turns the axes of the view by one or two degrees, which is neglected.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class AugmentationNumbers:
    """Numbers of the augmentation; standard deviations are cut at two of them."""

    angle_rad: float = 0.2  # as wrong as the roll of a followed crop
    log_scale: float = 0.12
    shift: float = 0.04  # sides of the crop
    gain: tuple = (0.6, 1.4)  # of the contrast
    channel_gain: float = 0.1  # largest change of a colour
    offset: float = 0.1  # largest change of the brightness
    noise: float = 0.02  # largest standard deviation of a pixel
    blur_odds: float = 0.2  # of a picture of half the size
    patch_odds: float = 0.25  # of a part of another crop in front
    patch_sides: tuple = (0.08, 0.35)
    face_odds: float = 0.25  # of a face made unrecognisable, as in many published videos
    face_block_px: int = 8  # of its blur
    face_ratio: float = 0.75  # radius of it over the length of the head


class Similarity(NamedTuple):
    """How N crops are moved: mirrored left to right, then rotated, scaled and shifted."""

    is_mirrored: torch.Tensor  # (N,) bool
    angle_rad: torch.Tensor  # (N,) clockwise in the image
    scale: torch.Tensor  # (N,) above 1 enlarges the person
    shift: torch.Tensor  # (N, 2) sides of the crop

    def turns(self) -> torch.Tensor:
        """Return the matrices (N, 2, 2) of mirroring and rotation."""
        cosine, sine = self.angle_rad.cos(), self.angle_rad.sin()
        sign = 1.0 - 2.0 * self.is_mirrored.float()
        return torch.stack([cosine * sign, -sine, sine * sign, cosine], -1).unflatten(-1, (2, 2))

    def points(self, uv) -> torch.Tensor:
        """Return image positions (N, K, 2), sides from the centre, after the move."""
        moved = uv @ self.turns().transpose(1, 2) * self.scale[:, None, None]
        return moved + self.shift[:, None]

    def vectors(self, vectors) -> torch.Tensor:
        """Return vectors (N, K, 3), axes of the view, after the move."""
        across = vectors[..., :2] @ self.turns().transpose(1, 2)
        return torch.cat([across, vectors[..., 2:]], dim=-1)

    def images(self, image, size_px: int) -> torch.Tensor:
        """
        Return images (N, 3, size, size) after the move; outside their border is repeated.

        :param image: (N, 3, S, S) with the scale of crops of ``size_px``; where it is larger than
            those it shows more of the surroundings.
        """
        inverse = self.turns().transpose(1, 2) / self.scale[:, None, None]
        # of positions -1 … 1 in the image to be made, to those in a picture of S pixels
        offset = -(inverse @ (2 * self.shift[..., None]))
        theta = torch.cat([inverse, offset], -1) * (size_px / image.shape[-1])
        grid = F.affine_grid(theta, [len(image), 3, size_px, size_px], align_corners=False)
        return F.grid_sample(image, grid, padding_mode='border', align_corners=False)

    def sides(self, values, mirror) -> torch.Tensor:
        """Return values (N, K, …), exchanged by indices (K,) where crops are mirrored."""
        pick = self.is_mirrored.view(-1, *[1] * (values.ndim - 1))
        return torch.where(pick, values[:, mirror], values)


def step_generator(seed: int, rank: int, step: int, stream: int, device='cpu') -> torch.Generator:
    """Return the random numbers of one step of one process."""
    return torch.Generator(device).manual_seed(step_seed(seed, rank, step, stream))


def step_seed(seed: int, rank: int, step: int, stream: int) -> int:
    """
    Return the seed of one step of one process.

    It depends on the four numbers only, so that a resumed run draws what an uninterrupted one
    would have drawn.
    """
    state = np.random.SeedSequence([seed, rank, step, stream]).generate_state(1, np.uint64)[0]
    return int(state) & (2**63 - 1)


def draw_similarity(count: int, generator: torch.Generator, shifts: bool = True,
                    numbers: AugmentationNumbers = AugmentationNumbers()) -> Similarity:
    """Return a random move of ``count`` crops; without ``shifts`` it is exact in space."""
    def normal(sigma, *shape):
        draw = torch.randn(count, *shape, generator=generator, device=generator.device)
        return sigma * draw.clamp(-2, 2)
    is_mirrored = torch.rand(count, generator=generator, device=generator.device) < 0.5
    return Similarity(is_mirrored, normal(numbers.angle_rad), normal(numbers.log_scale).exp(),
                      normal(numbers.shift if shifts else 0.0, 2))


def recoloured(image, generator: torch.Generator,
               numbers: AugmentationNumbers = AugmentationNumbers()) -> torch.Tensor:
    """Return images (N, 3, S, S), RGB 0 … 1, with other colours, noise and sharpness."""
    count, _, size_px, _ = image.shape

    def draw(low, high, *shape):
        uniform = torch.rand(count, *shape, generator=generator, device=generator.device)
        return low + (high - low) * uniform
    blurred = (draw(0, 1) < numbers.blur_odds).nonzero()[:, 0]
    image = image.index_copy(0, blurred, F.interpolate(
        F.avg_pool2d(image[blurred], 2), (size_px, size_px), mode='bilinear'))
    change = numbers.channel_gain
    gain = draw(*numbers.gain, 1, 1, 1) * draw(1 - change, 1 + change, 3, 1, 1)
    image = (image - 0.5) * gain + 0.5 + draw(-numbers.offset, numbers.offset, 1, 1, 1)
    noise = torch.randn(image.shape, generator=generator, device=generator.device)
    return (image + noise * draw(0, numbers.noise, 1, 1, 1)).clamp(0, 1)


def blurred_faces(image, head, head_top, generator: torch.Generator,
                  numbers: AugmentationNumbers = AugmentationNumbers()) -> torch.Tensor:
    """
    Return images (N, 3, S, S) in some of which the head is blurred.

    Front and back of a person must then be told by the body.

    :param head: (N, 2) lower end of the head, sides from the centre. :param head_top: (N, 2).
    """
    count, _, size_px, _ = image.shape
    is_blurred = torch.rand(count, generator=generator, device=generator.device)
    axis = (torch.arange(size_px, device=image.device) + 0.5) / size_px - 0.5
    middle = (head + head_top) / 2
    across, down = ((axis - middle[:, k:k + 1]).square() for k in (0, 1))
    radius = numbers.face_ratio * (head_top - head).norm(dim=-1)
    mask = down[:, :, None] + across[:, None] < radius.square()[:, None, None]
    mask &= (is_blurred < numbers.face_odds)[:, None, None]
    blurred = F.interpolate(F.avg_pool2d(image, numbers.face_block_px), (size_px, size_px),
                            mode='bilinear')
    return torch.where(mask[:, None], blurred, image)


def patched(image, points, generator: torch.Generator,
            numbers: AugmentationNumbers = AugmentationNumbers()):
    """
    Put a part of another crop of the batch in front of some crops.

    :param image: (N, 3, S, S). :param points: (N, K, 2) sides from the centre.
    :return: the images, and (N, K) True for points behind such a part.
    """
    count, _, size_px, _ = image.shape

    def draw(low, high, *shape):
        uniform = torch.rand(count, *shape, generator=generator, device=generator.device)
        return low + (high - low) * uniform
    half = draw(*numbers.patch_sides, 2) / 2
    middle = draw(-0.5, 0.5, 2)
    is_patched = draw(0, 1) < numbers.patch_odds
    axis = (torch.arange(size_px, device=image.device) + 0.5) / size_px - 0.5
    across, down = ((axis - middle[:, k:k + 1]).abs() < half[:, k:k + 1] for k in (0, 1))
    mask = down[:, :, None] & across[:, None, :] & is_patched[:, None, None]
    other = image.roll((1, size_px // 3), (0, 3))
    inside = ((points - middle[:, None]).abs() < half[:, None]).all(-1) & is_patched[:, None]
    return torch.where(mask[:, None], other, image), inside
