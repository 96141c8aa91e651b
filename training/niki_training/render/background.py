"""Random backgrounds: rooms and blurred photographs. All seeded."""

from functools import lru_cache
from importlib import util
from pathlib import Path

import cv2
import numpy as np

# without people, and without coins and cups, which detectors take for faces
_PHOTOGRAPHS = ('motorcycle_left.png', 'motorcycle_right.png', 'rocket.jpg')
_TEXTURES = ('brick.png', 'grass.png', 'gravel.png')


@lru_cache(maxsize=1)
def photographs() -> dict:
    """Return file name → (H, W, 3) uint8 RGB of scikit-image's photographs; empty without it."""
    found = util.find_spec('skimage')
    if found is None or found.origin is None:
        return {}
    folder = Path(found.origin).parent / 'data'
    pictures = {}
    for name in _PHOTOGRAPHS + _TEXTURES:
        picture = cv2.imread(str(folder / name)) if (folder / name).is_file() else None
        if picture is not None:
            pictures[name] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return pictures


def draw_background(size, view, rng) -> np.ndarray:
    """Return a room or photograph (H, W, 3) uint8 RGB for a size (width, height) and a View."""
    kinds = [name for name in photographs() if name in _PHOTOGRAPHS]
    if kinds and rng.random() < 0.2:
        return _photograph(photographs()[kinds[rng.integers(len(kinds))]], size, rng)
    return _room(size, view, rng)


def _photograph(picture, size, rng) -> np.ndarray:
    """Return a random part of a photograph, out of focus, with less contrast, in other colours."""
    height, width = picture.shape[:2]
    scale = rng.uniform(0.6, 1.0)
    wide = int(scale * min(width, height * size[0] / size[1]))
    high = int(wide * size[1] / size[0])
    left, top = rng.integers(width - wide + 1), rng.integers(height - high + 1)
    part = cv2.resize(picture[top:top + high, left:left + wide], size)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    part = cv2.GaussianBlur(part, (0, 0), rng.uniform(3, 10)).astype(np.float32)
    contrast, middle = rng.uniform(0.35, 0.8), part.mean()
    gain = rng.uniform(0.6, 1.1) * rng.uniform(0.85, 1.15, 3)
    return np.clip((middle + contrast * (part - middle)) * gain, 0, 255).astype(np.uint8)


def _texture(rng) -> np.ndarray:
    """Return a random tile (128, 128), 0 … 1."""
    names = [name for name in photographs() if name in _TEXTURES]
    kind = rng.integers(5)
    if kind == 0 and names:
        grey = photographs()[names[rng.integers(len(names))]].mean(-1)
        return cv2.resize(grey, (128, 128)) / 255
    y, x = np.mgrid[:128, :128] / 128
    if kind == 1:
        n = rng.integers(2, 6)
        low = rng.uniform(0.5, 0.95)
        return low + (1 - low) * (((x * n % 1) < 0.5) ^ ((y * n % 1) < 0.5))
    if kind == 2:
        return 0.6 + 0.4 * ((x * rng.integers(2, 8) % 1) < 0.9)
    cells = rng.random((rng.integers(3, 40),) * 2).astype(np.float32)
    low = rng.uniform(0.5, 0.95)
    return low + (1 - low) * cv2.resize(cells, (128, 128), interpolation=cv2.INTER_CUBIC)


def _room(size, view, rng) -> np.ndarray:
    """Return floor, ceiling and four walls, seen by the camera of the first frame."""
    width, height = size
    camera_from_world, position_m = view.camera_from_world[0], view.position_m[0]
    step = 2  # half size: faster, and softer
    u, v = np.meshgrid(np.arange(0, width, step) + 0.5, np.arange(0, height, step) + 0.5)
    k = view.matrix
    ray = np.stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones_like(u)], -1)
    ray = ray @ camera_from_world
    half_m, ceiling_m = rng.uniform(3, 9, 2), rng.uniform(2.4, 5)
    with np.errstate(divide='ignore', invalid='ignore'):
        reach = np.stack([
            np.where(ray[..., 1] < 0, -position_m[1] / ray[..., 1], np.inf),
            np.where(ray[..., 1] > 0, (ceiling_m - position_m[1]) / ray[..., 1], np.inf),
            (np.sign(ray[..., 0]) * half_m[0]) / ray[..., 0],
            (np.sign(ray[..., 2]) * half_m[1]) / ray[..., 2]])
    surface = np.nanargmin(np.where(np.isfinite(reach), reach, 1e9), axis=0)
    distance = np.take_along_axis(reach, surface[None], axis=0)[0]
    at = ray * np.minimum(distance, 100)[..., None] + (0, position_m[1], 0)
    picture = np.zeros((*surface.shape, 3))
    for side, axes in enumerate(((0, 2), (0, 2), (2, 1), (0, 1))):
        tile, here = _texture(rng), surface == side
        scale = rng.uniform(30, 160)
        row = (at[..., axes[1]][here] * scale).astype(int) % 128
        column = (at[..., axes[0]][here] * scale).astype(int) % 128
        colour = rng.uniform(0.15, 0.95, 3) if rng.random() < 0.4 else (
            rng.uniform(0.2, 0.95) * rng.uniform(0.9, 1.0, 3))
        picture[here] = tile[row, column][:, None] * colour
    shade = rng.uniform(0.6, 1.0)
    picture = np.clip(picture * shade * 255, 0, 255).astype(np.uint8)
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
