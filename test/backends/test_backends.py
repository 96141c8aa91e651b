"""Backends and model folders: what was asked for runs, or an error says why it does not."""

import json
import subprocess
import sys

from engine_graphs import mlp_folder, mlp_graph, mlp_inputs, stored_half_graph
from niki_ros.backends import load_engine
from niki_ros.backends.cuda_driver import CudaDriver
from niki_ros.backends.graph_file import largest_fp16, read_weights
from niki_ros.common.errors import BackendError, InputError, ModelError
from niki_ros.models.model_folder import MAX_MANIFEST_BYTES, read_model_folder
import numpy as np
import pytest


@pytest.mark.parametrize('backend', [
    'onnxruntime', pytest.param('tensorrt', marks=pytest.mark.gpu)])
def test_every_backend_runs_the_graph_for_every_batch(tmp_path, monkeypatch, backend):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    if backend == 'tensorrt':
        try:
            CudaDriver().close()
        except BackendError as error:
            pytest.skip(str(error))
    folder = mlp_folder(tmp_path / 'm')
    engine = load_engine(folder.path, backend)
    inputs = mlp_inputs(16)
    whole = engine.run(inputs)
    assert whole['rot6d'].shape == (16, 144) and whole['error_z'].shape == (16, 32)
    for i in range(16):
        one = engine.run({name: value[i:i + 1] for name, value in inputs.items()})
        np.testing.assert_allclose(one['rot6d'][0], whole['rot6d'][i], atol=1e-5)
    np.testing.assert_allclose(
        whole['rot6d'], load_engine(folder.path).run(inputs)['rot6d'], atol=1e-3)
    facts = engine.describe()
    assert facts['library'].startswith(backend) and facts['device']
    assert facts['precision'] == 'fp32' and facts['version'] and facts['threads'] == 1
    assert facts['model_sha256'] == folder.manifest['sha256']
    engine.close()
    with pytest.raises(BackendError, match='closed'):
        engine.run(inputs)


def test_a_cpu_is_given_large_inputs_in_portions(monkeypatch):
    from niki_ros.backends import onnxruntime_engine
    engine, inputs = load_engine(mlp_graph()), mlp_inputs(7)
    whole, sizes = engine.run(inputs), []
    run = onnxruntime_engine.OnnxRuntimeEngine._run
    monkeypatch.setattr(onnxruntime_engine.OnnxRuntimeEngine, '_run', lambda self, arrays: (
        sizes.append(len(arrays['sigma'])), run(self, arrays))[1])
    monkeypatch.setattr(onnxruntime_engine, 'PORTION_BYTES', 3 * 4 * (87 + 29))
    found = engine.run(inputs)
    assert sizes == [3, 3, 1]
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    assert engine.run({name: value[:0] for name, value in inputs.items()})['rot6d'].shape == (
        0, 144)


def test_inputs_are_refused_by_name(tmp_path):
    engine = load_engine(mlp_graph())
    inputs = mlp_inputs()
    with pytest.raises(InputError, match='missing.*sigma'):
        engine.run({'joints': inputs['joints']})
    with pytest.raises(InputError, match="unknown: \\['more'\\]"):
        engine.run({**inputs, 'more': inputs['sigma']})
    with pytest.raises(InputError, match=r'sigma has shape \(3, 28\)'):
        engine.run({**inputs, 'sigma': inputs['sigma'][:, :28]})


@pytest.mark.parametrize('options, says', [
    ({'backend': 'openvino'}, 'expected one of onnxruntime, tensorrt'),
    ({'precision': 'int4'}, 'expected one of fp32, fp16'),
    ({'device': 'tpu'}, 'expected one of cpu, cuda, tensorrt'),
    ({'thread': 3}, "no option 'thread'"),
    ({'precision': 'fp16'}, 'fp16 was asked for and the graph is fp32'),
])
def test_what_cannot_be_had_is_an_error(options, says):
    with pytest.raises(BackendError, match=says):
        load_engine(mlp_graph(), **options)


@pytest.mark.parametrize('device', ['cuda', 'tensorrt'])
def test_a_provider_that_is_absent_is_no_cpu_run(device):
    import onnxruntime
    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip('this onnxruntime has GPU providers')
    with pytest.raises(BackendError, match='has no .*Provider.*pip install onnxruntime-gpu'):
        load_engine(mlp_graph(), device=device)


def test_the_settings_are_options_of_their_backend():
    from niki_ros.backends import engine_options
    from niki_ros.common.settings import EngineConfig
    load_engine(mlp_graph(), **engine_options(EngineConfig())).close()
    options = engine_options(EngineConfig(backend='tensorrt', on_mismatch='refuse'))
    assert options == {'backend': 'tensorrt', 'max_batch': 16, 'on_mismatch': 'refuse',
                       'precision': 'fp32'}


def test_a_provider_that_does_not_load_is_no_cpu_run(monkeypatch):
    # onnxruntime lists the provider, fails to load its libraries, and goes on with the CPU
    import onnxruntime
    monkeypatch.setattr(onnxruntime, 'get_available_providers',
                        lambda: ['CUDAExecutionProvider', 'CPUExecutionProvider'])
    with pytest.raises(BackendError, match='cuda'):
        load_engine(mlp_graph(), device='cuda')


