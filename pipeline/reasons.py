# SPDX-License-Identifier: AGPL-3.0-or-later
"""What shelves, bills, corrections, clips and cameras say of themselves: the sentences, written in English and kept so.

A receipt is never changed, so what it says stays English in the log and in the database. Whoever shows it in another
language reads it back into the sentence it was made from and its values (`read`), and translates the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

SEPARATOR = "; "

# The shelf, of an event.
SEVERAL_PEOPLE = "several people were at the shelf"
TAKEN_OR_PUT_BACK = "unclear whether it was taken or put back"
LOOK_ALIKE = "products that look alike"
UNCLEAR_QUANTITY = "unclear how many"
NO_HAND = "no hand was seen in the shelf"
NO_CAMERA = "no camera sees the products"
NOT_SEEN_AGAIN = "the shelf was not seen again after the reach"

# A cart, of a unit or of an event that it leaves out.
SOMEBODY_ELSE = "somebody else may have done it ({share})"
CONFUSED = "people may have been confused with each other before"
NO_PICK = "it may not have been a pick ({share})"
NO_PUT_BACK = "it may not have been a put-back ({share})"
WHICH_PRODUCT = "which product is not sure ({share})"
WHICH_PUT_BACK = "which product was put back is not sure ({share})"
HOW_MANY = "how many is not sure"
ABSURD_QUANTITY = "quantity {shown} is not plausible"
NOBODY_TOOK_IT = "put back, but nobody was seen to take it"
MAYBE_PUT_BACK = "it may have been put back: {why}"
PICK_NOT_COUNTED = "pick not counted: {why}"
PUT_BACK_NOT_COUNTED = "put-back not counted: {why}"
BEFORE_ENTRY = "it lies before the entry by the shop's clock"
CLOCK_JUMPED = "the shop's clock jumped back during the visit"

# A bill.
UNKNOWN_PRODUCT = "not in the catalogue"
NO_PRICE = "no price for it at the moment when it was taken"
AGE = "from age {age}: staff have not confirmed it"
NOBODY_TO_CHARGE = "nobody to charge: came in without a pass"
EVENTS_NEVER_CAME = "events of this visit never came"
NO_SUCH_COUPON = "coupon {coupon}: the store has no coupon promotion {promotion}"

# A correction, and the rules that make some by themselves.
ADDED = "added: {quantity} {name}"
REMOVED = "removed: {quantity} {name}"
OTHER_QUANTITY = "{name}: {new} instead of {old}"
OTHER_PRODUCT = "{new_name} instead of {old_name}"
CHARGED = "charged: {quantity} {name}"
REFUND = "refund: {amount} for {name}"
PAID_BY = "paid by {shopper} instead of nobody"
NOTES_LOOKED_AT = "{quantity} notes looked at"
TOO_SMALL = "too small to look at: {amount}"
CAMERAS_UNSURE = "the cameras were not sure either ({share})"
SMALL_AMOUNT = "settled at once: a small amount, {amount}"

# What a case is about; the correction that settles it goes on with why.
SAYS_NOT_TAKEN = "the shopper says it was not taken"
SAYS_PUT_BACK = "the shopper says it was put back"
SAYS_OTHER_PRODUCT = "the shopper says it is another product"
SAYS_WRONG_PRICE = "the shopper says the price is wrong"
SAYS_MISSING = "the shopper says something is missing"
HELD_LINE = "the line was held for review"
HELD_NOTES = "notes were held for review"

# A camera.
NO_PICTURE_FOR = "no picture for {seconds} s"
PICTURES_AGAIN = "pictures again"
STREAM_ENDED = "the stream ended"
FILE_ENDED = "end of {file}"
FILE_NOT_OPENED = "{file} cannot be opened, it may be cut off: {why}"
FILE_WITHOUT_VIDEO = "{file} holds no video"
FILE_DAMAGED = "{file} is cut off or damaged: {count} of {expected} frames could be read"
WRONG_SIZE = "pictures of {size}, but the layout says {expected_size}"
NOT_DECODED = "{count} packets in a row cannot be decoded: {why}"

# A clip or picture that cannot be shown.
NO_CAMERA_THERE = "no camera sees this place"
NO_PICTURE_THEN = "camera {camera} gave no picture at that time"
NOTHING_KEPT = "camera {camera}: nothing is kept of it to look back at"
CLIPS_BEHIND = "{count} events were waiting for their clips already"
CLIPS_STOPPED = "the shop was stopped before the clip was cut"
CLIP_NOT_ENCODED = "a clip cannot be encoded: {why}"
NOT_WRITTEN = "evidence {place}: {object} cannot be written: {why}"
NOT_READ = "evidence {place}: {object} cannot be read: {why}"
NOT_LOOKED_AT = "evidence {place}: {object} cannot be looked at: {why}"
NOT_IN_STORAGE = "it is not in the storage any more"
OTHER_BYTES = "its bytes are not those that were stored"
VISIT_ERASED = "the visit was erased"
KEPT_FOR = "kept for {days} days"

# A visit that is run again, or kept as a case.
RUN_ERASED = "visit {visit} was erased: it cannot be run again"
RUN_LIVE = (
    "visit {visit}: {store} is a live store, of which clips are kept and no recording: only runs of a "
    "recording can be run again"
)
RUN_WITHOUT_FILES = "visit {visit}: this desk has no shop's files, so there is nothing to run again"
RUN_BROKE = "internal error {number}, the log says more"
KEEP_UNDECIDED = "visit {visit}: its receipt is held for review: decide it, then keep it as a case"

_OF_THE_SYSTEM = (
    "Connection refused",
    "Connection timed out",
    "Connection reset by peer",
    "No route to host",
    "Network is unreachable",
    "Host is down",
    "Software caused connection abort",
    "Broken pipe",
    "Cannot assign requested address",
    "Server returned 400 Bad Request",
    "Server returned 401 Unauthorized (authorization failed)",
    "Server returned 403 Forbidden (access denied)",
    "Server returned 404 Not Found",
    "Server returned 429 Too Many Requests",
    "Server returned 5XX Server Error reply",
    "Protocol not found",
    "Demuxer not found",
    "Decoder not found",
    "Stream not found",
    "End of file",
    "Invalid data found when processing input",
    "Immediate exit requested",
    "Unknown error occurred",
    "Not yet implemented in FFmpeg, patches welcome",
    "No such file or directory",
    "Permission denied",
    "Operation not permitted",
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Stale file handle",
    "Input/output error",
    "Too many open files",
    "Not a directory",
    "Is a directory",
    "File name too long",
    "Invalid argument",
    "No such device",
    "No such device or address",
    "Device or resource busy",
    "Resource temporarily unavailable",
    "Cannot allocate memory",
)
"""What FFmpeg and the operating system say of cameras, files and disks, as `why` of the above."""
_OF_THE_STORAGE = (
    'EndpointConnectionError: Could not connect to the endpoint URL: "{address}"',
    'ConnectTimeoutError: Connect timeout on endpoint URL: "{address}"',
    'ReadTimeoutError: Read timeout on endpoint URL: "{address}"',
    "NoCredentialsError: Unable to locate credentials",
    "Access Denied",
    "The specified bucket does not exist",
    "The AWS Access Key Id you provided does not exist in our records.",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
)
"""What S3 and its client say, as `why` of the above."""

_PLACES = {
    "share": r"\d+(?:\.\d+)? %", "quantity": r"\d+", "new": r"\d+", "old": r"\d+", "age": r"\d+",
    "amount": r"-?[\d.]+ [A-Z]{3}", "seconds": r"\d+\.\d", "file": r"[^:;]+\.\w+", "count": r"\d+", "expected": r"\d+",
    "size": r"\d+x\d+", "number": r"\w+", "expected_size": r"\d+x\d+", "days": r"[\d.e+]+",
}  # fmt: skip
_NESTED = "why"
_DECIMALS, _DECIMAL_MARK = ("share", "amount", "seconds", "days"), "."
_SUBJECTS = (
    SAYS_NOT_TAKEN, SAYS_PUT_BACK, SAYS_OTHER_PRODUCT, SAYS_WRONG_PRICE, SAYS_MISSING, HELD_LINE, HELD_NOTES,
)  # fmt: skip
_SETTLED = "{subject}: {why}"


@dataclass(frozen=True)
class Reason:
    """`text` is the key of its translations, with places for `values`, which may be reasons themselves; `str` of a
    reason is the English sentence."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def said(self, translate: Callable[[str], str]) -> str:
        return translate(self.text).format(**{name: _said(name, v, translate) for name, v in self.values.items()})

    def __str__(self) -> str:
        return self.said(lambda text: text)


