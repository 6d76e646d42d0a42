"""``colibri schema NAME``: the JSON Schema (2020-12) of what Colibri reads and writes, made from the types."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from typing import Any

from probe.model.errors import UsageError

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DOCUMENTS = {
    "finding": ("probe.model.finding", "Finding", "a judged measurement: what is published"),
    "config": ("probe.model.config", "Config", "the configuration file (TOML)"),
    "targets": ("probe.model.config", "TargetList", "a target list (TOML)"),
    "info": ("probe.model.feed", "Info", "feed: what a probe says of itself"),
    "heartbeat": ("probe.model.heartbeat", "Heartbeat", "feed: a probe's signed sign of life"),
    "state": ("probe.model.feed", "State", "feed: the last verdict on one target"),
    "stored": ("probe.model.feed", "Stored", "feed: the collector's word that findings are stored"),
    "public-state": ("probe.model.feed", "PublicState", "feed: the verdicts on one target and operator, for anyone"),
    "public-event": ("probe.model.feed", "PublicEvent", "feed: an incident was opened, updated or closed, for anyone"),
    "findings-page": ("probe.collector.rest_types", "FindingPage", "API: a page of findings"),
    "states-page": ("probe.collector.rest_types", "StatePage", "API: a page of what is found now"),
    "incidents-page": ("probe.collector.rest_types", "IncidentPage", "API: a page of incidents"),
    "incident": ("probe.model.feed", "PublicIncident", "API: an incident, in numbers of homes"),
    "public-case": ("probe.collector.rest_types", "PublicCaseEvent", "feed: a case began, grew or ended, for anyone"),
    "cases-page": ("probe.collector.rest_types", "CasePage", "API: a page of cases"),
    "case": ("probe.collector.rest_types", "PublicCase", "API: incidents that belong together"),
    "counters": ("probe.collector.rest_types", "CounterPage", "API: public counters"),
    "counter": ("probe.collector.rest_types", "CounterHistory", "API: a public counter with its readings"),
    "failure": ("probe.collector.rest_types", "Failure", "API: why there is no answer"),
}
"""Name → (module, type, title)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``colibri schema [NAME]``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of: {', '.join(DOCUMENTS)}; none: list them")


def run(args: argparse.Namespace) -> int:
    """Print one schema, or the names and titles of all."""
    if args.name is None:
        for name, (_, _, title) in DOCUMENTS.items():
            print(f"{name:<15} {title}")
    else:
        print(json.dumps(schema(args.name), indent=2, ensure_ascii=False))
    return 0


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one document, with ``$id``, ``title`` and every type it uses under ``$defs``.

    Raises UsageError for an unknown name.
    """
    import msgspec

    if name not in DOCUMENTS:
        raise UsageError(f"there is no schema {name!r}; there are: {', '.join(DOCUMENTS)}")
    module, type_name, title = DOCUMENTS[name]
    (root,), parts = msgspec.json.schema_components(
        [getattr(import_module(module), type_name)], ref_template="#/$defs/{name}"
    )
    # The type's own properties at the top read better than a reference; a type that holds itself stays below too.
    own = parts[type_name] if root["$ref"] in json.dumps(list(parts.values())) else parts.pop(type_name)
    head = {"$schema": DIALECT, "$id": f"urn:colibri:schema:{name}", "title": title}
    return head | {key: value for key, value in own.items() if key != "title"} | ({"$defs": parts} if parts else {})
