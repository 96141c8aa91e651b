"""Benchmarks without a front end: their readers, meshes, matching and scores."""

import json

from miniature_sets import (
    JOINTS17,
    Person,
    write_3doh,
    write_3dpw,
    write_agora,
    write_h36m,
)
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_training.evaluate.datasets import agora, h36m, predictions, threedoh, threedpw
from niki_training.evaluate.datasets.scores import LSP14, score_sequence, summary
from niki_training.evaluate.datasets.smpl_mesh import Meshes, SmplMesh
import numpy as np
import pytest
from smpl_files import body_buffers, skinned

MATRIX = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
GREY = np.full((480, 640, 3), 128, np.uint8)


@pytest.fixture(scope='module')
def meshes(smpl):
    return Meshes(smpl, smpl / 'J_regressor_h36m.npy', ('neutral', 'male', 'female'))


def person(seed=0, x_m=0.0, spread=0.3):
    """Return a person upright in front of the camera."""
    rng = np.random.default_rng(seed)
    rotmat = rotmat_from_rotvec(spread * rng.normal(size=(24, 3)))
    rotmat[0] = np.diag([1.0, -1, -1])
    return Person(rotmat, rng.normal(size=10), np.array([x_m, 0.1, 4.0]))


def predicted(sequence, people):
    """Return predictions with the given people, a list for each image."""
    rows, arrays = [], {name: [] for name in predictions.ARRAYS}
    for here in people:
        rows.append([])
        for one in here:
            rows[-1].append(len(arrays['found']))
            arrays['found'].append(one is not None)
            arrays['rotmat'].append(np.zeros((24, 3, 3)) if one is None else one.rotmat)
            arrays['rest_m'].append(np.zeros((29, 3)) if one is None
                                    else open_skeleton().rest(one.betas))
            arrays['joints_m'].append(np.zeros((29, 3)) if one is None else one.joints_m())
    out = predictions.Predictions({name: np.asarray(v) for name, v in arrays.items()})
    return predictions.Predictions(out, row=np.asarray(rows), strangers=np.zeros(len(people), int))


@pytest.fixture(params=['3dpw', 'h36m', '3doh', 'agora'])
def one_set(request, tmp_path, meshes, monkeypatch):
    """Return a sequence of three images of one person, and the truth in it."""
    people = [person(k) for k in range(3)]
    people = [one._replace(betas=people[0].betas) for one in people]
    if request.param == '3dpw':
        write_3dpw(tmp_path, 'downtown_cafe_00', [GREY] * 3, MATRIX, [people])
        found = threedpw.sequences(tmp_path)
    elif request.param == 'h36m':
        write_h36m(tmp_path, 's_09_act_02_subact_01_ca_04', [GREY] * 3, MATRIX, people)
        found = h36m.sequences(tmp_path)
    elif request.param == '3doh':
        write_3doh(tmp_path, [GREY] * 3, MATRIX, people)
        found = threedoh.sequences(tmp_path)
    else:
        write_agora(tmp_path, [GREY] * 3, MATRIX, [[p] for p in people], meshes, monkeypatch)
        found = agora.sequences(tmp_path)
    return next(iter(found)), people, request.param


def test_readers_return_the_written_annotations(one_set):
    sequence, people, name = one_set
    assert len(sequence.frames) == 3 and sequence.video == (name in ('3dpw', 'h36m'))
    for frame, one in zip(sequence.frames, people):
        assert frame.image_rgb().shape == (480, 640, 3)
        (truth,) = frame.people
        joints = one.joints_m()[:24]
        np.testing.assert_allclose(truth.joints_m - truth.joints_m[0], joints - joints[0],
                                   atol=1e-6)
        np.testing.assert_allclose(truth.joints_px, one.pixels(MATRIX, joints), atol=1e-6)
        assert (truth.box_px[:2] <= truth.joints_px.min(axis=0) + 1e-9).all()
        if truth.rotmat is not None:
            np.testing.assert_allclose(truth.rotmat, one.rotmat, atol=1e-6)
            np.testing.assert_allclose(truth.betas, one.betas, atol=1e-6)
        if name != 'agora':
            np.testing.assert_allclose(frame.camera((640, 480)).matrix, MATRIX)


