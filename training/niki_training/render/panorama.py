"""
Panoramas as surroundings and light.

Axes: y up. Column u (0 … 1) of the picture looks along the heading 2π (u - 0.5), clockwise from -z
seen from above; row v looks up at 0 and down at 1.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.render.scene import rotmat_about_y

_SUFFIXES = ('.jpg', '.jpeg', '.png')
_SMALL_PX = (64, 32)  # in which light is measured


@dataclass(frozen=True)
class PanoramaLightNumbers:
    """How the light of a panorama is guessed from its pixels, which are clipped."""

    mean_albedo: float = 0.42  # of surroundings: brightness over this is the light
    light_range: tuple[float, float] = (0.45, 1.5)
    brightest_share: float = 0.02  # of the sphere, belongs to the main light
    lamp_per_share: float = 2.5  # strength of the main light per share of all light
    max_lamp: float = 0.75
    clipped_from: float = 0.97  # a light that is brighter than the picture holds
    clipped_gain: tuple[float, float] = (1.0, 2.0)
    tint: float = 0.6  # 0 = white light, 1 = as coloured as the surroundings


@dataclass(frozen=True)
class Panorama:
    """An equirectangular picture (H, W, 3) uint8 RGB, turned by ``heading_rad`` about y."""

    picture_rgb: np.ndarray
    heading_rad: float = 0.0

    def turned(self, heading_rad: float) -> 'Panorama':
        return Panorama(self.picture_rgb, heading_rad)

    @property
    def panorama_from_world(self) -> np.ndarray:
        """Rotation (3, 3)."""
        return rotmat_about_y(np.float64(self.heading_rad))

    def position(self, directions) -> tuple[np.ndarray, np.ndarray]:
        """Return column and row (...) of world directions (..., 3); a pixel is from n to n + 1."""
        ray = np.asarray(directions) @ self.panorama_from_world.T
        ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
        height, width = self.picture_rgb.shape[:2]
        return ((0.5 + np.arctan2(ray[..., 0], -ray[..., 2]) / (2 * np.pi)) * width,
                np.arccos(ray[..., 1].clip(-1, 1)) / np.pi * height)

    def colours(self, directions) -> np.ndarray:
        """Return the colours (..., 3) uint8 RGB that are seen along world directions (..., 3)."""
        column, row = self.position(directions)
        height, width = self.picture_rgb.shape[:2]
        return self.picture_rgb[row.astype(int).clip(0, height - 1), column.astype(int) % width]

    def lights(self, rng, numbers: PanoramaLightNumbers = PanoramaLightNumbers()) -> dict:
        """Return lights in world axes as :func:`scene.draw_lights`: main light, sky, ground."""
        small = cv2.resize(self.picture_rgb, _SMALL_PX, interpolation=cv2.INTER_AREA) / 255.0
        ray, area = _directions()
        ray = ray @ self.panorama_from_world
        luma = (small**2.2).mean(-1)
        bright = luma >= np.quantile(luma, 1 - numbers.brightest_share)
        energy = luma * area
        share = energy[bright].sum() / energy.sum()
        main = (ray * (energy * bright)[..., None]).sum((0, 1))
        main /= max(np.linalg.norm(main), 1e-9)
        is_clipped = small[bright].max() > numbers.clipped_from
        gain = rng.uniform(*numbers.clipped_gain) if is_clipped else 1.0
        lamp = min(numbers.lamp_per_share * share * gain, numbers.max_lamp)
        sky, ground = (_mean(small, area * (ray[..., 1] * side > 0)) for side in (1, -1))
        level = np.clip((sky.mean() + ground.mean()) / 2 / numbers.mean_albedo,
                        *numbers.light_range) * rng.uniform(0.85, 1.2)
        sky_tint, ground_tint = (1 + numbers.tint * (c / max(c.mean(), 1e-3) - 1)
                                 for c in (sky, ground))
        ratio = np.clip(ground.mean() / max(sky.mean(), 1e-3), 0.3, 0.9)
        lamp_tint = 1 + numbers.tint * (_mean(small, area * bright) / max(
            _mean(small, area * bright).mean(), 1e-3) - 1)
        ambient = level * (1 - 0.5 * lamp)
        return {'light_to': np.stack([main, -main * (1, -1, 1)]),
                'light_colour': np.stack([level * lamp * lamp_tint, 0.15 * ambient * sky_tint]),
                'sky': ambient * sky_tint, 'ground': ambient * ratio * ground_tint,
                'gloss': rng.uniform(0.0, 0.12)}


def _mean(picture, weight) -> np.ndarray:
    return (picture * weight[..., None]).sum((0, 1)) / max(weight.sum(), 1e-9)


@lru_cache(maxsize=1)
def _directions():
    """Return unit vectors (32, 64, 3) of the pixels of a small panorama, and their area."""
    width, height = _SMALL_PX
    heading = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    tilt = (np.arange(height) + 0.5) / height * np.pi
    tilt, heading = np.meshgrid(tilt, heading, indexing='ij')
    ray = np.stack([np.sin(tilt) * np.sin(heading), np.cos(tilt),
                    -np.sin(tilt) * np.cos(heading)], axis=-1)
    return ray, np.sin(tilt) / np.sin(tilt).sum()


def read_panoramas(folder: Path) -> list[Panorama]:
    """Return all panoramas of a folder, sorted by name; an InputError where there are none."""
    paths = sorted(path for path in Path(folder).glob('*') if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise InputError(f'{folder} has no panoramas ({", ".join(_SUFFIXES)}); give a folder of '
                         'equirectangular pictures with --panoramas')
    found = []
    for path in paths:
        picture = cv2.imread(str(path))
        if picture is None or picture.shape[1] != 2 * picture.shape[0]:
            raise InputError(f'{path} is no equirectangular picture, twice as wide as high; '
                             'remove it from the folder')
        found.append(Panorama(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)))
    return found
