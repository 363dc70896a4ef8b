# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reading passes from the picture of a camera at the gate.

zxing-cpp because it finds and reads codes that are tilted, small and unevenly lit in a few milliseconds; what it does
not find at once is tried again larger and with its contrast evened out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import zxingcpp

S = 1_000_000_000
_LARGE_PX = 1200
"""Pictures up to this wide are tried at double size too: under three pixels a module the corners are guessed."""


def read_codes(image: np.ndarray) -> list[str]:
    """The texts of all QR codes in a picture, uint8 (H, W) grey or (H, W, 3) BGR; none when there is none.

    Binary contents come as text with their bytes as characters; whether a text is a pass is not decided here.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    for attempt in _attempts(grey):
        found = zxingcpp.read_barcodes(attempt, formats=zxingcpp.BarcodeFormat.QRCode)
        texts = [code.text for code in found if code.valid]
        if texts:
            return list(dict.fromkeys(texts))
    return []


def _attempts(grey: np.ndarray) -> Iterator[np.ndarray]:
    yield grey
    large = grey
    if grey.shape[1] <= _LARGE_PX:
        large = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        yield large
    even = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(large)
    yield even
    # Unsharp masking undoes some of a soft lens.
    soft = cv2.GaussianBlur(large, (0, 0), 3)
    yield cv2.addWeighted(large, 2.5, soft, -1.5, 0)


@dataclass
class CodeWatch:
    """One camera at a gate: each code is said once while it is held up, and again when it comes back later."""

    again_s: float = 3.0
    _seen_ns: dict[str, int] = field(default_factory=dict)

    def update(self, image: np.ndarray, at_ns: int) -> list[str]:
        """Codes in this picture that were not in those of the last `again_s`."""
        new = []
        for text in read_codes(image):
            if at_ns - self._seen_ns.get(text, -(1 << 62)) > self.again_s * S:
                new.append(text)
            self._seen_ns[text] = at_ns
        self._seen_ns = {t: ns for t, ns in self._seen_ns.items() if at_ns - ns <= self.again_s * S}
        return new
