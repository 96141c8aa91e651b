"""Programs of the OpenGL renderer, in GLSL."""

_LIGHT = """
uniform vec3 light_to[2]; uniform vec3 light_colour[2];
uniform vec3 sky; uniform vec3 ground; uniform vec3 up;
uniform float gloss;
vec3 lit(vec3 albedo, vec3 n, vec3 at) {
    vec3 light = mix(ground, sky, 0.5 + 0.5 * dot(n, up));
    vec3 shine = vec3(0.0);
    for (int i = 0; i < 2; i++) {
        light += light_colour[i] * max(dot(n, light_to[i]), 0.0);
        vec3 middle = normalize(light_to[i] - normalize(at));
        shine += light_colour[i] * gloss * pow(max(dot(n, middle), 0.0), 24.0);
    }
    return min(albedo * light + shine, 1.0);
}
"""
_SKINNING = """
uniform mat4 clip_from_camera;
uniform mat4x3 bones[24];
in vec3 at; in vec3 normal; in vec4 weight; in ivec4 bone;
mat4x3 moved() {
    return weight.x * bones[bone.x] + weight.y * bones[bone.y]
        + weight.z * bones[bone.z] + weight.w * bones[bone.w];
}
"""
BODY_VERTEX = '#version 330\n' + _SKINNING + """
in vec3 colour; in vec3 colour2; in vec3 texture_at;
out vec3 v_normal; out vec3 v_colour; out vec3 v_colour2; out vec3 v_texture; out vec3 v_at;
void main() {
    mat4x3 move = moved();
    v_at = move * vec4(at, 1.0);
    v_normal = mat3(move) * normal;
    v_colour = colour; v_colour2 = colour2; v_texture = texture_at;
    gl_Position = clip_from_camera * vec4(v_at, 1.0);
}
"""
DRESSED_VERTEX = '#version 330\n' + _SKINNING + """
in vec3 texture_at;
out vec3 v_normal; out vec3 v_texture; out vec3 v_at;
void main() {
    mat4x3 move = moved();
    v_at = move * vec4(at, 1.0);
    v_normal = mat3(move) * normal;
    v_texture = texture_at;
    gl_Position = clip_from_camera * vec4(v_at, 1.0);
}
"""
SOLID_VERTEX = """
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
FRAGMENT = '#version 330\n' + _LIGHT + """
uniform sampler2DArray patterns;
uniform float identity;
in vec3 v_normal; in vec3 v_colour; in vec3 v_colour2; in vec3 v_texture; in vec3 v_at;
out vec4 pixel;
void main() {
    float share = texture(patterns, v_texture).r;
    vec3 albedo = mix(v_colour, v_colour2, share);
    pixel = vec4(lit(albedo, normalize(v_normal), v_at), identity / 255.0);
}
"""
# both sides are drawn; mipmaps make thin hair half transparent: holes begin below a half
DRESSED_FRAGMENT = '#version 330\n' + _LIGHT + """
uniform sampler2DArray cloth;
uniform float identity;
in vec3 v_normal; in vec3 v_texture; in vec3 v_at;
out vec4 pixel;
void main() {
    vec4 colour = texture(cloth, v_texture);
    if (colour.a < 0.35) discard;
    vec3 n = normalize(v_normal) * (gl_FrontFacing ? 1.0 : -1.0);
    pixel = vec4(lit(colour.rgb, n, v_at), identity / 255.0);
}
"""
BACK_VERTEX = """
#version 330
in vec2 at;
out vec2 v_at;
void main() { v_at = 0.5 + 0.5 * at; gl_Position = vec4(at, 0.99999, 1.0); }
"""
BACK_FRAGMENT = """
#version 330
uniform sampler2D picture; uniform vec2 shift;
in vec2 v_at;
out vec4 pixel;
void main() { pixel = vec4(texture(picture, v_at + shift).rgb, 0.0); }
"""
# ray_from_image: direction in the panorama's axes of the point (x, y, 1), x and y 0 ... 1
PANORAMA_FRAGMENT = """
#version 330
uniform sampler2D picture; uniform mat3 ray_from_image;
in vec2 v_at;
out vec4 pixel;
const float PI = 3.14159265;
void main() {
    vec3 ray = normalize(ray_from_image * vec3(v_at, 1.0));
    vec2 place = vec2(0.5 + atan(ray.x, -ray.z) / (2.0 * PI), acos(ray.y) / PI);
    pixel = vec4(textureLod(picture, place, 0.0).rgb, 0.0);
}
"""