@pytest.mark.parametrize('joint_set', ['lsp14', 'h36m17', 'smpl24'])
def test_the_truth_has_no_error_and_a_bent_knee_a_known_one(one_set, meshes, joint_set):
    sequence, people, name = one_set
    if name == 'agora' and joint_set != 'smpl24':
        pytest.skip('AGORA is scored by 24 joints')
    right = score_sequence(sequence, predicted(sequence, [[p] for p in people]), joint_set, meshes)
    # a fit of betas to bones is a little short of the truth: its prior is the mean body
    assert np.nanmax(right.errors_mm) < 1.0
    assert np.isfinite(right.errors_mm).all()
    wrong = [one.bent(4, 0.5) for one in people]
    found = score_sequence(sequence, predicted(sequence, [[p] for p in wrong]), joint_set, meshes)
    # the left knee moves the ankle; foot and toes count in the 24
    moved = np.stack([w.joints_m() - p.joints_m() for w, p in zip(wrong, people)])
    chosen = {'smpl24': range(24), 'h36m17': JOINTS17,
              'lsp14': [JOINTS17[k] for k in LSP14]}[joint_set]
    expected = 1000 * np.linalg.norm(moved[:, [24 if j < 0 else j for j in chosen]],
                                     axis=-1).mean(axis=1)
    np.testing.assert_allclose(found.errors_mm[:, 0], expected, atol=1.0)
    assert (found.errors_mm[:, 2] > 5).all()
    # another heading: the best similarity removes it
    turned = [one.bent(0, 0.6) for one in people]
    found = score_sequence(sequence, predicted(sequence, [[p] for p in turned]), joint_set, meshes)
    assert found.errors_mm[:, 0].min() > 50 and found.errors_mm[:, 1].max() < 1


def test_without_meshes_the_own_joints_are_scored(one_set):
    sequence, people, _ = one_set
    found = score_sequence(sequence, predicted(sequence, [[p] for p in people]), 'smpl24', None)
    assert found.errors_mm[:, :2].max() < 1e-2 and np.isnan(found.errors_mm[:, 2]).all()
    larger = [p._replace(betas=p.betas + np.eye(10)[0]) for p in people]
    found = score_sequence(sequence, predicted(sequence, [[p] for p in larger]), 'smpl24', None)
    assert found.errors_mm[:, 0].min() > 5, 'another size is an error'


def test_acceleration_counts_three_images_in_a_row(tmp_path):
    still = person(1)
    write_3dpw(tmp_path, 'downtown_cafe_00', [GREY] * 6, MATRIX, [[still] * 6])
    sequence = next(iter(threedpw.sequences(tmp_path)))
    shaken = [[still.bent(4, 0.4 * (k % 2))] for k in range(5)] + [[None]]
    found = score_sequence(sequence, predicted(sequence, shaken), 'smpl24', None)
    swing = 1000 * np.linalg.norm(shaken[1][0].joints_m() - still.joints_m(), axis=-1)[:24].mean()
    np.testing.assert_allclose(found.acceleration_mm_frame2, [2 * swing] * 3, rtol=1e-6)
    out = summary([found], detection=False)
    assert out['people'] == 6 and out['found_percent'] == pytest.approx(500 / 6)
    assert out['acceleration_mm_frame2'] == pytest.approx(2 * swing)


