"""Drawing of skeletons over an image."""

import cv2
from niki_ros.body.body import OBSERVED, PREDICTED
from niki_ros.body.skeleton import CARRIER_29, JOINT, PARENTS_29
from niki_ros.common.checks import checked_rgb
import numpy as np

# Okabe and Ito's vermilion, yellow and sky blue, which colour-blind people can tell apart
_CONFIDENCE_STOPS = np.array([0.0, 0.5, 1.0])
_CONFIDENCE_RGB = np.array([[213, 94, 0], [240, 228, 66], [86, 180, 233]], dtype=np.float64)
_OUTLINE_RGB, _TEXT_RGB = (24, 24, 27), (250, 250, 250)
_SUBPIXEL_BITS = 4
_MAX_PX = 1e6  # pixels further outside overflow OpenCV's integers
_MIN_BONE_PX = 1.5
# size of a person, and of the image, over the width of their bones
_PERSON_PER_BONE_RATIO, _IMAGE_PER_BONE_RATIO = 110.0, 180.0
# length of a dash and of the gap after it, and width of a bone that is not observed, all over the
# width of an observed bone
_DASH_RATIOS, _DOT_RATIOS, _THIN_RATIO = (3.0, 2.5), (0.8, 2.5), 0.6


def draw_overlay(image_rgb, bodies, camera) -> np.ndarray:
    """
    Return a new image with the skeleton of every body, coloured by confidence.

    Observed bones are solid, predicted ones dashed, unobserved ones dotted with hollow joints.

    :param image_rgb: (H, W, 3) uint8; ``camera``: its :class:`niki_ros.scene.camera.Camera`.
    :raises InputError: for an image of another shape or type.
    """
    canvas = checked_rgb(image_rgb).copy()
    height, width = canvas.shape[:2]
    camera = camera.resized(width, height)
    for body in sorted(bodies, key=lambda b: -np.nan_to_num(b.root_m[2])):
        _draw_body(canvas, body, camera)
    return canvas


def confidence_rgb(confidence: float) -> tuple:
    """Return the colour (r, g, b), 0 … 255, of a confidence 0 … 1; NaN counts as 0."""
    value = np.clip(np.nan_to_num(confidence), 0.0, 1.0)
    return tuple(int(np.interp(value, _CONFIDENCE_STOPS, channel) + 0.5)
                 for channel in _CONFIDENCE_RGB.T)


def _draw_body(canvas, body, camera):
    points = camera.project(body.joints_m)
    points[~(np.abs(points) < _MAX_PX).all(-1)] = np.nan
    if not np.isfinite(points).any():
        return
    width = _bone_width_px(points, canvas.shape)
    status = np.asarray(body.status)[CARRIER_29]
    colours = [confidence_rgb(body.confidence[joint]) for joint in CARRIER_29]
    depth = np.nan_to_num(np.asarray(body.joints_m)[:, 2])
    far_to_near = [int(j) for j in np.argsort(-depth, kind='stable')]
    for joint in far_to_near:
        ends = points[[PARENTS_29[joint], joint]] if joint else None
        if ends is not None and np.isfinite(ends).all():
            _draw_bone(canvas, ends, colours[joint], int(status[joint]), width)
    for joint in far_to_near:
        if np.isfinite(points[joint]).all():
            _draw_joint(canvas, points[joint], colours[joint], int(status[joint]), width)
    _draw_label(canvas, points, body, width)


def _bone_width_px(points, shape) -> float:
    """Return the width of a bone, pixels, in proportion to the person's size in the image."""
    size = np.nanmax(np.nanmax(points, axis=0) - np.nanmin(points, axis=0))
    widest = max(shape[:2]) / _IMAGE_PER_BONE_RATIO + _MIN_BONE_PX
    return float(np.clip(size / _PERSON_PER_BONE_RATIO, _MIN_BONE_PX, widest))


def _draw_bone(canvas, ends, colour, status, width):
    if status == OBSERVED:
        _line(canvas, ends, _OUTLINE_RGB, width + max(2.0, 0.6 * width))
        _line(canvas, ends, colour, width)
        return
    on, off = _DASH_RATIOS if status == PREDICTED else _DOT_RATIOS
    thin = width * _THIN_RATIO
    for piece in _dashes(ends, on * width, off * width, canvas.shape):
        _line(canvas, piece, _OUTLINE_RGB, thin + 2)
        _line(canvas, piece, colour, thin)


