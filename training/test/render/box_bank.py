"""A bank of people made of boxes, for tests without a body model."""

from niki_ros.body.skeleton import open_skeleton, PARENTS_29
from niki_training.render.batch.bank import Bank, Person, TEXTURE_PX
from niki_training.render.batch.person_mesh import PersonMesh
from niki_training.render.garments.dressed import KINDS
import numpy as np

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
_BOX = np.array([t for a, b, c, d in _QUADS for t in ((a, b, c), (a, c, d))])
_HALF_M = 0.06


def box_person(rng) -> Person:
    """Return a person with a box around each joint and along each bone."""
    skeleton = open_skeleton()
    betas = rng.normal(size=10)
    rest_m = skeleton.rest(betas)
    vertices, bones, triangles = [], [], []
    for joint in range(1, 29):
        parent = PARENTS_29[joint]
        for share in (0.0, 0.5, 1.0):
            middle = (1 - share) * rest_m[parent] + share * rest_m[joint]
            triangles.append(_BOX + 8 * len(vertices))
            vertices.append(middle + _CORNERS * _HALF_M)
            bones.append(np.tile((parent, 0, 0, 0), (8, 1)))
    vertices, triangles = np.concatenate(vertices), np.concatenate(triangles)
    count, faces = len(vertices), len(triangles)
    normals = np.tile(_CORNERS / np.sqrt(3), (count // 8, 1))
    mesh = PersonMesh(
        vertices, normals, np.ones((count, 3)), rng.uniform(0, 1, (count, 2)),
        np.concatenate(bones), np.tile((1.0, 0, 0, 0), (count, 1)), triangles,
        rng.integers(0, 2, faces), np.full(faces, KINDS.index('cloth')), np.zeros(faces, bool),
        rest_m[:24], np.tile(np.eye(3), (24, 1, 1)), skeleton.offsets(betas), betas,
        np.full(29, _HALF_M), float(np.ptp(rest_m[:, 1])))
    textures = tuple(np.full((TEXTURE_PX, TEXTURE_PX, 4), 255, np.uint8) * np.uint8(1)
                     for _ in range(2))
    textures[0][:, ::16, :3] = rng.integers(0, 200, 3)
    return Person(mesh, textures)


def box_bank(motion, people: int = 3) -> Bank:
    """Return a bank of people of boxes in the poses of a motion."""
    rng = np.random.default_rng(0)
    panoramas = [rng.integers(0, 255, (512, 1024, 3), np.uint8) for _ in range(2)]
    facts = {'split': 'val', 'seed': 0, 'files': {}}
    return Bank([box_person(rng) for _ in range(people)], motion.rotvec, panoramas, facts)
