# SPDX-License-Identifier: AGPL-3.0-or-later
"""Meshes and textures into Panda3D, through memory views: no loop over vertices."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import numpy as np
from panda3d import core

from sim.render.mesh import Mesh

_FLOATS = 13  # position 3, normal 3, colour 3 + open sky or shadow 1, uv 2 + gloss 1


@cache
def _vertex_format() -> core.GeomVertexFormat:
    array = core.GeomVertexArrayFormat()
    f32 = core.Geom.NT_float32
    array.add_column(core.InternalName.get_vertex(), 3, f32, core.Geom.C_point)
    array.add_column(core.InternalName.get_normal(), 3, f32, core.Geom.C_normal)
    array.add_column(core.InternalName.get_color(), 4, f32, core.Geom.C_other)
    array.add_column(core.InternalName.get_texcoord(), 3, f32, core.Geom.C_texcoord)
    return core.GeomVertexFormat.register_format(array)


def interleaved(mesh: Mesh, alpha: np.ndarray | float = 1.0) -> np.ndarray:
    """float32 (V, 13) rows as the shaders read them. `alpha`: how open the room is above a vertex."""
    rows = np.empty((len(mesh.vertices_m), _FLOATS), np.float32)
    rows[:, 0:3], rows[:, 3:6], rows[:, 6:9] = mesh.vertices_m, mesh.normals, mesh.colours
    rows[:, 9] = alpha
    rows[:, 10:12] = 0 if mesh.uv is None else mesh.uv
    rows[:, 12] = mesh.gloss
    return rows


_kept_triangles: OrderedDict[int, tuple[np.ndarray, core.GeomTriangles]] = OrderedDict()


def _triangles_of(faces: np.ndarray) -> core.GeomTriangles:
    """Triangles as they were uploaded last time: whoever moves keeps their faces."""
    kept = _kept_triangles.get(id(faces))
    if kept is None:
        # In the order of their vertices the driver works out each vertex about once; three times in a random order.
        ordered = faces[np.argsort(faces.min(axis=1), kind="stable")] if len(faces) else faces
        kept = _kept_triangles[id(faces)] = faces, _triangles(ordered)
        if len(_kept_triangles) > 128:
            _kept_triangles.popitem(last=False)
    _kept_triangles.move_to_end(id(faces))
    return kept[1]


def _triangles(faces: np.ndarray) -> core.GeomTriangles:
    triangles = core.GeomTriangles(core.Geom.UH_static)
    triangles.set_index_type(core.Geom.NT_uint32)
    indices = triangles.modify_vertices()
    indices.unclean_set_num_rows(faces.size)
    memoryview(indices).cast("B")[:] = memoryview(np.ascontiguousarray(faces, np.uint32)).cast("B")
    return triangles


def geom_node(rows: np.ndarray, faces: np.ndarray, *, static: bool) -> core.GeomNode:
    """A node that draws triangles `faces`, int (F, 3), of vertices `rows`, float32 (V, 13)."""
    hint = core.Geom.UH_static if static else core.Geom.UH_stream
    data = core.GeomVertexData("mesh", _vertex_format(), hint)
    data.unclean_set_num_rows(len(rows))
    memoryview(data.modify_array(0)).cast("B")[:] = memoryview(np.ascontiguousarray(rows)).cast("B")
    geom = core.Geom(data)
    geom.add_primitive(_triangles(faces) if static else _triangles_of(faces))
    node = core.GeomNode("mesh")
    node.add_geom(geom)
    # Vertices are world points that the shader projects; Panda3D's own idea of what is in view would be wrong.
    node.set_bounds(core.OmniBoundingVolume())
    node.set_final(True)
    return node


def colour_texture(bgr: np.ndarray) -> core.Texture:
    """A mip-mapped texture of uint8 (H, W, 3) BGR, row 0 on top."""
    height, width = bgr.shape[:2]
    texture = core.Texture("atlas")
    texture.setup_2d_texture(width, height, core.Texture.T_unsigned_byte, core.Texture.F_rgb)
    texture.set_ram_image(np.ascontiguousarray(bgr[::-1]))
    texture.set_wrap_u(core.Texture.WM_clamp)
    texture.set_wrap_v(core.Texture.WM_clamp)
    texture.set_minfilter(core.Texture.FT_linear_mipmap_nearest)
    texture.set_magfilter(core.Texture.FT_linear)
    return texture


def nearness_texture(width: int, height: int) -> core.Texture:
    """A texture to be filled with uint16 (height, width), row 0 at the bottom, and read without filtering."""
    texture = core.Texture("nearness")
    texture.setup_2d_texture(width, height, core.Texture.T_unsigned_short, core.Texture.F_r16)
    texture.set_minfilter(core.Texture.FT_nearest)
    texture.set_magfilter(core.Texture.FT_nearest)
    return texture
