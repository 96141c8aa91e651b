"""Textures of garments, hair and skins in random colours. All seeded."""

import colorsys
from functools import lru_cache
from pathlib import Path

import cv2
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.render.background import photographs
from niki_training.render.clothing import draw_patterns
from niki_training.render.garments.garment import NO_TEXTURE

_HAIR_COLOURS = ((0.05, 0.04, 0.03), (0.2, 0.12, 0.06), (0.45, 0.3, 0.13), (0.8, 0.65, 0.35),
                 (0.55, 0.55, 0.55), (0.5, 0.16, 0.06), (0.12, 0.08, 0.05))
_CLOTH_ODDS = {'keep': 0.3, 'hue': 0.22, 'dye': 0.3, 'pattern': 0.12, 'photograph': 0.06}
_PLAIN_ODDS = {'dye': 0.6, 'pattern': 0.3, 'photograph': 0.1}
_SHOE_ODDS = {'keep': 0.5, 'hue': 0.15, 'dye': 0.35}


@lru_cache(maxsize=256)
def read_texture(path: Path, size_px: int) -> np.ndarray:
    """Return a texture (size_px, size_px, 4) uint8 RGBA; read-only, kept in memory."""
    if path == NO_TEXTURE:
        return _plain_cloth(size_px)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise InputError(f'{path} is no picture that OpenCV reads; copy the folder of garments '
                         'again')
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    picture = cv2.resize(_opaque_colours(picture), (size_px, size_px),
                         interpolation=cv2.INTER_AREA)
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    picture.setflags(write=False)
    return picture


def _plain_cloth(size_px: int) -> np.ndarray:
    """Return light grey cloth (size_px, size_px, 4) uint8 with soft wrinkles."""
    rng, relief = np.random.default_rng(0), np.zeros((size_px, size_px), np.float32)
    for cells, height in ((6, 26.0), (14, 18.0), (40, 8.0)):
        noise = rng.normal(size=(cells, cells)).astype(np.float32)
        relief += height * cv2.resize(noise, relief.shape, interpolation=cv2.INTER_CUBIC)
    grey = (165 + relief).clip(0, 255).astype(np.uint8)
    cloth = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    cloth.setflags(write=False)
    return cloth


def _opaque_colours(picture) -> np.ndarray:
    """Return BGRA in which transparent pixels have the colours of opaque ones near them."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    if alpha.min() > 0.99:
        return picture
    colour = picture[..., :3].astype(np.float32)
    near, share = colour * alpha, alpha
    for width in (3, 9, 33, 129):
        blurred = cv2.blur(colour * alpha, (width, width))
        weight = cv2.blur(alpha, (width, width))[..., None]
        empty = share < 0.02
        near = np.where(empty, blurred, near)
        share = np.where(empty, weight, share)
    filled = np.where(alpha > 0.5, colour, near / np.maximum(share, 1e-3))
    return np.concatenate([filled.clip(0, 255).astype(np.uint8), picture[..., 3:]], axis=2)


def draw_cloth(texture, rng, odds: dict | None = None) -> np.ndarray:
    """Return the texture (H, W, 4) uint8 of a cloth, as it is or in other colours."""
    odds = _CLOTH_ODDS if odds is None else odds
    kind = str(rng.choice(list(odds), p=list(odds.values())))
    if kind == 'keep':
        return _brightened(texture, rng)
    if kind == 'hue':
        return _with_colour(texture, _hue_shifted(texture, rng))
    return _with_colour(texture, _dyed(texture, _dye(kind, texture.shape[:2], rng)))


def draw_plain(texture, rng) -> np.ndarray:
    """Return the texture (H, W, 4) uint8 of plain cloth in a colour, pattern or photograph."""
    return draw_cloth(texture, rng, _PLAIN_ODDS)


def draw_shoe(texture, rng) -> np.ndarray:
    """Return the texture (H, W, 4) uint8 of shoes, as it is or in one other colour."""
    return draw_cloth(texture, rng, _SHOE_ODDS)


def draw_hair(texture, rng) -> np.ndarray:
    """Return the texture (H, W, 4) uint8 of hair in a colour of hair."""
    colour = np.array(_HAIR_COLOURS[rng.integers(len(_HAIR_COLOURS))]) * rng.uniform(0.8, 1.2)
    return _with_colour(texture, _dyed(texture, colour.clip(0, 1)))


def draw_skin(texture, rng) -> np.ndarray:
    """Return the texture (H, W, 4) uint8 of a skin, a little darker, lighter, redder or paler."""
    gain = rng.uniform(0.8, 1.12) * rng.uniform(0.96, 1.04, 3)
    return _with_colour(texture, texture[..., :3] / 255.0 * gain)


def plain_colour(rng) -> np.ndarray:
    """Return the colour (3,) of a cloth, RGB 0 … 1: often grey or dark, seldom saturated."""
    if rng.random() < 0.4:
        return np.clip(rng.uniform(0.04, 0.95) + rng.uniform(-0.03, 0.03, 3), 0, 1)
    return np.array(colorsys.hsv_to_rgb(
        rng.random(), rng.beta(1.6, 2.2), rng.uniform(0.1, 0.95)))


def _dye(kind: str, shape, rng) -> np.ndarray:
    """Return a colour (3,) or a picture (H, W, 3) of colours, 0 … 1."""
    if kind == 'dye':
        return plain_colour(rng)
    if kind == 'photograph' and photographs():
        names = sorted(photographs())
        picture = photographs()[names[rng.integers(len(names))]] / 255.0
        return cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA)
    pattern = draw_patterns(rng)[rng.integers(1, 5)]
    times = int(rng.integers(1, 5))
    share = np.tile(pattern, (times, times)).astype(np.float32) / 255
    share = cv2.resize(share, shape[::-1], interpolation=cv2.INTER_AREA)[..., None]
    return plain_colour(rng) * share + plain_colour(rng) * (1 - share)


def _dyed(texture, dye) -> np.ndarray:
    """Return colours (H, W, 3) of the dye with the light and dark of the texture."""
    grey = texture[..., :3].astype(np.float32) @ (0.299, 0.587, 0.114) / 255
    opaque = texture[..., 3] > 127
    middle = np.median(grey[opaque]) if opaque.any() else 0.5
    relief = np.clip(1 + 0.8 * (grey - middle) / max(middle, 0.25), 0.25, 1.8)
    return relief[..., None] * dye


def _hue_shifted(texture, rng) -> np.ndarray:
    hsv = cv2.cvtColor(texture[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 360)) % 360
    hsv[..., 1] = (hsv[..., 1] * rng.uniform(0.6, 1.5)).clip(0, 1)
    hsv[..., 2] = (hsv[..., 2] * rng.uniform(0.7, 1.2)).clip(0, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _brightened(texture, rng) -> np.ndarray:
    return _with_colour(texture, texture[..., :3] / 255.0 * rng.uniform(0.75, 1.2))


def _with_colour(texture, colour) -> np.ndarray:
    """Return RGBA uint8 of colours (H, W, 3), 0 … 1, with the texture's transparency."""
    rgb = (np.clip(colour, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([rgb, texture[..., 3:]], axis=2)
