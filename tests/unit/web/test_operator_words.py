# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything that the operator's pages say is said in French, too, with the same places for values."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

import pipeline
from pipeline.operations.form_fields import form_fields
from pipeline.operations.settings_form import FILES
from pipeline.web.operator.settings_words import CHOICES, GROUPS, LABELS

ROOT = Path(pipeline.__file__).parent
HOLES = re.compile(r"\{\w+\}|%\(\w+\)s|%%|%")


def messages() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "web" / "templates" / "operator").glob("*.html"):
        for _, message, _, _ in extract_from_file("jinja2.ext:babel_extract", str(path)):
            found.add(message if isinstance(message, str) else message[0])
    for folder, names in ((ROOT / "web" / "operator", {"N_", "_"}), (ROOT / "operations", {"reason", "Refused"})):
        for path in folder.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = getattr(getattr(node, "func", None), "id", None)
                if called in names and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
    return found


@pytest.fixture(scope="module")
def french():
    with (ROOT / "locale" / "fr" / "LC_MESSAGES" / "operator.po").open("rb") as file:
        return read_po(file, locale="fr")


def test_there_is_something_to_say():
    assert len(messages()) > 200


def test_every_message_is_there_in_french_with_its_places_for_values(french):
    for message in sorted(messages()):
        told = french.get(message)
        assert told is not None and told.string, message
        for text in [told.string] if isinstance(told.string, str) else told.string:
            assert sorted(HOLES.findall(text)) == sorted(HOLES.findall(message)), message


@pytest.mark.parametrize("name", FILES)
def test_every_setting_of_the_form_has_a_name_and_every_choice_a_word(name):
    fields = form_fields(FILES[name].model)
    assert fields and [f.path for f in fields if f.path not in LABELS] == []
    assert [f.group for f in fields if f.group and f.group not in GROUPS] == []
    assert {choice for f in fields for choice in f.choices} <= CHOICES.keys()


def test_nothing_is_translated_that_nobody_says(french):
    said = messages()
    assert [m.id for m in french if m.id and (m.id if isinstance(m.id, str) else m.id[0]) not in said] == []
