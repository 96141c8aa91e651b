"""Output files: no input is replaced, and no incomplete file is left after a failure."""

import os
import subprocess
import sys
import threading

import cv2
from niki_ros.cli import main as cli
from niki_ros.cli.arguments import check_files
from niki_ros.common.errors import InputError, OutputError
from niki_ros.files.atomic_write import atomic_write, line_writer, make_folder
from niki_ros.files.output_paths import check_outputs
from niki_ros.files.video_writer import VIDEO_SUFFIXES, VideoWriter
from niki_ros.models.model_store import shipped_models
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from scenes import full_disk

NOISE = np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def write_video(path, images=4):
    """Write a video that does not compress well."""
    with VideoWriter(path, 20.0, 64, 48) as writer:
        for shift in range(images):
            writer.write(np.roll(NOISE, 7 * shift, axis=1))
    return path


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / 'clip.mp4')


def run(*words):
    return cli.main(['run', *map(str, words), '--solver', 'analytic', '--set',
                     'observer.detector=', '--quiet'])


def by_another_path(clip, folder):
    """Return the clip through a folder that is a link."""
    (folder / 'linked').symlink_to(clip.parent)
    return folder / 'linked' / '..' / clip.parent.name / clip.name


def hard_link(clip, folder):
    os.link(clip, folder / 'hard.mp4')
    return folder / 'hard.mp4'


def symlink(clip, folder):
    (folder / 'soft.mp4').symlink_to(clip.name)
    return folder / 'soft.mp4'


@pytest.mark.parametrize('name', [lambda clip, _: clip, by_another_path, hard_link, symlink])
@pytest.mark.parametrize('option', ['--overlay', '--json'])
def test_an_output_may_not_be_the_source(clip, tmp_path, name, option, capsys):
    before, output = clip.read_bytes(), name(clip, tmp_path)
    assert run(clip, option, output) == 1
    assert run(output, option, clip) == 1
    said = capsys.readouterr().err
    assert said.count(f'niki: {option} ') == said.count('\n') == 2
    assert clip.read_bytes() == before
    assert not list(tmp_path.glob('.*'))


def test_an_output_may_not_be_another_input(clip, tmp_path, capsys):
    camera, images, bag, model, part = (
        tmp_path / name for name in ('c.yaml', 'images', 'bag', 'model', 'part'))
    camera.write_text('camera')
    for folder, names in ((images, ['1.png', 'notes.txt']), (model, ['manifest.json', 'a.onnx']),
                          (part, ['manifest.json']),
                          (bag, ['metadata.yaml', 'bag_0.mcap', 'bag_1.db3.zstd'])):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    for words in ([clip, '--camera', camera, '--json', camera],
                  [images, '--json', images / '1.png'],
                  [bag, '--json', bag / 'metadata.yaml'],
                  [bag / 'bag_0.mcap', '--json', bag / 'metadata.yaml'],
                  [bag, '--json', bag / 'bag_1.db3.zstd'],
                  [clip, '--json', model / 'a.onnx', '--set', f'observer.path={model}'],
                  # of which another model may be a part
                  [clip, '--json', model / 'a.onnx', '--set', f'observer.path={part}']):
        assert run(*words) == 1
        assert f'niki: --json {words[words.index("--json") + 1]} ' in capsys.readouterr().err
    assert (images / '1.png').read_text() == '1.png'
    assert (bag / 'metadata.yaml').read_text() == 'metadata.yaml'
    # a model that is used by default
    with pytest.raises(InputError, match='model.onnx'):
        check_files({'--json': shipped_models() / 'lift' / 'model.onnx'}, None, None, {})
    # another file in a folder of images may be replaced
    check_outputs({'--json': images / 'notes.txt'}, [images / '1.png'])


def test_two_outputs_may_not_be_one_file(clip, tmp_path, capfd):
    (tmp_path / 'link.mp4').symlink_to('out.mp4')
    for other in ('out.mp4', 'link.mp4', '../' + tmp_path.name + '/out.mp4'):
        assert run(clip, '--overlay', tmp_path / 'out.mp4', '--json', tmp_path / other) == 1
        said = capfd.readouterr().err
        assert f'--json {tmp_path / other} ' in said and '--overlay' in said
    assert not (tmp_path / 'out.mp4').exists()
    assert run(clip, '--overlay', '/dev/null', '--json', '/dev/null') == 0


