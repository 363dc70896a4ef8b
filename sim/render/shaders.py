# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one small shader: Brown-Conrady projection in the vertices, lamps, and what stands still in front of movers."""

from __future__ import annotations

from functools import cache

from panda3d import core

MAX_LAMPS = 24

_VERTEX = """#version 150
uniform mat4 view;           // world to camera
uniform vec4 intrinsics;     // fx, fy, cx, cy
uniform vec4 radial;         // k1, k2, k3, skew
uniform vec3 tangential;     // p1, p2, largest r^2 where the polynomial still grows
uniform vec4 window;         // left, top, width, height of the drawn part of the picture, pixels
uniform vec2 near_far;
uniform vec4 light;          // ambient, direct (normalised), lamp count, unused
uniform vec3 lamps[LAMPS];
in vec4 p3d_Vertex;
in vec3 p3d_Normal;
in vec4 p3d_Color;
in vec3 p3d_MultiTexCoord0;
out vec4 colour;
out vec3 uvg;
out vec3 world;
out vec3 normal;
out float lit;
out float outside;
void main() {
  vec3 c = (view * p3d_Vertex).xyz;
  vec2 p = c.xy / max(c.z, 1e-4);
  float r2 = dot(p, p);
  outside = (c.z < 1e-3 || r2 > tangential.z) ? 1.0 : 0.0;
  float bend = 1.0 + r2 * (radial.x + r2 * (radial.y + r2 * radial.z));
  vec2 d = p * bend + vec2(2.0 * tangential.x * p.x * p.y + tangential.y * (r2 + 2.0 * p.x * p.x),
                           tangential.x * (r2 + 2.0 * p.y * p.y) + 2.0 * tangential.y * p.x * p.y);
  vec2 pixel = vec2(intrinsics.x * d.x + radial.w * d.y + intrinsics.z, intrinsics.y * d.y + intrinsics.w);
  vec2 ndc = 2.0 * (pixel + 0.5 - window.xy) / window.zw - 1.0;
  float n = near_far.x, f = near_far.y;
  gl_Position = outside > 0.5 ? vec4(0.0, 0.0, -2.0, 1.0)
                              : vec4(ndc.x * c.z, -ndc.y * c.z, ((f + n) * c.z - 2.0 * f * n) / (f - n), c.z);
  float sum = 0.0;
  for (int i = 0; i < int(light.z); i++) {
    vec3 l = lamps[i] - p3d_Vertex.xyz;
    float d2 = dot(l, l) + 1e-4;
    float down = max(l.z, 0.0);
    sum += max(dot(p3d_Normal, l), 0.0) * down / (d2 * (d2 + 0.5));
  }
  lit = light.x * (0.8 + 0.2 * p3d_Normal.z) + light.y * sum;
  colour = p3d_Color;
  uvg = p3d_MultiTexCoord0;
  world = p3d_Vertex.xyz;
  normal = p3d_Normal;
}
"""

_FRAGMENT = """#version 150
uniform sampler2D p3d_Texture0;
uniform sampler2D behind;    // depth of what stands still
uniform vec2 near_far;
uniform vec4 tint;           // light's colour, blue green red; pixels of `behind` per drawn pixel
uniform vec4 light;
uniform vec3 lamps[LAMPS];
uniform vec3 eye;
uniform float id;
in vec4 colour;
in vec3 uvg;
in vec3 world;
in vec3 normal;
in float lit;
in float outside;
out vec4 result;
float metres(float depth) {
  return near_far.x * near_far.y / (near_far.y - depth * (near_far.y - near_far.x));
}
void main() {
  if (outside > 0.0) discard;
#ifdef MOVER
  float wall = texelFetch(behind, ivec2(gl_FragCoord.xy * tint.w), 0).r;
  if (metres(gl_FragCoord.z) > metres(wall) + 0.015) discard;
#endif
#ifdef SHADOW
  result = vec4(0.0, 0.0, 0.0, colour.a);
#elif defined(IDS)
  result = vec4(id, 0.0, 0.0, 1.0);
#else
  vec3 albedo = colour.rgb * texture(p3d_Texture0, uvg.xy).rgb;
  float sky = 1.0;
#ifndef MOVER
  sky = colour.a;
#endif
  float shine = 0.0;
  if (uvg.z > 0.01) {
    vec3 v = normalize(eye - world);
    vec3 n = normalize(normal);
    for (int i = 0; i < int(light.z); i++) {
      vec3 l = normalize(lamps[i] - world);
      float s = max(dot(n, normalize(l + v)), 0.0);
      shine += exp2(-(1.0 - s) * (40.0 + 400.0 * uvg.z));
    }
    shine *= 0.5 * uvg.z * sky;
  }
  // Colours are sRGB, taken as gamma 2: light adds up in their squares.
  result = vec4(sqrt(albedo * albedo * tint.bgr * lit * sky + shine * tint.bgr), 1.0);
#endif
}
"""


@cache
def shader(*defines: str) -> core.Shader:
    """The shader for statics, or with MOVER, MOVER and SHADOW, MOVER and IDS."""
    head = "#version 150\n" + "".join(f"#define {d}\n" for d in defines)
    sources = [s.replace("LAMPS", str(MAX_LAMPS)).replace("#version 150\n", head) for s in (_VERTEX, _FRAGMENT)]
    return core.Shader.make(core.Shader.SL_GLSL, vertex=sources[0], fragment=sources[1])