def test_agora_divides_by_f1_and_leaves_out_invalid_people(tmp_path, meshes, monkeypatch):
    people = [[person(0, -1.0), person(1, 1.0)], [person(2, -1.0), person(3, 1.0)]]
    write_agora(tmp_path, [GREY] * 2, MATRIX, people, meshes, monkeypatch,
                valid=[[True, True], [True, False]])
    sequence = next(iter(agora.sequences(tmp_path)))
    answers = [[people[0][0].bent(4, 0.5), None], people[1]]
    found = predicted(sequence, answers)
    found['strangers'][:] = [1, 0]
    errors = score_sequence(sequence, found, 'smpl24', meshes)
    out = summary([errors], detection=True)
    assert out['people'] == 3 and out['recall'] == pytest.approx(2 / 3)
    assert out['precision'] == pytest.approx(2 / 3) and out['f1'] == pytest.approx(2 / 3)
    assert out['nmje_mm'] == pytest.approx(out['mpjpe_mm'] * 1.5)
    assert out['nmve_mm'] == pytest.approx(out['pve_mm'] * 1.5)
    # vertices of the leg below the knee only
    leg = np.flatnonzero(meshes.neutral.vertices(np.tile(np.eye(3), (1, 24, 1, 1)),
                                                 np.zeros((1, 10)))[0][:, 1] < -0.8)
    part = score_sequence(sequence, found, 'smpl24', meshes, leg)
    assert part.errors_mm[0, 2] > 2 * errors.errors_mm[0, 2]


def test_the_frontal_camera_every_fifth_frame(tmp_path):
    people = [person(k) for k in range(4)]
    for video in ('s_09_act_02_subact_01_ca_04', 's_09_act_02_subact_01_ca_01',
                  's_11_act_02_subact_01_ca_04', 's_01_act_02_subact_01_ca_04',
                  's_09_act_05_subact_02_ca_04'):
        write_h36m(tmp_path, video, [GREY] * 4, MATRIX, people, step=2)
    two, one = (list(h36m.sequences(tmp_path, protocol)) for protocol in (2, 1))
    assert [s.name for s in two] == ['s_09_act_02_subact_01_ca_04', 's_11_act_02_subact_01_ca_04']
    assert len(one) == 3 and [len(s.frames) for s in two] == [1, 1]
    assert one[0].frames[0].people[0].joints17_m.max() < 10, 'metres'


def test_occluded_and_covered_3dpw(tmp_path):
    for split, name in (('train', 'courtyard_box_00'), ('test', 'downtown_cafe_00'),
                        ('validation', 'flat_guitar_00')):
        write_3dpw(tmp_path, name, [GREY] * 3, MATRIX,
                   [[person(1), None, person(2)], [person(3, 1.0)] * 3], split)
    assert [s.name for s in threedpw.occluded(tmp_path)] == ['courtyard_box_00', 'flat_guitar_00']
    (whole,) = threedpw.sequences(tmp_path)
    assert [sum(p is not None for p in f.people) for f in whole.frames] == [2, 1, 2]
    assert [f.people[1].gender for f in whole.frames] == ['female'] * 3
    crops = list(threedpw.cut_and_covered(tmp_path, seed=3))
    assert [len(s.frames) for s in crops] == [2, 3]
    for frame in crops[1].frames:
        image = frame.image_rgb()
        truth = frame.people[0]
        flat = truth.joints_m @ frame.camera(image.shape[1::-1]).matrix.T
        np.testing.assert_allclose(flat[:, :2] / flat[:, 2:], truth.joints_px, atol=1e-6)
        assert (np.abs(image.astype(int) - 128) > 30).any(), 'something is in front'
    again = list(threedpw.cut_and_covered(tmp_path, seed=3))[1].frames[0].image_rgb()
    assert (again == crops[1].frames[0].image_rgb()).all()


