# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store's settings as a form that its pydantic models make, and the form's answers as the settings' YAML.

What names weights, databases, servers and keys decides what runs on the machine, so it is an admin's; others see it
without passwords. What equals its default is left out of the file, unless it stood there before.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import LayoutError
from pipeline.gate.entry_settings import FILE as ENTRY
from pipeline.gate.entry_settings import EntrySettings, load_entry_settings
from pipeline.operations.form_fields import DUMPER, as_typed, form_fields, parsed, value_at
from pipeline.operations.reasons import Reason, reason
from pipeline.settings import FILE as STORE
from pipeline.settings import StoreSettings, load_settings

_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")
_HIDDEN = "•••"


@dataclass(frozen=True)
class File:
    """One file of settings: its name, its model, and the loader that knows the rules between fields and files."""

    name: str
    model: type[BaseModel]
    load: Callable[[Path], Any]


FILES = {
    "store": File(STORE, StoreSettings, load_settings),
    "entry": File(ENTRY, EntrySettings, load_entry_settings),
}


@dataclass(frozen=True)
class Answer:
    """`text` is the new file; None while there are `problems`: path (empty: the whole file) -> why. `changed`: paths of
    fields that are another than before."""

    text: str | None
    problems: Mapping[str, Reason] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


def typed(model: type, settings: Any) -> dict[str, str]:
    """Path -> what stands in the input, without passwords."""
    return {f.path: _PASSWORD.sub(_HIDDEN, as_typed(f, value_at(settings, f.path))) for f in form_fields(model)}


def answer(file: File, folder: Path, given: Mapping[str, str], *, admin: bool) -> Answer:
    """What a filled-in form makes of the file in `folder`. `given`: path -> text; a path that is left out stays as it
    is (a flag that is not ticked comes as an empty text)."""
    before = current(file, folder)
    body = _body(folder / file.name)
    problems: dict[str, Reason] = {}
    for one in form_fields(file.model):
        if one.path not in given or (one.admin and not admin):
            continue
        shown = _PASSWORD.sub(_HIDDEN, as_typed(one, value_at(before, one.path)))
        if given[one.path].replace("\r\n", "\n").strip() == shown.strip():
            continue
        try:
            value = parsed(one, given[one.path])
        except ValueError as error:
            problems[one.path] = reason("{problem}", problem=str(error))
            continue
        _put(body, one.path, value)
    if problems:
        return Answer(None, problems)
    return _checked(file, folder, body, before, text=None, admin=admin)


def answer_text(file: File, folder: Path, text: str, *, admin: bool) -> Answer:
    """The same of YAML as it is to stand in the file, comments included."""
    try:
        body = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        return Answer(None, {"": reason("not readable as YAML: {problem}", problem=" ".join(str(error).split())[:300])})
    if body is None:
        body = {}
    if not isinstance(body, dict):
        return Answer(None, {"": reason("expected a mapping of fields")})
    return _checked(file, folder, body, current(file, folder), text=text, admin=admin)


def current(file: File, folder: Path) -> Any:
    """The settings in `folder`, as they stand there; `LayoutError` when the file is not readable."""
    from calibration.layout import parse_model

    path = folder / file.name
    return parse_model(file.model, path) if path.exists() else file.model()


def _checked(file: File, folder: Path, body: dict, before: Any, text: str | None, admin: bool) -> Answer:
    try:
        after = file.model.model_validate(body)
    except ValidationError as error:
        return Answer(None, _problems(file.model, error))
    changed = tuple(
        f.path for f in form_fields(file.model) if value_at(before, f.path) != value_at(after, f.path)
    )  # fmt: skip
    forbidden = [f.path for f in form_fields(file.model) if f.admin and f.path in changed]
    if forbidden and not admin:
        return Answer(None, {p: reason("only an admin may change this") for p in forbidden})
    if text is None:
        text = _comments(folder / file.name) + yaml.dump(
            body, Dumper=DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
        )
    with tempfile.TemporaryDirectory(prefix="walkout-settings-") as scratch:
        (Path(scratch) / file.name).write_text(text, encoding="utf-8")
        try:  # what only the loader knows
            file.load(Path(scratch))
        except LayoutError as error:
            problem = str(error).replace(f"{scratch}/", "").removeprefix(f"{file.name}: ")
            return Answer(None, {_named_in(problem, file.model): reason("{problem}", problem=problem)})
    return Answer(text, {}, changed)


# --- the file ---


def _put(body: dict, path: str, value: Any) -> None:
    *groups, name = path.split(".")
    for group in groups:
        inner = body.get(group)
        if not isinstance(inner, dict):
            inner = body[group] = {}
        body = inner
    body[name] = value


def _body(path: Path) -> dict:
    """The file as it stands; empty when it is not there."""
    body = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return body if isinstance(body, dict) else {}


def _comments(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    head = []
    for line in lines:
        if not line.startswith("#"):
            break
        head.append(line)
    return "".join(head)


# --- what is wrong ---


def _problems(model: type, error: ValidationError) -> dict[str, Reason]:
    paths = [f.path for f in form_fields(model)]
    found: dict[str, Reason] = {}
    for one in error.errors():
        where = ".".join(str(part) for part in one["loc"])
        path = next((p for p in sorted(paths, key=len, reverse=True) if where == p or where.startswith(f"{p}.")), None)
        if path is None:  # a rule between fields: the one that the sentence speaks of
            path = _named_in(one["msg"], model, where)
        said = _said(one)
        known = found.get(path)
        found[path] = said if known is None else known
    return found


def _named_in(sentence: str, model: type, group: str = "") -> str:
    """The first field (of the group) that a sentence names; the empty path when it names none."""
    best: tuple[int, str] | None = None
    for one in form_fields(model):
        if group and not one.path.startswith(f"{group}."):
            continue
        match = re.search(rf"(?<!\w){re.escape(one.name)}(?!\w)", sentence)
        if match and (best is None or match.start() < best[0]):
            best = (match.start(), one.path)
    return best[1] if best else ""


def _said(one: Mapping[str, Any]) -> Reason:
    """pydantic's commonest sentences in words that are translated; the others as they are."""
    context = one.get("ctx") or {}
    kind = one["type"]
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return reason("expected a whole number, got {value}", value=str(one["input"])[:60] or '""')
    if kind in ("float_parsing", "float_type", "finite_number"):
        return reason("expected a number, got {value}", value=str(one["input"])[:60] or '""')
    if kind == "greater_than_equal":
        return reason("must be at least {limit}", limit=context["ge"])
    if kind == "greater_than":
        return reason("must be more than {limit}", limit=context["gt"])
    if kind == "less_than_equal":
        return reason("must be at most {limit}", limit=context["le"])
    if kind == "less_than":
        return reason("must be less than {limit}", limit=context["lt"])
    if kind == "extra_forbidden":
        return reason("there is no such setting: {name}", name=".".join(str(p) for p in one["loc"]))
    return reason("{problem}", problem=one["msg"].removeprefix("Value error, "))
