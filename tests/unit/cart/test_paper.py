# SPDX-License-Identifier: AGPL-3.0-or-later
"""Receipts for people, the command that shows them, and their schema."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cart.corrections import ChargeLine, RemoveLine
from pipeline.cart.paper import PaperSettings, html_of, write_papers
from pipeline.cart.paper_texts import _TEXTS
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import PriceList
from pipeline.cart.receipt_cli import app
from pipeline.cart.receipt_schema import text as schema_text
from pipeline.errors import OutputError, RecordingError
from pipeline.messages import TrackBound
from tests.unit.cart.events import BREAD, COLA, T0, WATER, pick, small_catalogue
from tests.unit.cart.test_corrections import fixed
from tests.unit.cart.test_prices import bill
from tests.unit.cart.test_promotions import TENTH, THREE_FOR_TWO, book, coupon

SCHEMA = Path(__file__).parents[3] / "deploy" / "receipt.schema.json"


class Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.links, self._skip = [], [], False

    def handle_starttag(self, tag, attrs):
        self._skip = tag == "style"
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if not self._skip:
            self.words += data.split()


def words(html: str) -> str:
    """What a reader sees, one space between words."""
    parser = Words()
    parser.feed(html)
    assert parser.links == []  # one file, nothing from elsewhere
    return " ".join(parser.words)


@pytest.fixture
def receipt():
    prices = book(THREE_FOR_TWO, {**TENTH, "coupon": True, "text": "Welcome"})
    second = TrackBound(event_id="b2", store_id="shop", at_ns=T0, visit_id="v1", track_id="t2", member=2)
    return bill(
        prices, pick(1, quantity=3), pick(2, BREAD, person="t2"), pick(3, WATER, sure=0.6),
        extra=[second, coupon("tenth")],
    )  # fmt: skip


def test_a_receipt_in_english(receipt):
    page = words(html_of(receipt, PaperSettings(store_name="Corner & Sons", timezone="Europe/Paris")))
    assert "Corner & Sons" in page and "November 14, 2023, 11:13" in page
    assert "Person 1 Cola 3 × €1.49 €4.47 3 for 2 -€1.49 Welcome (coupon c1) -€0.30 Subtotal €2.68" in page
    assert "Person 2 Bread €1.01" in page and "Total €3.59" in page
    assert "Being checked, not charged" in page and "Water €0.55" in page
    assert "may not have been a pick" not in page  # a reason for staff


def test_a_receipt_in_french(receipt):
    page = words(html_of(receipt, PaperSettings(locale="fr-FR", timezone="Europe/Paris")))
    for part in ("14 novembre 2023, 23:13", "Personne 2 Bread 1,01 €", "Dont TVA", "5,5 %", "En cours de vérification"):
        assert part in page


def test_every_language_has_every_text():
    assert {tuple(sorted(texts)) for texts in _TEXTS.values()} == {tuple(sorted(_TEXTS["en"]))}


def test_sales_tax_stands_between_lines_and_total():
    prices = PriceBook(
        small_catalogue(),
        PriceList.model_validate(
            {
                "currency": "EUR",
                "prices_include_tax": False,
                "tax_rates": [{"tax_class": "standard", "percent": "8.875"}],
            }
        ),
    )
    page = words(html_of(bill(prices, pick(1)), PaperSettings(locale="en_US")))
    assert "Before tax €1.49 Sales tax 8.875% €0.13 Total €1.62" in page


def test_a_corrected_receipt_says_what_changed(receipt):
    new = fixed(receipt, RemoveLine(line_id="2"), prices=book(THREE_FOR_TWO, {**TENTH, "coupon": True}))
    page = words(html_of(new))
    assert "version 2" in page and "in place of version 1" in page and "Paid back to you: €" in page


def test_a_corrected_receipt_in_french_says_why_in_french(receipt):
    new = fixed(receipt, RemoveLine(line_id="2"), prices=book(THREE_FOR_TWO, {**TENTH, "coupon": True}))
    settled = new.correction.model_copy(update={"reason": "settled at once: a small amount, 0.30 EUR"})
    page = words(html_of(new.model_copy(update={"correction": settled}), PaperSettings(locale="fr-FR")))
    assert "réglé tout de suite : un petit montant, 0,30 EUR" in page
    assert "retiré : 1 Bread" in page and "removed" not in page
    assert "looked at the film" in words(html_of(new, PaperSettings(locale="fr-FR")))  # what a person wrote stays


def test_names_cannot_bring_markup_along(receipt):
    line = receipt.lines[0].model_copy(update={"name": "<script>alert(1)</script>"})
    html = html_of(receipt.model_copy(update={"lines": (line, *receipt.lines[1:])}))
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_an_empty_receipt_says_so():
    assert "You took nothing that is charged. Total: €0.00" in words(html_of(bill(small_catalogue())))


def test_papers_of_all_versions_and_nothing_outside_the_folder(tmp_path, receipt):
    newer = fixed(receipt, ChargeLine(line_id="3"), prices=book(THREE_FOR_TWO))
    evil = receipt.model_copy(update={"receipt_id": "../../evil"})
    paths = write_papers(tmp_path, [receipt, newer, evil])
    names = {p.relative_to(tmp_path).as_posix() for p in paths}
    assert names == {
        f"receipts/{receipt.receipt_id}.html", f"receipts/{receipt.receipt_id}.v1.html", "receipts/______evil.html",
    }  # fmt: skip
    assert "version 2" in (tmp_path / "receipts" / f"{receipt.receipt_id}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("field", "value"), [("locale", "klingon"), ("timezone", "Mars/Base")])
def test_paper_settings_are_checked(field, value):
    with pytest.raises(ValueError, match=value):
        PaperSettings(**{field: value})


@pytest.fixture
def run(tmp_path, receipt):
    data = {"receipts": [receipt.model_dump(mode="json")]}
    (tmp_path / "receipts.json").write_text(json.dumps(data), encoding="utf-8")
    return tmp_path


def test_show_prints_reasons_and_writes_the_page(run, receipt):
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["show", str(run)])
    assert shown.exit_code == 0 and "may not have been a pick" in shown.output and "3.59 EUR" in shown.output
    page = run / "page.html"
    shown = CliRunner().invoke(app, ["show", str(run), "--visit", "v1", "--html", str(page), "--locale", "fr"])
    assert shown.exit_code == 0 and "Ticket de caisse" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["--visit", "v9"], RecordingError, r"no receipt of a visit 'v9'; there are: v1 \(anna\)"),
        (["--version", "7"], RecordingError, r"no version 7; there are: \[1\]"),
        (["--html", "nowhere/page.html"], OutputError, "nowhere/page.html: cannot be written"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(run, arguments, error, says):
    result = CliRunner().invoke(app, ["show", str(run), *arguments])
    with pytest.raises(error, match=says):
        raise result.exception


@pytest.mark.parametrize("content", ["", "[]", '{"receipts": [{"version": 0}]}', '{"receipts": 3}'])
def test_a_file_without_receipts_is_named(tmp_path, content):
    (tmp_path / "receipts.json").write_text(content, encoding="utf-8")
    result = CliRunner().invoke(app, ["show", str(tmp_path)])
    with pytest.raises(RecordingError, match=r"receipts\.json"):
        raise result.exception


def test_the_shipped_schema_is_up_to_date_and_fits(receipt):
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), f"run: walkout receipt schema > {SCHEMA}"
    schema = json.loads(schema_text())
    data = receipt.model_dump(mode="json")
    assert set(data) == set(schema["properties"]) and set(schema["required"]) <= set(data)
    line = schema["$defs"]["ReceiptLine"]
    assert all(set(x) == set(line["properties"]) for x in data["lines"])
    assert {x["gtin"] for x in data["lines"]} == {COLA, BREAD, WATER}
