# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes the shipped store, `sim/stores/nanostore/*.yaml`: `python -m sim.shop.make_nanostore`.

The room follows the real nanostore of the AutoCheckout competition: one narrow room, four gondolas in a row in a niche
of the long wall, a fifth on a short wall, a glass front opposite the row, the door and a counter at the other end.
Frame: x along the row from the door, y from the glass front to the row, metres. The cameras' places come from a search
over positions, targets and focal lengths that asked for 3 px/cm in the best and 2 px/cm in the second camera on every
face, for slots and wrists that a reaching body does not hide, and for people seen whole everywhere; `walkout layout
check` measures what came out.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import CameraSpec, Gate, Gondola, Shelf, Slot, StoreLayout
from sim.shop.assortment import ROWS, catalogue, gtin_of

FOLDER = Path(__file__).resolve().parent.parent / "stores" / "nanostore"
DISTORTION = (-0.09, 0.02, 0.0, 0.0, 0.0)
DEPTH_M = 0.40
SHELF_DEPTH_M = 0.38
HAND_ROOM_M = 0.025
GAP_M = 0.03
GONDOLA_HEIGHT_M = 1.95
FIVE, SIX = (0.30, 0.315, 5), (0.30, 0.255, 6)  # height of the lowest board, pitch, boards
BOARD_M = 0.025

# position, target, focal length in pixels
CAMERAS = (
    ((0.08, 0.63, 2.42), (2.39, 1.67, 0.82), 798.0),
    ((0.08, 2.03, 2.43), (2.04, 0.35, 0.15), 590.0),
    ((1.32, 0.37, 2.42), (1.85, 1.49, 1.6), 1084.0),
    ((3.44, 0.08, 2.47), (5.35, 1.39, 0.94), 1068.0),
    ((3.37, 0.09, 2.42), (3.36, 2.22, 1.18), 1130.0),
    ((3.51, 2.13, 2.42), (5.0, 1.71, 1.38), 1130.0),
    ((5.16, 2.33, 2.53), (3.87, 0.85, 0.72), 590.0),
    ((5.4, 0.08, 2.42), (1.62, 2.28, 0.27), 1024.0),
)

# id, origin (bottom left of the face as the shopper sees it), facing, boards, what stands there
GONDOLAS = (
    ("g1", (0.9, 2.4), -90, FIVE, (
        "water-litre", "water-half", "sparkling-half", "iced-tea", "frisk-red", "frisk-green", "milk", "juice",
        "oat", "beer", "cola", "orangeade")),
    ("g2", (1.9, 2.4), -90, SIX, (
        "cola", "cola-zero", "lemon", "orangeade", "energy", "malt", "tomatoes", "corn", "beans", "lentils",
        "peaches", "yoghurt-berry", "yoghurt-blue", "margarine", "hummus", "peanut-butter", "beer")),
    ("g3", (2.9, 2.4), -90, FIVE, (
        "chips-salt", "chips-paprika", "tortilla", "chips-hot", "popcorn", "gummi", "peanuts", "trail-mix",
        "pasta", "rice", "coffee")),
    ("g4", (3.9, 2.4), -90, SIX, (
        "choco-milk", "choco-dark", "biscuit", "cracker", "tea-green", "tea-berry", "muesli-bar", "cereal",
        "choco-pops", "mustard", "peanut-butter", "coffee", "gummi")),
    ("g5", (5.2, 1.5), 180, FIVE, (
        "detergent", "dish-soap", "shampoo", "tissues", "toothpaste", "ketchup", "frisk-green", "frisk-red",
        "water-half", "sparkling-half", "trail-mix", "peanuts")),
)  # fmt: skip
GONDOLA_WIDTH_M = 1.0