@pytest.mark.parametrize('name', ['out.gif', 'out', 'out.png', 'out.webm', '.mp4'])
def test_endings_that_the_encoder_cannot_write(clip, tmp_path, name, capfd):
    assert run(clip, '--overlay', tmp_path / name) == 1
    said = capfd.readouterr().err
    assert said.startswith('niki: ') and '.mp4' in said and said.count('\n') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']


@pytest.mark.parametrize('suffix', [*VIDEO_SUFFIXES, '.MP4'])
def test_every_supported_ending_can_be_read_back(tmp_path, suffix):
    with atomic_write(tmp_path / f'o{suffix}', VIDEO_SUFFIXES) as part:
        write_video(part, 30)
    capture = cv2.VideoCapture(str(tmp_path / f'o{suffix}'))
    assert sum(capture.read()[0] for _ in range(40)) == 30


@pytest.mark.parametrize('rate_hz', [0.59801, 10.543390105, 29.97003, 65.6789, 99.35671, 239.76])
def test_any_rate_can_be_written(tmp_path, rate_hz):
    """The mean rate of a recording without a fixed rate has many digits."""
    with VideoWriter(tmp_path / 'out.mp4', rate_hz, 64, 48) as writer:
        for _ in range(3):
            writer.write(NOISE)
    written_hz = cv2.VideoCapture(str(tmp_path / 'out.mp4')).get(cv2.CAP_PROP_FPS)
    assert written_hz == pytest.approx(rate_hz, rel=1e-3)


def test_the_target_of_a_link_is_replaced(clip, tmp_path):
    (tmp_path / 'data').mkdir()
    for target in ('data/old.jsonl', 'data/new.jsonl'):
        link = tmp_path / f'{target[5:8]}.jsonl'
        link.symlink_to(target)
        (tmp_path / 'data' / 'old.jsonl').write_text('old')
        assert run(clip, '--json', link) == 0
        assert link.is_symlink() and (tmp_path / target).read_text().count('\n') == 4
    assert len(list((tmp_path / 'data').iterdir())) == 2


def test_permissions_are_kept(tmp_path):
    target = tmp_path / 'private.jsonl'
    target.write_text('old')
    target.chmod(0o600)
    with line_writer(target) as write:
        write('new')
    assert target.stat().st_mode & 0o777 == 0o600 and target.read_bytes() == b'new\n'


def test_a_pipe_receives_the_bytes(clip, tmp_path):
    for option, enough in (('--json', b'{"stamp_ns":0,"bodies":[]}\n'), ('--overlay', b'ftyp')):
        pipe = tmp_path / f'pipe{option}'
        os.mkfifo(pipe)
        heard = []
        reader = threading.Thread(
            target=lambda pipe=pipe, heard=heard: heard.append(pipe.read_bytes()), daemon=True)
        reader.start()
        assert run(clip, option, pipe) == 0
        reader.join(10)
        assert pipe.is_fifo() and enough in heard[0]


def test_a_device_stays_a_device(clip, tmp_path):
    try:
        os.mknod(tmp_path / 'null.mp4', 0o20666, os.makedev(1, 3))
        (tmp_path / 'null.mp4').write_bytes(b'x')
    except PermissionError:
        pytest.skip('only the superuser makes devices')
    assert run(clip, '--json', tmp_path / 'null.mp4', '--overlay', tmp_path / 'null.mp4') == 0
    assert (tmp_path / 'null.mp4').is_char_device()
    for path in ('/dev/null', tmp_path / 'to_null'):
        if path != '/dev/null':
            path.symlink_to('/dev/null')
        with atomic_write(path) as part:
            part.write_text('gone')
        with line_writer(path) as write:
            write('gone')
    assert (tmp_path / 'to_null').is_symlink() and (tmp_path / 'to_null').is_char_device()


