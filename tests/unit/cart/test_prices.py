# SPDX-License-Identifier: AGPL-3.0-or-later
"""Price files, the price of a moment, currencies and whole-number arithmetic."""

from datetime import datetime

import pytest
from babel.numbers import get_currency_precision
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cart.fold import CartState, fold
from pipeline.cart.money import half_up, minor_digits, money_text, plain_text, split
from pipeline.cart.price_book import PriceBook
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.errors import LayoutError
from pipeline.messages import StaffDecision
from tests.unit.cart.events import BREAD, COLA, T0, S, pick, small_catalogue, visit

HOUR = 3600 * S


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * S


def book(tmp_path, prices="", promotions="", **catalogue):
    for name, text in (("prices.yaml", prices), ("promotions.yaml", promotions)):
        if text:
            (tmp_path / name).write_text(text, encoding="utf-8")
    return PriceBook.load(tmp_path, small_catalogue().model_copy(update=catalogue))


def bill(prices, *shelf_events, rules=None, extra=(), **kwargs):
    events = visit(*shelf_events, others=extra, **kwargs)
    return receipt_of(fold(CartState(), *events), "v1", prices, rules or BillingRules())


LIST = f"""
currency: EUR
timezone: Europe/Paris
prices:
  - {{gtin: "{COLA}", price_minor: 150, until: 2026-03-01}}
  - {{gtin: "{COLA}", price_minor: 170, from: 2026-03-01, until: 2026-04-01 12:00:00}}
  - {{gtin: "{COLA}", price_minor: 99, from: 2026-02-01, until: 2026-02-08, stores: [corner]}}
"""


@pytest.mark.parametrize(
    ("store", "when", "price"),
    [
        ("shop", "2020-01-01T00:00:00+00:00", 150),
        ("shop", "2026-02-28T23:59:59+01:00", 150),
        ("shop", "2026-03-01T00:00:00+01:00", 170),  # midnight in Paris
        ("shop", "2026-04-01T11:59:59+02:00", 170),  # summer time by then
        ("shop", "2026-04-01T12:00:00+02:00", None),
        ("corner", "2026-02-03T00:00:00+01:00", 99),
        ("corner", "2026-02-09T00:00:00+01:00", 150),
        ("shop", "2026-02-03T00:00:00+01:00", 150),
    ],
)
def test_the_price_of_a_moment_in_a_store(tmp_path, store, when, price):
    prices = book(tmp_path, LIST)
    assert prices.price(COLA, store, ns(when)) == price
    assert prices.price(BREAD, store, ns(when)) == 101  # not in the list: the catalogue's


def test_the_price_at_the_pick_counts_and_not_the_one_at_the_exit(tmp_path):
    change = T0 + 10 * S
    moment = datetime.fromtimestamp(change / S).astimezone().isoformat()
    prices = book(
        tmp_path,
        f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: 150, until: {moment}}}, '
        f'{{gtin: "{COLA}", price_minor: 200, from: {moment}}}]',
    )
    receipt = bill(prices, pick(9), pick(10), pick(11))
    assert [(x.quantity, x.unit_price_minor, x.total_minor) for x in receipt.lines] == [(1, 150, 150), (2, 200, 400)]


@pytest.mark.parametrize("rules", [BillingRules(), BillingRules(doubtful="let-go")])
def test_a_missing_price_holds_the_line_and_says_so(tmp_path, rules):
    prices = book(tmp_path, f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: 150, until: 2001-01-01}}]')
    receipt = bill(prices, pick(1), pick(2, BREAD), rules=rules)
    assert [(x.gtin, x.status) for x in receipt.lines] == [(BREAD, "billed"), (COLA, "held")]
    assert "no price" in receipt.lines[1].reason and receipt.total_minor == 101


def test_sales_tax_is_added_at_the_end(tmp_path):
    prices = book(
        tmp_path,
        'currency: EUR\nprices_include_tax: false\ntax_rates: [{tax_class: standard, percent: "8.875"}]',
    )
    receipt = bill(prices, pick(1), pick(2), pick(3, BREAD))
    assert not receipt.tax_included
    taxes = {t.tax_class: (t.rate_ppm, t.net_minor, t.tax_minor) for t in receipt.taxes}
    assert taxes == {"standard": (88_750, 298, 26), "reduced": (55_000, 101, 6)}  # 26.45, 5.56
    assert receipt.total_minor == 298 + 101 + 26 + 6


def test_a_tax_rate_changes_with_time(tmp_path):
    prices = book(
        tmp_path, "currency: EUR\ntax_rates: [{tax_class: standard, percent: 25, from: 2001-01-01, until: 2002-01-01}]"
    )
    assert prices.rate_ppm("standard", "shop", ns("2001-06-01T00:00:00+00:00")) == 250_000
    assert prices.rate_ppm("standard", "shop", ns("2003-06-01T00:00:00+00:00")) == 200_000


