"""Every option of the configuration with its words, and a configuration as TOML."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from probe.model.config import Config

_PLAIN = {
    "StrType": "text", "IntType": "integer", "FloatType": "number", "BoolType": "true or false", "NoneType": "none",
}  # fmt: skip


def options(kind: type[Any] = Config, prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Every option: (dotted key, type, default as TOML or ``required``, description)."""
    found: list[tuple[str, str, str, str]] = []
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        inner, words = _unwrap(field.type)
        name = f"{prefix}{field.encode_name}"
        struct = next((t for t in _members(inner) if isinstance(t, msgspec.inspect.StructType)), None)
        if struct is not None:
            found += options(struct.cls, f"{name}.")
            continue
        if isinstance(inner, msgspec.inspect.ListType):
            element, _ = _unwrap(inner.item_type)
            kinds = [kind for kind in _members(element) if isinstance(kind, msgspec.inspect.StructType)]
            if kinds:
                # Kinds of one thing share options.
                found += dict.fromkeys(option for kind in kinds for option in options(kind.cls, f"{name}."))
                continue
        default = "required" if field.required else _toml(_default(field))
        found.append((name, " or ".join(_type_name(t) for t in _members(inner)), default, words))
    return found


def describe(kind: type[Any] = Config) -> str:
    """Every option as a Markdown table."""
    rows = [f"| `{name}` | {type_} | `{default}` | {words} |" for name, type_, default, words in options(kind)]
    return "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _unwrap(info: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, str]:
    words = ""
    while isinstance(info, msgspec.inspect.Metadata):
        words = words or (info.extra_json_schema or {}).get("description", "")
        info = info.type
    return info, words


def _members(info: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    return info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)


def _type_name(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in info.values)
        case msgspec.inspect.ListType():
            inner, _ = _unwrap(info.item_type)
            return f"list of {' or '.join(_type_name(t) for t in _members(inner))}"
        case msgspec.inspect.DictType():
            return "table"
    return _PLAIN[type(info).__name__]


def _default(field: msgspec.inspect.Field) -> object:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _toml(value: object) -> str:
    text = "" if value is None else msgspec.json.encode(value).decode()
    return text.replace("\x7f", "\\u007f")  # the one character that JSON allows bare and TOML does not


def show(config: Config) -> str:
    """The configuration as TOML, defaults included; :func:`probe.agent.config.load` of it gives the same again."""
    lines: list[str] = []

    def table(name: str, values: dict[str, Any], brackets: str = "[]") -> None:
        lines.append(f"\n{brackets.replace('[]', f'[{name}]')}")
        tables = {k: v for k, v in values.items() if isinstance(v, dict) or _holds_tables(v)}
        lines.extend(f"{_key(k)} = {_toml(v)}" for k, v in values.items() if v is not None and k not in tables)
        for key, inner in tables.items():
            for one in inner if isinstance(inner, list) else []:
                table(f"{name}.{_key(key)}", one, "[[]]")
            if isinstance(inner, dict):
                table(f"{name}.{_key(key)}", inner)

    for section, values in msgspec.to_builtins(config).items():
        table(section, values)
    return "\n".join(lines).lstrip() + "\n"


def _holds_tables(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
