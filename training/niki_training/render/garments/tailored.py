"""
Shirts, trousers and skirts cut at random lengths from the base mesh's helpers. All seeded.

The helpers are a suit (helper-tights) and a skirt (helper-skirt) around the body. A cut runs
through the faces: a vertex on it hangs on the two ends of the edge that it divides.
"""

from dataclasses import dataclass

from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.render.garments.base_mesh import BaseMesh
from niki_training.render.garments.garment import Garment, NO_TEXTURE

_AUTHOR, _LICENCE = 'MakeHuman', 'CC0-1.0'
# offsets are zero: the scale does not matter
_SCALE_REFS = np.tile((0.0, 1.0, 1.0), (3, 1))


@dataclass(frozen=True)
class TailoringNumbers:
    """Ranges of the cuts on the neutral body."""

    shirts: int = 24
    trousers: int = 16
    skirts: int = 8
    # of the arm's length from shoulder to wrist; below 0.12: without sleeves
    short_sleeve: tuple[float, float] = (0.2, 0.5)
    long_sleeve: tuple[float, float] = (0.75, 0.99)
    sleeveless: float = 0.05
    sleeve_odds: tuple[float, float, float] = (0.5, 0.4, 0.1)  # short, long, none
    hem_below_hip_m: tuple[float, float] = (-0.06, 0.14)  # of shirts
    neck_below_m: tuple[float, float] = (-0.03, 0.05)  # neckline under the joint of the neck
    neck_opening_m: tuple[float, float] = (0.0, 0.09)  # of a round neckline, about the throat
    waist_above_hip_m: tuple[float, float] = (0.04, 0.12)
    # of the leg's length from hip to ankle
    short_leg: tuple[float, float] = (0.3, 0.55)
    long_leg: tuple[float, float] = (0.85, 1.0)
    short_leg_odds: float = 0.3
    skirt_leg: tuple[float, float] = (0.3, 0.7)
    texture_scale_m: float = 0.8  # one repeat of a cloth


def tailored_garments(base: BaseMesh, seed: int = 0,
                      numbers: TailoringNumbers = TailoringNumbers()) -> list[Garment]:
    """Return shirts, trousers and skirts; the same seed gives the same cuts."""
    rng = np.random.default_rng(seed)
    tights, skirt = base.helper_faces('helper-tights'), base.helper_faces('helper-skirt')
    made = []
    for kind, tags, count, faces, draw in (
            ('shirt', ('shirt',), numbers.shirts, tights, _shirt),
            ('trousers', ('pants',), numbers.trousers, tights, _trousers),
            ('skirt', ('skirt', 'female'), numbers.skirts, skirt, _skirt)):
        made += [_cut(f'{kind}_{k:02d}', tags, base, faces, draw(base, rng, numbers), numbers)
                 for k in range(count)]
    return made


def _shirt(base: BaseMesh, rng, numbers: TailoringNumbers) -> np.ndarray:
    """Return how far (19158,) each vertex is inside of a random shirt, metres, on the body."""
    at_m, pivots = base.neutral.vertices_m, base.neutral.pivots_m
    sleeve = rng.uniform(*(numbers.short_sleeve, numbers.long_sleeve, (numbers.sleeveless,) * 2)[
        rng.choice(3, p=numbers.sleeve_odds)])
    along_m, length_m = _along_arm_m(at_m, pivots)
    hem_m = pivots[JOINT['left_hip'], 1] - rng.uniform(*numbers.hem_below_hip_m)
    neck = pivots[JOINT['neck']]
    collar_m = neck[1] - rng.uniform(*numbers.neck_below_m)
    opening_m = rng.uniform(*numbers.neck_opening_m)
    throat_m = np.linalg.norm(at_m - neck - (0, 0.03, 0.06), axis=1)
    off_arm_m = _off_arm_m(base)
    return np.minimum.reduce([
        np.maximum(sleeve * length_m - along_m, off_arm_m),
        # a hand is lower than the hem of a long shirt, and cut by the sleeve alone
        np.where(off_arm_m < 0, 1.0, at_m[:, 1] - hem_m),
        collar_m - at_m[:, 1] + 0.4 * np.abs(at_m[:, 2] - neck[2]), throat_m - opening_m])


