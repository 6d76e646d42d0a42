"""The shipped schemas, held against the types by a validator of the keywords that they use (it refuses any other)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from probe.cli import schema as schema_verb
from probe.cli.main import main
from probe.model.config import Config, TargetList
from probe.model.finding import Finding
from tests.samples import SAMPLE

CONTRACT_1 = set(SAMPLE)

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
SILENT = {"$schema", "$id", "$defs", "title", "description", "default"}  # say nothing about validity


def is_type(value: Any, rule: str | list[str]) -> bool:
    names = [rule] if isinstance(rule, str) else rule
    if isinstance(value, bool):  # which Python counts among the integers
        return "boolean" in names
    return any(isinstance(value, TYPES[name]) for name in names)


LEAVES: dict[str, Callable[[Any, Any], bool]] = {
    "type": is_type,
    "enum": lambda value, rule: value in rule,
    "required": lambda value, rule: not isinstance(value, dict) or value.keys() >= set(rule),
    "pattern": lambda value, rule: not isinstance(value, str) or re.search(rule, value) is not None,
    "maxLength": lambda value, rule: not isinstance(value, str) or len(value) <= rule,
    "minimum": lambda value, rule: not isinstance(value, int | float) or value >= rule,
    "maximum": lambda value, rule: not isinstance(value, int | float) or value <= rule,
}
"""Keyword → whether a value obeys it. A keyword says nothing about values of other types (JSON Schema, 7.6.1)."""


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "$") -> list[str]:
    """What is wrong with ``value`` by the schema (JSON Schema 2020-12, the keywords that msgspec writes)."""
    unknown = schema.keys() - LEAVES.keys() - SILENT - {"$ref", "anyOf", "properties", "additionalProperties", "items"}
    assert not unknown, f"{where}: the validator does not know {unknown}"
    broken = [key for key, obeys in LEAVES.items() if key in schema and not obeys(value, schema[key])]
    found = [f"{where}: {key} {schema[key]}" for key in broken]
    if "$ref" in schema:
        found += faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    if "anyOf" in schema and all(faults(value, option, root, where) for option in schema["anyOf"]):
        found.append(f"{where}: none of the alternatives")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += faults(item, schema.get("items", {}), root, f"{where}[{index}]")
    if isinstance(value, dict):
        for key, item in value.items():
            rule = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
            if rule is False:
                found.append(f"{where}: unknown {key}")
            elif rule is not True:
                found += faults(item, rule, root, f"{where}.{key}")
    return found


def test_the_finding_schema_has_the_fields_of_the_contract() -> None:
    assert set(schema_verb.schema("finding")["properties"]) == CONTRACT_1


def test_every_required_field_of_the_type_is_required_by_the_schema() -> None:
    required = {field.encode_name for field in msgspec.structs.fields(Finding) if field.required}
    assert set(schema_verb.schema("finding")["required"]) == required


def test_a_sample_finding_is_valid_by_type_and_by_schema() -> None:
    schema = schema_verb.schema("finding")
    finding = msgspec.convert(SAMPLE, Finding)
    assert json.loads(msgspec.json.encode(finding)) == SAMPLE
    assert faults(SAMPLE, schema, schema) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "not-a-uuid"),
        (("started_at",), "2026-01-02 03:04"),
        (("verdict",), "blocked"),
        (("confidence",), 1.5),
        (("line", "country"), "Morocco"),
        (("target", "port"), 65536),
        (("interference", "technique"), "magic"),
        (("interference", "location", "first_ttl"), 256),
        (("trials", "made"), -1),
        (("reasons",), ["x" * 1025]),
        (("evidence", "pcapng_sha256"), "abc"),
        (("schema",), "colibri.finding/2"),
    ],
)
def test_type_and_schema_refuse_the_same(path: tuple[str, ...], value: object) -> None:
    schema = schema_verb.schema("finding")
    bad = copy.deepcopy(SAMPLE)
    part = bad
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, Finding)
    assert faults(bad, schema, schema)


@pytest.mark.parametrize(("name", "default"), [("config", Config()), ("targets", TargetList())])
def test_defaults_are_valid_and_unknown_keys_are_not(name: str, default: object) -> None:
    schema = schema_verb.schema(name)
    document = json.loads(msgspec.json.encode(default))
    assert faults(document, schema, schema) == []
    assert faults(document | {"typo": 1}, schema, schema) == ["$: unknown typo"]


@pytest.mark.parametrize("name", schema_verb.DOCUMENTS)
def test_each_schema_is_self_contained_and_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == schema_verb.DIALECT
    assert schema["$id"] == f"urn:colibri:schema:{name}"
    assert schema["title"]
    assert schema["type"] == "object"
    used = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)))
    assert used == set(schema.get("$defs", {}))


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(schema_verb.DOCUMENTS)


def test_an_unknown_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "findings"]) == 2
    said = f"there is no schema 'findings'; there are: {', '.join(schema_verb.DOCUMENTS)}"
    assert "finding, config, targets, info, heartbeat, state, stored, public-state, public-event" in said
    assert capsys.readouterr() == ("", f"colibri: {said}\n")
