"""One image in every encoding that cameras send, as the fields of ROS messages."""

from array import array
from types import SimpleNamespace as Record

import cv2
import numpy as np

WIDTH, HEIGHT = 96, 64
BLOCKS = np.random.default_rng(4).integers(0, 256, (4, 6, 3), dtype=np.uint8)
# 16 pixels of one colour: what two or four pixels share is the same for all of them
RGB = BLOCKS.repeat(16, axis=0).repeat(16, axis=1)
GREY = RGB[..., 1]
BAYER_AT = {'rggb': (0, 1, 1, 2), 'bggr': (2, 1, 1, 0), 'gbrg': (1, 2, 0, 1), 'grbg': (1, 0, 2, 1)}


def image(pixels, encoding, step=0, height=HEIGHT, big_endian=False):
    pixels = np.ascontiguousarray(pixels)
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    out = Record(width=WIDTH, height=height, encoding=encoding, is_bigendian=int(big_endian),
                step=step or pixels.nbytes // height)
    out.data = array('B', pixels.tobytes())
    return out


def mosaic(pattern, kind):
    """Return the image behind the Bayer filter of a sensor."""
    out = np.zeros((HEIGHT, WIDTH), kind)
    for at, channel in enumerate(BAYER_AT[pattern]):
        out[at // 2::2, at % 2::2] = RGB[at // 2::2, at % 2::2, channel]
    return out


def planes(kind):
    """Return luma and chroma planes of nv12, i420 and so on, rows of WIDTH bytes."""
    i420 = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420)
    quarter = HEIGHT * WIDTH // 4
    bright, rest = i420[:HEIGHT], i420[HEIGHT:].ravel()
    u, v = rest[:quarter], rest[quarter:]
    colour = {'i420': [u, v], 'yv12': [v, u], 'nv12': [np.stack([u, v], 1)],
              'nv21': [np.stack([v, u], 1)],
              'nv24': [np.stack([u, v], 1).reshape(HEIGHT // 2, WIDTH // 2, 2)
                       .repeat(2, 0).repeat(2, 1)]}[kind]
    return np.concatenate([bright.ravel(), *(part.ravel() for part in colour)])


def padded(kind, step):
    """Return the same with rows of ``step`` bytes, half of that for rows of half a width."""
    flat = planes(kind)
    bright = flat[:HEIGHT * WIDTH].reshape(HEIGHT, WIDTH)
    half = kind in ('i420', 'yv12')
    colour = flat[HEIGHT * WIDTH:].reshape(-1, WIDTH // 2 if half else WIDTH)
    wide = [np.pad(part, ((0, 0), (0, more - part.shape[1]))).ravel()
            for part, more in ((bright, step), (colour, step // 2 if half else step))]
    return np.concatenate(wide)


IMAGES = {
    **{f'{name} {"big" if big else "little"}': image(RGB.astype(np.uint16)[..., order] * 257, name,
                                                    big_endian=big)
       for name, order in (('rgb16', [0, 1, 2]), ('bgr16', [2, 1, 0]), ('rgba16', [0, 1, 2, 0]),
                           ('bgra16', [2, 1, 0, 0]), ('16UC3', [2, 1, 0]),
                           ('16UC4', [2, 1, 0, 0])) for big in (False, True)},
    '32FC3 0 … 1': image(RGB.astype(np.float32) / 255, '32FC3'),
    '32FC3 0 … 255': image(RGB.astype(np.float32), '32FC3'),
    '64FC3': image(RGB.astype(np.float64) / 255, '64FC3'),
    **{f'bayer_{name}16': image(mosaic(name, np.uint16) * 257, f'bayer_{name}16')
       for name in BAYER_AT},
    **{kind: image(planes(kind), kind, WIDTH)
       for kind in ('nv12', 'nv21', 'nv24', 'i420', 'yv12')},
    **{f'{kind} padded': image(padded(kind, WIDTH + 32), kind, WIDTH + 32)
       for kind in ('nv12', 'nv21', 'i420')},
    # depthai divides all bytes by the height
    'YUV420': image(planes('i420'), 'YUV420', WIDTH * 3 // 2),
    'yuv422_yuy2': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_YUY2), 'yuv422_yuy2'),
    'YUYV': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_YUY2), 'YUYV'),
    'UYVY': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_UYVY), 'UYVY'),
    'RGB8': image(RGB, 'RGB8'), ' bgr8 ': image(RGB[..., ::-1], ' bgr8 '),
    'BGR24': image(RGB[..., ::-1], 'BGR24'), 'Bayer_RGGB8': image(mosaic('rggb', np.uint8),
                                                                  'Bayer_RGGB8'),
    '8uc3': image(RGB[..., ::-1], '8uc3')}


def off(picture, wanted=RGB):
    """Return the largest error in the middle of the blocks, where colours do not mix."""
    difference = np.abs(picture.astype(int) - wanted)
    return difference.reshape(4, 16, 6, 16, 3)[:, 4:12, :, 4:12].max()


DEEP = {
    'mono16': GREY.astype(np.uint16) * 257, '10 bit': GREY.astype(np.uint16) * 4,
    '12 bit': GREY.astype(np.uint16) * 16 + 7, '14 bit': GREY.astype(np.uint16) * 64,
    '8 bit in 16': GREY.astype(np.uint16),
    'hundredths of a kelvin': 29_315 + GREY.astype(np.uint16),
    'a tenth of that': 2900 + GREY.astype(np.uint16)}
FLOATS = {'unit': GREY / 255, 'degrees': 18 + GREY / 255 * 20, 'kelvin': 290 + GREY / 255 * 20,
          'below zero': GREY / 255 * 30 - 40, 'counts': GREY * 64.0, 'small': GREY * 1e-6}


def stretched_grey(picture):
    """Return by how much a picture differs from the grey one with its whole range used."""
    low, high = np.percentile(GREY, (1, 99))
    wanted = np.clip((GREY - low) / (high - low), 0, 1) * 255
    return min(np.abs(picture[..., 0] - wanted).max(), np.abs(picture[..., 0].astype(int)
                                                              - GREY).max())


def compressed(data, said):
    return Record(format=said, data=array('B', data))


def png(pixels) -> bytes:
    return cv2.imencode('.png', np.ascontiguousarray(pixels))[1].tobytes()


def padded_image(pixels, encoding, padding=0, big_endian=False):
    """Return the fields of an Image of (H, W, C) pixels with ``padding`` bytes after each row."""
    pixels = np.ascontiguousarray(pixels)
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = [row.tobytes() + b'\xab' * padding for row in pixels]
    out = Record(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                is_bigendian=int(big_endian), step=len(rows[0]))
    out.data = array('B', b''.join(rows))
    return out
