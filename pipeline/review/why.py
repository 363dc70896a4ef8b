# SPDX-License-Identifier: AGPL-3.0-or-later
"""Why a line is as it is, in words for a reviewer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.messages import ReceiptLine, ShelfEvent
from pipeline.review.model import Case
from pipeline.review.plan import SAID

_SHOWN = 3
_SURE = 0.995


def why_event(
    event: ShelfEvent, shares: Mapping[str | None, float], visit_id: str, name: Callable[[str], str],
    shopper: Callable[[str], str],
) -> str:  # fmt: skip
    """One event. `name`: of a GTIN; `shopper`: of a visit id."""
    what = "Taken from" if event.kind == "pick" else "Put back at"
    cameras = sorted({ref.camera_id for ref in event.evidence})
    sentences = [
        f"{what} {event.slot_id or event.gondola_id}"
        + (f", seen by {', '.join(cameras)}" if cameras else ", seen by no camera")
        + ("" if event.kind_probability >= _SURE else f"; that it was so: {percent(event.kind_probability)}"),
        "Product: " + _list([(name(c.value), c.probability) for c in event.products]),
        "Person: "
        + _list(
            [
                ("this visit" if v == visit_id else "somebody without a visit" if v is None else shopper(v), p)
                for v, p in sorted(shares.items(), key=lambda item: -item[1])
            ]
        ),
    ]
    if len(event.quantities) > 1 or event.quantities[0].probability < _SURE:
        sentences.append("Units: " + _list([(c.value, c.probability) for c in event.quantities]))
    if event.reason:
        sentences.append(f"The shelf said: {event.reason}")
    return ". ".join(sentences) + "."


def why_line(line: ReceiptLine, events: Sequence[ShelfEvent], took: float | None, gone: bool) -> str:
    """What became of a line, and how sure that was."""
    status = {"billed": "Billed", "held": "Held", "let-go": "Let go (not charged)"}[line.status]
    parts = ["Not on the receipt any more. It was " + status.lower() if gone else status]
    if line.reason:
        parts[0] += f": {line.reason}"
    if not events:
        return (
            f"{parts[0]}. No shelf event is behind it: it was put there by hand, or its events are not kept any more."
        )
    if took is not None:
        parts.append(f"Probability that this visit took {line.name}: {percent(took)}")
    back = sum(e.kind == "put_back" for e in events)
    if back:
        parts.append(f"{back} put-back{'s' if back > 1 else ''} of the product belong to it, too")
    return ". ".join(parts) + "."


def why_case(case: Case, line: ReceiptLine | None) -> str:
    """What is to be decided."""
    said = SAID[case.kind]
    subject = f"{line.quantity} × {line.name}" if line else "the whole receipt"
    if case.origin == "held":
        return f"{subject}: {case.text.splitlines()[0] if case.text else said}" if line else f"Notes: {case.text}"
    return f"{subject}: {said}"


def percent(probability: float) -> str:
    """Never 100 % for what is not certain."""
    if probability >= 0.9995:
        return "over 99.9 %" if probability < 1 else "100 %"
    return f"{100 * probability:.0f} %" if probability < _SURE else f"{100 * probability:.1f} %"


def _list(pairs: Sequence[tuple[str, float]]) -> str:
    shown = [f"{name} {percent(p)}" for name, p in pairs[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(pairs) - _SHOWN} less likely" if len(pairs) > _SHOWN else "")
