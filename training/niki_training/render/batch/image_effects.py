"""
Effects of cameras and of cutting a crop out of an image, for batches in torch.

Order: blur of lens and motion, pixels of the source image, exposure, noise, compression, and the
border of the image, which is repeated beyond it, as :func:`niki_ros.images.pixels.rgb_of_view`
does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import conv2d, grid_sample, interpolate, pad

from niki_training.render.batch.random_draws import CropRandom
from niki_training.render.batch.truth import CropFrame

_KERNEL = 9  # side of the kernels of blur, pixels
_SOURCE_SIZES_PX = (48, 64, 96, 128, 192)  # pixels of the source image across a crop; else more
_BLOCK = 8  # of compression
_NOISE_PX, _NOISE_SEED = 512, 3
# brightness and colour in JPEG's example tables (ITU T.81, annex K), at the lowest, a middle and
# the highest frequency: quantization steps at quality 50, of 255
_LUMA_STEPS, _CHROMA_STEPS = (12.0, 51.0, 100.0), (17.0, 99.0, 99.0)
_YCC_FROM_RGB = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])


@dataclass(frozen=True)
class EffectNumbers:
    """How effects are drawn; odds are of a crop."""

    # also softens the edges of triangles, which are not smoothed otherwise
    blur_px: tuple[float, float] = (0.45, 1.3)  # standard deviation
    motion_odds: float = 0.12
    motion_px: tuple[float, float] = (2.0, 8.0)
    gain: tuple[float, float] = (0.6, 1.35)
    white_balance: tuple[float, float] = (0.88, 1.12)
    offset: tuple[float, float] = (-0.05, 0.08)
    log_gamma_sigma: float = 0.18
    saturation: tuple[float, float] = (0.5, 1.25)
    grey_odds: float = 0.04
    noise_odds: float = 0.6
    noise_sigma: tuple[float, float] = (0.005, 0.05)
    compressed_odds: float = 0.6
    compression_steps: tuple[float, float] = (0.3, 3.0)  # over those of quality 50, log-uniform


class Effects(NamedTuple):
    """Effects of N crops, in numpy."""

    kernel: np.ndarray  # (N, 9, 9) sum 1
    source: np.ndarray  # (N,) row of _SOURCE_SIZES_PX, or their number for a finer image
    colour: np.ndarray  # (N, 3, 4) matrix of RGB, and offset
    gamma: np.ndarray  # (N,)
    noise: np.ndarray  # (N,) standard deviation
    noise_at: np.ndarray  # (N, 2) place in the noise
    compression: np.ndarray  # (N,) steps over those of quality 50; 0 = none


def draw_effects(source_px, draw: CropRandom,
                 numbers: EffectNumbers = EffectNumbers()) -> Effects:
    """Return effects; ``source_px`` (N,) are the pixels of the source image across each crop."""
    sigma = draw.uniform(*numbers.blur_px)
    length = np.where(draw.chance(numbers.motion_odds), draw.uniform(*numbers.motion_px), 0.0)
    kernel = _kernels(sigma, length, draw.uniform(0.0, np.pi))
    gain = draw.uniform(*numbers.gain)[:, None] * draw.uniform(*numbers.white_balance, (3,))
    saturation = np.where(draw.chance(numbers.grey_odds), 0.0, draw.uniform(*numbers.saturation))
    grey = np.broadcast_to(_YCC_FROM_RGB[0], (3, 3))
    matrix = grey + (np.eye(3) - grey) * saturation[:, None, None]
    colour = np.concatenate([gain[..., None] * matrix, np.repeat(
        draw.uniform(*numbers.offset)[:, None, None], 3, axis=1)], -1)
    noise = np.where(draw.chance(numbers.noise_odds), draw.uniform(*numbers.noise_sigma), 0.0)
    steps = np.where(draw.chance(numbers.compressed_odds),
                     np.exp(draw.uniform(*np.log(numbers.compression_steps))), 0.0)
    return Effects(kernel, np.searchsorted(_SOURCE_SIZES_PX, source_px), colour,
                   np.exp(draw.normal(numbers.log_gamma_sigma)), noise,
                   draw.index(_NOISE_PX // 2, (2,)), steps)


def _kernels(sigma, length, angle) -> np.ndarray:
    """Return kernels (N, 9, 9) of a Gaussian of ``sigma`` (N,) px moved over ``length`` (N,)."""
    axis = np.arange(_KERNEL) - _KERNEL // 2
    y, x = np.meshgrid(axis, axis, indexing='ij')
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    # a uniform motion has the standard deviation length / sqrt(12) along it
    along = sigma[:, None, None]**2 + (length[:, None, None]**2) / 12
    exponent = (x * c + y * s)**2 / along + (y * c - x * s)**2 / sigma[:, None, None]**2
    kernel = np.exp(-exponent / 2)
    return kernel / kernel.sum((1, 2), keepdims=True)


class EffectRunner:
    """Applies effects on one device."""

    def __init__(self, device):
        rng = np.random.default_rng(_NOISE_SEED)
        noise = rng.normal(size=(3, _NOISE_PX, _NOISE_PX)).astype(np.float32)
        self._noise = torch.as_tensor(noise).to(device)
        k = np.arange(_BLOCK)
        cosines = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / (2 * _BLOCK)) / 2
        cosines[0] /= np.sqrt(2)
        self._cosines = torch.as_tensor(cosines, dtype=torch.float32, device=device)
        frequency = (k[:, None] + k[None]) / (2 * (_BLOCK - 1))
        steps = np.stack([np.interp(frequency, (0, 0.5, 1), table) for table in (
            _LUMA_STEPS, _CHROMA_STEPS, _CHROMA_STEPS)]) / 255
        self._steps = torch.as_tensor(steps, dtype=torch.float32, device=device)
        self._ycc = torch.as_tensor(_YCC_FROM_RGB, dtype=torch.float32, device=device)

    def apply(self, images, effects: Effects, frame: CropFrame) -> torch.Tensor:
        """Return images (N, 3, S, S), 0 … 1, with all effects."""
        images = self._blurred(images, effects)
        out = torch.empty_like(images)
        for row in np.unique(effects.source):
            chosen = np.flatnonzero(effects.source == row)
            index = torch.as_tensor(chosen, device=images.device)
            part = images[index]
            size = images.shape[-1]
            if row < len(_SOURCE_SIZES_PX):
                small = (_SOURCE_SIZES_PX[row],) * 2
                part = interpolate(part, small, mode='bilinear', antialias=True)
            part = self._recorded(part, Effects(*(values[chosen] for values in effects)))
            if part.shape[-1] != size:
                part = interpolate(part, (size, size), mode='bilinear')
            out[index] = part
        return _with_border(out.clamp(0, 1), frame)

    def _blurred(self, images, effects: Effects) -> torch.Tensor:
        count, channels, high, wide = images.shape
        reach = _KERNEL // 2
        kernel = torch.as_tensor(effects.kernel, dtype=images.dtype, device=images.device)
        padded = pad(images, (reach,) * 4, mode='replicate').view(1, -1, high + 2 * reach,
                                                                  wide + 2 * reach)
        kernel = kernel.repeat_interleave(channels, 0)[:, None]
        return conv2d(padded, kernel, groups=count * channels).view_as(images)

    def _recorded(self, images, effects: Effects) -> torch.Tensor:
        """Return images with the exposure, noise and compression of a camera."""
        def tensor(values, *shape):
            return torch.as_tensor(values, dtype=images.dtype, device=images.device).view(*shape)

        count, _, size, _ = images.shape
        images = images.clamp(1e-4, 1)**tensor(effects.gamma, -1, 1, 1, 1)
        colour = tensor(effects.colour, -1, 3, 4)
        images = (colour[..., :3] @ images.flatten(2) + colour[..., 3:]).view(count, 3, size, size)
        noise = torch.stack([self._noise[:, y:y + size, x:x + size]
                             for y, x in effects.noise_at.tolist()])
        images = (images + noise * tensor(effects.noise, -1, 1, 1, 1)).clamp(0, 1)
        chosen = np.flatnonzero(effects.compression)
        if len(chosen):
            index = torch.as_tensor(chosen, device=images.device)
            images[index] = self._compressed(
                images[index], tensor(effects.compression[chosen], -1, 1, 1, 1, 1, 1))
        return images

    def _compressed(self, images, scale) -> torch.Tensor:
        """Return images after rounding of the cosine transform of blocks of 8 × 8 pixels."""
        count, _, size, _ = images.shape
        blocks = size // _BLOCK
        ycc = (self._ycc @ images.flatten(2)).view(count, 3, blocks, _BLOCK, blocks, _BLOCK)
        ycc = ycc.permute(0, 1, 2, 4, 3, 5)
        steps = self._steps[:, None, None] * scale
        cosines = self._cosines
        rounded = torch.round(cosines @ ycc @ cosines.T / steps) * steps
        ycc = (cosines.T @ rounded @ cosines).permute(0, 1, 2, 4, 3, 5).reshape(count, 3, -1)
        return (torch.linalg.inv(self._ycc) @ ycc).view(count, 3, size, size)


def _with_border(images, frame: CropFrame) -> torch.Tensor:
    """Return images (N, 3, S, S) in which the border of the source image is repeated beyond it."""
    size = images.shape[-1]
    # a crop is inside of the image where its corners are: both are convex
    corners = torch.tensor([-0.5, 0.5], device=images.device)
    index = (_held(corners, frame)[1]).flatten(1).any(1).nonzero()[:, 0]
    if not len(index):
        return images
    frame = CropFrame(*(values[index] for values in frame))
    held, _ = _held(torch.arange(size, device=images.device) / size - 0.5, frame)
    turn = frame.camera_from_view
    back = held[..., :1] * turn[:, None, None, 0] + held[..., 1:] * turn[:, None, None, 1]
    back = back + turn[:, None, None, 2]
    uv = back[..., :2] / (back[..., 2:].clamp_min(0.05) * frame.width[:, None, None, None])
    grid = (uv + 0.5) * (2 * size / (size - 1)) - 1
    images[index] = grid_sample(images[index], grid, padding_mode='border', align_corners=True)
    return images


def _held(uv_axis, frame: CropFrame):
    """Return tangents (N, K, K, 2) of a grid of the crop, held inside, and which were outside."""
    plane = frame.width[:, None] * uv_axis
    turn = frame.camera_from_view
    camera = (turn[:, None, None, :, 0] * plane[:, None, :, None]
              + turn[:, None, None, :, 1] * plane[:, :, None, None] + turn[:, None, None, :, 2])
    flat = camera[..., :2] / camera[..., 2:].clamp_min(0.05)
    border = frame.border[:, None, None]
    held = torch.maximum(torch.minimum(flat, border[..., 2:]), border[..., :2])
    return held, held != flat
