"""Rendering with OpenGL through EGL, without a window; Mesa's llvmpipe serves without a GPU."""

from typing import Any

from niki_ros.common.errors import BackendError
import numpy as np

_NEAR_M, _FAR_M = 0.05, 60.0
MAIN_ID = 1  # id of the main person in the image of identities: 0 = background, 2 … other people
PATTERN_PX = 128

_BODY_VERTEX = """
#version 330
uniform mat4 clip_from_camera;
uniform mat4x3 bones[24];
in vec3 at; in vec3 normal; in vec4 weight; in ivec4 bone;
in vec3 colour; in vec3 colour2; in vec3 texture_at;
out vec3 v_normal; out vec3 v_colour; out vec3 v_colour2; out vec3 v_texture; out vec3 v_at;
void main() {
    mat4x3 move = weight.x * bones[bone.x] + weight.y * bones[bone.y]
        + weight.z * bones[bone.z] + weight.w * bones[bone.w];
    v_at = move * vec4(at, 1.0);
    v_normal = mat3(move) * normal;
    v_colour = colour; v_colour2 = colour2; v_texture = texture_at;
    gl_Position = clip_from_camera * vec4(v_at, 1.0);
}
"""
_SOLID_VERTEX = """
#version 330
uniform mat4 clip_from_camera;
in vec3 at; in vec3 normal; in vec3 colour; in vec3 texture_at;
out vec3 v_normal; out vec3 v_colour; out vec3 v_colour2; out vec3 v_texture; out vec3 v_at;
void main() {
    v_at = at; v_normal = normal; v_colour = colour; v_colour2 = colour * 0.6;
    v_texture = texture_at;
    gl_Position = clip_from_camera * vec4(at, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform sampler2DArray patterns;
uniform vec3 light_to[2]; uniform vec3 light_colour[2];
uniform vec3 sky; uniform vec3 ground; uniform vec3 up;
uniform float identity; uniform float gloss;
in vec3 v_normal; in vec3 v_colour; in vec3 v_colour2; in vec3 v_texture; in vec3 v_at;
out vec4 pixel;
void main() {
    vec3 n = normalize(v_normal);
    float share = texture(patterns, v_texture).r;
    vec3 albedo = mix(v_colour, v_colour2, share);
    vec3 light = mix(ground, sky, 0.5 + 0.5 * dot(n, up));
    vec3 shine = vec3(0.0);
    for (int i = 0; i < 2; i++) {
        light += light_colour[i] * max(dot(n, light_to[i]), 0.0);
        vec3 middle = normalize(light_to[i] - normalize(v_at));
        shine += light_colour[i] * gloss * pow(max(dot(n, middle), 0.0), 24.0);
    }
    pixel = vec4(min(albedo * light + shine, 1.0), identity / 255.0);
}
"""
_BACK_VERTEX = """
#version 330
in vec2 at;
out vec2 v_at;
void main() { v_at = 0.5 + 0.5 * at; gl_Position = vec4(at, 0.99999, 1.0); }
"""
_BACK_FRAGMENT = """
#version 330
uniform sampler2D picture; uniform vec2 shift;
in vec2 v_at;
out vec4 pixel;
void main() { pixel = vec4(texture(picture, v_at + shift).rgb, 0.0); }
"""


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
        self._body = context.program(_BODY_VERTEX, _FRAGMENT)
        self._solid = context.program(_SOLID_VERTEX, _FRAGMENT)
        self._back = context.program(_BACK_VERTEX, _BACK_FRAGMENT)
        corners = np.array([-1, -1, 3, -1, -1, 3], dtype='f4')
        self._back_array = context.vertex_array(self._back, context.buffer(corners), 'at')
        self._faces = context.buffer(np.ascontiguousarray(model.faces[:, ::-1], dtype='i4'))
        self._skin = context.buffer(_interleaved(model.vertex_weights, model.vertex_bones))
        self._people: list[Any] = []
        self._loaded: list[Any] = []

    def load(self, people, patterns, background) -> None:
        """
        Load the people and the background of one clip.

        :param people: dictionaries of arrays (V, 3): ``vertices`` at rest, metres, ``normals``,
            RGB ``colour`` and ``colour2``, 0 … 1, place and layer of the pattern ``texture_at``.
        :param patterns: (L, 128, 128) uint8, weight of the second colour.
        :param background: (H, W, 3) uint8 RGB, repeated beyond its edges.
        """
        for resource in self._loaded:
            resource.release()
        gl, context = self._gl, self.context
        buffers = [context.buffer(np.hstack([p[key] for key in (
            'vertices', 'normals', 'colour', 'colour2', 'texture_at')]).astype('f4'))
            for p in people]
        self._people = [context.vertex_array(self._body, [
            (buffer, '3f 3f 3f 3f 3f', 'at', 'normal', 'colour', 'colour2', 'texture_at'),
            (self._skin, '4f 4i', 'weight', 'bone')], self._faces) for buffer in buffers]
        layers = context.texture_array((PATTERN_PX, PATTERN_PX, len(patterns)), 1,
                                       np.ascontiguousarray(patterns))
        layers.build_mipmaps()
        layers.filter = gl.LINEAR_MIPMAP_NEAREST, gl.LINEAR
        height, width = background.shape[:2]
        picture = context.texture((width, height), 3, np.ascontiguousarray(background),
                                  alignment=1)
        picture.filter = gl.NEAREST, gl.NEAREST
        picture.repeat_x = picture.repeat_y = True
        self._loaded = [*buffers, *self._people, layers, picture]
        self._layers, self._picture = layers, picture

    def draw(self, matrix, lights: dict, bones, triangles=None, shift=(0.0, 0.0),
             with_depth: bool = True):
        """
        Draw one frame.

        :param matrix: (3, 3) of the camera. :param lights: uniforms, in camera axes.
        :param bones: (people, 24, 3, 4) camera axes from the mesh at rest.
        :param triangles: (n, 13) position, normal, colour, texture_at (3 each), id of corners.
        :param shift: (2,) of the background, in its width and height.
        :return: image (H, W, 3) uint8 RGB, ids (H, W) uint8, depth (H, W) metres or None.
        """
        gl, context = self._gl, self.context
        clip = projection(matrix, *self.size).T.astype('f4').tobytes()
        self._frame.use()
        context.disable(gl.CULL_FACE)
        self._frame.clear(depth=1.0)
        self._picture.use(1)
        self._back['picture'], self._back['shift'] = 1, tuple(shift)
        self._back_array.render(gl.TRIANGLES, 3)
        self._layers.use(0)
        context.enable(gl.DEPTH_TEST)
        for program in (self._body, self._solid):
            program['clip_from_camera'].write(clip)
            program['patterns'] = 0
            for name, value in lights.items():
                program[name].write(np.asarray(value, dtype='f4').tobytes())
        context.enable(gl.CULL_FACE)
        for index, (array, moved) in enumerate(zip(self._people, bones)):
            self._body['identity'] = MAIN_ID + index
            self._body['bones'].write(np.ascontiguousarray(
                np.swapaxes(moved, -1, -2), dtype='f4').tobytes())
            array.render(gl.TRIANGLES)
        self._draw_triangles(triangles)
        context.disable(gl.DEPTH_TEST)
        return self._read(with_depth)

    def _draw_triangles(self, triangles) -> None:
        if triangles is None or not len(triangles):
            return
        gl, context = self._gl, self.context
        context.disable(gl.CULL_FACE)
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
