# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the simulator's commands share: the seed, and a word about what is not installed."""

from __future__ import annotations

import importlib.util
from typing import Annotated

import typer

from pipeline.errors import WalkoutError

Seed = Annotated[int, typer.Option("--seed", help="Another seed: other people, clothes, paths, products, light.")]


def needs(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise WalkoutError(f"this command needs the {extra!r} extra: pip install 'walkout[{extra}]'")
