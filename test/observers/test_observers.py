"""Front ends by name, and detectors of a user."""

import json

from niki_ros import load_pipeline
from niki_ros.benchmarks.check_images import check_images
from niki_ros.common.errors import ConfigError, ModelError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.images.boxes import overlap
from niki_ros.observers import load_observer
from niki_ros.observers.detectors import DETECTORS
import numpy as np
import pytest


def config(**settings):
    """Return the settings of a pipeline, dots written as double underscores."""
    return apply_settings(PipelineConfig(), {
        name.replace('__', '.'): value for name, value in settings.items()})


def test_hybrik_without_a_folder_is_refused():
    with pytest.raises(ConfigError, match='niki-import hybrik'):
        load_observer(config(observer__name='hybrik'))


def test_hybrik_with_another_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_observer(config(observer__name='hybrik', observer__path=str(tmp_path)))


@pytest.mark.parametrize('model', ['lite', 'full', 'heavy'])
def test_default_front_end(model):
    observer = load_observer(config(observer__model=model))
    about = observer.describe()
    assert about['observer'] == 'landmarks' and about['observer_model'] == f'landmarks-{model}'
    assert about['detector'] == 'people'
    for role in ('observer', 'detector'):
        assert about[f'{role}_library'] == 'onnxruntime' and about[f'{role}_device'] == 'cpu'
        assert about[f'{role}_precision'] == 'fp32'
    observer.close()


def test_the_detector_in_int8_finds_the_same_people():
    observers = [load_observer(config(engine__int8=use), wait=False) for use in (False, True)]
    detectors = [observer.search.detector for observer in observers]
    assert [one.describe()['precision'] for one in detectors] == ['fp32', 'int8']
    for image in check_images():
        (found, scores), (same, _) = (one.detect(image.image_rgb) for one in detectors)
        assert len(found)
        for box in found[scores > 0.36]:  # the detector's limit is 0.3
            assert max((overlap(box, other) for other in same), default=0.0) > 0.8
    for one in observers:
        one.close()


def test_missing_backend_is_an_error():
    from niki_ros.common.errors import BackendError
    with pytest.raises(BackendError):
        load_observer(config(engine__device='cuda'))


class OneBox:
    input_px = 640

    def __init__(self, model='', **engine_options):
        self.closed = False

    def detect(self, image_rgb):
        height, width = image_rgb.shape[:2]
        return [[width * 0.3, height * 0.1, width * 0.7, height * 0.9]], [0.9]

    def describe(self):
        return {'name': 'one box', 'library': 'none'}

    def close(self):
        self.closed = True


def test_detector_of_a_user():
    detector = OneBox()
    pipeline = load_pipeline(solver='analytic', detector=detector)
    assert pipeline.process(np.zeros((480, 640, 3), np.uint8), None, 1) == []
    assert pipeline.describe()['detector'] == 'one box'
    pipeline.close()
    assert detector.closed


@pytest.mark.parametrize('input_px', [None, 0, 41.5])
def test_a_detector_without_the_side_of_its_input_is_refused(input_px):
    detector = OneBox()
    detector.input_px = input_px
    with pytest.raises(ConfigError, match='OneBox.*input_px'):
        load_pipeline(solver='analytic', detector=detector)


def test_an_empty_list_of_boxes_is_none():
    pipeline = load_pipeline(solver='analytic', detector=OneBox())
    assert pipeline.process(np.zeros((480, 640, 3), np.uint8), None, 1, boxes_px=[]) == []
    pipeline.close()


def test_detector_is_chosen_by_the_kind_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS, 'one-box', OneBox)
    (tmp_path / 'manifest.json').write_text(json.dumps({
        'name': 'mine', 'kind': 'one-box', 'sha256': '0' * 64}))
    observer = load_observer(config(observer__detector=str(tmp_path)))
    assert observer.describe()['detector'] == 'one box'
    observer.close()


def test_folder_of_another_kind_is_no_detector():
    with pytest.raises(ModelError, match='nanodet'):
        load_observer(config(observer__detector='niki'))
