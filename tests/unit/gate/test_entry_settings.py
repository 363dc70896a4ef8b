# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from pipeline.errors import LayoutError
from pipeline.gate.entry_settings import load_entry_settings


def test_a_hold_that_no_payment_desk_would_see_is_refused(tmp_path):
    file = tmp_path / "entry.yaml"
    file.write_text("authorise_minor: 5000\n")
    with pytest.raises(LayoutError, match=r"entry\.yaml: authorise_minor is 5000, but there is no state_url"):
        load_entry_settings(tmp_path)
    file.write_text("{authorise_minor: 5000, state_url: 'sqlite:////var/lib/walkout/state.sqlite'}\n")
    assert load_entry_settings(tmp_path).authorise_minor == 5000


def test_without_holds_the_gate_may_have_a_database_of_its_own(tmp_path):
    assert load_entry_settings(tmp_path).state_url == f"sqlite:///{tmp_path / 'entry.sqlite'}"
