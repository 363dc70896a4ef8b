# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every text of the pages has its French; placeholders survive translation."""

import re
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from pipeline import texts
from pipeline.gate.desk import WELCOME, WELCOME_PARTY
from pipeline.gate.entry_settings import EntrySettings
from pipeline.passes.refused import DISPLAY

WEB = Path(texts.__file__).parent / "web"
OPTIONS = {"templates/**.html": {"extensions": "jinja2.ext.i18n", "trim_blocks": "1", "newstyle_gettext": "1"}}
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def messages() -> dict[str, list]:
    """File -> its messages; a message with a plural is a pair."""
    found: dict[str, list] = {}
    methods = [("templates/**.html", "jinja2"), ("**.py", "python")]
    for file, _, message, _, _ in extract_from_dir(WEB, method_map=methods, options_map=OPTIONS, keywords=KEYWORDS):
        found.setdefault(file, []).append(message)
    return found


FOUND = messages()


@pytest.mark.parametrize("file", sorted(FOUND))
def test_every_text_has_its_french(file):
    known = texts.translations("fr")
    missing = []
    for message in FOUND[file]:
        if isinstance(message, tuple):
            one = message[0]
            done = known._catalog.get((one, 0)) and known._catalog.get((one, 1))
        else:
            done = not message.strip() or known._catalog.get(message)
        if not done:
            missing.append(message)
    assert missing == []


@pytest.mark.parametrize("said", [*DISPLAY.values(), *WELCOME.values(), WELCOME_PARTY])
def test_gates_displays_have_their_french(said):
    assert texts.translations("fr")._catalog.get(said)


def test_gates_can_have_every_language():
    assert set(get_args(EntrySettings.model_fields["language"].annotation)) == set(texts.LANGUAGES)


def test_no_text_has_two_translations():
    """All files of a language are one catalogue, in which the last one would win."""
    told: dict[object, set] = {}
    for path in (texts.FOLDER / "fr" / "LC_MESSAGES").glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file, locale="fr"):
                if message.id:
                    told.setdefault(message.id, set()).add(message.string)
    assert {text: said for text, said in told.items() if len(said) > 1} == {}


def test_placeholders_are_the_same_in_both_languages():
    known = texts.translations("fr")
    for key, text in known._catalog.items():
        if isinstance(key, str) and key:
            assert sorted(PLACEHOLDER.findall(key)) == sorted(PLACEHOLDER.findall(text)), key


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("en;q=0.4, fr;q=0.5", "fr"),
        ("de", "en"),
        ("fr;q=0", "en"),
        ("fr;q=nonsense, en", "en"),
        (",;=,fr;q=0.1", "fr"),
    ],
)
def test_the_language_that_a_browser_likes_most(header, language):
    assert texts.wanted(header) == language
