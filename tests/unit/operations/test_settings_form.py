# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store's settings as a form: every field of the models, problems by field, files that read back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from pipeline.gate.entry_settings import load_entry_settings
from pipeline.operations.form_fields import form_fields
from pipeline.operations.settings_form import FILES, answer, answer_text, typed
from pipeline.settings import StoreSettings, load_settings

STORE, ENTRY = FILES["store"], FILES["entry"]
PATHS = [f.path for f in form_fields(StoreSettings)]


def given_for(file, folder, **changes):
    """The form as it is shown, with changes; `billing__person` is billing.person."""
    shown = typed(file.model, file.load(folder) if file is STORE else file.model())
    return shown | {name.replace("__", "."): text for name, text in changes.items()}


def test_the_form_has_every_field_of_every_part():
    assert {"person_weights", "billing.person", "billing.doubtful", "payment.retry_after_s", "paper.address"} <= set(
        PATHS
    )
    by_path = {f.path: f for f in form_fields(StoreSettings)}
    assert by_path["billing.doubtful"].choices == ("hold", "let-go")
    assert (by_path["payment.collect_at_entry"].kind, by_path["payment.retry_after_s"].kind) == ("flag", "numbers")
    assert by_path["paper.address"].kind == "lines" and by_path["payment.currency"].nullable
    assert "never charged" in by_path["billing.doubtful"].hint
    assert {f.path for f in by_path.values() if f.admin} >= {
        "person_weights",
        "log_url",
        "payment.provider",
        "evidence.url",
    }


def test_a_form_that_is_sent_back_as_it_was_shown_changes_nothing(tmp_path):
    for file in FILES.values():
        found = answer(file, tmp_path, typed(file.model, file.model()), admin=True)
        assert found.changed == () and not found.problems
        assert yaml.safe_load(found.text) in ({}, None)


def test_what_is_changed_stands_in_the_file_and_nothing_else(tmp_path):
    (tmp_path / "settings.yaml").write_text("# ours\nschema_version: 1\nbilling: {kind: 0.8}\n")
    form = given_for(
        STORE, tmp_path, billing__person="0,9", payment__retry_after_s="1\n2,5\n30", paper__address="1 rue X\nParis"
    )
    found = answer(STORE, tmp_path, form, admin=False)
    assert found.changed == ("billing.person", "payment.retry_after_s", "paper.address")
    (tmp_path / "settings.yaml").write_text(found.text)
    assert found.text.startswith("# ours\n")
    settings = load_settings(tmp_path)
    assert (settings.billing.person, settings.billing.kind) == (0.9, 0.8)
    assert settings.payment.retry_after_s == (1.0, 2.5, 30.0) and settings.paper.address == ("1 rue X", "Paris")
    assert set(yaml.safe_load(found.text)) == {"schema_version", "billing", "payment", "paper"}


@pytest.mark.parametrize(
    ("changes", "path", "why"),
    [
        ({"billing__person": "0.3"}, "billing.person", "must be in"),  # a rule of a dataclass
        ({"billing__person": "much"}, "billing.person", "expected a number, got much"),
        ({"billing__person": ""}, "billing.person", "expected a number"),
        ({"billing__max_units_per_event": "2.5"}, "billing.max_units_per_event", "whole number"),
        ({"payment__hold_minor": "-1"}, "payment.hold_minor", "at least 0"),
        ({"payment__hold_minor": "500"}, "payment.hold_minor", "needs a currency"),  # a rule between fields
        ({"payment__hold_days": "9"}, "payment.hold_days", "at most 6"),
        ({"payment__currency": "euro"}, "payment.currency", "pattern"),
        ({"paper__timezone": "Mars/Base"}, "paper.timezone", "no time zone"),
        ({"paper__locale": "xx_YY"}, "paper.locale", "no locale"),
        ({"payment__retry_after_s": "1 two"}, "payment.retry_after_s", "expected a number"),
        ({"evidence__storage_options": "{a: ["}, "evidence.storage_options", "expected"),
    ],
)
def test_a_wrong_value_is_told_at_its_field_and_there_is_no_file(tmp_path, changes, path, why):
    found = answer(STORE, tmp_path, given_for(STORE, tmp_path, **changes), admin=True)
    assert found.text is None and list(found.problems) == [path] and why in str(found.problems[path])


