"""Random looks of scenes: surroundings, light, colours of clothes. In numpy, seeded by crop."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from niki_training.render.batch.device_bank import PATTERN_LAYERS, PATTERN_SETS, SLOTS
from niki_training.render.batch.random_draws import CropRandom
from niki_training.render.garments.dressed import KINDS
from niki_training.render.panorama import Panorama
from niki_training.render.scene import lights_in_camera, rotmat_about_y

_NATURAL_KINDS = [KINDS.index(kind) for kind in ('skin', 'eye', 'hair')]
_LIGHT_SEED = 11


@dataclass(frozen=True)
class LookNumbers:
    """How looks are drawn."""

    # width, tangents, of the part of the panorama behind a crop: real backgrounds have more
    # detail than a panorama of 1024 px has in the angle of a crop
    background_width: tuple[float, float] = (0.8, 3.0)
    lights_per_panorama: int = 8
    skin_gain: tuple[float, float] = (0.8, 1.1)
    dyed_odds: float = 0.5  # of a piece of clothes to have another colour than in the bank
    dye_gain: tuple[float, float] = (0.35, 1.3)
    dye_tint: tuple[float, float] = (0.75, 1.25)  # of each channel


class Lights(NamedTuple):
    """Lights of N crops, as scene.draw_lights has them, in the axes of the views."""

    light_to: np.ndarray  # (N, 2, 3) unit vectors
    light_colour: np.ndarray  # (N, 2, 3)
    sky: np.ndarray  # (N, 3)
    ground: np.ndarray  # (N, 3)
    up: np.ndarray  # (N, 3)
    gloss: np.ndarray  # (N,)


class Surroundings(NamedTuple):
    """What is behind N crops."""

    panorama: np.ndarray  # (N,) row of the bank
    panorama_from_view: np.ndarray  # (N, 3, 3)
    width: np.ndarray  # (N,) of the crop at distance 1 in the panorama
    pattern_layer: np.ndarray  # (N,) first layer of the furniture's patterns


class LookPlanner:
    """Draws looks from the panoramas of a bank."""

    def __init__(self, panoramas, numbers: LookNumbers = LookNumbers()):
        self.numbers, rng = numbers, np.random.default_rng(_LIGHT_SEED)
        self._lights = [[Panorama(picture).lights(rng) for _ in range(numbers.lights_per_panorama)]
                        for picture in panoramas]

    def surroundings(self, camera_from_world, camera_from_view,
                     draw: CropRandom) -> tuple[Surroundings, Lights]:
        """Return surroundings and lights for views (N, 3, 3) of cameras (N, 3, 3)."""
        numbers = self.numbers
        panorama = draw.index(len(self._lights))
        variant = draw.index(numbers.lights_per_panorama)
        turn = rotmat_about_y(draw.uniform(-np.pi, np.pi))
        view_from_world = np.swapaxes(camera_from_view, -1, -2) @ camera_from_world
        view_from_panorama = view_from_world @ np.swapaxes(turn, -1, -2)
        lights = [lights_in_camera(self._lights[row][kind], view)
                  for row, kind, view in zip(panorama, variant, view_from_panorama)]
        width = np.exp(draw.uniform(*np.log(numbers.background_width)))
        behind = Surroundings(panorama, np.swapaxes(view_from_panorama, -1, -2), width,
                              draw.index(PATTERN_SETS) * PATTERN_LAYERS)
        return behind, Lights(*(np.stack([one[name] for one in lights])
                                for name in Lights._fields))

    def tints(self, slot_kind, draw: CropRandom) -> np.ndarray:
        """
        Return gains of colours (N, SLOTS, 3) of one person of each crop.

        :param slot_kind: (N, SLOTS) kind of the surface with each texture, rows of KINDS.
        """
        numbers = self.numbers
        skin = draw.uniform(*numbers.skin_gain)[:, None, None]
        dye = draw.uniform(*numbers.dye_gain, (SLOTS, 1)) * draw.uniform(
            *numbers.dye_tint, (SLOTS, 3))
        is_dyed = draw.uniform(0.0, 1.0, (SLOTS,)) < numbers.dyed_odds
        cloth = np.where(is_dyed[..., None], dye, 1.0)
        return np.where(np.isin(slot_kind, _NATURAL_KINDS)[..., None], skin, cloth)
