# SPDX-License-Identifier: AGPL-3.0-or-later
"""`StoreLayout`: floor, cameras, gondolas with shelves and slots, gates; read from YAML and checked at the edge.

The same file describes a real shop and a simulated one. A gondola is one shelf *face*: its `origin_m` is the bottom
left corner of the face's front edge as a shopper facing it sees it, `facing_deg` the direction (0 = +x, counter-
clockwise) in which the face looks, towards the shopper. `right` runs from the origin along the face to the shopper's
right. Slots lie on a shelf between `start_m` and `end_m` along `right`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from shapely.geometry import Polygon

from calibration.camera import Camera, look_at
from calibration.sight import Shelves
from pipeline.errors import LayoutError, WalkoutError

XY = tuple[float, float]
XYZ = tuple[float, float, float]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class CameraSpec(_Model):
    """A camera as written in the layout: pose either by `look_at_m` or by `rotation_vector` (Rodrigues)."""

    id: str
    size_px: tuple[int, int] = (1280, 720)
    fps: float = Field(default=10, gt=0)
    focal_px: tuple[float, float]
    centre_px: tuple[float, float] | None = None
    distortion: tuple[float, float, float, float, float] = (0, 0, 0, 0, 0)
    position_m: XYZ
    look_at_m: XYZ | None = None
    roll_deg: float = 0
    rotation_vector: XYZ | None = None
    url: str | None = Field(default=None, description="RTSP or file URL of the live camera")

    @model_validator(mode="after")
    def _one_pose(self) -> Self:
        if (self.look_at_m is None) == (self.rotation_vector is None):
            raise ValueError("give exactly one of look_at_m and rotation_vector")
        return self

    def camera(self) -> Camera:
        import cv2

        if self.look_at_m is not None:
            rotation = look_at(np.array(self.position_m), np.array(self.look_at_m), np.deg2rad(self.roll_deg))
        else:
            rotation = cv2.Rodrigues(np.array(self.rotation_vector, float))[0]
        width, height = self.size_px
        cx, cy = self.centre_px or ((width - 1) / 2, (height - 1) / 2)
        matrix = np.array([[self.focal_px[0], 0, cx], [0, self.focal_px[1], cy], [0, 0, 1]], float)
        distortion = np.array(self.distortion, float)
        return Camera(self.id, self.size_px, matrix, distortion, rotation, np.array(self.position_m, float))


class Slot(_Model):
    id: str
    start_m: float = Field(ge=0)
    end_m: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end_m <= self.start_m:
            raise ValueError(f"slot {self.id}: end_m {self.end_m} must be greater than start_m {self.start_m}")
        return self


class Shelf(_Model):
    """One board. `height_m`: its top surface above the floor. `clearance_m`: free height above it.

    The board spans from the face's front edge `depth_m` to the back.
    """

    id: str
    height_m: float = Field(ge=0)
    depth_m: float = Field(gt=0)
    clearance_m: float = Field(gt=0)
    slots: tuple[Slot, ...]


class Gondola(_Model):
    id: str
    origin_m: XY
    facing_deg: float
    width_m: float = Field(gt=0)
    height_m: float = Field(gt=0)
    depth_m: float = Field(gt=0)
    shelves: tuple[Shelf, ...] = Field(min_length=1)

    @cached_property
    def normal(self) -> np.ndarray:
        """float64 (3,): unit vector out of the face, towards the shopper."""
        a = np.deg2rad(self.facing_deg)
        return np.array([np.cos(a), np.sin(a), 0.0])

    @cached_property
    def right(self) -> np.ndarray:
        """float64 (3,): unit vector along the face to the right of a shopper who looks at it."""
        # The shopper looks along -normal; their right hand side is (-normal) x up.
        return np.cross(-self.normal, [0.0, 0, 1])

    @cached_property
    def origin(self) -> np.ndarray:
        return np.array([*self.origin_m, 0.0])

    def to_world(self, along_m, out_m, up_m) -> np.ndarray:
        """Face coordinates (broadcastable) to world points (..., 3): along `right`, out of the face, up."""
        along, out, up = np.broadcast_arrays(along_m, out_m, up_m)
        return (
            self.origin + along[..., None] * self.right + out[..., None] * self.normal
            + up[..., None] * np.array([0.0, 0, 1])
        )  # fmt: skip

    def to_face(self, points_m: np.ndarray) -> np.ndarray:
        """World points (..., 3) to face coordinates (..., 3): along, out (positive in the aisle), up; metres."""
        relative = np.asarray(points_m, float) - self.origin
        return np.stack([relative @ self.right, relative @ self.normal, relative[..., 2]], axis=-1)

    @cached_property
    def footprint(self) -> Polygon:
        """Floor area the gondola stands on."""
        corners = self.to_world(
            np.array([0, self.width_m, self.width_m, 0]), np.array([0, 0, -self.depth_m, -self.depth_m]), np.zeros(4)
        )
        return Polygon(corners[:, :2])

    def slot_box(self, shelf: Shelf, slot: Slot) -> np.ndarray:
        """World corners (8, 3) of the space of a slot: front four first (bottom left, bottom right, top right, top
        left as the shopper sees them), then the back four."""
        along = np.array([slot.start_m, slot.end_m, slot.end_m, slot.start_m] * 2)
        out = np.array([0.0] * 4 + [-shelf.depth_m] * 4)
        low, high = shelf.height_m, shelf.height_m + shelf.clearance_m
        return self.to_world(along, out, np.array([low, low, high, high] * 2))


class Gate(_Model):
    """Where people come in and go out. Crossing `line_m` in the direction `inward` is an entry, the other way an exit.

    `tap_m`: where one stands while showing the pass.
    """

    id: str
    line_m: tuple[XY, XY]
    inward: XY
    tap_m: XY
    radius_m: float = Field(default=1.2, gt=0)


class StoreLayout(_Model):
    """Everything that stands still in a store."""

    schema_version: int = 1
    store_id: str
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    floor_m: tuple[XY, ...] = Field(min_length=3, description="the shop's floor as a polygon")
    ceiling_m: float = Field(default=2.7, gt=0)
    cameras: tuple[CameraSpec, ...] = Field(min_length=1)
    gondolas: tuple[Gondola, ...] = Field(min_length=1)
    gates: tuple[Gate, ...] = Field(min_length=1)
    obstacles_m: tuple[tuple[XY, ...], ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for name, ids in (
            ("cameras", [c.id for c in self.cameras]),
            ("gondolas", [g.id for g in self.gondolas]),
            ("gates", [g.id for g in self.gates]),
            ("slots", [s.id for g in self.gondolas for sh in g.shelves for s in sh.slots]),
        ):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            if twice:
                raise ValueError(f"{name}: id {twice[0]!r} is used more than once")
        for gondola in self.gondolas:
            for shelf in gondola.shelves:
                for slot in shelf.slots:
                    if slot.end_m > gondola.width_m + 1e-6:
                        raise ValueError(
                            f"slot {slot.id}: end_m {slot.end_m} is beyond the width {gondola.width_m} of "
                            f"gondola {gondola.id}"
                        )
        if not Polygon(self.floor_m).is_valid:
            raise ValueError("floor_m: the polygon crosses itself")
        return self

    @cached_property
    def floor(self) -> Polygon:
        return Polygon(self.floor_m)

    @cached_property
    def camera_by_id(self) -> dict[str, Camera]:
        return {spec.id: spec.camera() for spec in self.cameras}

    @cached_property
    def slot_by_id(self) -> dict[str, tuple[Gondola, Shelf, Slot]]:
        return {slot.id: (g, shelf, slot) for g in self.gondolas for shelf in g.shelves for slot in shelf.slots}

    @cached_property
    def gondola_by_id(self) -> dict[str, Gondola]:
        return {g.id: g for g in self.gondolas}

    @cached_property
    def shelves(self) -> Shelves:
        """The gondolas as what stands in the way of cameras."""
        return Shelves(self.gondolas)


def load_layout(path: Path | str) -> StoreLayout:
    """Read a layout file; `LayoutError` names the file and the field."""
    return parse_model(StoreLayout, path)


def parse_model(model: type[BaseModel], path: Path | str, error: type[WalkoutError] = LayoutError):
    """Read YAML (or JSON, which is YAML) into a pydantic model; an `error` names the file and the field."""
    path = Path(path)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
        raise error(f"{path}: not readable as YAML: {' '.join(str(wrong).split())}") from None
    if not isinstance(data, dict):
        raise error(f"{path}: expected a mapping of fields, got {type(data).__name__}")
    try:
        return model.model_validate(data)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        more = f" (and {wrong.error_count() - 1} more)" if wrong.error_count() > 1 else ""
        raise error(f"{path}: {where}: {first['msg']}{more}") from None
