# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a shopper shows to be let in: short-lived signed passes, the keys that sign them, and the pictures of them."""

from pipeline.passes.keys import KeyRing
from pipeline.passes.refused import PassRefused
from pipeline.passes.token import Pass, PassChecker, PassIssuer

__all__ = ["KeyRing", "Pass", "PassChecker", "PassIssuer", "PassRefused"]
