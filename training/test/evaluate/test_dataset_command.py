"""
``niki-evaluate dataset`` from images to the table, with the real front end and pipeline.

The images are real; their truth is the output of the pipeline itself, changed by known amounts,
so that the scores are known.
"""

import json

import cv2
from miniature_sets import Person, UPRIGHT, write_3doh, write_3dpw, write_agora, write_h36m
from niki_ros.loading.load_pipeline import load_pipeline
from niki_ros.scene.camera import Camera
from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.datasets import predictions
from niki_training.evaluate.datasets.smpl_mesh import Meshes
import numpy as np
import pytest

SIZE, COUNT = (720, 1280), 4
MATRIX = [[900.0, 0, 360], [0, 900, 640], [0, 0, 1]]
BEND_RAD = 0.5


@pytest.fixture(scope='module')
def images(trial):
    """Return images of a real person, BGR, as JPEG has left them."""
    video = cv2.VideoCapture(str(trial / 'cam01.mp4'))
    found = [cv2.resize(video.read()[1], SIZE, interpolation=cv2.INTER_AREA) for _ in range(COUNT)]
    return [cv2.imdecode(cv2.imencode('.jpg', one)[1], cv2.IMREAD_COLOR) for one in found]


def looked_at(images, matrix, rate_hz, tmp_path, suffix='.jpg') -> list:
    """Return the person in every image by the pipeline; single images where the rate is None."""
    video = rate_hz is not None
    pipeline = load_pipeline(predictions.pipeline_config('niki-temporal', {}, 'detector', video))
    people = []
    for k, image in enumerate(images):
        file = tmp_path / f'look{suffix}'      # as the data set's files are stored
        cv2.imwrite(str(file), image)
        image = cv2.imread(str(file))
        if not video:
            pipeline.reset()
        stamp_ns = round(k / rate_hz * 1e9) if video else k + 1
        bodies = pipeline.process(np.ascontiguousarray(image[..., ::-1]), Camera(
            np.asarray(matrix), image.shape[1], image.shape[0], source='file'), stamp_ns)
        one = min(bodies, key=lambda b: b.id)      # the one in the middle; others are far behind
        people.append(Person(one.rotmat, one.betas, one.root_m))
    pipeline.close()
    return people


@pytest.fixture(scope='module')
def people(images, tmp_path_factory):
    return looked_at(images, MATRIX, 30, tmp_path_factory.mktemp('look'))


def bent(people):
    """Return the people with bent left knees, and its share in the error of 14 joints, mm."""
    out = [one.bent(4, BEND_RAD) for one in people]
    ankle = [np.linalg.norm((a.joints_m() - b.joints_m())[7]) for a, b in zip(out, people)]
    return out, 1000 * np.mean(ankle) / 14


def evaluate(capsys, *words) -> dict:
    assert evaluate_cli.main(['dataset', *map(str, words), '--json']) == 0
    return json.loads(capsys.readouterr().out)


def test_3dpw_from_images_to_the_table(images, people, smpl, tmp_path, capsys):
    people, expected = bent(people)
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


def test_3dpw_xocc_draws_and_runs(images, people, tmp_path, capsys):
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


def test_data_frames_of_one_name_are_not_taken_for_one(smpl, tmp_path, refused, monkeypatch):
    write_agora(tmp_path / 'AGORA', [np.zeros((720, 1280, 3), np.uint8)],
                [[995, 0, 640], [0, 995, 360], [0, 0, 1]], [[UPRIGHT]], Meshes(smpl, None),
                monkeypatch)
    frame = tmp_path / 'AGORA/Cam/validation_0_withjv.pkl'
    (tmp_path / 'AGORA/SMPLX').mkdir()
    (tmp_path / 'AGORA/SMPLX' / frame.name).write_bytes(frame.read_bytes())
    refused(evaluate_cli.main, ['dataset', 'agora', tmp_path / 'AGORA', '--out', tmp_path / 'a'],
            'two sequences are called validation_0_withjv')
    assert not (tmp_path / 'a').exists()


def test_what_cannot_be_run_is_refused_at_once(images, smpl, tmp_path, refused):
    data, out = tmp_path / '3DPW', tmp_path / 'out'
    write_3dpw(data, 'downtown_cafe_00', images, MATRIX, [[UPRIGHT] * COUNT])

    def refuse(message, out, *more):
        refused(evaluate_cli.main, ['dataset', '3dpw', data, '--out', out, *more], message)

    refuse('SMPL_MALE', out, '--smpl', smpl / 'SMPL_NEUTRAL.npz')
    refuse('--smpl too', out, '--regressor', smpl / 'J_regressor_h36m.npy')
    refuse('is in the data set', data / 'out')
    refuse('no model', out, '--solver', 'nothing')
    assert not out.exists()
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    refuse('no run of this command', out)
    assert (out / 'mine.txt').read_text() == 'mine' and len(list(out.iterdir())) == 1
    predictions.start_run(tmp_path / 'run', {'benchmark': 'agora'})
    refuse('another benchmark', tmp_path / 'run')
    (tmp_path / 'run/run.json').write_text('[]')
    refuse('cannot be read', tmp_path / 'run')
    (data / 'imageFiles/downtown_cafe_00/image_00002.jpg').unlink()
    refuse('unpack the images', tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_an_interrupted_run_goes_on(images, tmp_path, capsys, monkeypatch):
    for name in ('a_00', 'b_00'):
        write_3dpw(tmp_path / '3DPW', name, images[:2], MATRIX, [[UPRIGHT] * 2])
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