def _trousers(base: BaseMesh, rng, numbers: TailoringNumbers) -> np.ndarray:
    at_m, pivots = base.neutral.vertices_m, base.neutral.pivots_m
    share = rng.uniform(*(numbers.short_leg if rng.random() < numbers.short_leg_odds
                          else numbers.long_leg))
    waist_m = pivots[JOINT['left_hip'], 1] + rng.uniform(*numbers.waist_above_hip_m)
    return np.minimum.reduce([waist_m - at_m[:, 1], at_m[:, 1] - _leg_end_m(pivots, share),
                              _off_arm_m(base)])


def _skirt(base: BaseMesh, rng, numbers: TailoringNumbers) -> np.ndarray:
    at_m, pivots = base.neutral.vertices_m, base.neutral.pivots_m
    return at_m[:, 1] - _leg_end_m(pivots, rng.uniform(*numbers.skirt_leg))


def _leg_end_m(pivots, share: float) -> float:
    """Return the height where a leg of cloth ends, by its share of the way from hip to ankle."""
    hip, ankle = pivots[JOINT['left_hip'], 1], pivots[JOINT['left_ankle'], 1]
    return hip + share * (ankle - hip)


def _along_arm_m(at_m, pivots):
    """Return how far (V,) each vertex lies along its arm from the shoulder, and the length."""
    side = np.where(at_m[:, :1] > 0, 1.0, -1.0) * (1, 0, 0) + (0, 1, 1)
    shoulder, elbow, wrist = (pivots[JOINT['left_' + name]]
                              for name in ('shoulder', 'elbow', 'wrist'))
    left_m = at_m * side
    upper_m, fore_m = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    on_upper = (left_m - shoulder) @ (elbow - shoulder) / upper_m
    on_fore = (left_m - elbow) @ (wrist - elbow) / fore_m
    is_fore = (on_fore > 0) & (on_upper > 0.6 * upper_m)
    along_m = np.where(is_fore, upper_m + on_fore, np.minimum(on_upper, upper_m))
    return along_m, upper_m + fore_m


def _off_arm_m(base: BaseMesh) -> np.ndarray:
    """Return about how far (19158,) a vertex is from the arms, metres; negative on them."""
    weight = base.weights[:, [JOINT[side + name] for side in ('left_', 'right_') for name in (
        'shoulder', 'elbow', 'wrist', 'hand')]].sum(1)
    return 0.1 * (0.5 - weight)


def _cut(name: str, tags, base: BaseMesh, faces, inside_m, numbers: TailoringNumbers) -> Garment:
    """Return the part of triangles (F, 3) of the base mesh where ``inside_m`` (19158,) is > 0."""
    corners, weights, triangles = clipped(faces, inside_m)
    at_m = np.einsum('vk,vka->va', weights, base.neutral.vertices_m[corners])
    uv = at_m[:, :2] / numbers.texture_scale_m
    uv = ((uv - uv.min(0)) / max(np.ptp(uv, axis=0).max(), 1.0)).astype(np.float32)
    count = len(corners)
    return Garment(
        f'tailored__{name}', tuple(tags), _LICENCE, _AUTHOR, NO_TEXTURE, corners, weights,
        np.zeros((count, 3), np.float32), _SCALE_REFS, triangles, uv, triangles,
        np.array([], dtype=np.int32))


def clipped(faces, inside):
    """
    Cut triangles (F, 3) along the zero of ``inside``, linear on each edge.

    :return: ``corners`` (V, 3) vertices and ``weights`` (V, 3), whose products' sums are the new
        vertices, and triangles (G, 3) of these.
    """
    points: dict[tuple[int, int], int] = {}
    rows: list[tuple[int, int, float]] = []

    def point(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in points:
            share = 0.0 if a == b else inside[key[0]] / (inside[key[0]] - inside[key[1]])
            points[key] = len(rows)
            rows.append((*key, float(share)))
        return points[key]

    triangles = []
    for face in faces[(inside[faces] > 0).any(1)]:
        ring = []
        for a, b in zip(face, np.roll(face, -1)):
            if inside[a] > 0:
                ring.append(point(a, a))
            if (inside[a] > 0) != (inside[b] > 0):
                ring.append(point(a, b))
        triangles += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    first, second, share = (np.array(column) for column in zip(*rows))
    return (np.stack([first, second, second], axis=1).astype(np.int32),
            np.stack([1 - share, share, 0 * share], axis=1).astype(np.float32),
            np.array(triangles, dtype=np.int32))
