"""Random blur, noise, gain and compression of the images of one camera. All seeded."""

import cv2
import numpy as np


class CameraEffects:
    """The effects of one camera on images of ``size`` (width, height); one in five has none."""

    def __init__(self, size, rng):
        self._rng = rng
        has_effect = rng.random(5) < np.array([0.6, 0.5, 0.5, 0.5, 0.2]) * (rng.random() < 0.8)
        self._noise = rng.uniform(2, 14) if has_effect[0] else 0.0
        self._blur_px = rng.uniform(0.4, 1.4) if has_effect[1] else 0.0
        self._jpeg_quality = int(rng.uniform(25, 95)) if has_effect[2] else None
        self._gain = rng.uniform(0.75, 1.2) if has_effect[3] else 1.0
        # open time of the shutter over the time between frames, 0 = no motion blur
        self.exposure = rng.uniform(0.3, 0.9) if has_effect[4] else 0.0
        noise_shape = size[1] + 64, size[0] + 64, 3
        self._noise_image = rng.normal(0, self._noise, noise_shape).astype(np.int16)

    def apply(self, image) -> np.ndarray:
        """Return the image (H, W, 3) uint8 RGB with the effects."""
        image_out = np.ascontiguousarray(image)
        if self._blur_px:
            image_out = cv2.GaussianBlur(image_out, (0, 0), self._blur_px)
        if self._gain != 1.0:
            image_out = cv2.convertScaleAbs(image_out, alpha=self._gain)
        if self._noise:
            # a random part of one large image of noise: faster than new noise for each frame
            (height, width), (top, left) = image_out.shape[:2], self._rng.integers(64, size=2)
            noise = self._noise_image[top:top + height, left:left + width]
            image_out = cv2.add(image_out, noise, dtype=cv2.CV_8U)
        if self._jpeg_quality is not None:
            quality = [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality]
            coded = cv2.imencode('.jpg', image_out, quality)[1]
            image_out = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        return image_out
