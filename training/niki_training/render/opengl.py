"""Rendering with OpenGL through EGL, without a window; Mesa's llvmpipe serves without a GPU."""

from typing import Any

import cv2
from niki_ros.common.errors import BackendError
import numpy as np

from niki_training.render import shaders
from niki_training.render.clothing import PATTERN_PX
from niki_training.render.garments.dressed import DressedBody
from niki_training.render.panorama import Panorama

_NEAR_M, _FAR_M = 0.05, 60.0
MAIN_ID = 1  # id of the main person in the image of identities: 0 = background, 2 … other people


def projection(matrix, width: int, height: int) -> np.ndarray:
    """Return OpenGL's clip_from_camera (4, 4) of a camera matrix (3, 3); image row 0 is first."""
    k = np.asarray(matrix, dtype=np.float64)
    clip = np.zeros((4, 4))
    clip[0, 0], clip[0, 2] = 2 * k[0, 0] / width, 2 * k[0, 2] / width - 1
    clip[1, 1], clip[1, 2] = 2 * k[1, 1] / height, 2 * k[1, 2] / height - 1
    clip[2, 2] = (_FAR_M + _NEAR_M) / (_FAR_M - _NEAR_M)
    clip[2, 3] = -2 * _FAR_M * _NEAR_M / (_FAR_M - _NEAR_M)
    clip[3, 2] = 1.0
    return clip


