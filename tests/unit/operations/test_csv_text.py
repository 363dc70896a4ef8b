# SPDX-License-Identifier: AGPL-3.0-or-later
"""CSV as people have it: encodings, separators, numbers, and cells that spreadsheet programs take for formulas."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.operations.csv_text import (
    MAX_BYTES,
    decode,
    escape,
    normal_name,
    parse_decimal,
    parse_whole,
    read_sheet,
    unescape,
    write_sheet,
)
from pipeline.operations.reasons import Refused

NAMES = {"gtin": ("ean",), "name": ("libelle",), "price": ("prix",)}
TEXT = "ean;libellé;prix\n1;Crème brûlée;1,49\n2;Œufs «bio» – 6;2,50\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode("utf-8"), "UTF-8"),
        (b"\xef\xbb\xbf" + TEXT.encode("utf-8"), "UTF-8"),
        (TEXT.encode("utf-16"), "UTF-16"),  # with a mark
        (TEXT.encode("utf-16-le"), "UTF-16"),  # without
        (TEXT.encode("utf-16-be"), "UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("cp1252"), "Windows-1252"),
        (TEXT.replace("Œ", "O").replace("–", "-").encode("latin-1"), "Windows-1252"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_any_usual_encoding_gives_the_same_rows(data, encoding, line_end):
    if line_end == "\r\n" and encoding != "UTF-16":
        data = data.replace(b"\n", b"\r\n")
    sheet = read_sheet(data, NAMES)
    assert (sheet.encoding, sheet.separator) == (encoding, ";")
    assert sheet.rows[0].cells == {"gtin": "1", "name": "Crème brûlée", "price": "1,49"}
    assert sheet.rows[1].cells["name"].endswith("6") and [r.line for r in sheet.rows] == [2, 3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"ean;prix\n1;\x00\x01\x02" * 3, "control characters|names no column"),
        (b"\x89PNG\r\n\x1a\n", "control characters"),
        (b"\xef\xbb\xbfean;prix\n1;\xe9\n", "Line 2 is not UTF-8"),
        (b"foo;bar\n1;2\n", "names no column"),
        (b"ean;EAN\n1;2\n", "twice"),
        (b"x" * (MAX_BYTES + 1), "5 MB"),
        (b"ean\n" + b"1\n" * 50_001, "50000 rows"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_with_the_reason(data, why):
    with pytest.raises(Refused, match=why):
        read_sheet(data, NAMES)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_found_by_the_head_and_cells_may_hold_them(separator):
    text = f'EAN{separator}Libellé\n1{separator}"a{separator}b ""c"""\n'
    assert read_sheet(text.encode(), NAMES).rows[0].cells == {"gtin": "1", "name": f'a{separator}b "c"'}


def test_rows_that_do_not_fit_the_head_are_named_by_their_line():
    sheet = read_sheet(b'sep=;\nean;prix;stock\n1;2;3\n\n1;2\n"a\nb";2;3\n9;8;7;6\n', NAMES)
    assert [r.line for r in sheet.rows] == [3, 6] and sheet.unread == ("stock",)
    assert [(b.line, str(b.reason)) for b in sheet.bad] == [
        (5, "has 2 cells where the head has 3"), (8, "has 4 cells where the head has 3"),
    ]  # fmt: skip
    (bad,) = read_sheet(b'ean;prix\n1;2\n"open;3\n4;5\n', NAMES).bad
    assert bad.line == 3 and "quotation mark" in str(bad.reason)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.49", "1.49"), ("1,49", "1.49"), ("0,5", "0.5"), (",5", "0.5"), ("12", "12"), ("1 234,50", "1234.50"),
        ("1 234,5", "1234.5"), ("1'234.50", "1234.50"), ("1.234,50", "1234.50"), ("1,234.50", "1234.50"),
        ("1.234.567", "1234567"), ("0,066", "0.066"), ("66.", "66"),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text, number):
    assert parse_decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", ["1,234", "1.234", "-1", "", "abc", "1,2,3.4.5", "1e5", "٣", "1;2", "9" * 13])
def test_numbers_that_may_be_read_in_two_ways_or_in_none_are_refused(text):
    with pytest.raises(Refused):
        parse_decimal(text)


def test_a_price_has_no_more_decimals_than_its_currency():
    assert parse_decimal("1.50", 1) == Decimal("1.5") and parse_decimal("1,234", 3) == Decimal("1.234")
    with pytest.raises(Refused, match="more than 2 decimals"):
        parse_decimal("1.4999", 2)
    with pytest.raises(Refused, match="from 1 to 30"):
        parse_whole("31", 1, 30)


cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30).map(str.strip)


@settings(deadline=None)
@given(cells)
def test_no_cell_is_a_formula_and_none_is_lost(cell):
    written = escape(cell)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unescape(written) == cell


@settings(deadline=None)
@given(st.sampled_from(["=", "+", "-", "@", "'=", "''@"]), cells)
def test_dangerous_cells_go_out_and_come_back(start, rest):
    cell = (start + rest).strip()
    assert escape(cell).startswith("'") and unescape(escape(cell)) == cell


@settings(deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_what_is_written_reads_back(rows, separator):
    sheet = read_sheet(write_sheet(("gtin", "name"), rows, separator), NAMES)
    written = [(a, b) for a, b in rows if a or b]
    assert [(r.cells["gtin"], r.cells["name"]) for r in sheet.rows] == written and not sheet.bad


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_file_breaks_the_reader(data):
    try:
        text, _ = decode(data)
        assert isinstance(text, str)
        read_sheet(data, NAMES)
    except Refused as refused:
        assert str(refused)


def test_names_of_columns_are_compared_without_accents_and_signs():
    assert normal_name(" Prix (TTC) ") == "prix_ttc" and normal_name("Libellé") == "libelle"
