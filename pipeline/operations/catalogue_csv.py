# SPDX-License-Identifier: AGPL-3.0-or-later
"""A catalogue as CSV: what an import would change, row by row, and the export that reads back unchanged.

Products that the file does not name stay, unless they are to go; columns that it does not have leave what is there. An
empty price or minimum age means that there is none. Sizes are in millimetres, prices in the currency's main unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from calibration.catalogue import Catalogue, Planogram, Product
from pipeline.cart.money import minor_digits
from pipeline.operations.catalogue_cells import (
    major,
    metres,
    parse_gtin,
    parse_name,
    parse_positive,
    parse_shape,
    parse_tax_class,
    plain,
    without_currency,
)
from pipeline.operations.csv_text import (
    BadRow,
    Row,
    Sheet,
    parse_decimal,
    parse_whole,
    read_sheet,
    write_sheet,
)
from pipeline.operations.reasons import Reason, Refused, reason

COLUMNS: dict[str, tuple[str, ...]] = {
    "gtin": ("ean", "ean13", "barcode", "code_barres", "code"),
    "name": ("product", "article", "libelle", "designation", "nom", "produit"),
    "price": ("unit_price", "prix", "prix_ttc", "prix_unitaire"),
    "price_minor": (),
    "tax_class": ("tax", "vat", "tva", "taxe", "classe_de_taxe"),
    "minimum_age": ("age", "age_minimum"),
    "shape": ("forme",),
    "width_mm": ("largeur_mm",),
    "depth_mm": ("profondeur_mm",),
    "height_mm": ("hauteur_mm",),
    "weight_g": ("weight", "poids_g", "poids"),
}
_REQUIRED = ("name", "tax_class", "shape", "width_mm", "depth_mm", "height_mm", "weight_g")
_SIZES = ("width_mm", "depth_mm", "height_mm")
_FINEST = Decimal("0.0001")
"""Of a millimetre or gram: what floats add beyond is no difference."""


@dataclass(frozen=True)
class FieldChange:
    """`before` and `after` as the export would write them; empty for none."""

    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """What becomes of one product, or of one slot. `line`: of the file; 0 for what the file does not name."""

    kind: str
    key: str
    name: str
    line: int
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What an import would do. `result` (a `Catalogue` or a `Planogram`) is None while there are bad rows."""

    sheet: Sheet
    changes: tuple[Change, ...]
    unchanged: int
    bad: tuple[BadRow, ...]
    warnings: tuple[Reason, ...]
    result: Any = None

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.changes)


def plan_catalogue(
    data: bytes, catalogue: Catalogue, planogram: Planogram | None = None, *, remove_missing: bool = False
) -> Plan:
    """What the file would make of the catalogue; `Refused` when it cannot be read at all.

    `remove_missing`: products that it does not name go; those that a slot of the planogram holds cannot.
    """
    sheet = read_sheet(data, COLUMNS)
    if "gtin" not in sheet.columns:
        raise Refused("The column {column} is missing: it says which product a row is about", column="gtin")
    if "price" in sheet.columns and "price_minor" in sheet.columns:
        raise Refused("There is a column price and a column price_minor: leave one out")
    bad, changes, seen = list(sheet.bad), [], {}
    products = dict(catalogue.by_gtin)
    unchanged = 0
    for row in sheet.rows:
        product, wrong = _product(row, catalogue, sheet)
        if product is None:
            bad += wrong
            continue
        if product.gtin in seen:
            why = reason("the product is in line {line} already", line=seen[product.gtin])
            bad.append(BadRow(row.line, sheet.columns["gtin"], product.gtin, why))
            continue
        seen[product.gtin] = row.line
        before = catalogue.by_gtin.get(product.gtin)
        fields = _differences(before, product, catalogue.currency)
        if before is not None and not fields:
            unchanged += 1
            continue
        products[product.gtin] = product
        changes.append(Change("changed" if before else "new", product.gtin, product.name, row.line, fields))
    if remove_missing:
        changes += _remove(products, seen, planogram, bad)
    bad.sort(key=lambda b: (b.line, b.column or ""))
    result = None if bad else catalogue.model_copy(update={"products": tuple(products.values())})
    if result is not None:
        result = _checked(result)
    return Plan(sheet, tuple(changes), unchanged, tuple(bad), _unread(sheet), result)


def export_catalogue(catalogue: Catalogue, separator: str = ",", decimal_comma: bool = False) -> bytes:
    """All products; what `plan_catalogue` makes of it changes nothing."""
    head = [column for column in COLUMNS if column != "price_minor"]
    rows = []
    for product in catalogue.products:
        cells = cells_of(product, catalogue.currency)
        if decimal_comma:
            cells |= {k: cells[k].replace(".", ",") for k in ("price", "weight_g", *_SIZES)}
        rows.append([cells[column] for column in head])
    return write_sheet(head, rows, separator)


