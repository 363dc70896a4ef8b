# SPDX-License-Identifier: AGPL-3.0-or-later
"""Folders that are whole or not there at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import OutputError


@contextmanager
def making_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to write into, which takes its place when all went well and is gone when not.

    `OutputError`: something is there already, or it cannot be written.
    """
    out = Path(path)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is there already: choose another --out or remove it")
    scratch = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield scratch
        if out.exists():
            out.rmdir()
        scratch.chmod(0o755)
        scratch.rename(out)
    except OSError as error:
        raise OutputError(f"{out}: the recording cannot be written: {error.strerror or error}") from error
    finally:
        if scratch is not None and scratch.exists():
            shutil.rmtree(scratch, ignore_errors=True)
