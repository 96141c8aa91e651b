"""Backends: the library and the device of the settings run, or an error says why not."""

import subprocess
import sys

from engine_graphs import fp16_storage_graph, mlp_folder, mlp_graph, mlp_inputs
from niki_ros.backends import engine_options, load_engine, load_folder_engine
from niki_ros.backends.cuda_driver import CudaDriver
from niki_ros.backends.onnxruntime_engine import OnnxRuntimeEngine, PortionNumbers
from niki_ros.common.errors import BackendError, InputError, ModelError
from niki_ros.common.settings import EngineConfig
from niki_ros.models.graph import Graph
from niki_ros.models.model_store import find_model
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


def test_a_cpu_runs_large_inputs_in_portions(monkeypatch):
    import onnxruntime
    sizes = []

    class Recorded(onnxruntime.InferenceSession):

        def run(self, names, inputs):
            sizes.append(len(inputs['sigma']))
            return super().run(names, inputs)

    inputs = mlp_inputs(7)
    wanted = load_engine(mlp_graph()).run(inputs)
    monkeypatch.setattr(onnxruntime, 'InferenceSession', Recorded)
    engine = OnnxRuntimeEngine(
        Graph(mlp_graph()), portions=PortionNumbers(max_portion_bytes=3 * 4 * (87 + 29)))
    found = engine.run(inputs)
    assert sizes == [3, 3, 1]
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    empty = engine.run({name: value[:0] for name, value in inputs.items()})
    assert empty['rot6d'].shape == (0, 144)


def test_inputs_are_refused_by_name(tmp_path):
    engine = load_engine(mlp_graph())
    inputs = mlp_inputs()
    with pytest.raises(InputError, match='sigma'):
        engine.run({'joints': inputs['joints']})
    with pytest.raises(InputError, match='more'):
        engine.run({**inputs, 'more': inputs['sigma']})
    with pytest.raises(InputError, match=r'sigma.*\(3, 28\)'):
        engine.run({**inputs, 'sigma': inputs['sigma'][:, :28]})


@pytest.mark.parametrize('options, says', [
    ({'backend': 'openvino'}, 'onnxruntime, tensorrt'),
    ({'precision': 'int4'}, 'fp32, fp16, int8'),
    ({'backend': 'tensorrt', 'precision': 'int8'}, 'CPUs'),
    ({'device': 'tpu'}, 'cpu, cuda, tensorrt'), ({'thread': 3}, "'thread'"),
])
def test_options_that_do_not_exist_are_refused(options, says):
    with pytest.raises(BackendError, match=says):
        load_engine(mlp_graph(), **options)


def test_a_folder_engine_has_the_outputs_that_its_user_needs():
    folder = find_model('landmarks-lite')
    load_folder_engine(folder, {'flag': (1,)}).close()
    with pytest.raises(ModelError, match=r"'flag': \(1,\).*{'flag': \(2,\)}"):
        load_folder_engine(folder, {'flag': (2,)})


@pytest.mark.parametrize('device', ['cuda', 'tensorrt'])
def test_a_missing_provider_is_not_replaced_by_the_cpu(device):
    import onnxruntime
    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip('this onnxruntime has GPU providers')
    with pytest.raises(BackendError, match='Provider.*pip install onnxruntime-gpu'):
        load_engine(mlp_graph(), device=device)


def test_the_settings_are_options_of_their_backend(tmp_path):
    load_engine(mlp_folder(tmp_path / 'm').path, **engine_options(EngineConfig())).close()
    options = engine_options(EngineConfig(backend='tensorrt', on_mismatch='refuse'))
    assert options == {'backend': 'tensorrt', 'max_batch': 16, 'on_mismatch': 'refuse',
                       'precision': 'fp32'}


def test_a_provider_that_does_not_load_is_not_replaced_by_the_cpu(monkeypatch):
    # onnxruntime lists the provider, fails to load its libraries, and continues on the CPU
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


def test_weights_stored_in_fp16_are_computed_with_in_fp32():
    engine = load_engine(fp16_storage_graph())
    np.testing.assert_allclose(engine.run(mlp_inputs())['rot6d'],
                               load_engine(mlp_graph()).run(mlp_inputs())['rot6d'], atol=0.01)


def test_weights_in_other_files_are_refused(tmp_path):
    import onnx
    model = onnx.load_from_string(mlp_graph(width=256))
    onnx.save(model, tmp_path / 'a.onnx', save_as_external_data=True, location='weights.bin',
              size_threshold=1024)
    with pytest.raises(ModelError, match='weights.bin'):
        load_engine(tmp_path / 'a.onnx')


@pytest.mark.parametrize('damage', [b'', b'hello', b'\x00' * 64, 'half', 'tail'])
def test_a_damaged_graph_file_is_refused(tmp_path, damage):
    graph = mlp_graph()
    data = {'half': graph[:len(graph) // 2], 'tail': graph[:-1]}.get(damage, damage)
    (tmp_path / 'm.onnx').write_bytes(data)
    with pytest.raises(ModelError):
        load_engine(tmp_path / 'm.onnx')


def test_the_backends_do_not_import_their_libraries_before_they_are_chosen():
    code = ('import sys, niki_ros.backends, niki_ros.models.model_store;'
            'print([m for m in ("onnx", "onnxruntime", "tensorrt", "tensorrt_rtx", "torch")'
            ' if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
