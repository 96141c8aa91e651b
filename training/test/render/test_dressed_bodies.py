"""Real garments on Anny's bodies; long, because the first load of Anny takes minutes."""

from dataclasses import replace

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.common.errors import BackendError
from niki_training.render import scene
from niki_training.render.anny_body import AnnyModel, draw_phenotype
from niki_training.render.clips import ClipRenderer
from niki_training.render.garments.dressed import dressed, KINDS, skinned
from niki_training.render.garments.wardrobe import Wardrobe
from niki_training.render.motion import load_rooted_motion
from niki_training.render.opengl import OpenGLRenderer
import numpy as np
import pytest
from real_data import real_data
from scipy.spatial import cKDTree

pytestmark = pytest.mark.long
_LOOSE = ('outer', 'hat', 'hair')
_SIZE_PX = 240
_CAMERA = np.array([[220.0, 0, 120], [0, 220.0, 120], [0, 0, 1]])
_LEVEL = np.diag([1.0, -1.0, -1.0])  # camera axes from the world's
_TRUNK = [JOINT[name] for name in ('pelvis', 'spine1', 'spine2', 'spine3', 'left_collar',
                                   'right_collar', 'left_hip', 'right_hip')]


@pytest.fixture(scope='module')
def model():
    pytest.importorskip('anny', reason="needs anny: pip install 'niki_training[render]'")
    return AnnyModel(open_skeleton())


@pytest.fixture(scope='module')
def wardrobe(model):
    folders = [real_data('clothes', 'clothes__shoes01.npz'),
               real_data('clothes_ccby', 'clothes__Coat.npz')]
    return Wardrobe.of_model(folders, model)


@pytest.fixture(scope='module')
def rotvecs(real_motion):
    return load_rooted_motion(real_motion / 'cmu_smpl24_30fps_val.npz').rotvec


def _posed(body, rotvecs, rng):
    """Return matrices (24, 3, 4), camera axes, of a random pose 2.4 m in front of the camera."""
    rotmat = rotmat_from_rotvec(rotvecs[rng.integers(len(rotvecs))].astype(float))
    rotmat[0] = _LEVEL @ scene.rotmat_about_y(rng.uniform(-np.pi, np.pi)) @ rotmat[0]
    return body.posed(rotmat[None], np.array([[0.0, 0.0, 2.4]]))[1][0]


def test_the_full_mesh_is_the_body(model, wardrobe):
    body = model.body(draw_phenotype(np.random.default_rng(0)))
    full = wardrobe.base.vertices_m(body.phenotype)
    index = model.anny.base_mesh_vertex_indices.numpy()
    assert np.abs(full[index] - body.vertices_m).max() < 1e-6
    assert np.abs(wardrobe.base.weights[index] - model.weights).max() < 1e-6


def test_all_garments_fit_all_bodies(model, wardrobe):
    rng = np.random.default_rng(1)
    for _ in range(6):
        phenotype = draw_phenotype(rng)
        base_m = wardrobe.base.vertices_m(phenotype)
        skin = cKDTree(base_m[wardrobe.base.is_skin])
        for bound in wardrobe.garments:
            far_m, _ = skin.query(bound.garment.fitted(base_m))
            name = bound.garment.name
            assert np.median(far_m) < 0.06, name
            assert far_m.max() < (0.5 if bound.is_skirt or bound.slot in _LOOSE else 0.15), name


def test_posed_cloth_stays_whole(model, wardrobe, rotvecs):
    """Edges hardly grow: no vertex is left behind, no sleeve hangs on the hip."""
    rng = np.random.default_rng(2)
    for bound in wardrobe.garments:
        body = model.body(draw_phenotype(rng))
        at = bound.garment.fitted(wardrobe.base.vertices_m(body.phenotype))
        moved = skinned(at, bound.bones, bound.weights, _posed(body, rotvecs, rng))
        ends = bound.garment.faces[:, [0, 1]]
        grown_m = np.linalg.norm(np.diff(moved[ends], axis=1), axis=2) - (
            np.linalg.norm(np.diff(at[ends], axis=1), axis=2))
        limit_m = 0.15 if bound.is_skirt else 0.06
        assert np.quantile(grown_m, 0.995) < limit_m, bound.garment.name


