# SPDX-License-Identifier: AGPL-3.0-or-later
"""The old place of `calibration.sight`, still named in `pipeline.perception.floor`."""

from calibration.sight import Shelves

__all__ = ["Shelves"]
