# SPDX-License-Identifier: AGPL-3.0-or-later
"""The inputs that a pydantic model of settings makes: what each is, what stands in it, and what is typed into it."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

Kind = Literal["text", "number", "whole", "choice", "flag", "lines", "numbers", "yaml"]
_ADMIN = re.compile(r"(_weights|_url|^url|_ring|provider|issuers|storage_options)$")
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class FormField:
    """One input. `path`: as in the YAML, with dots. `default`: as it would be typed. `hint`: of the model's docstring.
    `nullable`: may be left empty for none. `admin`: only an admin may change it."""

    path: str
    group: str
    kind: Kind
    default: str
    hint: str = ""
    choices: tuple[str, ...] = ()
    nullable: bool = False
    admin: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def form_fields(model: type) -> tuple[FormField, ...]:
    """All inputs of a model, in the order of its fields."""
    return tuple(_fields(model, "", model() if isinstance(model, type) else model))


def _fields(model: type, prefix: str, defaults: Any) -> Iterator[FormField]:
    hints = _hints(model)
    types_of = get_type_hints(model)
    names = list(model.model_fields) if issubclass(model, BaseModel) else [f.name for f in dataclasses.fields(model)]
    for name in names:
        if name == "schema_version":
            continue
        path, annotation = f"{prefix}{name}", types_of[name]
        inner, nullable = _without_none(annotation)
        value = getattr(defaults, name)
        if isinstance(inner, type) and (issubclass(inner, BaseModel) or dataclasses.is_dataclass(inner)):
            yield from _fields(inner, f"{path}.", value)
            continue
        kind, choices = _kind(inner)
        made = FormField(path, prefix.rstrip("."), kind, "", hints.get(name, ""), choices, nullable, bool(_ADMIN.search(name)))  # noqa: E501  # fmt: skip
        yield dataclasses.replace(made, default=as_typed(made, value))


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return parts[0], True
    return annotation, False


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(value) for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        inner = {a for a in get_args(annotation) if a is not Ellipsis}
        return ("lines" if inner == {str} else "numbers" if inner <= {int, float} else "yaml"), ()
    plain: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text", Path: "text"}
    return plain.get(annotation, "yaml"), ()


def _hints(model: type) -> dict[str, str]:
    """`name`: what it means, out of the docstring, where fields are told of like that."""
    text = " ".join((model.__doc__ or "").split())
    found = {}
    for match in re.finditer(r"((?:`\w+`, )*`\w+`): (.+?)(?=(?: (?:`\w+`, )*`\w+`: )|$)", text):
        for name in re.findall(r"`(\w+)`", match[1]):
            found[name] = match[2].replace("`", "").strip()
    return found


def value_at(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def as_typed(one: FormField, value: Any) -> str:
    if value is None:
        return ""
    if one.kind == "flag":
        return "yes" if value else ""
    if one.kind in ("lines", "numbers"):
        return "\n".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    if one.kind == "yaml":
        plain = [v.model_dump(mode="json", exclude_none=True) if isinstance(v, BaseModel) else v for v in value]
        plain = dict(value) if isinstance(value, Mapping) else plain
        return yaml.dump(plain, Dumper=DUMPER, sort_keys=False, allow_unicode=True).strip() if plain else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def parsed(one: FormField, text: str) -> Any:
    """For the model to judge: what is no number stays a text. `ValueError` for YAML that cannot be read."""
    text = text.replace("\r\n", "\n").strip()
    if one.kind == "flag":
        return bool(text)
    if one.kind == "lines":
        return [line.strip() for line in text.split("\n") if line.strip()]
    if one.kind == "numbers":
        return [_number(part) for part in re.split(r"[\s;]+", text) if part]
    if one.kind == "yaml":
        try:
            return yaml.safe_load(text) if text else []
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())[:200]) from None
    if not text and one.nullable:
        return None
    if one.kind in ("number", "whole"):
        return _number(text)
    return text


def _number(text: str) -> Any:
    plain = text.replace(",", ".")
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text