def test_stdout_by_its_path_is_appended_to(tmp_path):
    log = tmp_path / 'log'
    program = ('import sys; from niki_ros.files.atomic_write import line_writer\n'
               'with line_writer(sys.argv[1]) as write: write("two")')
    for path in ('/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'):
        with log.open('wb') as stream:
            stream.write(b'one\n')
            stream.flush()
            subprocess.run([sys.executable, '-c', program, path], stdout=stream, check=True)
        assert log.read_bytes() == b'one\ntwo\n'
    assert os.path.islink('/dev/stdout')


@pytest.mark.parametrize('suffix', VIDEO_SUFFIXES)
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, suffix):
    path = tmp_path / f'out{suffix}'
    write_video(path, 40)
    size = path.stat().st_size
    path.write_text('from before')
    for missing in (1, 8, 400, 5000, size - 10_000):
        with pytest.raises(OutputError), full_disk(size - missing), atomic_write(path) as part:
            write_video(part, 40)
        assert path.read_text() == 'from before'
    with full_disk(size + 10_000), atomic_write(path) as part:
        write_video(part, 40)
    assert path.stat().st_size == size
    assert len(list(tmp_path.iterdir())) == 1


def test_error_of_a_disk_that_is_full_from_the_start(tmp_path):
    """It names the disk, not the size of the images."""
    with pytest.raises(OutputError, match='disk'), full_disk(0), \
            atomic_write(tmp_path / 'out.mp4') as part:
        write_video(part)
    assert not list(tmp_path.iterdir())


def test_lines_that_cannot_be_written_are_an_error(clip, tmp_path, capsys):
    assert run(clip, '--json', '/dev/full') == 1
    assert '/dev/full' in capsys.readouterr().err
    with pytest.raises(OutputError, match='File too large'), full_disk(1000), \
            line_writer(tmp_path / 'out.jsonl') as write:
        for _ in range(10_000):
            write('0123456789')
    assert [path.name for path in tmp_path.iterdir()] == ['clip.mp4']


def test_full_stdout_is_one_line(clip):
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [sys.executable, '-m', 'niki_ros.cli.main', 'models', 'list'], stdout=full,
            stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == 'niki: No space left on device\n'


def test_a_broken_pipe_leaves_no_file(tmp_path):
    path = tmp_path / 'out.mp4'
    with pytest.raises(OutputError, match='out.mp4'), atomic_write(path) as part:
        part.write_text('half')
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


def test_unwritable_paths_are_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'around').symlink_to('around')
    for path in ('file/out.txt', 'none/out.txt', 'around', 'x' * 300):
        with pytest.raises(InputError, match=path[:60]), atomic_write(tmp_path / path):
            pass
    with pytest.raises(InputError, match='folder'):
        check_outputs({'--json': tmp_path}, [])
    with pytest.raises(InputError, match='folder'), atomic_write(tmp_path):
        pass
    for path in ('file', 'file/out', 'around'):
        with pytest.raises(InputError, match=str(tmp_path / path)):
            make_folder(tmp_path / path)
    assert make_folder(tmp_path / 'a' / 'b').is_dir() and make_folder(tmp_path).is_dir()
    with atomic_write(tmp_path / ('é' * 100 + '.txt')) as part:
        part.write_text('long name')


def test_a_video_of_odd_size_loses_one_row_and_column(tmp_path):
    with VideoWriter(tmp_path / 'odd.mp4', 29.97, 65, 49) as writer:
        for level in range(5):
            writer.write(np.full((49, 65, 3), level, np.uint8))
    source = open_source(tmp_path / 'odd.mp4')
    assert (source.width, source.height, len(list(source))) == (64, 48, 5)


def test_a_file_is_complete_or_absent(tmp_path):
    target = tmp_path / 'out.txt'
    target.write_text('old')
    with pytest.raises(RuntimeError), atomic_write(target) as part:
        part.write_text('half')
        raise RuntimeError
    assert target.read_text() == 'old'
    with atomic_write(target) as part:
        part.write_text('new')
    assert target.read_text() == 'new'
    assert [path.name for path in tmp_path.iterdir()] == ['out.txt']
