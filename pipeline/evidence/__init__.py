# SPDX-License-Identifier: AGPL-3.0-or-later
"""Clips and stills around shelf events, so that a receipt can be settled by looking (docs/evidence.md).

Everybody but the shopper concerned is blurred before anything is stored; the original never is.
"""

from pipeline.evidence.clip import Clip
from pipeline.evidence.settings import EvidenceSettings
from pipeline.evidence.store import EvidenceStore, open_evidence

__all__ = ["Clip", "EvidenceSettings", "EvidenceStore", "open_evidence"]