@pytest.mark.parametrize('name', [
    'clothes__Coat', 'clothes__male_casualsuit03', 'clothes__male_elegantsuit01',
    'clothes__F_Dress_01', 'tailored__trousers_02', 'tailored__shirt_06'])
def test_the_body_is_not_seen_through_cloth(model, wardrobe, rotvecs, name, monkeypatch):
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    try:
        renderer = OpenGLRenderer(model, _SIZE_PX, _SIZE_PX)
    except BackendError as error:
        pytest.skip(str(error))
    bound = next(one for one in wardrobe.garments if one.garment.name == name)
    monkeypatch.setattr(wardrobe, 'draw_outfit', lambda phenotype, rng: [bound])
    rng, shares = np.random.default_rng(3), []
    for _ in range(8):
        phenotype = draw_phenotype(rng) | {'gender': 0.05 if bound.sex == 'male' else 0.95}
        body = model.body(phenotype)
        one = dressed(body, wardrobe, rng, texture_px=16)
        shares.append(_share_of_skin(renderer, one, wardrobe, bound,
                                     _posed(body, rotvecs, rng)))
    renderer.close()
    assert np.mean(shares) < 0.01, np.round(shares, 3)


def _share_of_skin(renderer, one, wardrobe, bound, matrices) -> float:
    """Return the share of the cloth's pixels in which skin of the trunk under it is in front."""
    base_m = wardrobe.base.vertices_m(one.body.phenotype)
    under = cKDTree(base_m[bound.deleted]).query(one.vertices_m)[0] < 0.015
    is_cloth = one.kind == KINDS.index('cloth')
    trunk = np.isin(one.bones[:, 0], _TRUNK)
    is_skin = (one.kind == KINDS.index('skin')) & (under & trunk)[one.faces].all(1)
    cloth, with_skin = (_red_and_green(renderer, one, kept, is_cloth, matrices)
                        for kept in (is_cloth, is_cloth | is_skin))
    return (cloth[..., 1] & with_skin[..., 0]).sum() / max(cloth[..., 1].sum(), 1)


def _red_and_green(renderer, one, kept, is_green, matrices):
    """Return (H, W, 3) bool of an image of the kept faces, green where ``is_green``, else red."""
    red = np.tile(np.array([255, 0, 0, 255], np.uint8), (4, 4, 1))
    mesh = replace(one, faces=one.faces[kept], kind=one.kind[kept],
                   texture=is_green[kept].astype(np.int32), textures=(red, red[..., [1, 0, 2, 3]]))
    renderer.load([mesh], np.zeros((1, 128, 128), np.uint8), np.zeros((4, 4, 3), np.uint8))
    light = {'light_to': np.eye(3)[:2], 'light_colour': np.zeros((2, 3)), 'sky': np.ones(3),
             'ground': np.ones(3), 'gloss': 0.0, 'up': np.array([0.0, -1.0, 0.0])}
    return renderer.draw(_CAMERA, light, matrices[None], with_depth=False)[0] > 128


def test_truth_of_visibility_does_not_depend_on_clothes(real_motion):
    """Thick clothes hide no joint of their wearer; the same clips have about the same truth."""
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    motion = load_rooted_motion(real_motion / 'cmu_smpl24_30fps_val.npz')
    folder = real_data('clothes', 'clothes__shoes01.npz')
    visible, hidden = [], []
    for clothes in ((), (folder,)):
        try:
            renderer = ClipRenderer(motion, open_skeleton(), 'val', 4, 2, clothes=clothes)
        except BackendError as error:
            pytest.skip(str(error))
        frames = [frame for k in range(16) for frame in renderer.draw(renderer.plan(k), k)]
        renderer.close()
        visible.append([frame.visible for frame in frames])
        hidden.append([frame.hidden_percent for frame in frames])
    assert (np.array(visible[0]) == np.array(visible[1])).mean() > 0.93
    assert np.median(np.abs(np.subtract(*hidden))) < 4
