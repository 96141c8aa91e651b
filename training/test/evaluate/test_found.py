"""People in photographs who have a body, and bodies without a person."""

import json

import cv2
from niki_training.cli.evaluate import main
from niki_training.evaluate.found import view_of
from niki_training.render.panorama import Panorama
import numpy as np
import pytest
from scenes import shared_folder


def test_views_of_a_panorama_turn_with_the_heading():
    picture = np.zeros((256, 512, 3), np.uint8)
    picture[:128, :, 2] = 200
    picture[:, 256:384, 0] = 250
    ahead, *sides = (view_of(Panorama(picture), degrees) for degrees in (0.0, 90.0, 270.0))
    assert ahead.shape == (480, 640, 3)
    assert ahead[60, :, 2].min() == 200 and ahead[420, :, 2].max() == 0, 'sky above the ground'
    assert ahead[240, 600, 0] == 250 and ahead[240, 40, 0] == 0
    assert sorted((side[240, :, 0] == 250).any() for side in sides) == [False, True]


def test_skier_is_counted_and_an_empty_room_is_not(tmp_path, capsys):
    folder = shared_folder() / 'data' / 'coco_people'
    with np.load(folder / 'persons.npz') as z:
        row = np.flatnonzero(z['image'] == '000000000785.jpg')
        assert len(row) == 1
        np.savez(tmp_path / 'persons.npz', **{key: z[key][row] for key in z.files})
    (tmp_path / 'images').mkdir()
    (tmp_path / 'rooms').mkdir()
    name = 'images/000000000785.jpg'
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    room = np.full((256, 512, 3), 90, np.uint8)
    room[128:] = 60
    cv2.imwrite(str(tmp_path / 'rooms' / 'room.png'), room)
    assert main(['found', str(tmp_path), '--panoramas', str(tmp_path / 'rooms'), '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report['people'], report['found'], report['other_bodies']) == (1, 1, 0)
    assert report['panoramas'] == {'views': 4, 'with_bodies': []}


def test_a_folder_without_labels_is_named(tmp_path, capsys):
    assert main(['found', str(tmp_path)]) == 2
    assert 'persons.npz' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--set=observer.model=huge'])
def test_unknown_settings_are_refused(tmp_path, option, capsys):
    assert main(['found', str(tmp_path), option]) == 2
    assert 'huge' in capsys.readouterr().err
