"""The configuration's types: every key described, every default within its own bounds, no unknown key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from probe.model.config import Config, TargetEntry, TargetList


def fields(kind: Any = Config, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, type) of every key."""
    for field in msgspec.structs.fields(kind):
        info = msgspec.inspect.type_info(field.type)
        name = f"{path}{field.encode_name}"
        plain = info
        while isinstance(plain, msgspec.inspect.Metadata):
            plain = plain.type
        if isinstance(plain, msgspec.inspect.StructType):
            yield from fields(plain.cls, f"{name}.")
        else:
            yield name, info


def test_the_defaults_are_a_valid_configuration() -> None:
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()
    assert msgspec.convert({}, Config) == Config()


def test_every_key_says_what_it_is_for() -> None:
    def words(info: Any) -> str:
        schema = info.extra_json_schema if isinstance(info, msgspec.inspect.Metadata) else None
        return str((schema or {}).get("description", ""))

    silent = [name for name, info in fields() if not words(info)]
    assert silent == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("safety", "packets_per_second", 0), ("safety", "packets_per_second", 20001), ("safety", "bytes_per_day", -1),
        ("safety", "target_spacing", -1.0), ("safety", "allow_networks", "10.0.0.0/8"), ("schedule", "jitter", 1.5),
        ("mqtt", "port", 70000), ("mqtt", "acknowledged_by", "nobody"), ("mqtt", "keepalive", 1), ("mqtt", "window", 0),
        ("spool", "max_bytes", 1), ("line", "country", "Morocco"), ("line", "asn", -1), ("line", "access", "wifi"),
        ("measure", "trials", 2), ("probe", "id", 7), ("collector", "batch", 0),
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_refused_with_its_path(section: str, key: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({section: {key: value}}, Config)
    assert f"$.{section}.{key}" in str(caught.value)


@pytest.mark.parametrize("text", [{"sfety": {}}, {"safety": {"packet_per_second": 3}}, {"mqtt": {"tls": {"cert": ""}}}])
def test_an_unknown_key_is_refused_by_name(text: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(text, Config)


def test_no_range_is_open_by_itself_and_the_caps_are_low() -> None:
    safety = Config().safety
    assert safety.allow_networks == []
    assert safety.sensitive == []
    assert safety.packets_per_second <= 500
    assert safety.bytes_per_day <= 100_000_000


def test_a_target_list_is_read_as_written() -> None:
    text = {"version": 1, "targets": [{"target": "http://press.example/", "measurements": ["tcp_reset"], "every": 60,
                                       "options": {"trials": 5, "control_name": "control.example"}}]}  # fmt: skip
    entry = msgspec.convert(text, TargetList).targets[0]
    assert entry == TargetEntry("http://press.example/", measurements=["tcp_reset"], every=60.0,
                                options={"trials": 5, "control_name": "control.example"})  # fmt: skip
    with pytest.raises(msgspec.ValidationError, match=r"targets\[0\]"):
        msgspec.convert({"targets": [{"target": "x", "prot": 3}]}, TargetList)
