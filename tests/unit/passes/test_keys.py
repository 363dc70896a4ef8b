# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ring of keys: what signs when, what is believed how long, and what a file must hold."""

import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PassKeyError
from pipeline.passes import KeyRing, PassChecker, PassIssuer, PassRefused

NOW_S = 1_767_603_600


def test_a_new_key_is_known_before_it_signs_and_the_old_one_believed_after():
    ring = KeyRing.new(NOW_S)
    old = ring.signing(NOW_S).kid
    ring = ring.rotated(NOW_S + 100, ahead_s=50, overlap_s=30)
    new = ring.keys[-1].kid
    assert [ring.signing(NOW_S + s).kid for s in (100, 149, 150, 1000)] == [old, old, new, new]
    assert ring.find(old).believed_until_s == NOW_S + 180


def test_a_pass_signed_before_the_change_is_good_until_the_overlap_ends():
    ring = KeyRing.new(NOW_S)
    rotated = ring.rotated(NOW_S, ahead_s=0, overlap_s=10)
    token = PassIssuer(ring, lifetime_s=100).issue("anna", "shop", NOW_S)
    checker = PassChecker(lambda: rotated, "shop")
    assert checker.check(token, NOW_S + 14).shopper_id == "anna"
    with pytest.raises(PassRefused) as caught:
        checker.check(token, NOW_S + 15)
    assert caught.value.reason == "key-retired"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 3600), st.integers(30, 3600)), max_size=8))
def test_there_is_always_a_key_that_signs_and_its_pass_is_believed(steps):
    """Whatever the rotations, at the instant of each and just before and after the new key begins."""
    now, ring = NOW_S, KeyRing.new(NOW_S)
    for wait_s, ahead_s, overlap_s in steps:
        now += wait_s
        ring = ring.rotated(now, ahead_s, overlap_s)
        for at_s in (now, now + ahead_s - 1, now + ahead_s, now + ahead_s + 1):
            if at_s >= now:
                token = PassIssuer(ring).issue("anna", "shop", at_s)
                assert PassChecker(lambda ring=ring: ring, "shop").check(token, at_s).shopper_id == "anna"


def test_what_nobody_believes_any_more_is_dropped():
    ring = KeyRing.new(NOW_S)
    for k in range(1, 6):
        ring = ring.rotated(NOW_S + 10_000 * k, ahead_s=10, overlap_s=10)
    assert len(ring.keys) == 2


def test_a_stolen_key_is_taken_off():
    ring = KeyRing.new(NOW_S).rotated(NOW_S, ahead_s=0)
    stolen = ring.keys[-1].kid
    assert ring.without([stolen]).find(stolen) is None
    with pytest.raises(PassKeyError, match="no key 'nix'"):
        ring.without(["nix"])


def test_a_file_holds_the_ring_and_only_its_owner_may_read_it(tmp_path):
    ring = KeyRing.new(NOW_S).rotated(NOW_S)
    ring.save(tmp_path / "keys.json")
    assert stat.S_IMODE(os.stat(tmp_path / "keys.json").st_mode) == 0o600
    again = KeyRing.load(tmp_path / "keys.json")
    assert [(k.kid, k.signs_from_s, k.believed_until_s) for k in again.keys] == [
        (k.kid, k.signs_from_s, k.believed_until_s) for k in ring.keys
    ]
    token = PassIssuer(again).issue("anna", "shop", NOW_S + 4000)
    assert PassChecker(lambda: ring, "shop").check(token, NOW_S + 4000)
    assert [p.name for p in tmp_path.iterdir()] == ["keys.json"]


def test_a_gates_ring_checks_and_cannot_sign(tmp_path):
    ring = KeyRing.new(NOW_S)
    ring.save(tmp_path / "public.json", private=False)
    assert '"d"' not in (tmp_path / "public.json").read_text()
    public = KeyRing.load(tmp_path / "public.json")
    assert PassChecker(lambda: public, "shop").check(PassIssuer(ring).issue("anna", "shop", NOW_S), NOW_S)
    with pytest.raises(PassKeyError, match="no private key"):
        PassIssuer(public).issue("anna", "shop", NOW_S)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"keys": []}', '{"keys": [7]}', '{"keys": [{"kty": "OKP"}]}', "\x00",
        json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "nbf": 1}]}),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, text):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(PassKeyError, match=r"keys\.json: expected"):
        KeyRing.load(tmp_path / "keys.json")


def test_the_same_key_twice_is_a_mistake(tmp_path):
    ring = KeyRing.new(NOW_S)
    KeyRing(ring.keys * 2).save(tmp_path / "keys.json")
    with pytest.raises(PassKeyError, match="kid of its own"):
        KeyRing.load(tmp_path / "keys.json")


def test_no_file_says_how_to_make_one(tmp_path):
    with pytest.raises(PassKeyError, match="walkout pass keys new"):
        KeyRing.load(tmp_path / "keys.json")
