"""The default front end: MediaPipe's Pose Landmarker (Tasks API, video mode, on the CPU)."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from importlib import metadata
import os
import sys
import tempfile
import threading
from typing import Any, Dict, List, Optional, Set
import weakref

from niki_ros.core.camera import Camera
from niki_ros.core.checks import finite_array
from niki_ros.core.errors import BackendError, InputError
from niki_ros.core.types import JointObservation
from niki_ros.model_cache import ensure_model, identify
from niki_ros.observers.closer_look import CONFIDENCE as CLOSER_CONFIDENCE
from niki_ros.observers.followers import Followers
from niki_ros.observers.landmark_errors import LandmarkErrors, sigma_left
from niki_ros.observers.landmarks import (
    box_size,
    HIPS,
    observation_from_landmarks,
    rotation_to_ray,
)
from niki_ros.observers.visibility import Unsmoothed
import numpy as np

MAX_GAP_NS = 10_000_000_000
"""A longer pause than this is a new stream: where people were says nothing any more."""

_CHATTER = (b'inference_feedback_manager', b'landmark_projection_calculator', b'XNNPACK delegate',
            b'Logging before InitGoogle')

# MediaPipe speaks while it looks at its first images
_NOISY_IMAGES = 3
_chatter_lock = threading.Lock()

# Strong references: MediaPipe's own landmarker, when the garbage collector finds it open, can wait
# for ever for a lock that the same thread holds. So none is ever left to it.
_open_landmarkers: Set[_Landmarker] = set()
_abandoned: List[List[Followers]] = []


@atexit.register
def _close_all() -> None:
    """Close what is still open: a landmarker that outlives the interpreter prints a traceback."""
    for landmarker in list(_open_landmarkers):
        landmarker.close()


def _close_abandoned() -> None:
    """Close what observers have left behind that nobody closed."""
    while _abandoned:
        for stream in _abandoned.pop():
            stream.close()


@contextmanager
def _without_chatter():
    """
    Hold stderr back and give it out without the lines that MediaPipe always writes.

    They come from C++ at the first image and tear progress bars; no setting turns them off (tried
    GLOG_minloglevel, TF_CPP_MIN_LOG_LEVEL, ABSL_MIN_LOG_LEVEL).
    """
    sys.stderr.flush()
    try:
        real = os.dup(2)
    except OSError:  # a service without stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            for line in held:
                if not any(word in line for word in _CHATTER):
                    os.write(2, line)


def _load_library():
    """Import MediaPipe; say what to install where it is missing."""
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise BackendError(
            f'the observer "mediapipe" needs the package mediapipe ({error}); '
            'install it with: python -m pip install mediapipe') from error
    except OSError as error:
        raise BackendError(
            f'the package mediapipe does not load: {error}; a missing library is mended '
            'with: sudo apt install libegl1 libgles2') from error
    return mediapipe, BaseOptions, vision


class _Landmarker:
    """One run of MediaPipe over one stream: its clock counts milliseconds, and only forward."""

    def __init__(self, path: str, max_people: int, min_confidence: float):
        """Load the model, about 0.1 s for ``full``."""
        self._mediapipe, base_options, vision = _load_library()
        options = vision.PoseLandmarkerOptions(
            base_options=base_options(
                model_asset_path=path, delegate=base_options.Delegate.CPU),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=max_people,
            min_pose_detection_confidence=min_confidence,
            min_pose_presence_confidence=min_confidence,
            min_tracking_confidence=min_confidence)
        with _chatter_lock, _without_chatter():
            self._landmarker = vision.PoseLandmarker.create_from_options(options)
        self._last_ms = -1
        self._images = 0
        self._unsmoothed = Unsmoothed()
        _open_landmarkers.add(self)

    def detect(self, image: np.ndarray, time_ms: int) -> List[tuple]:
        """
        Find people in ``image``; ``time_ms`` is moved on where it does not increase.

        :return: for each person image positions (33, 2) over width and height, world landmarks
            (33, 3) in metres, visibility (33,) of this image alone.
        """
        result = self._run(image, time_ms)
        flats = [np.array([(point.x, point.y) for point in one]) for one in result.pose_landmarks]
        worlds = result.pose_world_landmarks
        seen = self._unsmoothed.step(
            [(flat, [point.visibility for point in one]) for flat, one in zip(flats, worlds)])
        return [(flat, np.array([(point.x, point.y, point.z) for point in one]),
                 np.minimum(visible, [point.presence for point in one]))
                for flat, one, visible in zip(flats, worlds, seen)]

    def _run(self, image: np.ndarray, time_ms: int):
        noisy = self._images < _NOISY_IMAGES
        self._images += 1
        self._last_ms = max(time_ms, self._last_ms + 1)
        picture = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=image)
        if noisy:
            with _chatter_lock, _without_chatter():
                return self._landmarker.detect_for_video(picture, self._last_ms)
        return self._landmarker.detect_for_video(picture, self._last_ms)

    def close(self) -> None:
        """Free the graph; twice does no harm."""
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None
            _open_landmarkers.discard(self)


class MediaPipeObserver:
    """
    People in a stream of images, each with 29 joints in metres.

    The same images with the same stamps give the same numbers, bit for bit, after ``reset`` and in
    a new process too: every stream gets a new landmarker.
    """

    def __init__(self, model: str = 'full', max_people: int = 4, min_confidence: float = 0.5,
                 correct: bool = True):
        """
        Load the model from the cache.

        :param correct: take off what it gets wrong on average (``landmark_errors``).
        :raises ModelError: when it is not there, with the command that fetches it.
        """
        self._path = ensure_model(model)
        self._sha256 = identify(self._path)
        self._model = model
        self._errors = LandmarkErrors.read() if correct else None
        self._people = max_people
        self._confidence = min_confidence
        self._closed = False
        self._given: Any = ()
        self._first_ns: Optional[int] = None
        self._last_ns: Optional[int] = None
        _close_abandoned()
        self._streams = [self._new_stream()]
        weakref.finalize(self, _abandoned.append, self._streams)

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera],
                stamp_ns: int) -> List[JointObservation]:
        """
        Return one observation for every person in the image.

        :param image_rgb: (H, W, 3) uint8; read-only and non-contiguous arrays will do.
        :param camera: corrects for people away from the middle of the image, where given.
        :param stamp_ns: of the image. Backwards, or 10 s forward, begins a new stream.
        """
        image = _checked_image(image_rgb)
        if self._closed:
            raise BackendError('the MediaPipe observer is closed; make a new one')
        time_ms = self._follow(stamp_ns) // 1_000_000
        size = (image.shape[1], image.shape[0])

        def cut(region):
            """Copy a part of the image, to be looked at now or later."""
            x0, y0, x1, y1 = region or (0, 0, *size)
            part = np.array(image[y0:y1, x0:x1]) if region else image
            share, corner = np.divide((x1 - x0, y1 - y0), size), np.divide((x0, y0), size)

            def look(landmarker: _Landmarker) -> List[JointObservation]:
                return [self.translate(flat * share + corner, world_m, visible, size, camera)
                        for flat, world_m, visible in landmarker.detect(part, time_ms)]
            return look
        given, self._given = self._given, ()
        return self._streams[0].observe(time_ms, cut, size, given)

    def give_boxes(self, boxes_px) -> None:
        """
        Say where people are in the next image: (n, 4) x0, y0, x1, y1, pixels.

        Each is looked at by itself, so that people are found who are small in the image, and
        followed from then on.
        """
        self._given = finite_array('boxes_px', boxes_px, (None, 4))

    def translate(self, normalized, world_m, visibility, size, camera):
        """Make an observation of landmarks; who wants to keep these overrides it."""
        return observation(normalized, world_m, visibility, size, camera, self._errors)

    def reset(self) -> None:
        """Forget the images before; 80 ms for ``full``, nothing where there were none."""
        if self._first_ns is not None and not self._closed:
            self._streams[0].close()
            self._first_ns = self._last_ns = None
            self._streams[0] = self._new_stream()

    def close(self) -> None:
        """Free the model. The observer cannot be used afterwards."""
        self._closed = True
        self._streams[0].close()

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics; keys that do not meet the solver's."""
        return {
            'observer': 'mediapipe',
            'observer_model': self._model,
            'observer_version': metadata.version('mediapipe'),
            'observer_sha256': self._sha256,
            'observer_correction_sha256': self._errors.sha256 if self._errors else 'none',
        }

    def _follow(self, stamp_ns: int) -> int:
        """Return the time since the stream's first image; a jump begins a new stream."""
        if self._last_ns is not None and not 0 <= stamp_ns - self._last_ns <= MAX_GAP_NS:
            self.reset()
        if self._first_ns is None:
            self._first_ns = stamp_ns
        self._last_ns = stamp_ns
        return stamp_ns - self._first_ns

    def _new_stream(self) -> Followers:
        path, confidence = str(self._path), self._confidence
        # without a reference to the observer: what the stream refers to is kept until it is closed
        return Followers(lambda people: _Landmarker(path, people, confidence), self._people,
                         lambda: _Landmarker(path, 1, max(confidence, CLOSER_CONFIDENCE)))


