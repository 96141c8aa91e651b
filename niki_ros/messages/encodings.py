"""Pixel encodings of sensor_msgs/Image: their spellings, value types and channel orders."""

import re
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

_RGB, _BGR = (0, 1, 2), (2, 1, 0)


class Packed(NamedTuple):
    """An encoding with the values of a pixel side by side."""

    dtype: type
    channels: int
    rgb_order: Tuple[int, ...]  # indices of red, green and blue, or of grey


# types of OpenCV; their three channels are B, G, R as in cv_bridge, except for floats, which only
# simulators send
_OPENCV_TYPES = {'8U': np.uint8, '8S': np.int8, '16U': np.uint16, '16S': np.int16,
                 '32S': np.int32, '32F': np.float32, '64F': np.float64}
PACKED: Dict[str, Packed] = {
    **{f'{name}{bits}': Packed(dtype, len(name), order)
       for bits, dtype in ((8, np.uint8), (16, np.uint16))
       for name, order in (('rgb', _RGB), ('bgr', _BGR), ('rgba', _RGB), ('bgra', _BGR))},
    'mono8': Packed(np.uint8, 1, (0,)), 'mono16': Packed(np.uint16, 1, (0,)),
    **{f'{name}C1': Packed(dtype, 1, (0,)) for name, dtype in _OPENCV_TYPES.items()},
    **{f'{name}C{count}': Packed(dtype, count, _RGB if 'F' in name else _BGR)
       for name, dtype in _OPENCV_TYPES.items() for count in (3, 4)}}

# OpenCV names a pattern by its second row, from the second column on
_PATTERNS = {'rggb': 'BayerBG', 'bggr': 'BayerRG', 'gbrg': 'BayerGR', 'grbg': 'BayerGB'}
BAYER: Dict[str, Tuple[type, str]] = {
    f'bayer_{pattern}{bits}': (dtype, f'{code}2RGB')
    for bits, dtype in ((8, np.uint8), (16, np.uint16)) for pattern, code in _PATTERNS.items()}
# two pixels share their chroma
YUV422 = {'yuv422': 'YUV2RGB_UYVY', 'yuv422_yuy2': 'YUV2RGB_YUY2', 'yvyu': 'YUV2RGB_YVYU'}
# a plane of luma, then chroma for every four pixels (nv24: for every pixel)
YUV_PLANES = {'nv12': 'YUV2RGB_NV12', 'nv21': 'YUV2RGB_NV21', 'nv24': 'YUV2RGB_NV12',
              'i420': 'YUV2RGB_I420', 'yv12': 'YUV2RGB_YV12'}
ENCODINGS = (*PACKED, *BAYER, *YUV422, *YUV_PLANES)
"""Names of the supported encodings, those of ROS where it has one."""

_ALIASES = {
    'yuv422': ('uyvy', 'uyvy422', 'yuv422uyvy'),
    'yuv422_yuy2': ('yuyv', 'yuy2', 'yuyv422', 'yuv422yuyv'),
    'i420': ('yuv420', 'yuv420p', 'iyuv', 'yu12'),
    'rgb8': ('rgb', 'rgb24', 'rgb3'), 'bgr8': ('bgr', 'bgr24', 'bgr3'),
    'rgba8': ('rgba', 'rgba32'), 'bgra8': ('bgra', 'bgra32'),
    'mono8': ('mono', 'grey', 'gray', 'grey8', 'gray8', 'y8', 'y800', 'l8', '8uc', 'r8'),
    # 10 to 14 bits are sent in 16
    'mono16': ('grey16', 'gray16', 'y16', 'l16', '16uc', 'y10', 'y12', 'y14', 'mono10', 'mono12',
               'mono14'),
    # GenICam names a pattern by its first two letters
    **{f'bayer_{pattern}8': (f'bayer{pattern[:2]}8',) for pattern in _PATTERNS},
    **{f'bayer_{pattern}16': tuple(f'bayer{name}{bits}' for name in (pattern, pattern[:2])
                                   for bits in (10, 12, 14, 16)) for pattern in _PATTERNS},
    '32FC1': ('32fc', 'rfloat32'), '32FC3': ('rgbfloat32',)}
_BY_KEY = {re.sub('[^a-z0-9]', '', name.lower()): name for name in ENCODINGS}
_BY_KEY.update({key: name for name, keys in _ALIASES.items() for key in keys})


def find_encoding(text: str) -> Optional[str]:
    """Return the member of ``ENCODINGS`` for the spelling of a driver, None when unknown."""
    key = re.sub('[^a-z0-9]', '', text[:40].lower())
    # names of OpenCV begin with CV_
    return text if text in PACKED else _BY_KEY.get(key.removeprefix('cv'))


def is_deep(encoding: str) -> bool:
    """Return whether the values of an encoding have more than 8 bits."""
    dtype = PACKED[encoding].dtype if encoding in PACKED else BAYER.get(encoding, (np.uint8,))[0]
    return dtype is not np.uint8
