"""Components as plain JSON data and back: what is hashed, stored and sent to workers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from epochlab.component import Component, component_name, make
from epochlab.registry import load_class


def to_plain(value: Any) -> Any:
    """Components, tuples and numbers as JSON data, every default written out."""
    if isinstance(value, Component):
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        plain = {f.name: to_plain(getattr(value, f.name)) for f in fields}
        return {"component": component_name(type(value)), **plain}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} cannot be part of a component")


def from_plain(plain: Any) -> Any:
    """Inverse of `to_plain`. Raises UnknownName or BadOption for what no longer exists."""
    if isinstance(plain, list):
        return tuple(from_plain(item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    family, _, name = plain["component"].partition("/")
    cls = load_class(family, name)
    given = {key: from_plain(value) for key, value in plain.items() if key != "component"}
    return make(cls, given)


def canonical_json(plain: Any) -> str:
    """One text per meaning: sorted keys, no blanks, shortest round-trip numbers, no NaN."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(to_plain(value)).encode()).hexdigest()
