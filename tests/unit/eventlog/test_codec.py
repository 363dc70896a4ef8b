# SPDX-License-Identifier: AGPL-3.0-or-later
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MessageError, NewerSchemaError
from pipeline.eventlog.codec import LONGEST_BODY, DeadLetter, cloudevent_headers, decode, encode, rfc3339
from pipeline.messages import (
    SCHEMA_VERSION,
    TOPIC_OF,
    Candidate,
    CouponPresented,
    CouponTransferred,
    DisputeOpened,
    DisputeResolved,
    EvidenceRef,
    PaymentUpdated,
    PersonWithoutPass,
    ReceiptIssued,
    ReceiptLine,
    ReviewNote,
    ShelfEvent,
    StaffDecision,
    TaxLine,
    TrackAmbiguous,
    TrackBound,
    TracksKept,
    TracksMerged,
    TracksSwapped,
    VisitClosed,
    VisitOpened,
)

BASE = {"event_id": "e1", "store_id": "shop", "at_ns": 1_700_000_000_123_456_789}
PICK = ShelfEvent(
    **BASE, kind="pick", kind_probability=1 / 3, persons=(Candidate(value="t1", probability=0.9),),
    products=(Candidate(value="2000000000015", probability=0.1 + 0.2),),
    quantities=(Candidate(value="1", probability=1),),
    gondola_id="g", slot_id=None, t0_ns=1, t1_ns=2, reason="dürftig \u2028 \U0001f34b",
    evidence=(EvidenceRef(camera_id="c", t0_ns=1, t1_ns=2, box_xyxy_px=(0.5, 1, 2, 3)),),
)  # fmt: skip
LINE = ReceiptLine(
    gtin="1", name="n", quantity=2, unit_price_minor=3, total_minor=6, tax_class="s", event_ids=("a",), status="billed",
    reason="r", alternatives=(Candidate(value="1", probability=0.5),),
)  # fmt: skip
EVENTS = [
    VisitOpened(**BASE, visit_id="v", gate_id="g", shopper_id="anna"),
    TrackBound(**BASE, visit_id="v", track_id="t"),
    PICK,
    VisitClosed(**BASE, visit_id="v", gate_id="g", event_ids=("a", "b")),
    PersonWithoutPass(**BASE, visit_id="v", gate_id="g", track_id="t", behind_visit_id="w"),
    TracksMerged(**BASE, track_id="t", other_track_id="u"),
    TracksSwapped(**BASE, track_id="t", other_track_id="u", settles=("a",)),
    TrackAmbiguous(**BASE, track_ids=("t", "u"), until_ns=2, exchange_probability=0.3),
    TracksKept(**BASE, settles=("a",)),
    CouponPresented(**BASE, visit_id="v", coupon_id="c", promotion_id="p"),
    CouponTransferred(**BASE, coupon_id="c", from_shopper_id="anna", to_shopper_id="ben"),
    StaffDecision(**BASE, visit_id="v", decision="age-confirmed", staff_id="s", minimum_age=18),
    PaymentUpdated(
        **BASE, visit_id="v", receipt_id="r", version=1, shopper_id="anna", currency="EUR", status="paid", due_minor=6,
        paid_minor=6, open_minor=0,
    ),
    DisputeOpened(
        **BASE, case_id="c", receipt_id="r", version=1, visit_id="v", shopper_id="anna", origin="dispute",
        kind="not-taken", line_id="1", promised_by_ns=2,
    ),
    DisputeResolved(
        **BASE, case_id="c", receipt_id="r", version=2, visit_id="v", shopper_id=None, origin="held", outcome="remove",
        upheld=None, by="s7", difference_minor=-6,
    ),
    ReceiptIssued(
        **BASE, receipt_id="r", version=1, visit_id="v", shopper_id="anna", currency="EUR", lines=(LINE,),
        total_minor=6, taxes=(TaxLine(tax_class="s", rate_ppm=200_000, net_minor=5, tax_minor=1),),
        held_for_review=True, notes=(ReviewNote(reason="x"),), entered_at_ns=1, left_at_ns=2,
    ),
]  # fmt: skip


def body(**changes) -> bytes:
    data = json.loads(encode(EVENTS[1])) | changes
    return json.dumps({k: v for k, v in data.items() if v is not ...}).encode()


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.type)
def test_what_goes_in_comes_out_equal(event):
    assert decode(encode(event)) == event


def test_every_type_is_tried():
    assert {e.type for e in EVENTS} == set(TOPIC_OF)


