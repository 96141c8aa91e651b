"""Random skin, hair, clothes and patterns of people, by region of the mesh. All seeded."""

import colorsys

import cv2
from niki_ros.body.skeleton import JOINT
import numpy as np

PATTERN_PX = 128
_TRUNK = ('spine1', 'spine2', 'spine3', 'left_collar', 'right_collar')
_UPPER_ARM = ('left_shoulder', 'right_shoulder')
_FOREARM = ('left_elbow', 'right_elbow')
_THIGH = ('pelvis', 'left_hip', 'right_hip')
_SHANK = ('left_knee', 'right_knee')
_FOOT = ('left_ankle', 'right_ankle', 'left_foot', 'right_foot')
_PLAIN = 0  # layer of the pattern without the second colour


def draw_patterns(rng) -> np.ndarray:
    """Return patterns (6, 128, 128) uint8: plain, stripes, checks, dots, blotches, fine weave."""
    y, x = np.mgrid[:PATTERN_PX, :PATTERN_PX] / PATTERN_PX
    bands = rng.integers(2, 9)
    stripes = (y * bands % 1) < rng.uniform(0.2, 0.6)
    n = rng.integers(2, 7)
    checks = ((x * n % 1) < 0.5).astype(float) * 0.5 + ((y * n % 1) < 0.5) * 0.5
    m = rng.integers(3, 8)
    dots = np.hypot(x * m % 1 - 0.5, y * m % 1 - 0.5) < rng.uniform(0.15, 0.4)
    cells = rng.random((9, 9)).astype(np.float32)
    blotches = cv2.resize(cells, (PATTERN_PX, PATTERN_PX), interpolation=cv2.INTER_CUBIC) > 0.55
    weave = rng.random((PATTERN_PX, PATTERN_PX)) * 0.5
    layers = [np.zeros_like(x), stripes, checks, dots, blotches, weave]
    return (np.stack(layers) * 255).clip(0, 255).astype(np.uint8)


def _colour(rng) -> np.ndarray:
    """Return the colour (3,) of a cloth, RGB: grey, dark or saturated."""
    if rng.random() < 0.3:
        return np.full(3, rng.uniform(0.03, 0.95)) + rng.uniform(-0.02, 0.02, 3)
    return np.array(colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(0.2, 1.0), rng.uniform(0.12, 0.95)))


def _skin(rng) -> np.ndarray:
    """Return a skin tone (3,), RGB, from dark to fair."""
    fair, dark = np.array([0.95, 0.76, 0.65]), np.array([0.25, 0.14, 0.09])
    share = rng.random()
    return (share * fair + (1 - share) * dark) * rng.uniform(0.9, 1.08, 3)


def _hair_colour(rng) -> np.ndarray:
    colours = [(0.05, 0.04, 0.03), (0.2, 0.12, 0.06), (0.45, 0.3, 0.13), (0.8, 0.65, 0.35),
               (0.55, 0.55, 0.55), (0.5, 0.16, 0.06)]
    return np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.8, 1.2)


class _Regions:
    """Masks over the vertices of a RenderedBody with skinning weights (V, 24)."""

    def __init__(self, body, weights):
        self.joint_of_vertex = weights.argmax(1)  # (V,) joint with the largest weight
        self._pivots, self._at = body.pivots_m, body.vertices_m

    def of(self, names) -> np.ndarray:
        """Return (V,) True for vertices that one of these joints carries."""
        return np.isin(self.joint_of_vertex, [JOINT[name] for name in names])

    def along(self, upper: str, lower: str) -> np.ndarray:
        """Return the place (V,) of each vertex on the way from ``upper`` (0) to ``lower`` (1)."""
        share = np.full(len(self._at), np.inf)
        for side in ('left_', 'right_'):
            a, b = (self._pivots[JOINT[side + name]] for name in (upper, lower))
            here = np.sign(self._at[:, 0]) == np.sign(a[0])
            share[here] = ((self._at - a) @ (b - a) / ((b - a) @ (b - a)))[here]
        return share

    def hair(self, length: float) -> np.ndarray:
        """Return (V,) True for vertices under hair of ``length`` 0 (short) … 1 (to the neck)."""
        head = self._pivots[JOINT['head']]
        off = self._at - head
        size = self._at[:, 1].max() - head[1]
        above = off[:, 1] > size * 0.62 + 0.5 * np.maximum(off[:, 2], -0.05)
        behind = (off[:, 2] < size * 0.12) & (off[:, 1] > size * (0.35 - 0.75 * length))
        return self.of(('head', 'neck')) & (above | behind)