def test_the_mesh_is_skinned_like_smpl(tmp_path):
    buffers = {key: value.half().double().numpy() if value.is_floating_point() else value.numpy()
               for key, value in body_buffers().items()}
    np.savez(tmp_path / 'SMPL_NEUTRAL.npz', weights=buffers['lbs_weights'],
             posedirs=buffers['posedirs'].T.reshape(6890, 3, 207),
             **{key: buffers[key] for key in ('v_template', 'shapedirs', 'J_regressor')})
    mesh = SmplMesh(tmp_path / 'SMPL_NEUTRAL.npz')
    rng = np.random.default_rng(4)
    rotmat = rotmat_from_rotvec(0.5 * rng.normal(size=(2, 24, 3)))
    betas = rng.normal(size=(2, 10))
    found = mesh.vertices(rotmat, betas)
    for k in range(2):
        expected = skinned(body_buffers(), rotmat[k], betas[k])
        leaves = found[k][[411, 2445, 5905, 3216, 6617]]
        np.testing.assert_allclose(leaves, expected[24:] - expected[0], atol=1e-4)
        np.testing.assert_allclose(mesh.joints(rotmat, betas)[k], expected[:24] - expected[0],
                                   atol=1e-4)


def test_nearest_pairs_first_and_only_where_boxes_overlap():
    rng = np.random.default_rng(0)
    people = [rng.uniform(0, 100, (24, 2)) + shift for shift in (0, 150, 1000)]
    bodies = [people[1] + 3, people[0] + 5, people[0] + 400, np.full((24, 2), np.nan)]
    assert predictions.matched(bodies, people) == {0: 1, 1: 0}
    assert predictions.matched([], people) == {} and predictions.matched(bodies, []) == {}
    # the nearer of two takes the body, the other one is missed
    assert predictions.matched([people[0] + 2], [people[0], people[0] + 20]) == {0: 0}


def test_files_that_are_missing_are_named(tmp_path, smpl):
    empty = tmp_path / 'empty'
    empty.mkdir()
    for read, words in (
            (threedpw.sequences, 'sequenceFiles'), (threedpw.occluded, 'sequenceFiles'),
            (h36m.sequences, 'annotations'), (threedoh.sequences, 'annots.json'),
            (agora.sequences, '_withjv.pkl')):
        with pytest.raises(InputError, match=words):
            list(read(empty))
    with pytest.raises(InputError, match='smpl.is.tue.mpg.de'):
        Meshes(empty, None)
    with pytest.raises(InputError, match='SMPL_MALE'):
        Meshes(smpl / 'SMPL_NEUTRAL.npz', None, ('neutral', 'male'))
    np.save(tmp_path / 'r.npy', np.zeros((17, 100)))
    with pytest.raises(InputError, match='6890 vertices'):
        Meshes(smpl, tmp_path / 'r.npy')
    np.save(tmp_path / 'r.npy', np.zeros((24, 6890)))
    with pytest.raises(InputError, match="SPIN's fetch_data"):
        Meshes(smpl, tmp_path / 'r.npy')
    write_h36m(tmp_path / 'h', 's_09_act_02_subact_01_ca_04', [GREY], MATRIX, [person(0)])
    file = tmp_path / 'h/annotations/Sample_20_test_Human36M_smpl_protocol_2.json'
    data = json.loads(file.read_text())
    del data['annotations'][0]['h36m_joints']
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match='h36m_joints'):
        list(h36m.sequences(tmp_path / 'h'))


def test_a_mesh_needs_smpl_itself(tmp_path, smpl):
    arrays = dict(np.load(smpl / 'SMPL_NEUTRAL.npz'))
    np.savez(tmp_path / 'SMPL_NEUTRAL.npz', **{**arrays, 'posedirs': arrays['posedirs'][..., :9]})
    with pytest.raises(InputError, match='posedirs'):
        SmplMesh(tmp_path / 'SMPL_NEUTRAL.npz')
    del arrays['weights']
    np.savez(tmp_path / 'SMPL_NEUTRAL.npz', **arrays)
    with pytest.raises(InputError, match="SMPL's posedirs and weights"):
        SmplMesh(tmp_path / 'SMPL_NEUTRAL.npz')
