# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one small shader: Brown-Conrady projection in the vertices, lamps, and what stands still in front of movers.

`camera_inputs`, `light_inputs` and `set_window` give it what it needs to know.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from panda3d import core

from calibration.camera import Camera
from sim.render.mesh import Light
from sim.render.rects import Rect
from sim.render.shading import lamp_scale

NEAR_M, FAR_M = 0.1, 60.0
INVERSE_SCALE = 65535 * NEAR_M
"""16 bits of one over the distance: 1.4 mm at 3 m."""
MAX_LAMPS = 24

# Mirrored lamps, spread the more the duller the surface.
_SHINE = """
float shininess(vec3 at, vec3 n, float gloss) {
  vec3 seen = normalize(reflect(at - eye, normalize(n)));
  float sum = 0.0;
  for (int i = 0; i < int(light.z); i++) {
    vec3 l = lamps[i] - at;
    float off = 1.0 + (10.0 + 100.0 * gloss) * max(1.0 - dot(l, seen) * inversesqrt(dot(l, l)), 0.0);
    sum += 1.0 / (off * off * off);
  }
  return 0.5 * gloss * sum;
}
"""

_VERTEX = """#version 150
uniform vec3 eye;
uniform mat4 view;           // world to camera
uniform vec4 intrinsics;     // fx, fy, cx, cy
uniform vec4 radial;         // k1, k2, k3, skew
uniform vec3 tangential;     // p1, p2, largest r^2 where the polynomial still grows
uniform vec4 window;         // left, top, width, height of the drawn part of the picture, pixels
uniform vec2 near_far;
uniform vec4 tint;           // light's colour, blue green red
uniform vec4 light;          // ambient, direct (normalised), lamp count, unused
uniform vec3 lamps[LAMPS];
in vec4 p3d_Vertex;
in vec3 p3d_Normal;
in vec4 p3d_Color;
in vec3 p3d_MultiTexCoord0;
out vec4 shaded;             // colour as lit by the lamps; alpha as it came
#ifdef TEXTURED
out vec2 uv;
#endif
#ifdef SHINY
out float sheen;
SHINE
#endif
void main() {
  vec3 c = (view * p3d_Vertex).xyz;
  vec2 p = c.xy / max(c.z, 1e-4);
  float r2 = dot(p, p);
  bool outside = c.z < 1e-3 || r2 > tangential.z;
  float bend = 1.0 + r2 * (radial.x + r2 * (radial.y + r2 * radial.z));
  vec2 d = p * bend + vec2(2.0 * tangential.x * p.x * p.y + tangential.y * (r2 + 2.0 * p.x * p.x),
                           tangential.x * (r2 + 2.0 * p.y * p.y) + 2.0 * tangential.y * p.x * p.y);
  vec2 pixel = vec2(intrinsics.x * d.x + radial.w * d.y + intrinsics.z, intrinsics.y * d.y + intrinsics.w);
  vec2 ndc = 2.0 * (pixel + 0.5 - window.xy) / window.zw - 1.0;
  float n = near_far.x, f = near_far.y, z = c.z;
  // A corner that cannot be drawn goes so far before the near plane that clipping leaves nothing of its triangles; a
  // `discard` would cost the early depth test.
  gl_Position = outside
      ? vec4(0.0, 0.0, -1e8, 1.0)
      : vec4(ndc.x * c.z, -ndc.y * c.z, ((f + n) - 2.0 * f * n / z) / (f - n) * c.z, c.z);
  float sum = 0.0;
  for (int i = 0; i < int(light.z); i++) {
    vec3 l = lamps[i] - p3d_Vertex.xyz;
    float d2 = dot(l, l) + 1e-4;
    float down = max(l.z, 0.0);
    sum += max(dot(p3d_Normal, l), 0.0) * down / (d2 * (d2 + 0.5));
  }
  float lit = light.x * (0.8 + 0.2 * p3d_Normal.z) + light.y * sum;
#ifndef MOVER
  lit *= p3d_Color.a;
#endif
  // Colours are sRGB, taken as gamma 2: light adds up in their squares.
  shaded = vec4(p3d_Color.rgb * sqrt(lit * tint.bgr), p3d_Color.a);
#ifdef TEXTURED
  uv = p3d_MultiTexCoord0.xy;
#endif
#ifdef SHINY
  sheen = p3d_MultiTexCoord0.z > 0.01 ? p3d_Color.a * shininess(p3d_Vertex.xyz, p3d_Normal, p3d_MultiTexCoord0.z) : 0.0;
#endif
}
"""

