# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures of products: the store's own where it has them, else a plain drawing of the kind of thing.

`pictures/GTIN.webp`, `.png` or `.jpg` beside the store's catalogue; a recording has those of its store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from calibration.catalogue import Catalogue, Product

FOLDER = "pictures"
LARGEST_BYTES = 512 * 1024
"""What is larger is a photograph that nobody has made small: phones are not sent it."""
_TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}
_GTIN = re.compile(r"[0-9]{8,14}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

_OUTLINES = {
    "can": '<rect x="34" y="18" width="60" height="92" rx="9"/>',
    "bottle": '<path d="M55 12h18v18c0 8 15 12 15 30v46a10 10 0 0 1-10 10H50a10 10 0 0 1-10-10V60c0-18 15-22 15-30z"/>',
    "tub": '<path d="M22 32h84v12h-5l-8 58a8 8 0 0 1-8 7H43a8 8 0 0 1-8-7l-8-58h-5z"/>',
    "bag": '<path d="M32 16h64l-5 14c4 22 4 46 0 68l5 14H32l5-14c-4-22-4-46 0-68z"/>',
    "box": '<rect x="28" y="16" width="72" height="96" rx="4"/>',
}


@dataclass(frozen=True)
class Picture:
    content: bytes
    media_type: str


class ProductPictures:
    """Of one store. `folder`: where its catalogue is."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self._folder, self._catalogue = folder / FOLDER, catalogue

    def of(self, gtin: str) -> Picture:
        """The product's picture; a question mark for what is no product of ours."""
        if _GTIN.fullmatch(gtin):  # nothing else becomes part of a path
            for ending, media_type in _TYPES.items():
                if (content := _read(self._folder / f"{gtin}{ending}")) is not None:
                    return Picture(content, media_type)
        return Picture(drawn(self._catalogue.by_gtin.get(gtin)).encode(), "image/svg+xml")


def drawn(product: Product | None) -> str:
    """An SVG of the product's shape in its colour, or a question mark."""
    if product is None:
        inner = (
            '<circle cx="64" cy="64" r="44" fill="none" stroke="#8a8f98" stroke-width="7"/>'
            '<path d="M51 54a13 13 0 1 1 20 11c-5 3-7 5-7 10m0 13v1" fill="none" stroke="#8a8f98" stroke-width="8" '
            'stroke-linecap="round"/>'
        )
    else:
        colour = str(product.label.get("primary", ""))
        colour = colour if _COLOUR.fullmatch(colour) else "#7d8ca3"
        inner = f'<g fill="{colour}" stroke="#8a8f98" stroke-width="3">{_OUTLINES[product.shape]}</g>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128">{inner}</svg>'


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST_BYTES else None
    except OSError:
        return None
