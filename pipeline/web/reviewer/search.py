# SPDX-License-Identifier: AGPL-3.0-or-later
"""Finding a product in the catalogue by what a reviewer types."""

from __future__ import annotations

import unicodedata

from calibration.catalogue import Catalogue, Product

MOST = 9
"""As many as there are digits to choose one with."""


def found(catalogue: Catalogue, text: str) -> list[Product]:
    """Products with all words of `text` in their name (accents and case do not count) or their GTIN; those whose name
    or GTIN begins with it first, then by where its first word is. At most `MOST`."""
    words = _folded(text).split()
    if not words:
        return []
    matches = []
    for product in catalogue.products:
        name = _folded(product.name)
        if all(word in name or word in product.gtin for word in words):
            begins = name.startswith(words[0]) or product.gtin.startswith(words[0])
            at = f" {name}".find(f" {words[0]}")
            matches.append((not begins, at < 0, name, product))
    matches.sort(key=lambda match: match[:3])
    return [match[3] for match in matches[:MOST]]


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
