# SPDX-License-Identifier: AGPL-3.0-or-later
"""What receipts say of themselves can be read back, and said in French."""

import ast
import errno
import os
import re
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import reasons
from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.errors import EvidenceError
from pipeline.evidence.storage import Storage
from pipeline.reasons import WRITTEN, is_written, read, settled
from pipeline.texts import translations
from tests.unit.cart.events import BREAD, COLA, WATER, pick, put_back, small_catalogue, visit

ROOT = Path(reasons.__file__).parent
HOLES = re.compile(r"\{\w+\}")
VALUES = {
    "share": "35 %", "quantity": "2", "new": "3", "old": "1", "age": "18", "amount": "-1.49 EUR", "shown": "'-1; 2'",
    "why": reasons.SOMEBODY_ELSE.format(share="12 %"), "name": "Cola; light", "new_name": "Bread: dark",
    "old_name": "Cola", "coupon": "c1", "promotion": "'p1'", "shopper": "anna",
    "seconds": "2.4", "file": "cam 2.mp4", "count": "17", "expected": "40", "size": "1280x720",
    "expected_size": "640x360", "camera": "cam2", "days": "0.5", "place": "s3://bucket/e", "object": "2026/clip-1.mp4",
    "address": "http://10.0.0.7:9000/clips", "visit": "v-1a2b", "store": "corner shop", "number": "1f00ab",
}  # fmt: skip


def french(written):
    return read(written).said(translations("fr").gettext)


def sentences():
    """Those of `pipeline/reasons.py`, and all literals that `reason` is called with where a case is explained."""
    tree = ast.parse((ROOT / "review" / "why.py").read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("reason", "Reason")]
    literals = {n.args[0].value for n in calls if isinstance(n.args[0], ast.Constant)}
    assert len(literals) > 20 and len(WRITTEN) > 30
    return sorted({*WRITTEN, *literals, reasons._SETTLED})


@pytest.mark.parametrize("sentence", sentences())
def test_every_sentence_has_its_french_with_its_places_for_values(sentence):
    told = translations("fr")._catalog.get(sentence)
    assert told and sorted(HOLES.findall(told)) == sorted(HOLES.findall(sentence))


@pytest.mark.parametrize("sentence", WRITTEN)
def test_every_sentence_is_read_back(sentence):
    written = sentence.format(**{name: VALUES[name] for name in re.findall(r"\{(\w+)\}", sentence)})
    assert str(read(written)) == written
    if "'-1; 2'" not in written and ";" not in written:
        (part,) = read(written).parts
        assert part.text == sentence and is_written(written)


@given(st.text(max_size=80))
def test_what_a_person_wrote_stays_as_it_is(text):
    assert str(read(text)) == text


def test_several_of_them_one_in_another():
    written = (
        "somebody else may have done it (12 %); several people were at the shelf; "
        "it may have been put back: which product was put back is not sure (61 %); unclear how many"
    )
    assert is_written(written) and french(written) == (
        "c'était peut-être quelqu'un d'autre (12 %); plusieurs personnes étaient devant le rayon; "
        "il a peut-être été remis en rayon : le produit remis en rayon n'est pas certain (61 %); quantité incertaine"
    )
    assert french("Cola: 2 instead of 1") == "Cola : 2 au lieu de 1"
    assert french("Bread instead of Cola") == "Bread au lieu de Cola"
    assert french("blue can, I looked twice") == "blue can, I looked twice"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "cam2.mp4 is cut off or damaged: 17 of 40 frames could be read; 50 packets in a row cannot be decoded: "
            "Invalid data found when processing input",
            "cam2.mp4 est tronqué ou endommagé : 17 images sur 40 ont pu être lues; 50 paquets de suite ne peuvent pas "
            "être décodés : données illisibles",
        ),
        ("Connection refused", "connexion refusée"),
        ("no picture for 2.4 s", "pas d'image depuis 2,4 s"),
        (
            "evidence /var/clips: a/b.mp4 cannot be written: No space left on device",
            "preuves /var/clips : a/b.mp4 ne peut pas être écrit : plus d'espace disponible sur le disque",
        ),
        ("evidence /c: a cannot be read: ClientError: 403", "preuves /c : a ne peut pas être lu : ClientError: 403"),
    ],
)
def test_what_cameras_and_clips_say(written, told):
    assert french(written) == told


@pytest.mark.parametrize("tag", [b"\xf8401", b"\xf8404", b"\xf85XX", b"\xf8PRO", b"\xf8STR", b"EOF "])
def test_what_ffmpeg_says_of_a_camera_has_its_french(tag):
    with pytest.raises(av.FFmpegError) as caught:
        av.error.err_check(-av.error.tag_to_code(tag))
    assert is_written(caught.value.strerror) and french(caught.value.strerror) != caught.value.strerror


@pytest.mark.parametrize("number", [errno.EHOSTDOWN, errno.EROFS, errno.EDQUOT, errno.EBUSY, errno.EPIPE])
def test_what_the_system_says_of_a_disk_has_its_french(number):
    assert is_written(os.strerror(number)) and french(os.strerror(number)) != os.strerror(number)


def test_what_a_storage_that_is_away_says_has_its_french():
    """As it really says it: nobody listens on port 1."""
    storage = Storage("s3://clips", {"endpoint_url": "http://127.0.0.1:1", "key": "k", "secret": "s"})
    with pytest.raises(EvidenceError) as caught:
        storage.write("a.mp4", b"film")
    assert french(str(caught.value)).startswith(
        "preuves s3://clips : a.mp4 ne peut pas être écrit : le stockage ne répond"
    )


def test_what_a_correction_settles_and_why():
    written = settled(reasons.SAYS_PUT_BACK, "settled at once: a small amount, 1.49 EUR")
    assert str(read(written)) == written
    assert french(written) == (
        "le client dit l'avoir remis en rayon : réglé tout de suite : un petit montant, 1,49 EUR"
    )
    by_hand = settled(reasons.HELD_LINE, "blue can, seen twice")
    assert french(by_hand) == "la ligne était retenue pour vérification : blue can, seen twice"
    assert french(settled(reasons.HELD_NOTES, "")) == "des remarques étaient retenues pour vérification"


@given(st.data())
def test_whatever_a_bill_says_is_one_of_the_sentences(data):
    share = st.floats(0.05, 0.99)
    events = []
    for k in range(data.draw(st.integers(1, 5))):
        make, p = data.draw(st.sampled_from([pick, put_back])), data.draw(share)
        gtin, other = data.draw(st.permutations([COLA, BREAD, WATER, "9999999999994"]))[:2]
        events.append(
            make(
                k + 1, {gtin: p, other: 1 - p}, person={"t1": q, "t2": 1 - q} if (q := data.draw(share)) else "t1",
                quantity=data.draw(st.sampled_from([1, 2, 77])), event_id=f"e{k}",
            )
        )  # fmt: skip
    stream = visit(*events, track="t1", shopper="anna", visit_id="v1")
    receipt = receipt_of(fold(CartState(), *stream), "v1", small_catalogue(), BillingRules())
    for text in [*(line.reason for line in receipt.lines), *(note.reason for note in receipt.notes)]:
        assert not text or is_written(text), text
