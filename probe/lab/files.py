"""A lab line's configuration and targets as the TOML files that ``colibri --config`` and ``[targets] files`` read."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from probe.model.config import Config, TargetList


def config_text(config: Config) -> str:
    """The configuration as TOML, without what is at its default."""
    plain: Any = msgspec.to_builtins(config)
    default: Any = msgspec.to_builtins(Config())
    lines: list[str] = []
    for section, values in plain.items():
        changed = {key: value for key, value in values.items() if value != default[section][key]}
        if changed:
            lines += [f"[{section}]", *_pairs(changed), ""]
    return "\n".join(lines)


def targets_text(targets: TargetList) -> str:
    """The target list as TOML."""
    lines = [f"version = {targets.version}", f"dated = {_value(targets.dated)}", ""]
    for entry in targets.targets:
        plain: Any = msgspec.to_builtins(entry)
        lines += ["[[targets]]", *_pairs({k: v for k, v in plain.items() if v not in ("", 0, [], {}, None)}), ""]
    return "\n".join(lines)


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items()]


def _value(value: Any) -> str:
    """A TOML value; JSON's strings, numbers, booleans and arrays are TOML's as well."""
    if isinstance(value, dict):
        return "{ " + ", ".join(_pairs(value)) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
