# SPDX-License-Identifier: AGPL-3.0-or-later
"""The languages of pages and paper receipts: gettext files under `locale/`, read as they are (nothing is compiled).

Each area has a file of its own in each language's folder, e.g. `fr/LC_MESSAGES/shopper.po`; all of a
language are one catalogue. English needs none: the keys are the English texts.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

FOLDER = Path(__file__).parent / "locale"
LANGUAGES = {"en": "English", "fr": "Français"}
DEFAULT = "en"


def N_(text: str) -> str:
    """Marks a text for translation that is translated later, in a template."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    found: NullTranslations | None = None
    for path in sorted((FOLDER / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        one = Translations(fp=compiled)
        found = one if found is None else found.merge(one)
    return found or NullTranslations()


def wanted(header: str | None) -> str:
    """The language of ours that an `Accept-Language` header likes most."""
    best, best_weight = DEFAULT, 0.0
    for part in (header or "")[:400].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.partition("-")[0].lower()
        try:
            weight = float(rest.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best
