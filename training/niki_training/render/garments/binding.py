"""How a garment belongs to the body: where it is worn, its skinning weights, what it covers."""

from dataclasses import dataclass

from niki_ros.body.skeleton import JOINT
import numpy as np
from scipy.spatial import cKDTree

from niki_training.render.anny_body import largest_weights
from niki_training.render.garments.base_mesh import adjacency, BaseMesh
from niki_training.render.garments.garment import Garment

SLOTS = ('full', 'upper', 'lower', 'outer', 'swimwear', 'underwear', 'shoes', 'hair', 'hat',
         'glasses', 'sleeves')
_MIDDLE_M = 1e-3
_OPEN_SLOTS = ('hair', 'glasses', 'sleeves', 'hat')  # they do not hide the skin under them
_UNDERWEAR_TAGS, _SWIMWEAR_TAGS = {'lingerie', 'underwear'}, {'swimwear', 'bikini'}
_LOWER_JOINTS = [JOINT[side + name] for side in ('left_', 'right_')
                 for name in ('hip', 'knee', 'ankle', 'foot')]


@dataclass(frozen=True)
class BindingNumbers:
    """Numbers of the binding, metres on the neutral body."""

    crotch_below_hip_m: float = 0.12  # of the joints of the hips
    skirt_below_crotch_m: float = 0.035  # cloth between the legs is a skirt from here downward
    # sine of the direction from the body's axis: a skirt follows one thigh from here to the side
    one_thigh_from: float = 0.75
    knee_blend_m: float = 0.1  # above and below the knee, from the thigh to the shank
    skirt_pelvis_weight: float = 0.12  # of a skirt: it does not follow the thighs wholly
    skirt_shank_weight: float = 0.55  # of a skirt below the knees
    weight_smoothing_steps: int = 4
    cover_reach_m: float = 0.07  # cloth this far outside of the skin covers it
    cover_beside_m: float = 0.02  # and at most this far beside the normal
    cover_inside_m: float = 0.012  # cloth may be this deep under the skin
    deleted_rings: int = 2  # covered skin this many edges away from bare skin is left out
    whole_cover_m: float = 0.03  # skirts: skin this far above the hem is covered


@dataclass(frozen=True)
class BoundGarment:
    """A garment with what does not depend on the body that wears it."""

    garment: Garment
    slot: str  # one of SLOTS
    sex: str  # 'female', 'male' or 'any'
    is_skirt: bool
    bones: np.ndarray  # (V, 4) joints that carry each vertex
    weights: np.ndarray  # (V, 4) float32; their sum is 1
    lower_face: np.ndarray  # (F,) True for faces of a part that is worn on the legs
    covered: np.ndarray  # (n,) vertices of the base mesh under the cloth
    deleted: np.ndarray  # (m,) those of them that need not be drawn


def bind(garment: Garment, base: BaseMesh,
         numbers: BindingNumbers = BindingNumbers()) -> BoundGarment:
    """Return the garment bound to the base mesh, measured on the neutral body."""
    at_m = garment.fitted(base.neutral.vertices_m)
    edges = adjacency(garment.faces, len(at_m))
    is_skirt = _is_skirt(garment, at_m, base, numbers)
    slot = _slot(garment, at_m, base, numbers)
    is_skirt &= slot in ('full', 'lower', 'outer', 'upper')
    weights = np.einsum('vk,vkj->vj', garment.ref_weights.clip(0), base.weights[garment.ref_vidx])
    weights = _smoothed(weights, edges, numbers.weight_smoothing_steps)
    if slot in ('hat', 'glasses', 'hair'):
        weights = _head_only(weights, at_m, base)
    if is_skirt:
        weights = _skirt_weights(weights, at_m, base, numbers)
    bones, largest = largest_weights(weights)
    covered = garment.delete_verts
    if slot not in _OPEN_SLOTS:
        covered = _covered(garment, at_m, is_skirt, base, numbers)
    deleted = _without_border(covered, base, numbers.deleted_rings)
    lower = _parts_on_legs(weights, edges)[garment.faces[:, 0]]
    return BoundGarment(garment, slot, _sex(garment), is_skirt, bones, largest, lower, covered,
                        np.union1d(deleted, garment.delete_verts))


def _sex(garment: Garment) -> str:
    name = garment.name.lower().split('__')[-1]
    if 'female' in garment.tags or name.startswith(('female', 'f_')):
        return 'female'
    return 'male' if 'male' in garment.tags or name.startswith('male') else 'any'


def _slot(garment: Garment, at_m, base: BaseMesh, numbers: BindingNumbers) -> str:
    """Return where a garment is worn, by its tags, its name and the heights that it reaches."""
    tags, pivots = set(garment.tags), base.neutral.pivots_m
    if garment.name.startswith('hair'):
        return 'hair'
    for tag, slot in (('hats', 'hat'), ('glasses', 'glasses'), ('shoes', 'shoes'),
                      ('boots', 'shoes'), ('coat', 'outer'), ('shirt', 'upper'),
                      ('pants', 'lower'), ('skirt', 'lower')):
        if tag in tags:
            return slot
    low, high = at_m[:, 1].min(), at_m[:, 1].max()
    if high < pivots[JOINT['left_knee'], 1]:
        return 'shoes'
    if np.abs(at_m[:, 0]).min() > 0.1:
        return 'sleeves'
    if tags & _UNDERWEAR_TAGS:
        return 'underwear'
    is_upper = high > pivots[JOINT['spine2'], 1] + 0.1
    is_lower = low < pivots[JOINT['left_hip'], 1] - numbers.crotch_below_hip_m - 0.015
    if tags & _SWIMWEAR_TAGS and not (is_upper and is_lower):
        is_whole = low < pivots[0, 1] < pivots[JOINT['spine2'], 1] < high
        return 'swimwear' if is_whole else 'underwear'
    return 'full' if is_upper and is_lower else 'upper' if is_upper else 'lower'