def cells_of(product: Product, currency: str) -> dict[str, str]:
    """Column -> text, with a decimal point."""
    cells = {
        "gtin": product.gtin,
        "name": product.name,
        "price": "" if product.price_minor is None else major(product.price_minor, currency),
        "tax_class": product.tax_class,
        "minimum_age": "" if product.minimum_age is None else str(product.minimum_age),
        "shape": product.shape,
        "weight_g": plain(Decimal(repr(product.weight_g)).quantize(_FINEST)),
    }
    return cells | {
        c: plain((Decimal(repr(m)) * 1000).quantize(_FINEST)) for c, m in zip(_SIZES, product.size_m, strict=True)
    }


def _product(row: Row, catalogue: Catalogue, sheet: Sheet) -> tuple[Product | None, list[BadRow]]:
    """The product that a row describes, on top of what is known of it; or what is wrong with the row."""
    wrong: list[BadRow] = []

    def take(column: str, parse) -> Any:
        """The parsed cell; None when there is none or it is wrong."""
        cell = row.cells.get(column, "")
        if cell == "":
            return None
        try:
            return parse(cell)
        except Refused as refused:
            wrong.append(BadRow(row.line, sheet.columns[column], cell[:80], refused.reason))
            return None

    if not row.cells["gtin"]:
        return None, [BadRow(row.line, sheet.columns["gtin"], "", reason("there is no GTIN"))]
    gtin = take("gtin", parse_gtin)
    before = catalogue.by_gtin.get(gtin) if gtin else None
    values: dict[str, Any] = before.model_dump() if before else {"gtin": gtin}
    for column, field, parse in (
        ("name", "name", parse_name),
        ("tax_class", "tax_class", lambda cell: parse_tax_class(cell, catalogue)),
        ("shape", "shape", parse_shape),
        ("weight_g", "weight_g", parse_positive),
    ):
        value = take(column, parse)
        if value is not None:
            values[field] = value
    sizes = [take(column, parse_positive) for column in _SIZES]
    known = before.size_m if before else (None, None, None)
    size = [k if mm is None else metres(mm) for mm, k in zip(sizes, known, strict=True)]
    values["size_m"] = tuple(size)
    digits = minor_digits(catalogue.currency)
    if "price" in sheet.columns:
        major = take("price", lambda cell: parse_decimal(without_currency(cell, catalogue.currency), digits))
        values["price_minor"] = None if major is None else int(major.scaleb(digits))
    if "price_minor" in sheet.columns:
        values["price_minor"] = take("price_minor", lambda cell: parse_whole(cell, 0, 10**12))
    if "minimum_age" in sheet.columns:
        values["minimum_age"] = take("minimum_age", lambda cell: parse_whole(cell, 1, 30))
    if before is None and gtin:
        for column in _REQUIRED:
            if not row.cells.get(column):
                why = reason("a new product needs it")
                wrong.append(BadRow(row.line, sheet.columns.get(column, column), "", why))
    if wrong:
        return None, wrong
    try:
        return Product.model_validate(values), []
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return None, [BadRow(row.line, where, "", reason("{text}", text=first["msg"]))]


def _differences(before: Product | None, after: Product, currency: str) -> tuple[FieldChange, ...]:
    old: Mapping[str, str] = cells_of(before, currency) if before else {}
    new = cells_of(after, currency)
    return tuple(FieldChange(c, old.get(c, ""), new[c]) for c in new if c != "gtin" and old.get(c, "") != new[c])


def _remove(
    products: dict[str, Product], named: Mapping[str, int], planogram: Planogram | None, bad: list[BadRow]
) -> list[Change]:
    used: dict[str, str] = {}
    for slot_id, gtin in (planogram.slots if planogram else {}).items():
        used.setdefault(gtin, slot_id)
    changes = []
    for gtin in [g for g in products if g not in named]:
        product = products.pop(gtin)
        if gtin in used:
            why = reason("{name} is not in the file and cannot go: slot {slot} holds it", name=product.name, slot=used[gtin])  # noqa: E501  # fmt: skip
            bad.append(BadRow(0, "gtin", gtin, why))
        changes.append(Change("removed", gtin, product.name, 0))
    if not products:
        bad.append(BadRow(0, None, "", reason("nothing would be left in the catalogue")))
    return changes


def _checked(catalogue: Catalogue) -> Catalogue:
    """Once more as a whole: what goes to the file must come back from it."""
    return Catalogue.model_validate(catalogue.model_dump())


def _unread(sheet: Sheet) -> tuple[Reason, ...]:
    if not sheet.unread:
        return ()
    return (reason("Columns that are not read: {columns}", columns=", ".join(sheet.unread)),)
