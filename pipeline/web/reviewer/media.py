# SPDX-License-Identifier: AGPL-3.0-or-later
"""Answering with a film, in the parts that a browser asks for: it cannot seek in one that comes whole."""

from __future__ import annotations

import re

from fastapi import Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_KEEP = "private, no-store"
"""Evidence expires and is erased: no copy stays in a browser's or a proxy's cache."""


def partial(request: Request, content: bytes, media_type: str) -> Response:
    """All of `content`, or the one range that was asked for (RFC 9110, 14); 416 for one that is not in it.

    More ranges than one, or what is no range, are answered with all of it, as the RFC allows.
    """
    headers = {"Accept-Ranges": "bytes", "Cache-Control": _KEEP}
    found = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or found.groups() == ("", ""):
        return Response(content, media_type=media_type, headers=headers)
    size = len(content)
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else size, size)
    else:
        start, stop = max(size - int(last), 0), size
    if start >= stop:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(content[start:stop], status_code=206, media_type=media_type, headers=headers)