class OpenGLRenderer:
    """Draws meshes of an AnnyModel, the frames of one clip after another, in one size."""

    def __init__(self, model, width: int = 640, height: int = 480):
        self.size = width, height
        self._gl, self.context = _context()
        context = self.context
        self._colour = context.texture(self.size, 4)
        self._depth = context.depth_texture(self.size)
        self._frame = context.framebuffer([self._colour], self._depth)
        self._body = context.program(shaders.BODY_VERTEX, shaders.FRAGMENT)
        self._dressed = context.program(shaders.DRESSED_VERTEX, shaders.DRESSED_FRAGMENT)
        self._solid = context.program(shaders.SOLID_VERTEX, shaders.FRAGMENT)
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], dtype='f4'))
        picture, panorama = (context.program(shaders.BACK_VERTEX, fragment) for fragment in (
            shaders.BACK_FRAGMENT, shaders.PANORAMA_FRAGMENT))
        self._back_picture = context.vertex_array(picture, corners, 'at')
        self._back_panorama = context.vertex_array(panorama, corners, 'at')
        self._faces = context.buffer(np.ascontiguousarray(model.faces[:, ::-1], dtype='i4'))
        self._skin = context.buffer(_interleaved(model.vertex_weights, model.vertex_bones))
        self._people: list[Any] = []
        self._loaded: list[Any] = []

    def load(self, people, patterns, background) -> None:
        """
        Load the people and the background of one clip.

        :param people: each a DressedBody, or a dictionary of arrays (V, 3): ``vertices`` at rest,
            metres, ``normals``, RGB ``colour`` and ``colour2``, 0 … 1, place and layer of the
            pattern ``texture_at``.
        :param patterns: (L, 128, 128) uint8, weight of the second colour.
        :param background: a Panorama, or (H, W, 3) uint8 RGB, repeated beyond its edges.
        """
        for resource in self._loaded:
            resource.release()
        self._loaded, gl, context = [], self._gl, self.context
        self._people = [self._load_dressed(p) if isinstance(p, DressedBody)
                        else self._load_painted(p) for p in people]
        self._layers = context.texture_array((PATTERN_PX, PATTERN_PX, len(patterns)), 1,
                                             np.ascontiguousarray(patterns))
        self._layers.build_mipmaps()
        self._layers.filter = gl.LINEAR_MIPMAP_NEAREST, gl.LINEAR
        self._panorama = background if isinstance(background, Panorama) else None
        pixels = background.picture_rgb if isinstance(background, Panorama) else background
        picture = context.texture(pixels.shape[1::-1], 3, np.ascontiguousarray(pixels),
                                  alignment=1)
        smooth = gl.NEAREST if self._panorama is None else gl.LINEAR
        picture.filter = smooth, smooth
        picture.repeat_x, picture.repeat_y = True, self._panorama is None
        self._picture = picture
        self._loaded += [self._layers, picture]

    def _load_painted(self, person: dict):
        """Return program, vertex array and no texture of a body painted by vertex."""
        buffer = self.context.buffer(np.hstack([person[key] for key in (
            'vertices', 'normals', 'colour', 'colour2', 'texture_at')]).astype('f4'))
        array = self.context.vertex_array(self._body, [
            (buffer, '3f 3f 3f 3f 3f', 'at', 'normal', 'colour', 'colour2', 'texture_at'),
            (self._skin, '4f 4i', 'weight', 'bone')], self._faces)
        self._loaded += [buffer, array]
        return self._body, array, None

    def _load_dressed(self, person: DressedBody):
        """Return program, vertex array and textures of a dressed body."""
        gl, context = self._gl, self.context
        layer = np.zeros((len(person.vertices_m), 1))
        layer[person.faces.ravel(), 0] = np.repeat(person.texture, 3)
        place = np.hstack([person.uv[:, :1], 1 - person.uv[:, 1:], layer])
        buffers = [context.buffer(np.hstack(
            [person.vertices_m, person.normals, place]).astype('f4')),
            context.buffer(_interleaved(person.weights, person.bones)),
            context.buffer(np.ascontiguousarray(person.faces[:, ::-1], dtype='i4'))]
        array = context.vertex_array(self._dressed, [
            (buffers[0], '3f 3f 3f', 'at', 'normal', 'texture_at'),
            (buffers[1], '4f 4i', 'weight', 'bone')], buffers[2])
        size_px = max(texture.shape[0] for texture in person.textures)
        pixels = np.stack([cv2.resize(texture, (size_px, size_px))
                           for texture in person.textures])
        cloth = context.texture_array((size_px, size_px, len(pixels)), 4, pixels)
        cloth.build_mipmaps()
        cloth.filter = gl.LINEAR_MIPMAP_LINEAR, gl.LINEAR
        self._loaded += [*buffers, array, cloth]
        return self._dressed, array, cloth

    def draw(self, matrix, lights: dict, bones, triangles=None, shift=(0.0, 0.0),
             with_depth: bool = True, camera_from_world=None):
        """
        Draw one frame.

        :param matrix: (3, 3) of the camera. :param lights: uniforms, in camera axes.
        :param bones: (people, 24, 3, 4) camera axes from the mesh at rest.
        :param triangles: (n, 13) position, normal, colour, texture_at (3 each), id of corners.
        :param shift: (2,) of a background picture, in its width and height.
        :param camera_from_world: (3, 3), where the background is a panorama.
        :return: image (H, W, 3) uint8 RGB, ids (H, W) uint8, depth (H, W) metres or None.
        """
        gl, context = self._gl, self.context
        clip = projection(matrix, *self.size).T.astype('f4').tobytes()
        self._frame.use()
        context.disable(gl.CULL_FACE)
        self._frame.clear(depth=1.0)
        self._draw_background(matrix, shift, camera_from_world)
        self._layers.use(0)
        context.enable(gl.DEPTH_TEST)
        for program in {self._solid, *(program for program, _, _ in self._people)}:
            program['clip_from_camera'].write(clip)
            for name, value in lights.items():
                program[name].write(np.asarray(value, dtype='f4').tobytes())
        for index, ((program, array, cloth), moved) in enumerate(zip(self._people, bones)):
            program['identity'] = MAIN_ID + index
            program['bones'].write(np.ascontiguousarray(
                np.swapaxes(moved, -1, -2), dtype='f4').tobytes())
            if cloth is None:
                context.enable(gl.CULL_FACE)
                program['patterns'] = 0
            else:
                context.disable(gl.CULL_FACE)
                cloth.use(2)
                program['cloth'] = 2
            array.render(gl.TRIANGLES)
        self._draw_triangles(triangles)
        context.disable(gl.DEPTH_TEST)
        return self._read(with_depth)

    def _draw_background(self, matrix, shift, camera_from_world) -> None:
        self._picture.use(1)
        array = self._back_picture if self._panorama is None else self._back_panorama
        array.program['picture'] = 1
        if self._panorama is None:
            array.program['shift'] = tuple(shift)
        else:
            ray = self._panorama.panorama_from_world @ np.asarray(camera_from_world).T @ (
                np.linalg.inv(matrix)) * (*self.size, 1)
            array.program['ray_from_image'].write(ray.T.astype('f4').tobytes())
        array.render(self._gl.TRIANGLES, 3)

    def _draw_triangles(self, triangles) -> None:
        if triangles is None or not len(triangles):
            return
        gl, context = self._gl, self.context
        context.disable(gl.CULL_FACE)
        self._solid['patterns'] = 0
        buffer = context.buffer(np.ascontiguousarray(triangles[:, :12], dtype='f4').tobytes())
        array = context.vertex_array(
            self._solid, [(buffer, '3f 3f 3f 3f', 'at', 'normal', 'colour', 'texture_at')])
        edges = np.flatnonzero(np.diff(triangles[:, 12], prepend=-1, append=-1))
        for first, end in zip(edges, edges[1:]):
            self._solid['identity'] = triangles[first, 12]
            array.render(gl.TRIANGLES, end - first, first=first)
        array.release()
        buffer.release()

    def _read(self, with_depth: bool):
        width, height = self.size
        pixels = np.frombuffer(self._frame.read(components=4), np.uint8).reshape(height, width, 4)
        if not with_depth:
            return pixels[..., :3], pixels[..., 3], None
        raw = np.frombuffer(self._depth.read(), np.float32).reshape(height, width)
        depth = 2 * _FAR_M * _NEAR_M / (_FAR_M + _NEAR_M - (2 * raw - 1) * (_FAR_M - _NEAR_M))
        return pixels[..., :3], pixels[..., 3], depth

    def close(self) -> None:
        self.context.release()


def _interleaved(weights, bones) -> bytes:
    data = np.empty((len(weights), 8), dtype='f4')
    data[:, :4] = weights
    data[:, 4:] = bones.astype('i4').view('f4')
    return data.tobytes()


def _context():
    try:
        import moderngl
    except ImportError as error:
        raise BackendError(f'rendering needs the package moderngl ({error}); install it with: '
                           "python -m pip install 'niki_training[render]'") from error
    try:
        return moderngl, moderngl.create_context(standalone=True, backend='egl')
    except Exception as error:  # glcontext raises bare Exception
        raise BackendError(f'no OpenGL through EGL: {error}; a machine without a GPU needs: '
                           'sudo apt install libegl1 libgl1-mesa-dri') from error
