# SPDX-License-Identifier: AGPL-3.0-or-later
"""The cells of a catalogue as CSV: what a person or a spreadsheet program wrote, read or `Refused` with the reason."""

from __future__ import annotations

from decimal import Decimal

from calibration.catalogue import Catalogue, gtin_check_digit
from pipeline.cart.money import minor_digits
from pipeline.operations.csv_text import normal_name, parse_decimal
from pipeline.operations.reasons import Refused

SHAPES = ("box", "can", "bottle", "bag", "tub")
_LONGEST_NAME = 200


def parse_gtin(cell: str) -> str:
    """`Refused` says what is wrong, also when a spreadsheet program has spoilt it."""
    plain = cell.replace(" ", "").replace("\u00a0", "")
    if "e+" in plain.casefold():
        raise Refused("{value} was rounded by a spreadsheet program: format the column as text", value=cell)
    if not (plain.isascii() and plain.isdigit()):
        raise Refused("a GTIN has digits only, got {value}", value=cell)
    if len(plain) not in (8, 12, 13, 14):
        shorter = next((n for n in (8, 12, 13, 14) if len(plain) < n), None)
        if shorter and gtin_check_digit(plain.zfill(shorter)[:-1]) == int(plain[-1]) and int(plain):
            padded = plain.zfill(shorter)
            raise Refused("{value} has lost its zeros: {padded} would be a GTIN", value=cell, padded=padded)
        raise Refused("a GTIN has 8, 12, 13 or 14 digits, got {count}", count=len(plain))
    expected = gtin_check_digit(plain[:-1])
    if int(plain[-1]) != expected:
        raise Refused("its check digit is {found}, expected {expected}: a mistyped digit?", found=plain[-1], expected=expected)  # noqa: E501  # fmt: skip
    return plain


def parse_name(cell: str) -> str:
    if len(cell) > _LONGEST_NAME:
        raise Refused("a name has at most {most} characters, got {count}", most=_LONGEST_NAME, count=len(cell))
    if "\n" in cell or "\r" in cell or "\t" in cell:
        raise Refused("a name is one line")
    return cell


def parse_shape(cell: str) -> str:
    shape = normal_name(cell)
    if shape not in SHAPES:
        raise Refused("expected one of {expected}, got {value}", expected=", ".join(SHAPES), value=cell)
    return shape


def parse_tax_class(cell: str, catalogue: Catalogue) -> str:
    """A class by its name, or by its rate in percent where only one class has it."""
    if cell in catalogue.tax_classes:
        return cell
    known = ", ".join(f"{name} ({plain(Decimal(rate) / 10)} %)" for name, rate in catalogue.tax_classes.items())
    by_name = [name for name in catalogue.tax_classes if normal_name(name) == normal_name(cell)]
    try:
        permille = parse_decimal(cell.replace("%", ""), 1) * 10
        by_name += [name for name, rate in catalogue.tax_classes.items() if rate == permille]
    except Refused:
        pass
    if len(by_name) != 1:
        raise Refused("no tax class {value}; there are {known}", value=cell, known=known)
    return by_name[0]


def parse_positive(cell: str) -> Decimal:
    number = parse_decimal(cell)
    if not 0 < number <= 1_000_000:
        raise Refused("expected more than 0, got {value}", value=cell)
    return number


def metres(millimetres: Decimal) -> float:
    return float(millimetres / 1000)


def without_currency(cell: str, currency: str) -> str:
    bare = cell.strip()
    for sign in (currency, "€", "$", "£", "CHF"):
        bare = bare.removesuffix(sign).removeprefix(sign).strip()
    return bare


def major(minor: int, currency: str) -> str:
    digits = minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
