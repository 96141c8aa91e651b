"""
``niki-evaluate dataset`` from images to the table, with the real front end and pipeline.

The images are real ones of a person; the truth that is written beside them is what the pipeline
itself says of them, changed by known amounts, so that the scores are known.
"""

import json

import cv2
from miniature_sets import Person, write_3doh, write_3dpw, write_agora, write_body, write_h36m
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.loading.pipeline import load_pipeline
from niki_ros.scene.camera import Camera
from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.datasets import predictions
from niki_training.evaluate.datasets.smpl_mesh import Meshes
import numpy as np
import pytest

WIDTH, HEIGHT, COUNT = 720, 1280, 4
MATRIX = [[900.0, 0, 360], [0, 900, 640], [0, 0, 1]]
BEND_RAD = 0.5


@pytest.fixture(scope='module')
def smpl(tmp_path_factory):
    """Return the folder of SMPL files and the regressor."""
    return write_body(tmp_path_factory.mktemp('smpl'))


@pytest.fixture(scope='module')
def images(real_motion):
    """Return images of a real person, BGR, as JPEG has left them."""
    video = cv2.VideoCapture(str(real_motion.parent / 'pose2sim' / 'cam01.mp4'))
    found = []
    while len(found) < COUNT:
        good, image = video.read()
        if not good:
            pytest.skip(f'no video of a person in {real_motion.parent}/pose2sim')
        found.append(cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    return [cv2.imdecode(cv2.imencode('.jpg', one)[1], cv2.IMREAD_COLOR) for one in found]


def looked_at(images, matrix, rate_hz, tmp_path, suffix='.jpg') -> list:
    """Return what the pipeline says of images, each (rate None) or together: one person each."""
    video = rate_hz is not None
    pipeline = load_pipeline(predictions.pipeline_config('niki-temporal', {}, 'detector', video))
    people, first = [], 0
    for k, image in enumerate(images):
        file = tmp_path / f'look{suffix}'      # as the data set's files are stored
        cv2.imwrite(str(file), image)
        image = cv2.imread(str(file))
        if not video:
            pipeline.reset()
        stamp_ns = round(k / rate_hz * 1e9) + first if video else k + 1
        bodies = pipeline.process(np.ascontiguousarray(image[..., ::-1]), Camera(
            np.asarray(matrix), image.shape[1], image.shape[0], source='file'), stamp_ns)
        one = min(bodies, key=lambda b: b.id)      # the one in the middle; others are far behind
        people.append(Person(one.rotmat, one.betas, one.root_m))
    pipeline.close()
    return people


def bent(people):
    """Return the people with their left knees turned, and the share of that in 14 joints, mm."""
    turn = rotmat_from_rotvec(np.array([BEND_RAD, 0, 0]))
    out = []
    for one in people:
        rotmat = one.rotmat.copy()
        rotmat[4] = rotmat[4] @ turn
        out.append(one._replace(rotmat=rotmat))
    ankle = [np.linalg.norm((a.joints_m() - b.joints_m())[7]) for a, b in zip(out, people)]
    return out, 1000 * np.mean(ankle) / 14


def evaluate(capsys, *words) -> dict:
    """Run the command and return what it prints as JSON."""
    assert evaluate_cli.main(['dataset', *map(str, words), '--json']) == 0
    return json.loads(capsys.readouterr().out)


def test_3dpw_from_images_to_the_table(images, smpl, tmp_path, capsys):
    people, expected = bent(looked_at(images, MATRIX, 30, tmp_path))
    write_3dpw(tmp_path / '3DPW', 'courtyard_box_00', images, MATRIX, [people])
    files = ['--smpl', smpl, '--regressor', smpl / 'J_regressor_h36m.npy']
    words = [tmp_path / '3DPW', '--boxes', 'detector', *files]
    found = evaluate(capsys, '3dpw', *words, '--out', tmp_path / 'a')
    assert found['joint_set'] == 'lsp14' and found['whole']
    assert found['all']['people'] == COUNT and found['all']['found_percent'] == 100
    assert found['all']['mpjpe_mm'] == pytest.approx(expected, abs=2)
    assert found['all']['pve_mm'] > 1 and found['all']['acceleration_mm_frame2'] < 20
    assert found['published'][0]['figures']['mpjpe_mm'] == 71.3
    text = (tmp_path / 'a/results.md').read_text()
    assert 'arXiv:2305.08590' in text and f'{found["all"]["mpjpe_mm"]:.1f}' in text
    # it goes on where it ended: nothing is run again, though the images are gone
    before = (tmp_path / 'a/predictions/courtyard_box_00.npz').stat().st_mtime_ns
    again = evaluate(capsys, '3dpw', *words, '--out', tmp_path / 'a')
    assert again == found
    assert (tmp_path / 'a/predictions/courtyard_box_00.npz').stat().st_mtime_ns == before
    # the sequences of 3DPW-OCC are found by name, and the truth tells where people are
    occluded = evaluate(capsys, '3dpw-occ', tmp_path / '3DPW', *files, '--out', tmp_path / 'b')
    assert occluded['boxes'] == 'truth' and occluded['all']['found_percent'] == 100
    assert occluded['all']['mpjpe_mm'] < 80
    # without SMPL's files the 24 joints of the data set are what is left, and it is said
    plain = evaluate(capsys, '3dpw', tmp_path / '3DPW', '--boxes', 'detector', '--out',
                     tmp_path / 'c')
    assert plain['joint_set'] == 'smpl24' and plain['all']['pve_mm'] is None
    assert any('--smpl' in note for note in plain['notes'])


def test_3dpw_xocc_draws_and_runs(images, tmp_path, capsys):
    people = looked_at(images, MATRIX, 30, tmp_path)
    write_3dpw(tmp_path / '3DPW', 'downtown_cafe_00', images, MATRIX, [people])
    found = evaluate(capsys, '3dpw-xocc', tmp_path / '3DPW', '--out', tmp_path / 'a', '--every', 2)
    assert found['all']['people'] == COUNT / 2
    assert any('occluders' in note for note in found['notes'])
    assert found['seed'] == 0


def test_h36m_from_images_to_the_table(images, smpl, tmp_path, capsys):
    people, expected = bent(looked_at(images, MATRIX, 10, tmp_path))
    write_h36m(tmp_path / 'h36m', 's_11_act_02_subact_01_ca_04', images, MATRIX, people)
    words = [tmp_path / 'h36m', '--boxes', 'detector', '--smpl', smpl / 'SMPL_NEUTRAL.npz',
             '--regressor', smpl / 'J_regressor_h36m.npy']
    found = evaluate(capsys, 'h36m', *words, '--out', tmp_path / 'a')
    assert found['all']['mpjpe_mm'] == pytest.approx(expected, abs=2) and found['protocol'] == 2
    all17 = evaluate(capsys, 'h36m', *words, '--joints', 17, '--out', tmp_path / 'a')
    assert all17['all']['mpjpe_mm'] == pytest.approx(expected * 14 / 17, abs=2)


def test_3doh_from_images_to_the_table(images, smpl, tmp_path, capsys):
    images = images[:2]
    people, expected = bent(looked_at(images, MATRIX, None, tmp_path))
    write_3doh(tmp_path / '3DOH50K', images, MATRIX, people)
    found = evaluate(capsys, '3doh', tmp_path / '3DOH50K', '--boxes', 'detector', '--smpl',
                     smpl / 'SMPL_NEUTRAL.npz', '--regressor', smpl / 'J_regressor_h36m.npy',
                     '--out', tmp_path / 'a')
    assert found['all']['mpjpe_mm'] == pytest.approx(expected, abs=2)
    assert found['all']['acceleration_mm_frame2'] is None, 'single images have none'


def test_agora_from_images_to_the_table(images, smpl, tmp_path, capsys, monkeypatch):
    wide = [np.full((720, 1280, 3), 90, np.uint8) for _ in range(2)]
    for k, image in enumerate(wide):
        image[:, 440:845] = cv2.resize(images[k], (405, 720), interpolation=cv2.INTER_AREA)
    matrix = [[28 / 36 * 1280, 0, 640], [0, 28 / 20.25 * 720, 360], [0, 0, 1]]
    people, _ = bent(looked_at(wide, matrix, None, tmp_path, '.png'))
    missed = Person(people[0].rotmat, people[0].betas, people[0].root_m + [1.5, 0, 0])
    write_agora(tmp_path / 'AGORA', wide, matrix, [[people[0], missed], [people[1]]],
                Meshes(smpl, None), monkeypatch)
    found = evaluate(capsys, 'agora', tmp_path / 'AGORA', '--smpl', smpl, '--out', tmp_path / 'a')
    assert found['all']['recall'] == pytest.approx(2 / 3)
    precision, recall, f1 = (found['all'][name] for name in ('precision', 'recall', 'f1'))
    assert 0.4 < precision <= 1 and f1 == pytest.approx(2 * precision * recall
                                                        / (precision + recall))
    assert found['all']['nmje_mm'] == pytest.approx(found['all']['mpjpe_mm'] / f1)
    assert 5 < found['all']['mpjpe_mm'] < 40 and found['all']['nmve_mm'] > 5


def test_data_frames_of_one_name_are_not_taken_for_one(smpl, tmp_path, capsys, monkeypatch):
    person = Person(np.tile(np.diag([1.0, -1, -1]), (24, 1, 1)), np.zeros(10), np.array([0, 0, 3]))
    write_agora(tmp_path / 'AGORA', [np.zeros((720, 1280, 3), np.uint8)],
                [[995, 0, 640], [0, 995, 360], [0, 0, 1]], [[person]], Meshes(smpl, None),
                monkeypatch)
    frame = tmp_path / 'AGORA/Cam/validation_0_withjv.pkl'
    (tmp_path / 'AGORA/SMPLX').mkdir()
    (tmp_path / 'AGORA/SMPLX' / frame.name).write_bytes(frame.read_bytes())
    words = ['dataset', 'agora', str(tmp_path / 'AGORA'), '--out', str(tmp_path / 'a')]
    assert evaluate_cli.main(words) == 2
    assert 'two sequences are called validation_0_withjv' in capsys.readouterr().err
    assert not (tmp_path / 'a').exists()


def test_what_cannot_be_run_is_refused_at_once(images, smpl, tmp_path, capsys):
    person = Person(np.tile(np.diag([1.0, -1, -1]), (24, 1, 1)), np.zeros(10), np.array([0, 0, 3]))
    write_3dpw(tmp_path / '3DPW', 'downtown_cafe_00', images, MATRIX, [[person] * COUNT])

    def refused(*words):
        assert evaluate_cli.main(['dataset', *map(str, words)]) == 2
        return capsys.readouterr().err

    out = tmp_path / 'out'
    assert 'SMPL_MALE' in refused('3dpw', tmp_path / '3DPW', '--out', out, '--smpl',
                                  smpl / 'SMPL_NEUTRAL.npz')
    assert '--smpl too' in refused('3dpw', tmp_path / '3DPW', '--out', out, '--regressor',
                                   smpl / 'J_regressor_h36m.npy')
    assert 'is in the data set' in refused('3dpw', tmp_path / '3DPW', '--out',
                                           tmp_path / '3DPW/out')
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    assert 'no run of this command' in refused('3dpw', tmp_path / '3DPW', '--out', out)
    assert (out / 'mine.txt').read_text() == 'mine' and len(list(out.iterdir())) == 1
    assert 'no model' in refused('3dpw', tmp_path / '3DPW', '--out', tmp_path / 'm', '--solver',
                                 'nothing')
    assert not (tmp_path / 'm').exists()
    predictions.start_run(tmp_path / 'run', {'benchmark': 'agora'})
    assert 'another benchmark' in refused('3dpw', tmp_path / '3DPW', '--out', tmp_path / 'run')
    (tmp_path / 'run/run.json').write_text('[]')
    assert 'cannot be read' in refused('3dpw', tmp_path / '3DPW', '--out', tmp_path / 'run')
    (tmp_path / '3DPW/imageFiles/downtown_cafe_00/image_00002.jpg').unlink()
    assert 'unpack the images' in refused('3dpw', tmp_path / '3DPW', '--out', tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_an_interrupted_run_goes_on(images, tmp_path, capsys, monkeypatch):
    person = Person(np.tile(np.diag([1.0, -1, -1]), (24, 1, 1)), np.zeros(10), np.array([0, 0, 3]))
    for name in ('a_00', 'b_00'):
        write_3dpw(tmp_path / '3DPW', name, images[:2], MATRIX, [[person] * 2])
    real = predictions.predict

    def interrupted(sequence, *more):
        if sequence.name == stops_at:
            raise KeyboardInterrupt
        return real(sequence, *more)

    words = ['dataset', '3dpw', str(tmp_path / '3DPW'), '--out', str(tmp_path / 'out'), '--json']
    with monkeypatch.context() as patch:
        patch.setattr(predictions, 'predict', interrupted)
        stops_at = 'a_00'       # nothing is there to be scored then
        assert evaluate_cli.main(words) == 130
        assert 'a_00' in capsys.readouterr().err
        stops_at = 'b_00'
        assert evaluate_cli.main(words) == 130
    part = json.loads(capsys.readouterr().out)
    assert list(part['sequences']) == ['a_00'] and not part['whole']
    assert evaluate_cli.main(words) == 0
    whole = json.loads(capsys.readouterr().out)
    assert list(whole['sequences']) == ['a_00', 'b_00'] and whole['whole']
    assert whole['sequences']['a_00'] == part['sequences']['a_00']