def _dashes(ends, on, off, shape):
    """Yield the ends (2, 2) of the dashes of a line; none where the line is mostly outside."""
    start, step = ends[0], ends[1] - ends[0]
    length = float(np.linalg.norm(step))
    if length < 1 or length > 4 * sum(shape[:2]):
        return
    for at in np.arange(0.0, length, on + off):
        yield start + step * (np.array([[at], [min(at + on, length)]]) / length)


def _line(canvas, ends, colour, width):
    """Draw an anti-aliased line between two points (2, 2) with fractions of a pixel."""
    clipped = _clip(ends, canvas.shape, margin=width + 2)
    if clipped is not None:
        a, b = (_fixed_point(point) for point in clipped)
        cv2.line(canvas, a, b, colour, max(1, round(width)), cv2.LINE_AA, _SUBPIXEL_BITS)


def _clip(ends, shape, margin):
    """Return the part of a line (2, 2) inside the image and ``margin`` around it, or None."""
    low, high = -margin, np.array([shape[1], shape[0]]) + margin
    start, step = ends[0], ends[1] - ends[0]
    parallel = np.abs(step) < 1e-9
    if (parallel & ((start < low) | (start > high))).any():
        return None
    safe = np.where(parallel, 1.0, step)
    first, second = (low - start) / safe, (high - start) / safe
    enter = np.max(np.where(parallel, 0.0, np.minimum(first, second)), initial=0.0)
    leave = np.min(np.where(parallel, 1.0, np.maximum(first, second)), initial=1.0)
    return None if enter > leave else start + np.outer([enter, leave], step)


def _fixed_point(point):
    return tuple(int(v) for v in np.round(np.asarray(point) * (1 << _SUBPIXEL_BITS)))


def _draw_joint(canvas, point, colour, status, width):
    radius = width * (1.0 if status == OBSERVED else 0.8)
    margin = radius + 3
    if (point <= -margin).any() or (point >= np.array(canvas.shape[1::-1]) + margin).any():
        return
    ring = max(1, round(width * 0.45))
    if status == OBSERVED:
        _disc(canvas, point, radius + max(1.0, 0.3 * width), _OUTLINE_RGB, -1)
        _disc(canvas, point, radius, colour, -1)
        _disc(canvas, point, radius * 0.45, _TEXT_RGB, -1)
    else:
        _disc(canvas, point, radius, _OUTLINE_RGB, ring + 2)
        _disc(canvas, point, radius, colour, ring)


def _disc(canvas, centre, radius, colour, thickness):
    cv2.circle(canvas, _fixed_point(centre), max(1, round(radius * (1 << _SUBPIXEL_BITS))),
               colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_label(canvas, points, body, width):
    distance = float(np.linalg.norm(body.root_m))
    text = f'#{body.id}' + (f'  {distance:.1f} m' if np.isfinite(distance) else '')
    height, total = canvas.shape[:2]
    scale = float(np.clip(width / 6, 0.4, max(0.4, height / 700)))
    stroke = max(1, round(scale * 1.6))
    (text_w, text_h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    pad = max(3, round(text_h * 0.45))
    head = points[JOINT['head_top']]
    anchor = head if np.isfinite(head).all() else np.nanmean(points, axis=0)
    x = int(np.clip(anchor[0] - text_w / 2 - pad, 0, max(0, total - text_w - 2 * pad)))
    y = int(np.clip(anchor[1] - 5 * width - text_h - 2 * pad, 0,
                    max(0, height - text_h - base - 2 * pad)))
    plate = canvas[y:y + text_h + base + 2 * pad, x:x + text_w + 2 * pad]
    plate[:] = (plate * 0.3 + np.array(_OUTLINE_RGB) * 0.7).astype(np.uint8)
    cv2.rectangle(canvas, (x, y), (x + max(2, pad // 2), y + plate.shape[0] - 1),
                  confidence_rgb(np.nan_to_num(body.confidence).mean()), -1)
    cv2.putText(canvas, text, (x + pad + pad // 2, y + pad + text_h), cv2.FONT_HERSHEY_SIMPLEX,
                scale, _TEXT_RGB, stroke, cv2.LINE_AA)
