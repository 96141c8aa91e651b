"""Pixel operations of OpenCV: JPEG and PNG, colour conversion, scaling, rotation, resampling."""

import struct
from typing import Optional

import cv2
from niki_ros.common.checks import checked_rgb
from niki_ros.common.errors import InputError
from niki_ros.images.levels import Levels
import numpy as np

# 200 MB decoded; a file of a few hundred bytes can state a size of gigabytes
_MAX_DECODED_PIXELS = 1 << 26
_PNG_START, _JPEG_START = b'\x89PNG\r\n\x1a\n', b'\xff\xd8'
_UNIT_OF_UINT8 = np.float32(1.0 / 255.0)
_AS_STORED = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


def jpeg_from_rgb(image_rgb, quality: int = 90) -> bytes:
    """Return the bytes of a JPEG file of an image (H, W, 3) uint8; ``quality`` 0 … 100."""
    bgr = cv2.cvtColor(checked_rgb(image_rgb), cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1].tobytes()


def rgb_from_jpeg(data: bytes) -> np.ndarray:
    """Return the RGB image (H, W, 3) uint8 of :func:`pixels_from_file`, stretched to 8 bits."""
    pixels = pixels_from_file(data)
    if pixels.dtype != np.uint8:
        pixels = Levels().stretched(pixels)
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)


def pixels_from_file(data: bytes) -> np.ndarray:
    """
    Return grey (H, W) or BGR (H, W, 3) of a JPEG or PNG file, uint8 or uint16 as stored.

    The orientation in EXIF is ignored: the camera_info of a stream describes the stored pixels.

    :raises InputError: when the bytes cannot be decoded, or state more than 67 megapixels.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    size = encoded_size(raw.tobytes())
    if size and size[0] * size[1] > _MAX_DECODED_PIXELS:
        raise InputError(f'compressed image states a size of {size[0]}x{size[1]}; at most '
                         f'{_MAX_DECODED_PIXELS} pixels are decoded')
    try:
        pixels = cv2.imdecode(raw, _AS_STORED) if size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f'compressed image of {raw.size} bytes, starting with '
                         f'{bytes(raw[:4]).hex() or "nothing"}, is not a readable JPEG or PNG')
    return pixels


def is_jpeg_or_png(data) -> bool:
    """Return whether bytes begin like a JPEG or a PNG file."""
    return bytes(data[:8]).startswith((_JPEG_START, _PNG_START))


def encoded_size(data: bytes) -> Optional[tuple]:
    """Return width and height in the header of a JPEG or PNG file, pixels; None without one."""
    if data.startswith(_PNG_START):
        return struct.unpack_from('>II', data, 16) if len(data) >= 24 else None
    at = 2
    while data.startswith(_JPEG_START) and 0 <= (at := data.find(b'\xff', at)) < len(data) - 8:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from('>HH', data, at + 5)[::-1]
        if marker == 0xDA:  # start of scan before any start of frame
            return None
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD9:
            at += 2
        else:
            at += 2 + struct.unpack_from('>H', data, at + 2)[0]
    return None


def rgb_by_cv2(pixels: np.ndarray, conversion: str) -> np.ndarray:
    """Return RGB (H, W, 3) uint8 by a conversion of OpenCV, such as ``YUV2RGB_UYVY``."""
    try:
        return cv2.cvtColor(np.ascontiguousarray(pixels), getattr(cv2, f'COLOR_{conversion}'))
    except cv2.error as error:
        raise InputError(f'image of {pixels.shape[1]}x{pixels.shape[0]} cannot be converted by '
                         f'{conversion}: {error.err}') from error


def resized_rgb(image_rgb, width: int, height: int) -> np.ndarray:
    """Return the image as (height, width, 3) uint8; a smaller image has averaged pixels."""
    shrinks = width * height < image_rgb.shape[0] * image_rgb.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image_rgb, (width, height), interpolation=interpolation)


def rotated_image(pixels: np.ndarray, quarter_turns: int) -> np.ndarray:
    """Return an image (H, W) or (H, W, c) rotated clockwise by 1, 2 or 3 quarter turns."""
    codes = cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE
    return cv2.rotate(pixels, codes[quarter_turns - 1])


def rgb_of_view(image_rgb, view, size_px: int, camera) -> np.ndarray:
    """
    Return the image (size, size, 3) uint8 of a :class:`niki_ros.scene.person_view.PersonView`.

    Outside the image its border is repeated, as in the training of the landmark networks; with
    black there errors grow by 1 mm (Pose2Sim, four cameras, 105.6 against 104.5 mm).

    :param image_rgb: (H, W, 3) uint8 of ``camera``, a :class:`niki_ros.scene.camera.Camera`.
    """
    if not camera.is_distorted:
        return cv2.warpPerspective(image_rgb, view.homography(size_px, camera),
                                   (size_px, size_px), borderMode=cv2.BORDER_REPLICATE,
                                   flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return cv2.remap(image_rgb, view.pixel_map(size_px, camera), None, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)


def network_input(images_rgb) -> np.ndarray:
    """Return a batch (n, 3, h, w) float32, RGB in 0 … 1, of a list of images (h, w, 3) uint8."""
    height, width = images_rgb[0].shape[:2]
    batch = np.empty((len(images_rgb), 3, height, width), np.float32)
    # half the time of cv2.dnn.blobFromImages, with the same values
    for image, rgb in zip(batch, images_rgb):
        for plane, values in zip(image, cv2.split(rgb)):
            np.multiply(values, _UNIT_OF_UINT8, out=plane)
    return batch