def stock_shelf(
    shelf_id: str, clearance_m: float, wanted: list[str], shop: Catalogue, served: dict[str, int]
) -> tuple[tuple[Slot, ...], dict[str, str]]:
    """Blocks of two to four equal slots a product, least served products first, until the board is full.

    Returns the slots and which GTIN each one holds.
    """
    by_key = {row.key: shop.by_gtin[gtin_of(row)] for row in ROWS}
    fits = [key for key in wanted if by_key[key].size_m[2] <= clearance_m - HAND_ROOM_M]
    blocks: list[list] = []
    free = GONDOLA_WIDTH_M
    for key in sorted(fits, key=lambda k: (served.get(k, 0), wanted.index(k))):
        width = by_key[key].size_m[0] + GAP_M
        count = min(3 if width < 0.115 else 2, int(free / width))
        if count < 2 or len(blocks) == 4:
            continue
        blocks.append([key, count, width])
        free -= count * width
    while True:  # one slot more for whoever still fits, at most four a block
        more = [b for b in blocks if b[2] <= free and b[1] < 4]
        if not more:
            break
        block = min(more, key=lambda b: b[1])
        block[1] += 1
        free -= block[2]
    blocks.sort(key=lambda b: wanted.index(b[0]))
    count = sum(b[1] for b in blocks)
    slots, plan, at = [], {}, 0.0
    for key, n, width in blocks:
        served[key] = served.get(key, 0) + n
        for _ in range(n):
            slot_id = f"{shelf_id}.{len(slots) + 1}"
            end = min(at + width + free / count, GONDOLA_WIDTH_M)
            slots.append(Slot(id=slot_id, start_m=round(at, 3), end_m=round(end, 3)))
            plan[slot_id] = by_key[key].gtin
            at = end
    return tuple(slots), plan


def build() -> tuple[StoreLayout, Catalogue, Planogram]:
    """The store; the same one every time."""
    shop = catalogue()
    gondolas, plan = [], {}
    served: dict[str, int] = {}
    for gondola_id, origin, facing, (lowest, pitch, boards), wanted in GONDOLAS:
        shelves = []
        for i in range(boards):
            height = round(lowest + i * pitch, 3)
            top = GONDOLA_HEIGHT_M if i == boards - 1 else height + pitch - BOARD_M
            shelf_id = f"{gondola_id}.{i + 1}"
            slots, part = stock_shelf(shelf_id, top - height, list(wanted), shop, served)
            plan.update(part)
            shelves.append(
                Shelf(
                    id=shelf_id, height_m=height, depth_m=SHELF_DEPTH_M, clearance_m=round(top - height, 3), slots=slots
                )
            )
        gondolas.append(
            Gondola(
                id=gondola_id,
                origin_m=origin,
                facing_deg=facing,
                width_m=GONDOLA_WIDTH_M,
                height_m=GONDOLA_HEIGHT_M,
                depth_m=DEPTH_M,
                shelves=tuple(shelves),
            )
        )
    layout = StoreLayout(
        store_id="nanostore",
        currency=shop.currency,
        floor_m=((0, 0), (5.6, 0), (5.6, 2.4), (4.9, 2.4), (4.9, 2.8), (0.9, 2.8), (0.9, 2.4), (0, 2.4)),
        ceiling_m=2.7,
        cameras=tuple(
            CameraSpec(
                id=f"cam{i + 1}", focal_px=(focal, focal), distortion=DISTORTION, position_m=position, look_at_m=target
            )
            for i, (position, target, focal) in enumerate(CAMERAS)
        ),
        gondolas=tuple(gondolas),
        gates=(Gate(id="gate", line_m=((0.55, 0.2), (0.55, 1.6)), inward=(1, 0), tap_m=(0.3, 1.1), radius_m=0.7),),
        obstacles_m=(
            ((0, 1.75), (0.5, 1.75), (0.5, 2.4), (0, 2.4)),  # counter
            ((0.5, 0.1), (0.6, 0.1), (0.6, 0.2), (0.5, 0.2)),  # gate posts
            ((0.5, 1.6), (0.6, 1.6), (0.6, 1.7), (0.5, 1.7)),
        ),
    )
    missing = [row.key for row in ROWS if served.get(row.key, 0) < 2]
    if missing:
        raise ValueError(f"no two slots for {missing}")
    return layout, shop, Planogram(slots=plan)


def write(folder: Path = FOLDER) -> None:
    """Write the three files of the store."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in zip(("layout", "catalogue", "planogram"), build(), strict=True):
        data = model.model_dump(mode="json", exclude_none=True)
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
        (folder / f"{name}.yaml").write_text(f"# Written by `python -m sim.shop.make_nanostore`.\n{text}", "utf-8")


if __name__ == "__main__":
    write()
