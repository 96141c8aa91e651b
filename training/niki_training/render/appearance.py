"""What people wear in rendered clips, their surroundings and their light. All seeded."""

from pathlib import Path
from typing import Iterable

import numpy as np

from niki_training.render import scene
from niki_training.render.anny_body import AnnyModel, RenderedBody, surface
from niki_training.render.background import draw_background
from niki_training.render.clothing import dress
from niki_training.render.garments.dressed import dressed, DressedBody, KINDS
from niki_training.render.garments.wardrobe import Wardrobe
from niki_training.render.panorama import Panorama, read_panoramas
from niki_training.render.visibility import joint_depths, SurfaceSamples

_TEXTURE_PX = 256  # of clothes: a person is seldom higher than 480 pixels
_PANORAMA_ODDS = 0.8  # of clips, where panoramas are given; the others are in drawn rooms
_CLOTH_M = 0.012, 0.03  # least and most that cloth adds to the depth of a joint
_KEPT_STEP = 6  # every sixth panorama is kept for val and test
SILHOUETTE_KINDS = [KINDS.index(kind) for kind in ('skin', 'cloth', 'shoe')]


class Appearance:
    """
    Draws the looks of people and surroundings.

    :param clothes: folders of garments; none = colours are painted on bodies.
    :param panoramas: folder of equirectangular pictures; None = drawn rooms and photographs.
    :param split: 'train', or another, which shows other panoramas.
    """

    def __init__(self, model: AnnyModel, clothes: Iterable[Path] = (),
                 panoramas: Path | None = None, split: str = 'train'):
        self.model = model
        folders = tuple(clothes)
        self.wardrobe = Wardrobe.of_model(folders, model) if folders else None
        found = read_panoramas(panoramas) if panoramas else []
        kept = found[::_KEPT_STEP]
        self.panoramas = kept if split != 'train' else [p for k, p in enumerate(found)
                                                       if k % _KEPT_STEP or len(found) == 1]

    def dress(self, body: RenderedBody, rng) -> DressedBody | dict:
        """Return the body in random clothes, for :meth:`OpenGLRenderer.load`."""
        if self.wardrobe is None:
            return dress(body, self.model.weights, rng)
        return dressed(body, self.wardrobe, rng, _TEXTURE_PX)

    def draw_surroundings(self, size, view: scene.View, rng) -> tuple[np.ndarray | Panorama, dict]:
        """Return a background, picture or panorama, and lights in world axes."""
        if self.panoramas and rng.random() < _PANORAMA_ODDS:
            panorama = self.panoramas[rng.integers(len(self.panoramas))]
            panorama = panorama.turned(rng.uniform(-np.pi, np.pi))
            return panorama, panorama.lights(rng)
        return draw_background(size, view, rng), scene.draw_lights(rng)

    def surface_samples(self, body: RenderedBody, outfit: DressedBody | dict,
                        rng) -> SurfaceSamples:
        """Return points on the surface of a person in the clothes of :meth:`dress`."""
        if not isinstance(outfit, DressedBody):
            return SurfaceSamples(
                outfit['vertices'], body.normals, self.model.weights, body.area_m2,
                joint_depths(body, outfit['vertices']), rng)
        faces = outfit.faces[np.isin(outfit.kind, SILHOUETTE_KINDS)]
        weights = np.zeros((len(outfit.vertices_m), 24))
        np.put_along_axis(weights, outfit.bones, outfit.weights, axis=1)
        return SurfaceSamples(
            outfit.vertices_m, outfit.normals, weights, surface(outfit.vertices_m, faces)[1],
            dressed_joint_depths(outfit), rng)


def dressed_joint_depths(outfit: DressedBody) -> np.ndarray:
    """Return the depth (29,) of each joint under skin and cloth, metres."""
    body = outfit.body
    faces = outfit.faces[np.isin(outfit.kind, SILHOUETTE_KINDS)]
    bare_m = joint_depths(body, body.vertices_m)
    # the nearest vertices of coarse cloth are farther away than the cloth is thick
    return np.clip(joint_depths(body, outfit.vertices_m[np.unique(faces)]),
                   bare_m + _CLOTH_M[0], bare_m + _CLOTH_M[1])
