"""A model folder that shares the weights of another: the per-frame network in niki-temporal."""

import shutil

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import write_model_folder
from niki_ros.models.model_store import find_model, shipped_models
from niki_training.export.graph_delta import share_graph
from niki_training.export.niki import load_exported
import pytest


def test_niki_shares_the_weights_of_niki_temporal(tmp_path):
    """The graph keeps its bytes, and its network is a part of the other network."""
    shipped = find_model('niki')
    graph = shipped.load_graph().data
    own = {k: v for k, v in shipped.manifest.items() if k not in ('delta', 'graphs')}
    part = write_model_folder(tmp_path / 'niki', graph, own)
    with pytest.raises(ModelError, match='niki-temporal.*parent'):
        share_graph(part.path, shipped_models() / 'niki-temporal')
    shutil.copytree(shipped_models() / 'niki-temporal', tmp_path / 'niki-temporal')
    shared = share_graph(part.path, tmp_path / 'niki-temporal')
    assert sorted(file.name for file in part.path.iterdir()) == [
        'manifest.json', 'model.delta.npz']
    assert shared.load_graph().data == graph
    frame, _ = load_exported(shared.path)
    whole, _ = load_exported(tmp_path / 'niki-temporal')
    for name, value in frame.state_dict().items():
        if 'swing_norm' not in name:
            assert (value == whole.frame.state_dict()[name]).all(), name


def test_graphs_without_common_weights_are_not_shared(tmp_path):
    one = write_model_folder(tmp_path / 'one', find_model('landmarks-lite').load_graph().data,
                             {'name': 'one', 'kind': 'landmarks'})
    two = write_model_folder(tmp_path / 'two', find_model('niki').load_graph().data,
                             {'name': 'two', 'kind': 'two_stage'})
    with pytest.raises(ModelError, match='one.*two|two.*one'):
        share_graph(two.path, one.path)
    assert (two.path / 'model.onnx').exists()
