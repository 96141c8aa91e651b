"""Which front end the settings give."""

from niki_ros.core.config import ObserverConfig
from niki_ros.core.errors import ConfigError, ModelError
from niki_ros.observers import load_observer
import pytest


def test_hybrik_without_a_folder_is_refused_with_the_command(mediapipe_model):
    with pytest.raises(ConfigError, match='niki-import hybrik'):
        load_observer(ObserverConfig(name='hybrik'))


def test_hybrik_with_a_folder_of_something_else_is_refused(mediapipe_model, tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_observer(ObserverConfig(name='hybrik', path=str(tmp_path)))


def test_mediapipe_is_the_default(mediapipe_model):
    observer = load_observer(ObserverConfig())
    assert observer.describe()['observer'] == 'mediapipe'
    observer.close()
