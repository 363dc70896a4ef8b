# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading CSV as people have it: any of the usual encodings and separators, decimal comma or point.

Nothing is guessed where a wrong guess would go unnoticed: `1,234` may be one and a bit or more than a thousand, so it
is refused.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.operations.reasons import Reason, Refused, reason

MAX_BYTES = 5_000_000
"""A catalogue of 50,000 articles is about 4 MB."""
MAX_ROWS = 50_000
SEPARATORS = (";", ",", "\t")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GROUPING = re.compile(r"[\s\u00a0\u202f']")


@dataclass(frozen=True)
class Row:
    """`line`: where it begins in the file, from 1. `cells`: column -> text, without spaces around it."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class BadRow:
    """Why a row cannot be taken. `column`: as in the file; None when it is about the row."""

    line: int
    column: str | None
    value: str
    reason: Reason


@dataclass(frozen=True)
class Sheet:
    """A file as it was understood. `columns`: ours -> as it stands in the file. `unread`: columns that are not ours."""

    encoding: str
    separator: str
    columns: dict[str, str]
    unread: tuple[str, ...]
    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]


def decode(data: bytes) -> tuple[str, str]:
    """The text and the name of its encoding; `Refused` when it is no text."""
    if data.startswith(b"PK\x03\x04") or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refused("This is a workbook of a spreadsheet program, not CSV: save it as CSV first")
    for mark, encoding, name in (
        (b"\xef\xbb\xbf", "utf-8", "UTF-8"), (b"\xff\xfe", "utf-16-le", "UTF-16"), (b"\xfe\xff", "utf-16-be", "UTF-16"),
    ):  # fmt: skip
        if data.startswith(mark):
            return _strict(data[len(mark) :], encoding, name), name
    if b"\0" in data[:2000]:
        encoding = "utf-16-le" if data[1:2000:2].count(0) > data[0:2000:2].count(0) else "utf-16-be"
        return _strict(data, encoding, "UTF-16"), "UTF-16"
    try:
        return _no_controls(data.decode("utf-8")), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        return _no_controls(data.decode("cp1252")), "Windows-1252"
    except UnicodeDecodeError:
        return _no_controls(data.decode("latin-1")), "Latin-1"


def read_sheet(data: bytes, names: Mapping[str, Collection[str]]) -> Sheet:
    """The rows of a CSV file with a head.

    Args:
        names: our column -> further names that it may have in a head (lower case, without accents, `_` for the rest).

    `Refused` when nothing can be read: no text, too large, no head that we know. Rows that do not fit the head are
    among `bad`.
    """
    if len(data) > MAX_BYTES:
        raise Refused("The file has more than {most} MB", most=MAX_BYTES // 1_000_000)
    text, encoding = decode(data)
    skipped = 0
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.\r?", first):  # a hint of Excel's
        text, skipped = rest, 1
    if not text.strip():
        raise Refused("The file is empty")
    separator = max(SEPARATORS, key=lambda s: _known(text, s, names))
    if not _known(text, separator, names):
        expected = ", ".join(names)
        raise Refused("The first line names no column that is known; expected some of: {expected}", expected=expected)
    rows, bad = [], []
    columns: list[str | None] = []
    head: list[str] = []
    for line, cells, wrong in _records(text, separator):
        line += skipped
        if wrong is not None:
            bad.append(BadRow(line, None, "", wrong))
        elif not any(cell.strip() for cell in cells):
            continue
        elif not columns:
            head = [cell.strip() for cell in cells]
            columns = _columns(head, names)
        elif len(cells) != len(columns):
            why = reason("has {found} cells where the head has {expected}", found=len(cells), expected=len(columns))
            bad.append(BadRow(line, None, "", why))
        elif len(rows) == MAX_ROWS:
            raise Refused("The file has more than {most} rows", most=MAX_ROWS)
        else:
            named = zip(columns, cells, strict=True)
            rows.append(Row(line, {name: unescape(cell.strip()) for name, cell in named if name}))
    ours = {name: head[i] for i, name in enumerate(columns) if name}
    unread = tuple(head[i] for i, name in enumerate(columns) if not name and head[i])
    return Sheet(encoding, separator, ours, unread, tuple(rows), tuple(bad))


def parse_decimal(text: str, digits: int | None = None) -> Decimal:
    """A number that is not negative, as `1.49`, `1,49`, `1 234,50` or `1,234.50`. `digits`: decimals that it may have
    at most, and with which a single separator is no doubt. `Refused` otherwise."""
    plain = _GROUPING.sub("", text)
    marks = [c for c in plain if c in ".,"]
    if marks:
        last = max(plain.rfind("."), plain.rfind(","))
        whole, decimals = plain[:last], plain[last + 1 :]
        if len(set(marks)) == 2:
            whole = whole.replace("," if plain[last] == "." else ".", "")
        elif len(marks) > 1:
            whole, decimals = plain.replace(marks[0], ""), ""
        elif len(decimals) == 3 and digits != 3 and whole not in ("", "0"):
            raise Refused("{value} may be read in two ways: write it without a thousands separator", value=text)
        plain = f"{whole or '0'}.{decimals}" if decimals else whole
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", plain):
        raise Refused("expected a number, got {value}", value=text)
    number = Decimal(plain)
    if digits is not None and -number.normalize().as_tuple().exponent > digits:
        raise Refused("{value} has more than {digits} decimals", value=text, digits=digits)
    return number


def parse_whole(text: str, least: int, most: int) -> int:
    """A whole number of this range; `Refused` otherwise."""
    plain = _GROUPING.sub("", text)
    if not re.fullmatch(r"[0-9]{1,12}", plain) or not least <= int(plain) <= most:
        raise Refused("expected a whole number from {least} to {most}, got {value}", least=least, most=most, value=text)
    return int(plain)


def escape(cell: str) -> str:
    """So that no spreadsheet program takes it for a formula (OWASP, CSV Injection); `unescape` takes it back."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_sheet(head: Sequence[str], rows: Iterable[Sequence[str]], separator: str = ",") -> bytes:
    """UTF-8 with a byte order mark, which spreadsheet programs want."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(head)
    writer.writerows([escape(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def normal_name(text: str) -> str:
    """`Prix (TTC)` is `prix_ttc`."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", bare.casefold()).strip("_")


