# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a run is made of: the shop's files, and the two stages with networks in them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from calibration.catalogue import Catalogue, Planogram, load_catalogue, load_planogram
from calibration.check import require_sound
from calibration.layout import StoreLayout, load_layout
from pipeline.capture.recording import MANIFEST, Recording
from pipeline.capture.ring import PacketRing
from pipeline.capture.sources import CameraStatus
from pipeline.capture.window import Capture, capture_recording, capture_store
from pipeline.cart.price_book import PriceBook
from pipeline.errors import RecordingError, WeightsError
from pipeline.gate.taps import GateFile, RecordedTaps, Taps
from pipeline.messages import SCHEMA_VERSION, CameraTracks, FloorTrack, FrameSet, ShelfEvent
from pipeline.settings import StoreSettings, load_settings

if TYPE_CHECKING:
    from models.backend import PoseNetwork

NO_WEIGHTS = "none"


class Perceived(Protocol):
    frame_set: FrameSet
    camera_tracks: dict[str, CameraTracks]
    floor_tracks: list[FloorTrack]


class PerceptionStage(Protocol):
    def update(self, frame_set: FrameSet) -> Perceived: ...


class ShelfStage(Protocol):
    def update(self, perceived: Perceived) -> list[ShelfEvent]: ...

    def awaits(self, track_id: str, left_ns: int) -> bool: ...

    def flush(self, track_id: str | None = None) -> list[ShelfEvent]: ...


@dataclass(frozen=True)
class Shop:
    """What is run: a recording, or a store's live cameras."""

    name: str
    folder: Path
    recording: Recording | None
    layout: StoreLayout
    catalogue: Catalogue
    planogram: Planogram
    settings: StoreSettings
    prices: PriceBook

    @classmethod
    def open(cls, folder: Path | str) -> Shop:
        """Read and check a recording's or a store's files; raises `RecordingError` or `LayoutError`."""
        folder = Path(folder)
        if (folder / MANIFEST).exists():
            recording = Recording.open(folder)
            layout, catalogue, planogram = recording.layout, recording.catalogue, recording.planogram
            name = recording.recording_id
        elif (folder / "layout.yaml").exists():
            recording = None
            layout, catalogue = load_layout(folder / "layout.yaml"), load_catalogue(folder / "catalogue.yaml")
            planogram, name = load_planogram(folder / "planogram.yaml", layout, catalogue), layout.store_id
        else:
            raise RecordingError(f"{folder}: neither a recording ({MANIFEST}) nor a store (layout.yaml) is there")
        require_sound(layout, str(folder / "layout.yaml"))
        prices = PriceBook.load(folder, catalogue)
        return cls(name, folder, recording, layout, catalogue, planogram, load_settings(folder), prices)

    def capture(self, on_status: Callable[[CameraStatus], None], look_back: bool = False) -> Capture:
        """`look_back`: live cameras keep their last seconds, as many as the settings say."""
        if self.recording is not None:
            return capture_recording(self.recording, on_status)
        kept = self.settings.evidence
        ring = (lambda: PacketRing(kept.ring_s, kept.ring_mb)) if look_back and kept.keep else None
        return capture_store(self.layout, on_status, ring=ring)

    def taps(self) -> Taps:
        return RecordedTaps(self.recording.taps) if self.recording else GateFile(self.folder, self.layout)


@dataclass(frozen=True)
class Stages:
    """The two stages with networks in them, and what those are; `described` goes to run.json."""

    perception: PerceptionStage
    shelf: ShelfStage
    described: dict[str, Any] = field(default_factory=dict)


def load_stages(shop: Shop, settings: StoreSettings, people: PoseNetwork | None = None) -> Stages:
    """Perception and shelf with the networks that the settings name; `WeightsError` when they do not fit. `people`:
    instead of one made of the settings' person weights."""
    from models.backend import PoseNetwork, ProductNetwork
    from models.keypoints.refiner import KeypointRefiner
    from pipeline.perception.perceive import Perception
    from pipeline.shelf.settings import ShelfSettings
    from pipeline.shelf.stage import ShelfStage as Shelf

    people = people or PoseNetwork(settings.person_weights)
    described = {"person": _describe(settings.person_weights, people.weights.path), "keypoints": None, "product": None}
    refiner = None
    if (keypoints := _keypoint_weights(settings)) != NO_WEIGHTS:
        refiner = KeypointRefiner(keypoints)
        described["keypoints"] = _describe(keypoints, refiner.path)
    products = None
    if settings.product_weights != NO_WEIGHTS:
        products = ProductNetwork(settings.product_weights)
        described["product"] = _describe(settings.product_weights, products.weights.path)
        if tuple(products.names) != shop.catalogue.gtins:
            unknown = sorted(set(shop.catalogue.gtins) ^ set(products.names))
            raise WeightsError(
                f"{products.weights.path}: its {len(products.names)} classes are not the catalogue's "
                f"{len(shop.catalogue.gtins)} products (e.g. {unknown[0] if unknown else 'another order'}); train for "
                f"this catalogue, or run with product weights '{NO_WEIGHTS}'"
            )
    perception = Perception(shop.layout, people, refiner=refiner)
    hands = ShelfSettings(confidence_power=2.5, keypoint_sigma_px=4.0) if refiner is not None else None
    shelf = Shelf(shop.layout, shop.catalogue, shop.planogram, products, hands)
    return Stages(perception, shelf, described)


def versions() -> dict[str, str]:
    """What made the figures: ours, Python's and the libraries that decide on them."""
    found = {"schema": str(SCHEMA_VERSION), "python": platform.python_version()}
    for name in ("walkout", "torch", "ultralytics", "openvino", "opencv-python", "av", "numpy", "scipy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _keypoint_weights(settings: StoreSettings) -> str:
    if settings.keypoint_weights != "auto":
        return settings.keypoint_weights
    return "walkout-keypoints" if settings.person_weights == "walkout-person" else NO_WEIGHTS


def _describe(name: str, path: Path) -> dict[str, str]:
    """Which weights exactly: the name asked for, and a digest of the bytes."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        digest.update(file.read_bytes())
    return {"name": name, "file": path.name, "sha256": digest.hexdigest()}