def test_rules_that_only_the_loader_knows_are_told_too(tmp_path):
    found = answer(ENTRY, tmp_path, given_for(ENTRY, tmp_path, authorise_minor="2000"), admin=True)
    assert found.text is None and "there is no state_url" in str(found.problems["authorise_minor"])
    form = given_for(ENTRY, tmp_path, authorise_minor="2000", state_url=f"sqlite:///{tmp_path}/state.sqlite")
    found = answer(ENTRY, tmp_path, form, admin=True)
    (tmp_path / "entry.yaml").write_text(found.text)
    assert load_entry_settings(tmp_path).authorise_minor == 2000


def test_what_runs_on_the_machine_is_an_admins(tmp_path):
    form = given_for(STORE, tmp_path, person_weights="/tmp/evil.pt", billing__person="0.9")
    mine = answer(STORE, tmp_path, form, admin=False)
    assert mine.changed == ("billing.person",) and "evil" not in mine.text
    assert answer(STORE, tmp_path, form, admin=True).changed == ("person_weights", "billing.person")
    text = answer_text(STORE, tmp_path, "person_weights: /tmp/evil.pt\n", admin=False)
    assert text.text is None and list(text.problems) == ["person_weights"]


def test_a_password_is_not_shown_and_not_lost(tmp_path):
    url = "postgresql://walkout:s3cret@db/walkout"
    (tmp_path / "entry.yaml").write_text(f"state_url: {url}\nskew_s: 5\n")
    shown = typed(ENTRY.model, ENTRY.model(state_url=url))
    assert "s3cret" not in shown["state_url"]
    found = answer(ENTRY, tmp_path, shown | {"skew_s": "7"}, admin=True)
    assert yaml.safe_load(found.text) == {"state_url": url, "skew_s": 7}


@pytest.mark.parametrize("text", ["a: [", "- a list", "nonsense: 1", "billing: {person: 2}", "? !!python/object:x"])
def test_yaml_that_is_wrong_is_refused_with_a_reason(tmp_path, text):
    found = answer_text(STORE, tmp_path, text, admin=True)
    assert found.text is None and all(str(why) for why in found.problems.values()) and found.problems


def test_yaml_is_kept_as_it_was_written(tmp_path):
    text = "# why\nbilling:\n  person: 0.8  # asked for by the chain\n"
    found = answer_text(STORE, tmp_path, text, admin=False)
    assert found.text == text and found.changed == ("billing.person",)


numbers = st.floats(0.51, 1.0).map(lambda x: round(x, 4))


@trying(deadline=None, max_examples=30)
@given(numbers, st.integers(1, 50), st.lists(st.integers(0, 1000).map(float), max_size=5), st.booleans())
def test_whatever_the_form_takes_reads_back_as_it_was_typed(tmp_path_factory, person, units, pauses, collect):
    folder = tmp_path_factory.mktemp("settings")
    form = given_for(
        STORE, folder, billing__person=f"{person:g}".replace(".", ","), billing__max_units_per_event=str(units),
        payment__retry_after_s=" ".join(f"{p:g}" for p in pauses), payment__collect_at_entry="yes" if collect else "",
    )  # fmt: skip
    (folder / "settings.yaml").write_text(answer(STORE, folder, form, admin=False).text)
    settings = load_settings(folder)
    assert settings.billing.person == pytest.approx(person) and settings.billing.max_units_per_event == units
    assert settings.payment.retry_after_s == tuple(pauses) and settings.payment.collect_at_entry is collect
    again = answer(STORE, folder, typed(StoreSettings, settings), admin=False)
    assert again.changed == ()
