# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where clips and stills lie: a folder, or anything fsspec has a URL for (S3). Objects are whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import EvidenceError
from pipeline.reasons import NOT_LOOKED_AT, NOT_READ, NOT_WRITTEN
from pipeline.run_files import replace_whole

_S3_PATIENCE = {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}


class Storage:
    """Bytes by name (`a/b/c.mp4`). Everything raises `EvidenceError` when the place cannot be used.

    `where`: a folder, or a URL. `options`: handed to fsspec. Nothing is touched before the first write.
    """

    def __init__(self, where: Path | str, options: dict | None = None) -> None:
        import fsspec

        self.name = str(where)
        options = dict(options or {})
        if self.name.startswith(("s3:", "s3a:")):
            # A store that cannot be reached must say so soon: somebody waits for the answer.
            options.setdefault("config_kwargs", _S3_PATIENCE)
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.name, **options)
        except (ValueError, ImportError, OSError) as error:
            raise EvidenceError(f"evidence {self.name}: cannot be opened: {error}") from None
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def write(self, name: str, content: bytes) -> str:
        """Store it under that name, in place of what was there; its SHA-256. A cut-off write leaves nothing."""
        path = self._path(name)
        with self._errors(NOT_WRITTEN, name):
            if self._local:  # an object store's put is whole by itself
                _write_file(Path(path), content)
            else:
                self._fs.pipe_file(path, content)
        return hashlib.sha256(content).hexdigest()

    def read(self, name: str) -> bytes | None:
        """What lies there; None when nothing does."""
        with self._errors(NOT_READ, name):
            try:
                return self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def size(self, name: str) -> int | None:
        """Bytes; None when there is no such object."""
        with self._errors(NOT_LOOKED_AT, name):
            self._fs.invalidate_cache()
            try:
                return int(self._fs.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def delete(self, name: str) -> None:
        """It is gone afterwards, whether it was there or not."""
        path = self._path(name)
        with self._errors("evidence {place}: {object} cannot be deleted: {why}", name):
            try:
                self._fs.rm_file(path)
            except FileNotFoundError:
                return
        if self._local:
            self._prune(Path(path).parent)

    def _prune(self, folder: Path) -> None:
        root = Path(self._root)
        while folder != root and root in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def _path(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise EvidenceError(f"evidence {self.name}: {name!r} is not a name of ours")
        return f"{self._root.rstrip('/')}/{name}"

    @contextmanager
    def _errors(self, sentence: str, name: str) -> Iterator[None]:
        """Whatever a file system, botocore or aiohttp raises is one kind of trouble here: the place does not work."""
        try:
            yield
        except EvidenceError:
            raise
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise EvidenceError(sentence.format(place=self.name, object=name, why=reason)) from error
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise EvidenceError(sentence.format(place=self.name, object=name, why=why)) from error


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, content)
