"""A model folder that takes its graph out of another's: the per-frame network in niki-temporal."""

import shutil

from niki_ros.backends import load_engine
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import find_model, shipped_models, write_model_folder
from niki_training.export.niki import load_exported
from niki_training.export.share_graph import share_graph
import numpy as np
import pytest


def test_niki_is_a_part_of_niki_temporal(tmp_path):
    """Linked again it is what ships; its network comes back out of the other's weights."""
    shipped = find_model('niki')
    graph = shipped.load_graph()
    own = {k: v for k, v in shipped.manifest.items() if k != 'part_of'}
    part = write_model_folder(tmp_path / 'niki', graph, own)
    with pytest.raises(ModelError, match='not in the same parent folder'):
        share_graph(part.path, shipped_models() / 'niki-temporal')
    shutil.copytree(shipped_models() / 'niki-temporal', tmp_path / 'niki-temporal')
    linked = share_graph(part.path, tmp_path / 'niki-temporal')
    assert not (part.path / 'model.onnx').exists()
    inputs = {spec.name: np.ones((2, *spec.shape[1:]), np.float32)
              for spec in load_engine(graph).inputs}
    for name, value in load_engine(linked.path).run(inputs).items():
        np.testing.assert_array_equal(value, load_engine(graph).run(inputs)[name])
    frame, _ = load_exported(linked.path)
    whole, _ = load_exported(tmp_path / 'niki-temporal')
    for name, value in frame.state_dict().items():
        if 'swing_norm' not in name:
            assert (value == whole.frame.state_dict()[name]).all(), name


def test_what_is_no_part_is_refused(tmp_path):
    one = write_model_folder(tmp_path / 'one', find_model('landmarks-lite').load_graph(),
                             {'name': 'one', 'kind': 'landmarks'})
    two = write_model_folder(tmp_path / 'two', find_model('niki').load_graph(),
                             {'name': 'two', 'kind': 'two_stage'})
    with pytest.raises(ModelError, match='no values of the other graph|unknown'):
        share_graph(two.path, one.path)
    assert (two.path / 'model.onnx').exists()