def dress(body, weights, rng) -> dict:
    """Return the arrays (V, 3) of a body in random clothes for :meth:`OpenGLRenderer.load`."""
    regions = _Regions(body, weights)
    count = len(body.vertices_m)
    colour = np.tile(_skin(rng), (count, 1))
    colour2, layer, thick = colour * 0.92, np.full(count, _PLAIN), np.zeros(count)
    for mask, loose in _garments(regions, rng):
        colour[mask], colour2[mask] = _colour(rng), _colour(rng)
        layer[mask] = rng.choice([_PLAIN, 1, 2, 3, 4, 5], p=[0.55, 0.1, 0.08, 0.05, 0.07, 0.15])
        thick[mask] = loose
    _paint_face(body, regions, colour, rng)
    if rng.random() < 0.94:
        hair = regions.hair(rng.choice([0.0, rng.random()]))
        colour[hair] = _hair_colour(rng)
        colour2[hair], layer[hair] = colour[hair] * 0.7, 5
        thick[hair] = rng.uniform(0.008, 0.03)
    at = body.vertices_m
    folds = 1 + 0.5 * np.sin(at @ rng.normal(size=3) * 25 + rng.uniform(0, 6))
    angle = np.arctan2(at[:, 0], at[:, 2]) / np.pi
    scale = rng.uniform(1.5, 5)
    return {'vertices': at + body.normals * (thick * folds)[:, None], 'normals': body.normals,
            'colour': colour, 'colour2': colour2,
            'texture_at': np.stack([angle * scale * 0.6, at[:, 1] * scale, layer], axis=1)}


def _paint_face(body, regions: _Regions, colour, rng) -> None:
    """Paint eyes, brows and lips into ``colour`` (V, 3): detectors rely on a face."""
    skin = colour[regions.joint_of_vertex == JOINT['head']][0].copy()
    at, size = body.vertices_m, np.linalg.norm(body.eyes_m[0] - body.eyes_m[1]) / 0.066
    front = regions.of(('head', 'neck')) & (body.normals[:, 2] > 0.1)
    lips = body.eyes_m.mean(0) - (0.0, 0.073 * size, 0.0)
    off = (at - lips) / size
    colour[front & (np.hypot(off[:, 0] / 0.027, off[:, 1] / 0.011) < 1) & (off[:, 2] > -0.02)] = (
        skin * (0.85, 0.5, 0.5) + (0.08, 0.0, 0.0))
    for eye in body.eyes_m:
        off = (at - eye) / size
        near = np.hypot(off[:, 0] / 0.024, off[:, 1] / 0.016) < 1
        colour[front & near & ~body.is_eyeball] *= 0.8
        brow = (np.abs(off[:, 0]) < 0.026) & (np.abs(off[:, 1] - 0.024) < 0.006)
        colour[front & brow] = skin * 0.3
        ball = body.is_eyeball & (np.linalg.norm(off, axis=1) < 0.03)
        colour[ball] = 0.9
        iris = ball & (np.hypot(off[:, 0], off[:, 1]) < 0.0065) & (off[:, 2] > 0)
        colour[iris] = np.array((0.1, 0.08, 0.06)) * rng.uniform(0.5, 3)


def _garments(regions: _Regions, rng):
    """Yield (mask of vertices, thickness in metres) of each garment, the outer ones last."""
    sleeve, leg = rng.uniform(0.1, 0.95), rng.uniform(0.15, 1.0)
    upper_arm, forearm = regions.along('shoulder', 'elbow'), regions.along('elbow', 'wrist')
    thigh, shank = regions.along('hip', 'knee'), regions.along('knee', 'ankle')
    loose = rng.uniform(0.003, 0.02)
    trousers = regions.of(_THIGH)
    if leg < 0.4:
        trousers &= ~(regions.of(_THIGH[1:]) & (thigh > 0.3 + leg))
    else:
        trousers |= regions.of(_SHANK) & (shank < (leg - 0.4) / 0.55)
    yield trousers, loose
    loose = rng.uniform(0.003, 0.022)
    shirt = regions.of(_TRUNK) | (regions.of(('pelvis',)) & (rng.random() < 0.6))
    if sleeve < 0.4:
        shirt |= regions.of(_UPPER_ARM) & (upper_arm < sleeve + 0.3)
    else:
        shirt |= regions.of(_UPPER_ARM) | (regions.of(_FOREARM) & (forearm < (sleeve - .4) / .5))
    yield shirt, loose
    if rng.random() < 0.9:
        yield regions.of(_FOOT), rng.uniform(0.004, 0.012)
    if rng.random() < 0.06:
        yield regions.of(('left_wrist', 'right_wrist', 'left_hand', 'right_hand')), 0.004
