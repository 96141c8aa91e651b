"""Errors of the front end's engines on images: landmarks, boxes, images of the user."""

import json

from engine_graphs import mlp_folder
from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_images import check_images, crops, letterboxed
from niki_ros.benchmarks.engine_error import errors, limits_of, over_limits
from niki_ros.cli.main import main
from niki_ros.common.errors import InputError, ModelError
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.models.model_store import find_model, shipped_models
import numpy as np
import pytest


def test_the_images_that_ship_are_small_and_show_people():
    images = check_images()
    assert 12 <= len(images) <= 16
    assert (shipped_models() / 'check_images.npz').stat().st_size <= 250_000
    for image in images:
        height, width = image.image_rgb.shape[:2]
        x0, y0, x1, y1 = image.boxes_px[0]
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    given = crops(images, 256)
    assert given.shape == (len(images), 3, 256, 256) and given.dtype == np.float32
    assert 0 <= given.min() < 0.1 and 0.9 < given.max() <= 1
    boxes = letterboxed(images, 416)
    assert boxes.shape[1:] == (3, 416, 416) and not boxes[:, :, -50:].any()
    flag = load_engine(find_model('landmarks-full').path).run({'image': given})['flag']
    assert (flag > 0.5).mean() > 0.7


def test_errors_of_landmarks_are_pixels_and_millimetres_of_those_seen():
    rng = np.random.default_rng(0)
    one = {'landmarks': rng.normal(size=(3, 195)), 'world': rng.normal(size=(3, 117)),
           'flag': np.array([[0.9], [0.1], [0.6]]), 'peaks': rng.normal(size=(3, 99))}
    other = {name: value.copy() for name, value in one.items()}
    other['landmarks'][:, 5:7] += [1, 2]
    other['peaks'][:, 3:5] += [2, 2]   # a landmark is where its peak is
    other['peaks'][:, 5] += 0.5        # its height
    other['landmarks'][:, 33 * 5] += 100   # a point for the crop, no landmark
    other['world'][:, 0] += 0.002
    other['flag'][0] = 0.8
    found = errors(one, other)
    assert found['px'].shape == found['mm'].shape == (2 * 33,)
    assert found['px'].max() == pytest.approx(5) and (found['px'] > 1e-9).sum() == 2
    assert found['mm'].max() == pytest.approx(2) and found['score'].max() == pytest.approx(0.1)
    with pytest.raises(InputError, match='no person'):
        errors({**one, 'flag': np.zeros((3, 1))}, other)


def test_errors_of_a_detector_are_those_of_cells_with_a_person():
    one = {'scores': np.zeros((1, 3549)), 'distances': np.full((1, 3549, 44), -50.0)}
    for cell, bin_ in ((0, 2), (2704, 3), (3548, 4)):     # one in every grid
        one['scores'][0, cell] = 0.9
        one['distances'][0, cell, bin_::11] = 50
    other = {name: value.copy() for name, value in one.items()}
    other['distances'][0, [0, 2704, 3548]] = -50
    for cell, bin_ in ((0, 3), (2704, 4), (3548, 5)):
        other['distances'][0, cell, bin_::11] = 50
    other['scores'][0, 0] = 0.8
    found = errors(one, other)
    np.testing.assert_allclose(found['px'], np.repeat([8, 16, 32], 4), atol=1e-6)
    np.testing.assert_allclose(found['score'], [0.1, 0, 0], atol=1e-9)
    with pytest.raises(InputError, match='no person'):
        errors({**one, 'scores': one['scores'] * 0}, {**other, 'scores': one['scores'] * 0})
    with pytest.raises(ModelError, match='3548 cells'):
        errors(*({k: v[:, :3548] for k, v in given.items()} for given in (one, other)))


def test_limits_depend_on_the_kind_and_nan_is_over_them():
    assert limits_of({'kind': 'landmarks'}) == {'mm': 1.0, 'px': 0.25}
    assert limits_of({'kind': 'nanodet'}, 2.0)['px'] == 2.0
    assert list(limits_of({'kind': 'temporal'}, 0.1).values()) == [0.1]
    facts = {'mm': {'p99': float('nan')}, 'px': {'p99': 0.1}}
    assert over_limits(facts, {'mm': 1.0, 'px': 0.25}) == ['mm']


def test_images_of_the_user(tmp_path, capsys):
    images = check_images()
    for number in (0, 3, 5):
        (tmp_path / f'{number}.jpg').write_bytes(jpeg_from_rgb(images[number].image_rgb))
    words = ['engine', 'check', 'landmarks-lite', '--precision', 'fp32', '--json', '--images']
    assert main([*words, str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['errors']['fp32']['pictures'] >= 2 and result['errors']['fp32']['mm']['max'] == 0
    (tmp_path / 'empty').mkdir()
    assert main([*words, str(tmp_path / 'empty')]) == 1
    assert 'empty' in capsys.readouterr().err
    (tmp_path / 'empty' / 'grey.jpg').write_bytes(
        jpeg_from_rgb(np.full((64, 64, 3), 128, np.uint8)))
    assert main([*words, str(tmp_path / 'empty')]) == 1
    assert 'no person is detected in the 1 images' in capsys.readouterr().err


def test_check_and_build_without_a_model_take_those_of_the_settings(tmp_path, capsys):
    words = ['engine', 'check', '--precision', 'fp32', '--count', '2', '--json', '--set',
             'observer.model=lite', '--set', f'solver.name={mlp_folder(tmp_path / "m").path}']
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)['models']
    assert [row['model'] for row in found] == ['people', 'landmarks-lite', 'lift', 'stand-in']
    assert main([*words, '--set', 'observer.detector=absent']) == 1
    assert "no model 'absent'" in capsys.readouterr().err