def test_tensorrt_without_the_library_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    monkeypatch.setitem(sys.modules, 'tensorrt_rtx', None)
    with pytest.raises(BackendError, match='pip install'):
        load_engine(mlp_graph(), backend='tensorrt')


def test_weights_are_read_without_the_onnx_package(tmp_path):
    weights = read_weights(mlp_graph())
    assert weights.bytes_by_precision == {'fp32': 4 * (116 * 64 + 64 + 64 * 176 + 176)}
    assert weights.precision == 'fp32' and not weights.external


def test_weights_that_are_only_stored_in_fp16_are_fp32(tmp_path):
    """They are cast before anything is computed; a reader that takes one as it is changes that."""
    import onnx
    weights = read_weights(stored_half_graph())
    assert weights.bytes_by_precision == {'fp32': 4 * (116 * 64 + 64 + 64 * 176 + 176)}
    assert weights.precision == 'fp32' and largest_fp16(stored_half_graph()) == []
    engine = load_engine(stored_half_graph(), precision='fp32')
    assert engine.describe()['precision'] == 'fp32'
    np.testing.assert_allclose(engine.run(mlp_inputs())['rot6d'],
                               load_engine(mlp_graph()).run(mlp_inputs())['rot6d'], atol=0.01)
    model = onnx.load_from_string(stored_half_graph())
    model.graph.node.append(onnx.helper.make_node('Relu', ['w2__half'], ['read']))
    weights = read_weights(model.SerializeToString())
    assert weights.bytes_by_precision == {'fp32': 4 * (116 * 64 + 64 + 176), 'fp16': 2 * 64 * 176}
    assert [m.shape for m in largest_fp16(model.SerializeToString())] == [(64, 176)]


def test_weights_in_other_files_are_refused(tmp_path):
    import onnx
    model = onnx.load_from_string(mlp_graph(width=256))
    onnx.save(model, tmp_path / 'a.onnx', save_as_external_data=True, location='weights.bin',
              size_threshold=0)
    with pytest.raises(ModelError, match='one file'):
        load_engine(tmp_path / 'a.onnx')


@pytest.mark.parametrize('damage', [b'', b'hello', b'\x00' * 64, 'half', 'tail'])
def test_a_damaged_graph_file_is_refused(tmp_path, damage):
    graph = mlp_graph()
    data = {'half': graph[:len(graph) // 2], 'tail': graph[:-1]}.get(damage, damage)
    (tmp_path / 'm.onnx').write_bytes(data)
    with pytest.raises(ModelError):
        load_engine(tmp_path / 'm.onnx')


def test_a_folder_with_one_byte_changed_is_refused(tmp_path):
    folder = mlp_folder(tmp_path / 'm')
    file = folder.path / 'model.onnx'
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ModelError, match='sha256'):
        load_engine(folder.path)


@pytest.mark.parametrize('change, says', [
    ({'sha256': 'abc'}, 'hexadecimal'), ({'name': None}, 'lacks name'),
    ({'sha256': None}, 'sha256'),
    ({'graphs': {'fp16': {'file': '../x.onnx', 'sha256': '0' * 64}}}, 'plain name'),
    ({'graphs': {'fp16': {'file': '/etc/passwd', 'sha256': '0' * 64}}}, 'plain name'),
    ({'graphs': {'fp16': {'file': 'a/b.onnx', 'sha256': '0' * 64}}}, 'plain name'),
    ({'graphs': {'fp16': {'file': 'b.onnx'}}}, 'hexadecimal'),
    ({'graphs': [1]}, 'object of objects'), ({'precision': 16}, 'precision'),
])
def test_a_manifest_that_is_wrong_is_refused(tmp_path, change, says):
    folder = mlp_folder(tmp_path / 'm')
    manifest = {**folder.manifest, **change}
    (folder.path / 'manifest.json').write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=says):
        load_engine(folder.path)


@pytest.mark.parametrize('text', ['', '[1]', '{', '[' * 100000, '{"name": "x"}', '\x00'])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path, text):
    folder = mlp_folder(tmp_path / 'm')
    (folder.path / 'manifest.json').write_text(text)
    with pytest.raises(ModelError, match='manifest.json'):
        read_model_folder(folder.path)


def test_huge_and_absent_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match='no such directory'):
        read_model_folder(tmp_path / 'absent')
    folder = mlp_folder(tmp_path / 'm')
    with (folder.path / 'manifest.json').open('wb') as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ModelError, match='at most'):
        read_model_folder(folder.path)
    folder = mlp_folder(tmp_path / 'n')
    with (folder.path / 'model.onnx').open('wb') as file:
        file.truncate(3 << 30)
    with pytest.raises(ModelError, match='at most'):
        folder.load_graph()
    (folder.path / 'model.onnx').unlink()
    with pytest.raises(ModelError, match='missing'):
        folder.load_graph()


def test_the_backends_do_not_import_their_libraries_before_they_are_chosen():
    code = ('import sys, niki_ros.backends, niki_ros.models.model_folder;'
            'print([m for m in ("onnx", "onnxruntime", "tensorrt", "tensorrt_rtx", "torch")'
            ' if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
