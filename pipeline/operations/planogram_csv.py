# SPDX-License-Identifier: AGPL-3.0-or-later
"""A planogram as CSV: which slot holds which product. Slots that the file does not name stay, unless they are to be
emptied; an empty GTIN empties a slot."""

from __future__ import annotations

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import StoreLayout
from pipeline.operations.catalogue_cells import parse_gtin
from pipeline.operations.catalogue_csv import Change, FieldChange, Plan
from pipeline.operations.csv_text import BadRow, read_sheet, write_sheet
from pipeline.operations.reasons import Reason, Refused, reason

COLUMNS: dict[str, tuple[str, ...]] = {
    "slot": ("slot_id", "place", "emplacement", "case"),
    "gtin": ("ean", "ean13", "barcode", "code_barres", "code"),
    "name": ("product", "article", "libelle", "designation", "nom", "produit"),
}
_WARNINGS = 50


def plan_planogram(
    data: bytes, layout: StoreLayout, catalogue: Catalogue, planogram: Planogram, *, remove_missing: bool = False
) -> Plan:
    """What the file would make of the planogram; `Refused` when it cannot be read at all. Names are not looked at."""
    sheet = read_sheet(data, COLUMNS)
    for column in ("slot", "gtin"):
        if column not in sheet.columns:
            raise Refused("The column {column} is missing", column=column)
    bad, changes, seen = list(sheet.bad), [], {}
    slots, unchanged = dict(planogram.slots), 0
    warnings: list[Reason] = []
    for row in sheet.rows:
        slot_id, cell = row.cells["slot"], row.cells["gtin"]
        if slot_id not in layout.slot_by_id:
            why = reason("no such slot in the layout") if slot_id else reason("there is no slot")
            bad.append(BadRow(row.line, sheet.columns["slot"], slot_id[:80], why))
            continue
        if slot_id in seen:
            why = reason("the slot is in line {line} already", line=seen[slot_id])
            bad.append(BadRow(row.line, sheet.columns["slot"], slot_id, why))
            continue
        seen[slot_id] = row.line
        try:
            gtin = parse_gtin(cell) if cell else None
            if gtin is not None and gtin not in catalogue.by_gtin:
                raise Refused("the product is not in the catalogue: import it there first")
        except Refused as refused:
            bad.append(BadRow(row.line, sheet.columns["gtin"], cell[:80], refused.reason))
            continue
        if slots.get(slot_id) == gtin:
            unchanged += 1
            continue
        if gtin is not None and (why := _does_not_fit(layout, catalogue, slot_id, gtin)) is not None:
            warnings.append(why)
        changes.append(_change(slot_id, slots.get(slot_id), gtin, row.line, catalogue))
        _set(slots, slot_id, gtin)
    if remove_missing:
        for slot_id in [s for s in slots if s not in seen]:
            changes.append(_change(slot_id, slots.pop(slot_id), None, 0, catalogue))
    if sheet.unread:
        warnings.append(reason("Columns that are not read: {columns}", columns=", ".join(sheet.unread)))
    result = None if bad else planogram.model_copy(update={"slots": slots})
    bad.sort(key=lambda b: b.line)
    return Plan(sheet, tuple(changes), unchanged, tuple(bad), tuple(warnings[:_WARNINGS]), result)


def export_planogram(layout: StoreLayout, catalogue: Catalogue, planogram: Planogram, separator: str = ",") -> bytes:
    """Every slot of the layout, the empty ones too; what `plan_planogram` makes of it changes nothing."""
    rows = []
    for slot_id in layout.slot_by_id:
        gtin = planogram.slots.get(slot_id, "")
        rows.append((slot_id, gtin, catalogue.by_gtin[gtin].name if gtin else ""))
    return write_sheet(list(COLUMNS), rows, separator)


def _set(slots: dict[str, str], slot_id: str, gtin: str | None) -> None:
    if gtin is None:
        slots.pop(slot_id, None)
    else:
        slots[slot_id] = gtin


def _change(slot_id: str, before: str | None, after: str | None, line: int, catalogue: Catalogue) -> Change:
    kind = "new" if before is None else "removed" if after is None else "changed"
    said = FieldChange("product", _named(before, catalogue), _named(after, catalogue))
    return Change(kind, slot_id, _named(after or before, catalogue), line, (said,))


def _named(gtin: str | None, catalogue: Catalogue) -> str:
    return "" if gtin is None else f"{catalogue.by_gtin[gtin].name} ({gtin})"


def _does_not_fit(layout: StoreLayout, catalogue: Catalogue, slot_id: str, gtin: str) -> Reason | None:
    _, shelf, slot = layout.slot_by_id[slot_id]
    product = catalogue.by_gtin[gtin]
    width, depth, height = product.size_m
    for what, has_m, needs_m in (
        ("width", slot.end_m - slot.start_m, width), ("height", shelf.clearance_m, height), ("depth", shelf.depth_m, depth),  # noqa: E501
    ):  # fmt: skip
        if needs_m > has_m + 1e-3:
            return reason(
                "{name} does not fit into slot {slot}: its {what} is {needs} mm, there are {has}", name=product.name,
                slot=slot_id, what=what, needs=round(needs_m * 1000), has=round(has_m * 1000),
            )  # fmt: skip
    return None