_FRAGMENT = """#version 150
uniform sampler2D p3d_Texture0;
uniform sampler2D behind;    // one over the distance of what stands still
uniform vec3 place;          // left and bottom of what is drawn in `behind`, and pixels of that per drawn pixel
uniform vec4 tint;
uniform float id;
in vec4 shaded;
#ifdef TEXTURED
in vec2 uv;
#endif
#ifdef SHINY
in float sheen;
#endif
out vec4 result;
void main() {
#ifdef MOVER
  // One over the distance is exact on either side; 15 mm to the good, since soles touch the floor and hands shelves.
  float w = gl_FragCoord.w;
  if (w + 0.015 * w * w < NEAREST * texelFetch(behind, ivec2(gl_FragCoord.xy * place.z + place.xy), 0).r) discard;
#endif
#ifdef IDS
  result = vec4(id, 0.0, 0.0, 1.0);
  return;
#endif
  vec3 rgb = shaded.rgb;
#ifdef TEXTURED
  rgb *= texture(p3d_Texture0, uv).rgb;
#endif
#ifdef SHINY
  rgb = sqrt(rgb * rgb + sheen * tint.bgr);
#endif
  result = vec4(rgb, 1.0);
}
"""


@cache
def shader(*defines: str) -> core.Shader:
    """The shader with any of MOVER (hidden behind what stands still), TEXTURED, SHINY (mirrors lamps) and IDS."""
    head = "#version 150\n" + "".join(f"#define {d}\n" for d in defines)
    sources = []
    for source in (_VERTEX, _FRAGMENT):
        source = (
            source.replace("SHINE", _SHINE).replace("LAMPS", str(MAX_LAMPS)).replace("NEAREST", f"{1 / NEAR_M:.1f}")
        )
        sources.append(source.replace("#version 150\n", head))
    return core.Shader.make(core.Shader.SL_GLSL, vertex=sources[0], fragment=sources[1])


def camera_inputs(camera: Camera) -> dict:
    k1, k2, p1, p2, k3 = map(float, camera.distortion)
    m = camera.matrix
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = camera.rotation, camera.translation
    return {
        "view": core.LMatrix4f(*map(float, view.T.ravel())),  # Panda3D's matrices act on row vectors
        "eye": core.LVecBase3f(*map(float, camera.position_m)),
        "intrinsics": (float(m[0, 0]), float(m[1, 1]), float(m[0, 2]), float(m[1, 2])),
        "radial": (k1, k2, k3, float(m[0, 1])),
        "tangential": core.LVecBase3f(p1, p2, min(camera.valid_radius**2, 1e4)),
        "near_far": core.LVecBase2f(NEAR_M, FAR_M),
    }


def light_inputs(light: Light) -> dict:
    lamps = np.asarray(light.lamps_m, np.float32).reshape(-1, 3)
    if len(lamps) > MAX_LAMPS:
        lamps = lamps[np.linspace(0, len(lamps) - 1, MAX_LAMPS).round().astype(int)]
    array = core.PTA_LVecBase3f([core.LVecBase3f(*map(float, p)) for p in lamps])
    for _ in range(MAX_LAMPS - len(lamps)):
        array.push_back(core.LVecBase3f(0, 0, 0))
    direct = light.direct * lamp_scale(lamps)
    return {
        "light": (light.ambient, direct, float(len(lamps)), 0.0),
        "lamps": array,
        "tint": (*light.tint[::-1], 1.0),
    }


def set_inputs(root: core.NodePath, inputs: dict) -> None:
    for name, value in inputs.items():
        root.set_shader_input(name, value)


def set_window(root: core.NodePath, rect: Rect) -> None:
    """Which part of the camera's picture fills what is drawn on."""
    left, top, right, bottom = rect
    root.set_shader_input("window", (left, top, right - left, bottom - top))
