"""Garments on a small base mesh of tubes; needs no body model."""

import cv2
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.common.errors import InputError
from niki_training.cli import data as data_cli
from niki_training.render.anny_body import RenderedBody, surface
from niki_training.render.garments.base_mesh import BaseMesh, packed_mesh
from niki_training.render.garments.binding import bind
from niki_training.render.garments.cloth_colours import draw_cloth, draw_hair, draw_skin
from niki_training.render.garments.credits import credits_text
from niki_training.render.garments.dressed import dressed, KINDS
from niki_training.render.garments.garment import read_garment, read_garments
from niki_training.render.garments.tailored import clipped
from niki_training.render.garments.wardrobe import Wardrobe
import numpy as np
import pytest

_AROUND, _ALONG = 16, 24
_PIVOTS_M = open_skeleton().rest_joints_m[:24]
_PHENOTYPE = {'gender': 0.9, 'age': 0.7}


def _tube(radius_m: float, first: int = 0):
    """Return vertices and quads of a tube around the body, ankles to head, and legs as one."""
    low, high = _PIVOTS_M[JOINT['left_ankle'], 1], _PIVOTS_M[JOINT['head'], 1]
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.stack([radius_m * np.sin(angle), 0 * angle, radius_m * np.cos(angle)], axis=1)
    at = (ring[None] + np.linspace(low, high, _ALONG)[:, None, None] * (0, 1, 0)).reshape(-1, 3)
    row, column = (index.ravel() for index in np.mgrid[:_ALONG - 1, :_AROUND])
    beside = (column + 1) % _AROUND
    quads = np.stack([row * _AROUND + column, row * _AROUND + beside,
                      (row + 1) * _AROUND + beside, (row + 1) * _AROUND + column], axis=1)
    return at, quads + first


@pytest.fixture(scope='module')
def base():
    """Return a base mesh: a body of one tube, tights and a skirt as wider tubes around it."""
    parts, quads, count = [], [], 0
    for radius_m in (0.15, 0.16, 0.2):
        at, faces = _tube(radius_m, count)
        parts.append(at)
        quads.append(faces)
        count += len(at)
    at = np.concatenate(parts)
    nearest = np.linalg.norm(at[:, None, 1:2] - _PIVOTS_M[None, :, 1:2], axis=-1).argmin(1)
    faces = np.concatenate([quads[0][:, :3], quads[0][:, [0, 2, 3]]]).astype(np.int32)
    is_skin = np.arange(count) < len(parts[0])
    is_eye = np.zeros(count, dtype=bool)
    is_eye[[len(parts[0]) - 1, len(parts[0]) - _AROUND + 1]] = True  # right and left
    return BaseMesh(faces, faces, np.random.default_rng(0).random((count, 2)), np.eye(24)[nearest],
                    is_skin, is_eye,
                    lambda phenotype: at * phenotype.get('size', 1.0), _PIVOTS_M,
                    {'helper-tights': quads[1], 'helper-skirt': quads[2]})


