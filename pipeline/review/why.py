# SPDX-License-Identifier: AGPL-3.0-or-later
"""Why a line is as it is, in sentences for a reviewer. Pure.

What comes back are `Reasons`: in English as `str`, in another language by `said`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.messages import ReceiptLine, ShelfEvent
from pipeline.reasons import Reason, Reasons, read, reason
from pipeline.review.model import Case
from pipeline.review.plan import SAID

_SHOWN = 3
_SURE = 0.995

_TAKEN, _PUT_BACK = reason("Taken from {place}, seen by {cameras}"), reason("Put back at {place}, seen by {cameras}")
_TAKEN_UNSEEN = reason("Taken from {place}, seen by no camera")
_PUT_BACK_UNSEEN = reason("Put back at {place}, seen by no camera")
_STATUS = {"billed": reason("Billed"), "held": reason("Held for review"), "let-go": reason("Let go (not charged)")}
_STATUS_WHY = {
    "billed": reason("Billed: {why}"),
    "held": reason("Held for review: {why}"),
    "let-go": reason("Let go (not charged): {why}"),
}
_GONE = {
    "billed": reason("Not on the receipt any more. It was billed"),
    "held": reason("Not on the receipt any more. It was held"),
    "let-go": reason("Not on the receipt any more. It was let go (not charged)"),
}
_GONE_WHY = {
    "billed": reason("Not on the receipt any more. It was billed: {why}"),
    "held": reason("Not on the receipt any more. It was held: {why}"),
    "let-go": reason("Not on the receipt any more. It was let go (not charged): {why}"),
}


def why_event(
    event: ShelfEvent, shares: Mapping[str | None, float], visit_id: str, name: Callable[[str], str],
    shopper: Callable[[str], str],
) -> Reasons:  # fmt: skip
    """One event. `name`: of a GTIN; `shopper`: of a visit id."""
    place = event.slot_id or event.gondola_id
    cameras = ", ".join(sorted({ref.camera_id for ref in event.evidence}))
    picked = event.kind == "pick"
    what = (_TAKEN if picked else _PUT_BACK) if cameras else (_TAKEN_UNSEEN if picked else _PUT_BACK_UNSEEN)
    sentences = [Reason(what.text, {"place": place, "cameras": cameras})]
    if event.kind_probability < _SURE:
        sentences.append(reason("That it was so: {share}", share=percent(event.kind_probability)))
    people = [
        (reason("this visit") if v == visit_id else reason("somebody without a visit") if v is None else shopper(v), p)
        for v, p in sorted(shares.items(), key=lambda item: -item[1])
    ]
    sentences += [
        reason("Product: {list}", list=_list([(name(c.value), c.probability) for c in event.products])),
        reason("Person: {list}", list=_list(people)),
    ]
    if len(event.quantities) > 1 or event.quantities[0].probability < _SURE:
        sentences.append(reason("Units: {list}", list=_list([(c.value, c.probability) for c in event.quantities])))
    if event.reason:
        sentences.append(reason("The shelf said: {why}", why=read(event.reason)))
    return _sentences(sentences)


def why_line(line: ReceiptLine, events: Sequence[ShelfEvent], took: float | None, gone: bool) -> Reasons:
    """What became of a line, and how sure that was."""
    if line.reason:
        status = (_GONE_WHY if gone else _STATUS_WHY)[line.status]
        sentences = [Reason(status.text, {"why": read(line.reason)})]
    else:
        sentences = [(_GONE if gone else _STATUS)[line.status]]
    if not events:
        sentences.append(
            reason("No shelf event is behind it: it was put there by hand, or its events are not kept any more")
        )
        return _sentences(sentences)
    if took is not None:
        sentences.append(
            reason("Probability that this visit took {product}: {share}", product=line.name, share=percent(took))
        )
    back = sum(e.kind == "put_back" for e in events)
    if back == 1:
        sentences.append(reason("1 put-back of the product belongs to it, too"))
    elif back:
        sentences.append(reason("{number} put-backs of the product belong to it, too", number=back))
    return _sentences(sentences)


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
        return "> 99.9 %" if probability < 1 else "100 %"
    return f"{100 * probability:.0f} %" if probability < _SURE else f"{100 * probability:.1f} %"


def _sentences(parts: Sequence[Reason]) -> Reasons:
    return Reasons(tuple(reason("{sentence}.", sentence=part) for part in parts), " ")


def _list(pairs: Sequence[tuple[str | Reason, float]]) -> Reasons | Reason:
    shown = Reasons(tuple(Reason("{what} {share}", {"what": w, "share": percent(p)}) for w, p in pairs[:_SHOWN]), ", ")
    if len(pairs) > _SHOWN:
        return reason("{list} and {number} less likely", list=shown, number=len(pairs) - _SHOWN)
    return shown