@pytest.mark.parametrize(
    ("prices", "promotions", "says"),
    [
        ("currency: USD", "", "currency is USD, the catalogue's EUR"),
        ("", "currency: JPY", "currency is JPY, the catalogue's EUR"),
        ("currency: ABC", "", "'ABC' is not an ISO 4217 code"),
        ("currency: EUR\ntimezone: Paris", "", "no time zone 'Paris'"),
        ('currency: EUR\nprices: [{gtin: "2000000000046", price_minor: 1}]', "", "2000000000046 is not in"),
        (f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: 1.5}}]', "", "prices.0.price_minor"),
        (f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: -1}}]', "", "prices.0.price_minor"),
        (
            f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: 1}}, {{gtin: "{COLA}", price_minor: 2}}]', "",
            "two values from ever on",
        ),
        (
            f'currency: EUR\nprices: [{{gtin: "{COLA}", price_minor: 1, from: 2026-02-01, until: 2026-01-01}}]', "",
            "ends .* before it begins",
        ),
        ("currency: EUR\ntax_rates: [{tax_class: luxury, percent: 20}]", "", "'luxury' is not in the catalogue"),
        ("", "currency: EUR\npromotions: [{id: a, text: t, kind: n-for-m, buy: 2, pay: 2}]", "pay 2 must be less"),
        ("", "currency: EUR\npromotions: [{id: a, text: t, kind: free}]", "promotions.0"),
        ("", "currency: EUR\npromotions: [{id: refund, text: t, kind: percent, percent: 5}]", "'refund' is taken"),
        ("", "currency: EUR\npromotions: [{id: a, text: t, kind: percent, percent: 120}]", "percent"),
        ("", 'currency: EUR\npromotions: [{id: a, text: t, kind: percent, percent: 5, gtins: ["1"]}]', "promotion a"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_price_file_is_one_line_that_names_it(tmp_path, prices, promotions, says):
    with pytest.raises(LayoutError, match=says) as error:
        book(tmp_path, prices, promotions)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def age(decision, at_s=50, **kwargs):
    return StaffDecision(
        event_id=f"age-{at_s}", store_id="shop", at_ns=T0 + at_s * S, visit_id="v1", decision=decision, staff_id="s1",
        **kwargs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("decisions", "status"),
    [
        ([], ["held"]),
        ([age("age-confirmed")], ["billed"]),
        ([age("age-confirmed", minimum_age=16)], ["held"]),
        ([age("age-confirmed", minimum_age=18)], ["billed"]),
        ([age("age-refused")], []),
        ([age("age-refused"), age("age-confirmed", 60)], ["billed"]),
    ],
)
def test_age_restricted_products_wait_for_staff(decisions, status):
    catalogue = small_catalogue()
    products = [p.model_copy(update={"minimum_age": 18}) if p.gtin == COLA else p for p in catalogue.products]
    beer = catalogue.model_copy(update={"products": tuple(products)})
    receipt = bill(beer, pick(1), pick(2, BREAD), extra=decisions)
    assert [x.status for x in receipt.lines if x.gtin == COLA] == status
    assert [x.status for x in receipt.lines if x.gtin == BREAD] == ["billed"]
    if status == ["held"]:
        assert "from age 18" in receipt.lines[-1].reason


def test_a_store_may_let_doubtful_units_go():
    receipt = bill(small_catalogue(), pick(1, sure=0.6), pick(2, BREAD), rules=BillingRules(doubtful="let-go"))
    assert [(x.gtin, x.status) for x in receipt.lines] == [(BREAD, "billed"), (COLA, "let-go")]
    assert receipt.total_minor == 101 and not receipt.held_for_review


def test_minor_units_are_those_of_iso_4217():
    assert [minor_digits(c) for c in ("EUR", "JPY", "KWD", "CHF", "CLF")] == [2, 0, 3, 2, 4]
    for code in ("EUR", "USD", "JPY", "KWD", "CHF", "BHD", "KRW", "TND"):  # Babel agrees on these
        assert minor_digits(code) == get_currency_precision(code)
    assert minor_digits("RSD") == 2 and get_currency_precision("RSD") == 0  # and not on these: see money.py


def test_amounts_as_people_write_them():
    assert money_text(149, "EUR", "en") == "€1.49"
    assert money_text(149, "EUR", "fr").replace("\u202f", " ").replace("\xa0", " ") == "1,49 €"
    assert money_text(1200, "JPY", "en") == "¥1,200"
    assert money_text(1500, "KWD", "en").endswith("1.500")
    assert money_text(-5, "USD", "en") == "-$0.05"
    assert money_text(10_000, "RSD", "en").endswith("100.00")
    assert plain_text(-5, "EUR") == "-0.05 EUR" and plain_text(120, "JPY") == "120 JPY"


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**5), min_size=1, max_size=8))
def test_a_split_adds_up_and_nobody_bears_more_than_they_have(amount, weights):
    if not sum(weights):
        return
    parts = split(amount, weights)
    assert sum(parts) == amount and all(p >= 0 for p in parts)
    exact = [amount * w / sum(weights) for w in weights]
    assert all(abs(p - e) < 1 + 1e-6 for p, e in zip(parts, exact, strict=True))
    if amount <= sum(weights):
        assert all(p <= w for p, w in zip(parts, weights, strict=True))


def test_half_up():
    assert [half_up(n, 2) for n in range(5)] == [0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="-1"):
        half_up(-1, 2)