@pytest.fixture(scope='module')
def folder(base, tmp_path_factory):
    """Return a folder with a shirt of one ring of vertices over the chest, and a skin."""
    folder = tmp_path_factory.mktemp('clothes')
    (folder / 'textures').mkdir()
    (folder / 'skins').mkdir()
    picture = np.full((32, 32, 4), 255, np.uint8)
    picture[:8, :, 3] = 0
    cv2.imwrite(str(folder / 'textures' / 'shirt.png'), picture)
    cv2.imwrite(str(folder / 'skins' / 'young_female.png'), picture[..., :3] // 2)
    _write(folder / 'clothes__shirt.npz', base)
    return folder


def _write(path, base, **changed):
    """Write a tube of three rings of the chest, 2 units off the skin, as a garment."""
    rows = np.arange(14, 18)
    ref = (rows[:, None] * _AROUND + np.arange(_AROUND)).reshape(-1, 1) * np.ones(3, int)
    at = base.neutral.vertices_m[ref[:, 0]]
    row, column = (index.ravel() for index in np.mgrid[:len(rows) - 1, :_AROUND])
    quads = np.stack([row * _AROUND + column, row * _AROUND + (column + 1) % _AROUND,
                      (row + 1) * _AROUND + (column + 1) % _AROUND,
                      (row + 1) * _AROUND + column], axis=1)
    faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    outward = at * (1, 0, 1) / 0.15
    # the reference pair spans 0.3 m, which is 30 of the author's units of a centimetre
    pair = [4, 12, 30.0]
    np.savez(path, **{
        'verts': at, 'faces': faces, 'uv': np.tile((0.25, 0.75), (len(ref), 1)),
        'faces_uv': faces, 'ref_vidx': ref, 'weights': np.tile((0.5, 0.25, 0.25), (len(ref), 1)),
        'offsets': 2.0 * outward, 'scale_refs': np.array([pair, [0, 368, 135.0], [0, 8, 30.0]]),
        'delete_verts': np.array([], dtype=int), 'tags': np.array(['Shirt']),
        'texture': 'shirt.png', 'licence': 'CC BY 4.0', 'author': 'A. Tailor', **changed})


@pytest.fixture(scope='module')
def wardrobe(base, folder):
    return Wardrobe([folder], base)


def _body(base) -> RenderedBody:
    at = base.neutral.vertices_m
    normals, area = surface(at, base.faces)
    skeleton = open_skeleton()
    return RenderedBody(at, normals, area, _PIVOTS_M, np.tile(np.eye(3), (24, 1, 1)), np.zeros(10),
                        skeleton.offsets(np.zeros(10)), np.zeros(24), np.zeros((2, 3)),
                        np.zeros(len(at), dtype=bool), dict(_PHENOTYPE))


def test_a_garment_follows_the_body_and_its_size(base, folder):
    shirt = read_garment(folder / 'clothes__shirt.npz')
    for size in (1.0, 0.6):
        at = shirt.fitted(base.vertices_m({'size': size}))
        assert np.allclose(np.linalg.norm(at[:, [0, 2]], axis=1), size * 0.17, atol=0.002)
    assert shirt.needs_credit and shirt.tags == ('shirt',)


def test_a_garment_is_bound_to_the_joints_that_it_covers(base, folder):
    shirt = bind(read_garment(folder / 'clothes__shirt.npz'), base)
    assert shirt.slot == 'upper' and not shirt.is_skirt
    assert np.allclose(shirt.weights.sum(1), 1)
    covered = base.neutral.vertices_m[shirt.covered]
    cloth = shirt.garment.fitted(base.neutral.vertices_m)
    assert len(covered) and base.is_skin[shirt.covered].all()
    assert np.ptp(covered[:, 1]) < np.ptp(cloth[:, 1]) + 0.1
    assert set(shirt.deleted) < set(shirt.covered)


def test_a_skirt_follows_both_thighs(wardrobe):
    skirts = [garment for garment in wardrobe.garments if garment.is_skirt]
    assert len(skirts) >= 4
    for skirt in skirts:
        at = skirt.garment.fitted(wardrobe.base.neutral.vertices_m)
        low = at[:, 1] < at[:, 1].min() + 0.02
        weights = np.zeros((len(at), 24))
        np.put_along_axis(weights, skirt.bones, skirt.weights, axis=1)
        left = weights[:, [JOINT['left_hip'], JOINT['left_knee']]].sum(1)
        right = weights[:, [JOINT['right_hip'], JOINT['right_knee']]].sum(1)
        middle = low & (np.abs(at[:, 0]) < 0.02)
        assert abs(left[middle].mean() - right[middle].mean()) < 0.1
        assert (left[low & (at[:, 0] > 0.1)] > 0.7).all()


def test_a_dressed_body_is_one_whole_mesh(base, wardrobe):
    body = _body(base)
    for seed in range(8):
        one = dressed(body, wardrobe, np.random.default_rng(seed), texture_px=32)
        count = len(one.vertices_m)
        assert one.faces.min() == 0 and one.faces.max() == count - 1
        assert all(len(rows) == count for rows in (one.normals, one.uv, one.bones, one.weights))
        assert all(len(rows) == len(one.faces) for rows in (one.texture, one.kind))
        assert one.texture.max() == len(one.textures) - 1
        assert np.allclose(one.weights.sum(1), 1, atol=1e-5)
        assert np.allclose(np.linalg.norm(one.normals, axis=1), 1, atol=1e-3)
        assert {KINDS[kind] for kind in np.unique(one.kind)} == {'skin', 'cloth'}
        assert np.isfinite(one.vertices_m).all()
        _, matrices = body.posed(np.tile(np.eye(3), (1, 24, 1, 1)), np.zeros((1, 3)))
        assert np.allclose(one.posed(matrices[0]) - one.vertices_m, -body.pivots_m[0], atol=0.02)


def test_the_same_seed_gives_the_same_clothes(base, wardrobe):
    one, same, other = (dressed(_body(base), wardrobe, np.random.default_rng(seed), 32)
                        for seed in (1, 1, 2))
    assert np.array_equal(one.vertices_m, same.vertices_m)
    assert all(np.array_equal(a, b) for a, b in zip(one.textures, same.textures))
    assert not np.array_equal(one.textures[0], other.textures[0])


def test_cloth_is_outside_of_the_skin(base, wardrobe):
    for seed in range(8):
        one = dressed(_body(base), wardrobe, np.random.default_rng(seed), 32)
        radius = np.linalg.norm(one.vertices_m[:, [0, 2]], axis=1)
        cloth = np.unique(one.faces[one.kind == KINDS.index('cloth')])
        skin = np.unique(one.faces[one.kind == KINDS.index('skin')])
        assert radius[cloth].min() > radius[skin].max() - 1e-6


def test_a_cut_runs_along_the_zero_of_its_field():
    rng = np.random.default_rng(0)
    points = rng.random((60, 2))
    from scipy.spatial import Delaunay
    faces = Delaunay(points).simplices
    inside = 0.55 - points[:, 0]
    corners, weights, triangles = clipped(faces, inside)
    at = np.einsum('vk,vka->va', weights, points[corners])
    assert at[:, 0].max() < 0.55 + 1e-6 and np.allclose(weights.sum(1), 1)

    def area(corner):
        a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    assert (area(at[triangles]) > -1e-9).all()  # orientation is kept
    whole = area(points[faces]).sum()
    assert 0.4 * whole < area(at[triangles]).sum() < 0.7 * whole
    assert np.array_equal(clipped(faces, inside + 9)[2].shape, faces.shape)


def test_seams_double_vertices():
    faces, faces_uv = np.array([[0, 1, 2], [2, 1, 3]]), np.array([[0, 1, 2], [4, 3, 5]])
    mesh = packed_mesh(faces, faces_uv, np.arange(12).reshape(6, 2))
    assert len(mesh.vertex) == 6
    assert np.array_equal(mesh.vertex[mesh.faces], faces)
    assert np.array_equal(mesh.uv[mesh.faces], np.arange(12).reshape(6, 2)[faces_uv])


@pytest.mark.parametrize('draw', [draw_cloth, draw_hair, draw_skin])
def test_colours_change_and_holes_stay(draw):
    texture = np.random.default_rng(0).integers(0, 255, (16, 16, 4), dtype=np.uint8)
    drawn = [draw(texture, np.random.default_rng(seed)) for seed in range(6)]
    assert all(np.array_equal(one[..., 3], texture[..., 3]) for one in drawn)
    assert all(one.dtype == np.uint8 and one.shape == texture.shape for one in drawn)
    assert len({one.tobytes() for one in drawn}) > 3


def test_authors_are_named(folder, capsys):
    text = credits_text(read_garments(folder))
    assert 'A. Tailor' in text and 'https://creativecommons.org/licenses/by/4.0/' in text
    assert data_cli.main(['credits', str(folder)]) == 0
    assert 'A. Tailor' in capsys.readouterr().out


@pytest.mark.parametrize('changed', [
    {'ref_vidx': np.full((64, 3), 19158)}, {'weights': np.full((64, 3), np.nan)},
    {'faces': np.full((2, 3), 64)}, {'texture': 'none.png'}, {'offsets': np.zeros((2, 3))}])
def test_a_damaged_garment_is_refused(base, folder, tmp_path, changed):
    (tmp_path / 'textures').symlink_to(folder / 'textures')
    _write(tmp_path / 'clothes__bad.npz', base, **changed)
    with pytest.raises(InputError, match='clothes__bad'):
        read_garments(tmp_path)


def test_folders_without_garments_or_skins_are_refused(base, folder, tmp_path):
    with pytest.raises(InputError, match='no garments'):
        Wardrobe([tmp_path], base)
    (tmp_path / 'textures').symlink_to(folder / 'textures')
    _write(tmp_path / 'clothes__shirt.npz', base)
    with pytest.raises(InputError, match='skins'):
        Wardrobe([tmp_path], base)
