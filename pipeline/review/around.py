# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a reviewer's desk has around it besides the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.evidence import EvidenceStore
    from pipeline.shop import Shop, Stages


@dataclass(frozen=True)
class Around:
    """All of it may be missing. `shop`: with the recording of a run, to run visits
    again; `run`: the run's folder; `folders`: where else `tracks.csv` may be; `stages`: as for `runtime.run`."""

    shop: Shop | None = None
    run: Path | None = None
    evidence: EvidenceStore | None = None
    folders: tuple[Path, ...] = ()
    stages: Callable[[Shop], Stages] | None = None
