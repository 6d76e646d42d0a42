"""TOML out of plain values; the standard library only reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec


def dump(document: Mapping[str, Any]) -> str:
    """A TOML document (TOML 1.0) of strings, numbers, truths, lists and tables of them.

    Raises TypeError for anything else.
    """
    return "\n".join(_table(document, ())) + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    if path and (lines or not table):
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _table(value, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    match value:
        case str():
            # JSON's strings are TOML's, but for DEL, which TOML wants escaped.
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{_key(key)} = {_value(inner)}' for key, inner in value.items())}}}"
    raise TypeError(f"{type(value).__name__} has no place in TOML")