def test_receipts_and_visits_of_version_1_are_still_read():
    old = (
        b'{"schema_version":1,"event_id":"e","store_id":"shop","at_ns":7,"type":"receipt-issued","receipt_id":"r",'
        b'"version":1,"visit_id":"v","shopper_id":"anna","currency":"EUR","lines":[{"gtin":"1","name":"n","quantity":2,'
        b'"unit_price_minor":60,"total_minor":120,"tax_class":"s","event_ids":["a"],"status":"billed","reason":"",'
        b'"alternatives":[{"value":"1","probability":0.5}]}],"total_minor":120,"taxes":[{"tax_class":"s",'
        b'"rate_permille":200,"net_minor":100,"tax_minor":20}],"held_for_review":false,"notes":[],"entered_at_ns":1,'
        b'"left_at_ns":2}'
    )
    receipt = decode(old)
    assert receipt.schema_version == 1 and receipt.total_minor == 120
    assert receipt.taxes[0].rate_ppm == 200_000
    assert decode(encode(receipt)) == receipt
    opened = (
        b'{"schema_version":1,"event_id":"e","store_id":"shop","at_ns":7,"type":"visit-opened","visit_id":"v",'
        b'"gate_id":"g","shopper_id":"anna"}'
    )
    assert decode(opened).party_size == 1


def test_a_receipt_that_does_not_add_up_is_none():
    for right, wrong in (
        (b'"total_minor":6,"tax_class"', b'"total_minor":5,"tax_class"'),
        (b'"net_minor":5', b'"net_minor":4'),
    ):
        body = encode(EVENTS[-1])
        assert right in body
        with pytest.raises(MessageError, match=r"must be 6|do not agree"):
            decode(body.replace(right, wrong))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (body(type=...), "type: expected one of visit-opened"),
        (body(type="visit-imagined"), "visit-imagined"),
        (body(type=["track-bound"]), "type: expected one of"),
        (body(visit_id=...), "track-bound: visit_id: Field required"),
        (body(at_ns="1700000000000000000"), "track-bound: at_ns"),  # a number as text is not converted
        (body(at_ns=1.5), "track-bound: at_ns"),
        (body(at_ns=-1), "track-bound: at_ns"),
        (body(extra=1), "track-bound: extra"),
        (body(event_id=""), "track-bound: event_id"),
        # what a database could not keep would stop every reader at the same place
        (body(at_ns=10**30), "track-bound: at_ns"),
        (body(event_id="a\0b"), "NUL"),
        (body(visit_id="v" * 3000), "track-bound: visit_id"),
        (encode(EVENTS[3]).replace(b'"a"', b'"' + b"a" * 3000 + b'"'), "visit-closed: event_ids.0"),
        (encode(PICK).replace(b"0.9", b"NaN"), "persons.0.probability"),
        (encode(PICK).replace(b"0.9", b"1.1"), "persons.0.probability"),
    ],
)
def test_what_is_no_event_says_why(data, says):
    with pytest.raises(MessageError, match=says.replace(".", r"\.")):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        body(schema_version=SCHEMA_VERSION + 1),  # nothing else is different
        body(schema_version=99, new_field=1, visit_id=...),  # much is different
        body(schema_version=SCHEMA_VERSION + 1, type="visit-of-tomorrow"),
    ],
)
def test_newer_schemas_are_refused_as_such(data):
    with pytest.raises(NewerSchemaError, match="newer than"):
        decode(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_message_error(data):
    with pytest.raises(MessageError):
        decode(data)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5), st.data()
)
def test_any_damaged_field_is_an_event_or_a_message_error(value, data):
    event = data.draw(st.sampled_from(EVENTS))
    fields = json.loads(encode(event))
    fields[data.draw(st.sampled_from(sorted(fields)))] = value
    try:
        decode(json.dumps(fields).encode())
    except MessageError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=50), st.none() | st.binary(max_size=10))
def test_a_dead_letter_keeps_the_bytes(data, key):
    letter = DeadLetter.of("why", "walkout.visits", 0, 7, key, data)
    again = DeadLetter.model_validate_json(letter.model_dump_json())
    assert again == letter and again.body == data
    assert letter.letter_id == "walkout.visits/0/7"


def test_a_backslash_before_u0000_is_no_nul():
    assert decode(body(track_id="\\u0000")).track_id == "\\u0000"
    with pytest.raises(MessageError, match="NUL"):
        decode(body(track_id="\\\0"))


def test_a_dead_letter_fits_into_a_message_of_kafka():
    letter = DeadLetter.of("not JSON", "walkout.visits", 0, 7, b"k" * 100_000, b"x" * 1_040_000)
    assert len(letter.model_dump_json()) < 1_000_000 and "of its 1040000 bytes" in letter.reason
    assert letter.body == b"x" * LONGEST_BODY


def test_cloudevents_attributes():
    headers = dict(cloudevent_headers(EVENTS[0]))
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"] == b"e1"
    assert headers["ce_source"] == b"/walkout/stores/shop"
    assert headers["ce_type"] == b"walkout.visit-opened.v2"
    assert headers["ce_time"] == b"2023-11-14T22:13:20.123456789Z"
    assert headers["content-type"].startswith(b"application/json")


def test_times_keep_their_nanoseconds():
    assert rfc3339(1) == "1970-01-01T00:00:00.000000001Z"
