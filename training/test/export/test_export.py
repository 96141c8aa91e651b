"""Export: the graph is the network, old libraries read it, the manifest states the errors."""

import json

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import read_model_folder, write_model_folder
from niki_ros.solvers.niki import NikiSolver
from niki_training.cli import export as export_cli
from niki_training.export import niki as export_module
from niki_training.export.export_check import check_graph, differences, MAX_DIFFERENCE, SCALES
from niki_training.export.niki import export, load_exported
from niki_training.train.checkpoint import load_checkpoint
from niki_training.train.trainer import Trainer
import numpy as np
import onnx
import pytest
from small_runs import small_config
import torch


@pytest.fixture(scope='module')
def checkpoints(motion, tmp_path_factory):
    """Return the checkpoints of both small networks by kind."""
    files = {}
    for kind in ('two_stage', 'temporal'):
        folder = tmp_path_factory.mktemp(kind)
        Trainer(small_config(kind), motion, open_skeleton(), folder,
                files.get('two_stage')).run()
        files[kind] = folder / 'last.pt'
    return files


@pytest.fixture(scope='module', params=['two_stage', 'temporal'])
def exported(request, checkpoints, tmp_path_factory):
    """Return a network with weights that do something, its settings, its folder and its graph."""
    net, config, _ = load_checkpoint(checkpoints[request.param])
    torch.manual_seed(0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    folder = tmp_path_factory.mktemp('model')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, 'STORED_LIMIT_MM', 0.0)  # keep the weights as they are
        export(net, config, folder, 'small', {})
    return net, config, folder, (folder / 'model.onnx').read_bytes()


def test_graph_is_the_network_and_is_read_by_old_libraries(exported):
    net, config, _, graph = exported
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8 and model.opset_import[0].version <= 18
    assert b'site-packages' not in graph and b'niki_training' not in graph
    found = check_graph(net, config.net.kind, graph)
    assert list(found) == ['1', '20'] and SCALES == (1.0, 20.0)
    assert all(row['fp64'] < MAX_DIFFERENCE for row in found.values())
    assert found['1']['fp32'] < MAX_DIFFERENCE
    # beyond these, FP32 is too coarse, in PyTorch too
    extreme = differences(net, config.net.kind, graph, scale=1000.0)
    assert extreme['fp64'] < MAX_DIFFERENCE
    assert extreme['fp32'] < 10 * max(extreme['torch_fp32'], 1e-5)


def test_a_graph_of_other_weights_is_refused(exported):
    net, config, _, graph = exported
    model = onnx.load_from_string(graph)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 2)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0] += 0.01
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ModelError, match='not the network'):
        check_graph(net, config.net.kind, model.SerializeToString())


def test_command_writes_both_graphs_and_what_was_measured(checkpoints, tmp_path, capsys, refused):
    figures = tmp_path / 'figures.json'
    rows = {'clean': {'mpjpe_mm': 1.23456}}
    figures.write_text(json.dumps({'frames': {'small': rows, 'other': {}}}))
    folder = tmp_path / 'small'
    command = [str(checkpoints['two_stage']), str(folder), '--fp16', '--figures', str(figures)]
    assert export_cli.main(command) == 0
    assert 'fp16: p99' in capsys.readouterr().out
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['evaluation']['frames'] == {'clean': {'mpjpe_mm': 1.235}}
    assert set(manifest['torch_difference']['20']) == {'fp64', 'fp32', 'torch_fp32'}
    error = manifest['engine_error']['onnxruntime-fp16']
    assert 0 <= error['mm']['p99'] <= error['mm']['max'] and error['ran']['precision'] == 'fp16'
    assert 0 < manifest['graphs']['fp16']['error']['mm']['p99'] <= 0.5
    half = read_model_folder(folder).load_graph('fp16')
    assert onnx.load_from_string(half.data).ir_version == 8 and half.layers_by_precision['fp16']
    refused(export_cli.main, [*command, '--name', 'absent'], "no solver 'absent'")
    figures.write_text('not JSON')
    refused(export_cli.main, command, 'figures.json')


@pytest.mark.parametrize('exported', ['two_stage'], indirect=True)
def test_weights_take_half_of_the_bytes_where_no_answer_changes(exported, tmp_path, monkeypatch):
    """The graph still computes in FP32, and the network that is read has the rounded weights."""
    net, config, folder, graph = exported
    assert json.loads((folder / 'manifest.json').read_text())['weights_stored'] == 'fp32'
    monkeypatch.setattr(export_module, 'STORED_LIMIT_MM', 1e6)
    manifest = export(net, config, tmp_path, 'small', {})
    assert manifest['weights_stored'] == 'fp16' and manifest['precision'] == 'fp32'
    assert 0 < manifest['rounding_error']['mm']['p99'] < manifest['rounding_error']['mm']['max']
    half = read_model_folder(tmp_path).load_graph()
    assert len(half.data) < 0.8 * len(graph) and half.weight_bytes == manifest['weight_bytes']
    again, _ = load_exported(tmp_path)
    for (name, one), two in zip(net.state_dict().items(), again.state_dict().values()):
        if 'swing_norm' not in name and one.numel() >= 16:
            assert torch.equal(one.half(), two.half()), name


def test_an_exported_network_comes_back(exported, tmp_path):
    net, config, folder, graph = exported
    again, settings = load_exported(folder)
    assert settings == config
    solver = NikiSolver.from_folder(folder)
    track = solver.start_track()
    for t in range(3):
        solution = track.step(solver.skeleton.rest_joints_m, np.zeros(29), t * 33_000_000)
    assert np.isfinite(solution.joints_m).all()
    for (name, one), two in zip(net.state_dict().items(), again.state_dict().values()):
        assert torch.equal(one, two) or 'swing_norm' in name, name
    manifest = json.loads((folder / 'manifest.json').read_text())
    del manifest['training']
    write_model_folder(tmp_path, graph, manifest)
    with pytest.raises(ModelError, match='training'):
        load_exported(tmp_path)