def _checked_image(image_rgb) -> np.ndarray:
    """Return the image contiguous, as MediaPipe takes it."""
    image = np.asarray(image_rgb)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f'image has shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8 RGB')
    return np.ascontiguousarray(image)


def observation(normalized, world_m, visibility, size, camera: Optional[Camera],
                errors: Optional[LandmarkErrors] = None):
    """Turn what a landmarker says of one person into an observation."""
    straight = np.eye(3)
    if camera is not None:
        # MediaPipe sees a crop as if it looked straight at the person, so its axes lean with the
        # ray to the hips. Turning them back: MPJPE of 12 limb joints on Pose2Sim 101-124 mm, mean
        # 117.3, becomes 106-117 mm, mean 113.2 (full; lite 123.8 to 117.8, heavy 116.2 to 115.1).
        # Three of the four cameras gain 6-8 mm, one loses 5.
        pixels = normalized * size
        hips = pixels[list(HIPS)].mean(axis=0)
        ray = camera.resized(*size).rays(hips)
        if np.isfinite(ray).all():
            straight = rotation_to_ray(ray)
    one = observation_from_landmarks(normalized, world_m @ straight.T, visibility, size)
    if errors is not None:
        off_m, off_share = errors(normalized, world_m, visibility)
        one.uncorrected_m = one.joints_m
        joints = one.joints_m + off_m @ straight.T
        one.sigma = sigma_left(one.sigma)
        one.joints_m = (joints - joints[0]).astype(np.float32)
        one.keypoints_px = (one.keypoints_px + off_share * box_size(one.box_px)).astype(np.float32)
    return one