@dataclass(frozen=True)
class Reasons:
    """Several, one after the other."""

    parts: tuple[Reason, ...]
    between: str = SEPARATOR

    def said(self, translate: Callable[[str], str]) -> str:
        return self.between.join(part.said(translate) for part in self.parts)

    def __str__(self) -> str:
        return self.said(lambda text: text)


def _said(name: str, value: Any, translate: Callable[[str], str]) -> Any:
    if isinstance(value, Reason | Reasons):
        return value.said(translate)
    if name in _DECIMALS and isinstance(value, str):
        return value.replace(_DECIMAL_MARK, translate(_DECIMAL_MARK))
    return value


def reason(text: str, /, **values: Any) -> Reason:
    """`text` as a literal, so that a test finds it and asks for its translation."""
    return Reason(text, values)


_SENTENCES = [t for name, t in vars().copy().items() if name.isupper() and name[0] != "_" and name != "SEPARATOR"]
WRITTEN: tuple[str, ...] = tuple(
    sorted(
        (*_SENTENCES, *_OF_THE_SYSTEM, *_OF_THE_STORAGE),
        key=lambda text: (-len(re.sub(r"\{\w+\}", "", text)), text),
    )
)
"""All sentences above; those with more words of their own first, so that the most particular one is found."""


def settled(subject: str, why: str) -> str:
    """What a correction says: what its case was about, and why it was decided so, which may be empty."""
    return _SETTLED.format(subject=subject, why=why) if why else subject


