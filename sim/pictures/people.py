# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training pictures of people: anywhere, in any light, by any camera; about a third in the shipped shop."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from calibration.camera import Camera
from sim.people.state import PosedBody
from sim.pictures.faults import cables, through_camera
from sim.pictures.labels import PersonLabel, person_label
from sim.pictures.poses import Cast
from sim.pictures.rooms import Room, boxes, random_camera, random_room, random_tints
from sim.pictures.shop import ShopRoom
from sim.pictures.shoppers import at_shelves, held_products
from sim.pictures.textures import random_picture, tile_rects
from sim.render.engine import Renderer
from sim.render.mesh import Mesh

SIZE_PX = (640, 360)
_LEAST_PX = 160
_EMPTY_KEPT = 0.25
_AT_SHELVES = 0.6
"""Share of the shop's pictures in which everybody reaches to a shelf, as shoppers do where it matters."""
_COMPANION = 0.3
"""Share of people elsewhere who stand right beside another one."""
_CAST, _PER_ROOM, _CAMERAS, _ROOMS_PER_CAST = 20, 14, 4, 10


def people_pictures(seed: int, shop_share: float = 0.35) -> Iterator[tuple[np.ndarray, list[PersonLabel]]]:
    """Pictures without end, uint8 (360, 640, 3) BGR, with the people in them; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, 0x70656F])
    shop = ShopRoom(rng, SIZE_PX)
    rooms = 0
    while True:
        if rooms % _ROOMS_PER_CAST == 0:
            cast = Cast(rng, _CAST)
        rooms += 1
        in_shop = rng.random() < shop_share / (3 - 2 * shop_share)  # a stocked shop gives thrice the pictures
        if in_shop:
            shop.restock()
            room, cameras, renderer = shop, shop.cameras, shop.renderer
        else:
            room = random_room(rng)
            cameras = [random_camera(rng, room, SIZE_PX) for _ in range(_CAMERAS)]
            cameras = [_named(camera, f"camera{i}") for i, camera in enumerate(cameras)]
            renderer = Renderer(room.scene, cameras)
        for k in range(_PER_ROOM * (3 if in_shop else 1)):
            picture, labels = _picture(rng, room, cameras[k % len(cameras)], renderer, cast, in_shop)
            if labels or rng.random() < _EMPTY_KEPT:
                yield picture, labels


def _picture(
    rng: np.random.Generator,
    room: Room | ShopRoom,
    camera: Camera,
    renderer: Renderer,
    cast: Cast,
    in_shop: bool,
) -> tuple[np.ndarray, list[PersonLabel]]:
    count = int(rng.choice([0, 1, 2, 3, 4, 5, 6], p=[0.05, 0.31, 0.26, 0.17, 0.11, 0.06, 0.04]))
    if isinstance(room, ShopRoom) and rng.random() < _AT_SHELVES:
        bodies = at_shelves(rng, room, camera, cast, count, crowded=rng.choice([0.0, 0.5, 0.9]))
        held = [mesh for body in bodies for _, mesh in held_products(rng, room, body)]
    else:
        bodies = cast.pose(_places(rng, room, camera, count))
        held = [mesh for body in bodies for mesh in _held(rng, body)]
    movers = [body_mesh(b) for b in bodies] + held
    picture = renderer.draw(camera.camera_id, movers)
    ids = renderer.draw_ids(camera.camera_id, movers, scale=1) if movers else np.zeros(SIZE_PX[::-1], np.uint8)
    labels = []
    for i, body in enumerate(bodies):
        label = person_label(camera, body.keypoints_m, ids == i + 1, 1, _LEAST_PX)
        if label is not None:
            labels.append(label)
    if not in_shop and rng.random() < 0.3:
        picture = _before_flat_picture(rng, picture, ids)
    if rng.random() < 0.15:
        picture = cables(rng, np.ascontiguousarray(picture))
    return through_camera(rng, picture, 0.7 if in_shop else 1.0), labels


def body_mesh(body: PosedBody) -> Mesh:
    return Mesh(body.vertices_m, body.normals, body.colours, body.faces)


def _places(rng: np.random.Generator, room: Room | ShopRoom, camera: Camera, count: int) -> list[np.ndarray]:
    """Up to `count` free places on the floor, some right beside another one."""
    places: list[np.ndarray] = []
    for _ in range(count):
        xy = _place(rng, room, camera)
        if places and rng.random() < _COMPANION:
            angle = rng.uniform(-np.pi, np.pi)
            beside = places[-1] + np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.32, 0.8)
            xy = beside if room.is_free(beside) else xy
        if xy is not None:
            places.append(xy)
    return places


def _place(rng: np.random.Generator, room: Room | ShopRoom, camera: Camera) -> np.ndarray | None:
    """A free place on the floor, nearly always one whose person would be in the picture."""
    anywhere = rng.random() < 0.1
    for _ in range(40):
        xy = rng.uniform(0, 1, 2) * room.size_m
        if not room.is_free(xy):
            continue
        chest = camera.project(np.array([*xy, rng.uniform(0.3, 1.6)]))
        if anywhere or (np.isfinite(chest).all() and (chest > 0).all() and (chest < camera.size_px).all()):
            return xy
    return None


def _held(rng: np.random.Generator, body: PosedBody) -> list[Mesh]:
    """Things of any size and colour in a hand."""
    out = []
    for palm in body.palms:
        if rng.random() < 0.3:
            size = rng.uniform(0.03, 0.14, 3) * rng.choice([1, 1, 2.2], 3)
            thing = boxes(np.zeros((1, 3)), size[None], random_tints(rng, 1), tile_rects(rng, 1))
            pose = palm.copy()
            pose[:3, 3] += palm[:3, 2] * (0.02 + size.min() / 2)
            out.append(thing.moved(pose))
    return out


def _before_flat_picture(rng: np.random.Generator, picture: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Only the movers stay; behind them is a flat picture of anything."""
    soft = cv2.GaussianBlur((ids > 0).astype(np.float32), (0, 0), 0.7)[..., None]
    behind = random_picture(rng, *picture.shape[:2])
    return (picture * soft + behind * (1 - soft)).astype(np.uint8)


def _named(camera: Camera, name: str) -> Camera:
    return Camera(name, camera.size_px, camera.matrix, camera.distortion, camera.rotation, camera.position_m)
