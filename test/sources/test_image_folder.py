"""Image files: 16-bit grey, TIFF, transparency, EXIF, hidden files of macOS, a single image."""

import struct

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.sources.open import open_source, source_files
import numpy as np
import pytest

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def folder_of(folder, suffix, *images):
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(images):
        assert cv2.imwrite(str(folder / f'{number}{suffix}'), pixels)
    return folder


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.pgm'])
@pytest.mark.parametrize('low, high', [(3000, 3400), (0, 4095), (7000, 8000)])
def test_deep_grey_is_stretched(tmp_path, suffix, low, high):
    pixels = (low + RAMP * (high - low)).astype(np.uint16)
    source = open_source(folder_of(tmp_path / 'deep', suffix, pixels, pixels))
    for frame in source:
        assert frame.image_rgb.dtype == np.uint8 and (
            frame.image_rgb[..., 0] == frame.image_rgb[..., 2]).all()
        assert frame.image_rgb.min() < 10 and frame.image_rgb.max() > 245
    assert any('values_stretched' in line for line in source.remarks())


def test_stretching_does_not_flicker(tmp_path):
    """A hot object in one image of a series hardly changes the others."""
    plain = (3000 + RAMP * 400).astype(np.uint16)
    hot = plain.copy()
    hot[:12] = 3600
    levels = [f.image_rgb[30, 32, 0] for f in open_source(
        folder_of(tmp_path / 'series', '.png', *[plain] * 4, hot, *[plain] * 4))]
    assert np.ptp(np.array(levels, int)) < 30


def test_floats_are_stretched(tmp_path):
    pixels = (18 + 16 * RAMP).astype(np.float32)
    frame, = open_source(folder_of(tmp_path / 'thermal', '.tiff', pixels))
    assert frame.image_rgb.min() < 10 and frame.image_rgb.max() > 245


def test_8_bits_are_unchanged(tmp_path):
    grey = (90 + 20 * RAMP).astype(np.uint8)
    frame, = open_source(folder_of(tmp_path / 'grey', '.png', grey))
    assert (frame.image_rgb == grey[..., None]).all()


def test_transparency_is_ignored(tmp_path):
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[..., 2], pixels[..., 3] = 200, 255
    pixels[:, 32:, 3] = 90
    frame, = open_source(folder_of(tmp_path / 'alpha', '.png', pixels))
    assert (frame.image_rgb == [200, 0, 0]).all()


@pytest.mark.parametrize('orientation, corner', [(1, 'nw'), (3, 'se'), (6, 'ne'), (8, 'sw')])
def test_photographs_are_upright(tmp_path, orientation, corner):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:16, :16] = 255
    jpeg = cv2.imencode('.jpg', pixels)[1].tobytes()
    exif = (b'Exif\0\0MM\0*\0\0\0\x08\0\1'
            + struct.pack('>HHIHH', 0x112, 3, 1, orientation, 0) + bytes(4))
    (tmp_path / 'held').mkdir()
    (tmp_path / 'held' / '1.jpg').write_bytes(
        jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:])
    frame, = open_source(tmp_path / 'held')
    height, width = frame.image_rgb.shape[:2]
    assert (width > height) == (orientation in (1, 3))
    y = 5 if corner[0] == 'n' else height - 6
    x = 5 if corner[1] == 'w' else width - 6
    assert frame.image_rgb[y, x].min() > 200 and frame.image_rgb.mean() < 60


def test_hidden_files_are_no_images(tmp_path):
    folder = folder_of(tmp_path / 'copied', '.jpg', *[np.full((48, 64, 3), 99, np.uint8)] * 2)
    for name in ('._0.jpg', '._1.jpg', '.hidden.png'):
        (folder / name).write_bytes(b'\0\5\x16\7 resource fork')
    (folder / 'album.jpg').mkdir()
    assert len(list(open_source(folder))) == 2
    assert [file.name for file in source_files(folder)] == ['0.jpg', '1.jpg']


def test_a_single_image_is_a_source(tmp_path):
    """OpenCV alone would read the series of numbered files."""
    folder = folder_of(tmp_path / 'many', '.png', *[np.full((8, 8, 3), 9, np.uint8)] * 3)
    assert len(list(open_source(folder / '1.png'))) == 1
    (folder / '1.png').rename(folder / 'photo')
    assert len(list(open_source(folder / 'photo'))) == 1


def test_error_of_a_folder_without_images_lists_its_files(tmp_path):
    (tmp_path / 'clips').mkdir()
    with pytest.raises(SourceError, match='clips'):
        open_source(tmp_path / 'clips')
    (tmp_path / 'clips' / 'a.mp4').write_bytes(b'x')
    with pytest.raises(SourceError, match='a.mp4'):
        open_source(tmp_path / 'clips')


@pytest.mark.parametrize('content', [b'', b'not an image', b'\x89PNG\r\n\x1a\n half'])
def test_unreadable_images_are_named(tmp_path, content):
    (tmp_path / '1.png').write_bytes(content)
    with pytest.raises(SourceError, match='1.png'):
        open_source(tmp_path)


def test_stated_size_is_limited(tmp_path):
    header = struct.pack('>IIBBBBB', 60_000, 60_000, 8, 2, 0, 0, 0)
    (tmp_path / '1.png').write_bytes(
        b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + header + bytes(64))
    with pytest.raises(SourceError, match='60000x60000'):
        open_source(tmp_path)