def _is_skirt(garment: Garment, at_m, base: BaseMesh, numbers: BindingNumbers) -> bool:
    """Return whether cloth crosses the middle below the crotch, which trousers do not."""
    crotch_m = base.neutral.pivots_m[JOINT['left_hip'], 1] - numbers.crotch_below_hip_m
    corners = at_m[garment.faces]
    # some meshes have an edge in the middle
    crosses = (corners[..., 0].min(1) < _MIDDLE_M) & (corners[..., 0].max(1) > -_MIDDLE_M)
    low = corners[..., 1].max(1) < crotch_m - numbers.skirt_below_crotch_m
    return bool((crosses & low).any())


def _smoothed(weights, edges, steps: int) -> np.ndarray:
    """Return weights (V, 24) averaged with those of the neighbours: cloth does not tear."""
    degree = np.maximum(np.asarray(edges.sum(axis=1)).ravel(), 1)[:, None]
    for _ in range(steps):
        weights = 0.5 * weights + 0.5 * (edges @ weights) / degree
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)


def _smoothstep(low: float, high: float, value) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _skirt_weights(weights, at_m, base: BaseMesh, numbers: BindingNumbers) -> np.ndarray:
    """Return weights (V, 24) that change below the hips from the body's to both thighs."""
    pivots = base.neutral.pivots_m
    hip_m, knee_m = pivots[JOINT['left_hip'], 1], pivots[JOINT['left_knee'], 1]
    share = 1 - _smoothstep(hip_m - numbers.crotch_below_hip_m, hip_m, at_m[:, 1])
    share *= np.abs(weights[:, _LOWER_JOINTS + [0]]).sum(1)
    # by direction, not by distance, so that layers of a wide skirt move together
    forward_m = at_m[:, 2] - pivots[JOINT['left_hip'], 2]
    aside = at_m[:, 0] / np.maximum(np.hypot(at_m[:, 0], forward_m), 1e-3)
    left = _smoothstep(-numbers.one_thigh_from, numbers.one_thigh_from, aside)
    shank = numbers.skirt_shank_weight * (
        1 - _smoothstep(knee_m - numbers.knee_blend_m, knee_m + numbers.knee_blend_m, at_m[:, 1]))
    skirt = np.zeros_like(weights)
    skirt[:, 0] = numbers.skirt_pelvis_weight
    for side, part in (('left_', left), ('right_', 1 - left)):
        part = part * (1 - numbers.skirt_pelvis_weight)
        skirt[:, JOINT[side + 'hip']] = part * (1 - shank)
        skirt[:, JOINT[side + 'knee']] = part * shank
    return weights + share[:, None] * (skirt - weights)


def _head_only(weights, at_m, base: BaseMesh) -> np.ndarray:
    """Return weights (V, 24) of hair and hats: rigid on the head, below it more and more free."""
    pivots = base.neutral.pivots_m
    head_m, neck_m = pivots[JOINT['head'], 1], pivots[JOINT['neck'], 1]
    share = _smoothstep(neck_m - 0.05, head_m - 0.02, at_m[:, 1])[:, None]
    head = np.zeros_like(weights)
    head[:, JOINT['head']] = 1
    return weights + share * (head - weights)


def _parts_on_legs(weights, edges) -> np.ndarray:
    """Return (V,) True for vertices of connected parts that the legs carry more than not."""
    from scipy.sparse.csgraph import connected_components
    _, part = connected_components(edges, directed=False)
    count = np.bincount(part)
    lower = np.bincount(part, weights[:, _LOWER_JOINTS].sum(1)) / count
    return (lower > 0.4)[part]


def _covered(garment: Garment, at_m, is_skirt: bool, base: BaseMesh,
             numbers: BindingNumbers) -> np.ndarray:
    """Return the skin's vertices (n,) with cloth close outside of them, or inside a skirt."""
    skin = np.flatnonzero(base.is_skin)
    skin_m, normals = base.neutral.vertices_m[skin], base.neutral.normals[skin]
    cloth_m = np.concatenate([at_m, at_m[garment.faces].mean(1)])
    off_m = np.stack([cloth_m[index] for index in
                      cKDTree(cloth_m).query(skin_m, k=8)[1].T]) - skin_m
    out_m = np.einsum('kva,va->kv', off_m, normals)
    beside_m = np.linalg.norm(off_m - out_m[..., None] * normals, axis=-1)
    near = (out_m > -numbers.cover_inside_m) & (out_m < numbers.cover_reach_m) & (
        beside_m < numbers.cover_beside_m)
    covered = near.any(0)
    if is_skirt:
        hem_m, hip_m = at_m[:, 1].min(), base.neutral.pivots_m[JOINT['left_hip'], 1]
        legs = base.weights[skin][:, _LOWER_JOINTS].sum(1) > 0.5
        covered |= legs & (skin_m[:, 1] > hem_m + numbers.whole_cover_m) & (
            skin_m[:, 1] < hip_m)
    return np.union1d(skin[covered], garment.delete_verts)


def _without_border(vertices, base: BaseMesh, rings: int) -> np.ndarray:
    """Return those of ``vertices`` (n,) that are more than ``rings`` edges away from others."""
    bare = np.ones(len(base.weights), dtype=np.float32)
    bare[vertices] = 0
    for _ in range(rings):
        bare = ((bare + base.neighbours @ bare) > 0).astype(np.float32)
    return vertices[bare[vertices] == 0]
