# SPDX-License-Identifier: AGPL-3.0-or-later
"""A pass as a QR code (ISO/IEC 18004), drawn by segno: pure Python, no imaging library, SVG and PNG alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import segno

from pipeline.errors import OutputError

_QUIET_MODULES = 4
"""The standard's quiet zone."""


def qr_of(token: str) -> segno.QRCode:
    """Error correction L: a screen has no torn corners, and larger modules are read from further away."""
    return segno.make_qr(token, error="L", boost_error=False)


def svg_of(token: str) -> str:
    """The picture as SVG for a phone's page; it scales to the screen."""
    return qr_of(token).svg_inline(border=_QUIET_MODULES, light="white", omitsize=True)


def pixels_of(token: str, module_px: int = 8) -> np.ndarray:
    """uint8 (N, N), black on white with the quiet zone, `module_px` pixels a module."""
    rows = [list(row) for row in qr_of(token).matrix_iter(border=_QUIET_MODULES)]
    grey = np.where(np.array(rows, bool), np.uint8(0), np.uint8(255))
    return np.kron(grey, np.ones((module_px, module_px), np.uint8))


def save_picture(token: str, path: Path, module_px: int = 8) -> None:
    """Write a `.png` or `.svg`; `OutputError` for another ending or a place that cannot be written."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise OutputError(f"{path}: a pass is drawn as .png or .svg, not {path.suffix or 'without an ending'}")
    out = io.BytesIO()
    qr_of(token).save(out, kind=kind, scale=module_px, border=_QUIET_MODULES)
    try:
        path.write_bytes(out.getvalue())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
