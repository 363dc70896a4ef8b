# SPDX-License-Identifier: AGPL-3.0-or-later
"""What an import would change in a catalogue or a planogram, and every way in which a row can be wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.catalogue import Catalogue, Planogram, Product, gtin_check_digit
from pipeline.operations.catalogue_csv import export_catalogue, plan_catalogue
from pipeline.operations.planogram_csv import export_planogram, plan_planogram
from pipeline.operations.reasons import Refused
from tests.unit.operations.events import BREAD, COLA, WATER, catalogue, layout, planogram

NEW = "2000000000046"
FULL = "gtin;name;price;tax_class;shape;width_mm;depth_mm;height_mm;weight_g\n"


def plan(text, **more):
    return plan_catalogue(text.encode() if isinstance(text, str) else text, catalogue(), planogram(), **more)


def said(found):
    return [(b.line, b.column, str(b.reason)) for b in found.bad]


def test_a_price_list_of_two_columns_changes_prices_alone():
    found = plan(f"EAN;Prix TTC\n{COLA};1,59 €\n{BREAD};1,49\n")
    (change,) = found.changes
    assert (change.kind, change.key, change.line, found.unchanged) == ("changed", COLA, 2, 1)
    assert [(f.field, f.before, f.after) for f in change.fields] == [("price", "1.49", "1.59")]
    assert found.result.by_gtin[COLA].price_minor == 159
    assert found.result.by_gtin[COLA].size_m == catalogue().by_gtin[COLA].size_m
    assert [p.gtin for p in found.result.products] == [p.gtin for p in catalogue().products]


def test_a_new_product_needs_everything_and_comes_last():
    found = plan(FULL + f"{NEW};Crêpes;2,20;20 %;bag;200;50;150;250\n")
    assert [(c.kind, c.key) for c in found.changes] == [("new", NEW)]
    product = found.result.products[-1]
    assert (product.name, product.price_minor, product.tax_class, product.size_m) == (
        "Crêpes", 220, "standard", (0.2, 0.05, 0.15),
    )  # fmt: skip
    missing = plan(f"gtin;name\n{NEW};Crêpes\n")
    assert missing.result is None
    assert {c for _, c, _ in said(missing)} == {"tax_class", "shape", "width_mm", "depth_mm", "height_mm", "weight_g"}


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        (f"{COLA[:-1]}9;;1;", "gtin", "check digit is 9, expected 5"),
        ("124;;1;", "gtin", "8, 12, 13 or 14 digits"),
        ("abc;;1;", "gtin", "digits only"),
        ("2,0E+12;;1;", "gtin", "rounded by a spreadsheet"),
        ("5449000;;1;", "gtin", "lost its zeros|8, 12, 13 or 14 digits"),
        (";;1;", "gtin", "no GTIN"),
        (f"{COLA};;1,234;", "price", "two ways"),
        (f"{COLA};;1,999;", "price", "two ways"),
        (f"{COLA};;1.4999;", "price", "more than 2 decimals"),
        (f"{COLA};;-1;", "price", "expected a number"),
        (f"{COLA};;gratis;", "price", "expected a number"),
        (f"{COLA};;1;luxury", "tax_class", r"no tax class luxury; there are standard \(20 %\)"),
        (f"{COLA};{'x' * 201};1;", "name", "at most 200"),
    ],
)
def test_a_wrong_row_is_named_by_line_column_and_reason_and_nothing_comes_of_the_file(row, column, why):
    found = plan(f"gtin;name;price;tax_class\n{BREAD};;1,11;\n{row}\n")
    ((line, where, text),) = said(found)
    assert (line, where) == (3, column) and found.result is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(text)
    assert [c.key for c in found.changes] == [BREAD]  # what is right is shown all the same


def test_a_product_twice_is_named_with_both_lines():
    ((line, _, text),) = said(plan(f"gtin;price\n{COLA};1\n{BREAD};2\n{COLA};3\n"))
    assert line == 4 and "line 2 already" in text


def test_an_empty_price_is_no_price_and_other_empty_cells_leave_what_is_there():
    found = plan(f"gtin;name;price;minimum_age\n{COLA};;;18\n")
    product = found.result.by_gtin[COLA]
    assert (product.name, product.price_minor, product.minimum_age) == ("Cola", None, 18)


def test_products_that_the_file_does_not_name_stay_unless_they_are_to_go():
    text = f"gtin;price\n{COLA};1,49\n"
    assert plan(text).changes == ()
    unused = plan_catalogue(text.encode(), catalogue(), Planogram(slots={"g1-0": COLA}), remove_missing=True)
    assert [c.kind for c in unused.changes] == ["removed", "removed"] and list(unused.result.by_gtin) == [COLA]
    used = plan(text, remove_missing=True)
    assert used.result is None and len(used.bad) == 2 and "slot g2-0 holds it" in said(used)[0][2]


def test_a_file_without_the_column_that_matters_is_refused():
    for text in ("price\n1\n", "gtin;price;price_minor\n1;1;1\n"):
        with pytest.raises(Refused):
            plan(text)


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40)


@st.composite
def products(draw):
    digits = draw(st.text("0123456789", min_size=12, max_size=12))
    millimetres = st.integers(1, 20_000).map(lambda tenths: tenths / 10_000)
    return Product(
        gtin=f"{digits}{gtin_check_digit(digits)}", name=draw(names.map(str.strip).filter(bool)),
        price_minor=draw(st.none() | st.integers(0, 10_000_000)), tax_class="standard",
        minimum_age=draw(st.none() | st.integers(1, 30)), shape=draw(st.sampled_from(["box", "can", "bag"])),
        size_m=draw(st.tuples(millimetres, millimetres, millimetres)), weight_g=draw(st.integers(1, 10**7)) / 10,
    )  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(products(), min_size=1, max_size=6, unique_by=lambda p: p.gtin),
    st.sampled_from([(",", False), (";", True), ("\t", False), (";", False)]),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_an_export_imports_without_a_change(listed, form, currency):
    mine = Catalogue(currency=currency, tax_classes={"standard": 200}, products=listed)
    found = plan_catalogue(export_catalogue(mine, *form), mine, remove_missing=True)
    assert said(found) == [] and found.changes == () and found.unchanged == len(listed)
    empty = Catalogue(currency=currency, tax_classes={"standard": 200}, products=[catalogue().products[0]])
    again = plan_catalogue(export_catalogue(mine, *form), empty, remove_missing=True)
    for product in mine.products:
        other = again.result.by_gtin[product.gtin]
        assert other.size_m == pytest.approx(product.size_m) and other.weight_g == pytest.approx(product.weight_g)
        assert other.model_copy(update={"size_m": product.size_m, "weight_g": product.weight_g}) == product


# --- planogram ---


def slots(text, **more):
    return plan_planogram(text.encode(), layout(), catalogue(), planogram(), **more)


def test_a_planogram_import_says_which_slots_change():
    found = slots(f"Emplacement;EAN\ng1-0;{WATER}\ng1-1;\ng2-0;{BREAD}\n")
    assert [(c.kind, c.key, c.line) for c in found.changes] == [("changed", "g1-0", 2), ("removed", "g1-1", 3)]
    assert found.result.slots == {"g1-0": WATER, "g2-0": BREAD, "g2-1": WATER} and found.unchanged == 1
    assert found.changes[0].fields[0].before == f"Cola ({COLA})"
    assert list(slots(f"slot;gtin\ng1-0;{COLA}\n", remove_missing=True).result.slots) == ["g1-0"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"g9-9;{COLA}", "no such slot"), (f";{COLA}", "there is no slot"), (f"g1-0;{NEW}", "not in the catalogue"),
        ("g1-0;12", "8, 12, 13 or 14"), (f"g2-0;{BREAD}", "line 2 already"),
    ],
)  # fmt: skip
def test_a_wrong_row_of_a_planogram_is_named(row, why):
    ((line, _, text),) = said(found := slots(f"slot;gtin\ng2-0;{BREAD}\n{row}\n"))
    assert line == 3 and why in text and found.result is None


def test_what_does_not_fit_into_its_slot_is_said():
    tall = catalogue().products[2].model_copy(update={"size_m": (0.06, 0.1, 0.35)})
    mine = catalogue().model_copy(update={"products": (*catalogue().products[:2], tall)})
    found = plan_planogram(f"slot;gtin\ng1-0;{WATER}\n".encode(), layout(), mine, planogram())
    assert "its height is 350 mm, there are 300" in str(found.warnings[0]) and found.result is not None


def test_an_exported_planogram_imports_without_a_change():
    for separator in (",", ";", "\t"):
        data = export_planogram(layout(), catalogue(), planogram(), separator)
        found = plan_planogram(data, layout(), catalogue(), planogram(), remove_missing=True)
        assert found.changes == () and found.bad == () and found.result == planogram()