def read(text: str) -> Reasons:
    """What was written, taken apart. A part that is none of `WRITTEN`, as what a person wrote, is kept as it is."""
    for template, pattern in _nesting():
        if match := pattern.fullmatch(text):
            return Reasons((Reason(template, {**match.groupdict(), _NESTED: read(match[_NESTED])}),))
    for subject in _SUBJECTS:
        if text.startswith(f"{subject}: "):
            why = read(text.removeprefix(f"{subject}: "))
            return Reasons((Reason(_SETTLED, {"subject": Reason(subject), "why": why}),))
    head, separator, rest = text.partition(SEPARATOR)
    if not separator:
        return Reasons((_one(text),))
    return Reasons((*read(head).parts, *read(rest).parts))


def is_written(text: str) -> bool:
    """Whether every part of it is one of `WRITTEN`."""
    return all(_known(part) for part in read(text).parts)


def _known(part: Reason) -> bool:
    nested = part.values.get(_NESTED)
    return part.text in WRITTEN and (nested is None or all(map(_known, nested.parts)))


def _one(text: str) -> Reason:
    for template, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return Reason(template, match.groupdict())
    return Reason("{text}", {"text": text})


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(text, _pattern(text)) for text in WRITTEN if f"{{{_NESTED}}}" not in text]


@cache
def _nesting() -> list[tuple[str, re.Pattern[str]]]:
    """What goes on to the end: after it, everything is why."""
    return [(text, _pattern(text)) for text in WRITTEN if f"{{{_NESTED}}}" in text]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    pattern = "".join(
        re.escape(part) if k % 2 == 0 else f"(?P<{part}>{_PLACES.get(part, '.+')})" for k, part in enumerate(parts)
    )
    return re.compile(pattern, re.DOTALL)
