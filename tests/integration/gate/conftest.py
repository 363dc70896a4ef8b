# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from calibration.layout import StoreLayout
from pipeline.gate.desk import GateDesk
from pipeline.gate.entry_settings import EntrySettings
from pipeline.gate.readers import Readers
from pipeline.passes import KeyRing, PassIssuer
from pipeline.state import Database

S = 1_000_000_000
START_NS = 1_767_603_600 * S


class Clock:
    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        return self.ns

    @property
    def s(self) -> float:
        return self.ns / S

    def go_on(self, seconds: float) -> None:
        self.ns += round(seconds * S)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing.new(START_NS / S - 1000)


@pytest.fixture(scope="session")
def issuer(ring) -> PassIssuer:
    return PassIssuer(ring)


@pytest.fixture(scope="session")
def layout() -> StoreLayout:
    camera = {"id": "c", "focal_px": (700, 700), "position_m": (3, 1, 2.5), "look_at_m": (3, 1.2, 0)}
    shelf = {"id": "g-a", "height_m": 1, "depth_m": 0.3, "clearance_m": 0.3, "slots": []}
    gondola = {
        "id": "g", "origin_m": (4, 1.9), "facing_deg": -90, "width_m": 1, "height_m": 1.8, "depth_m": 0.3,
        "shelves": [shelf],
    }  # fmt: skip
    gates = [
        {"id": name, "line_m": [(x, 0), (x, 2)], "inward": (1, 0), "tap_m": (x - 0.5, 1)}
        for name, x in (("gate", 1), ("back", 3))
    ]
    return StoreLayout.model_validate(
        {
            "store_id": "shop", "floor_m": [(0, 0), (6, 0), (6, 2), (0, 2)], "cameras": [camera],
            "gondolas": [gondola], "gates": gates,
        }
    )  # fmt: skip


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'entry.sqlite'}")
    yield database
    database.close()


@pytest.fixture
def readers(database) -> Readers:
    return Readers(database, "shop")


@pytest.fixture
def make_desk(layout, database, ring, clock):
    def make(payments=None, **settings) -> GateDesk:
        return GateDesk(layout, database, EntrySettings(**settings), ring=lambda: ring, payments=payments, clock=clock)

    return make


@pytest.fixture
def desk(make_desk) -> GateDesk:
    return make_desk()