def _columns(head: Sequence[str], names: Mapping[str, Collection[str]]) -> list[str | None]:
    """For each cell of the head our name of the column, None when it is not ours."""
    found: list[str | None] = []
    for cell in head:
        wanted = normal_name(cell)
        ours = next((name for name, others in names.items() if wanted == name or wanted in others), None)
        if ours is not None and ours in found:
            raise Refused("The column {column} is there twice: {first} and {second}", column=ours, first=head[found.index(ours)], second=cell)  # noqa: E501  # fmt: skip
        found.append(ours)
    return found


def _known(text: str, separator: str, names: Mapping[str, Collection[str]]) -> int:
    """How many columns of the head are known with this separator."""
    for _, cells, wrong in _records(text, separator):
        if wrong is not None:
            return 0
        if any(cell.strip() for cell in cells):
            return sum(
                any(normal_name(cell) == n or normal_name(cell) in others for n, others in names.items())
                for cell in cells
            )
    return 0


def _records(text: str, separator: str):
    """Each record's first line, its cells, and what is wrong with it; nothing comes after a wrong one."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader), None
        except StopIteration:
            return
        except csv.Error:
            yield line, [], reason("a quotation mark is not closed, or stands within a cell")
            return


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return _no_controls(data.decode(encoding))
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, errors="replace").count("\n") + 1
        raise Refused("Line {line} is not {encoding}, as the file's beginning says", line=line, encoding=name) from None


def _no_controls(text: str) -> str:
    found = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]", text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise Refused("Line {line} holds control characters: this is not a text file", line=line)
    return text
