"""The documents of the feed and of the API: valid by their own specifications, and true of the program."""

from __future__ import annotations

import copy
import gzip
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
import yaml
from starlette.routing import Route

from probe.agent.spool import Spool
from probe.agent.states import States
from probe.cli.schema import DOCUMENTS, schema
from probe.collector import public, rest_query
from probe.collector.connection import TOPICS
from probe.collector.counters.site import CounterSite
from probe.collector.ingest import unpack
from probe.collector.rest import OF_INCIDENTS, OF_RESULTS, Rest
from probe.collector.rest_cases import OF_CASES
from probe.collector.subscriber import answers
from probe.collector.verdicts import Outcome
from probe.model import feed
from probe.model.finding import Finding
from tests.test_docs import FEED, examples

ROOT = Path(__file__).parents[1]
API = ROOT / "docs/api"
DATA = ROOT / "tests/data"
ASYNC = yaml.safe_load((API / "asyncapi.yaml").read_text())
OPEN = yaml.safe_load((API / "openapi.yaml").read_text())
FILES = sorted((API / "schemas").glob("*.json"))
JSON_MESSAGES = {"info", "finding", "heartbeat", "state", "stored", "publicState", "publicEvent", "publicCaseEvent"}


@cache
def vendored(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def faults(document: Any, by: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(json.dumps(by)).iter_errors(document)]


@cache
def validator(schema_text: str) -> Any:
    by = json.loads(schema_text)
    kind = jsonschema.validators.validator_for(by)
    kind.check_schema(by)
    return kind(by)


def is_valid(value: Any, by: Any) -> bool:
    return not faults(value, by)


def file_of(reference: str) -> Any:
    return json.loads((API / reference).read_text())


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def at(document: Any, reference: str) -> Any:
    """What ``#/…`` points at; KeyError if that is nothing."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


# The schemas


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schemas_are_those_of_the_types(path: Path) -> None:
    name = path.name.removesuffix(".schema.json")
    assert json.loads(path.read_text()) == schema(name), f"colibri schema {name} > docs/api/schemas/{path.name}"


def test_every_schema_of_the_feed_and_the_api_is_there_and_used() -> None:
    there = {path.name for path in FILES}
    assert there == {f"{name}.schema.json" for name in DOCUMENTS.keys() - {"config", "targets"}}
    used = {one.rpartition("/")[2] for document in (ASYNC, OPEN) for one in references(document) if "#" not in one}
    assert used == there


# AsyncAPI


def test_the_feed_s_document_is_asyncapi_3() -> None:
    assert faults(ASYNC, vendored("asyncapi-3.0.0.json")) == []


def spoiled(change: Callable[[Any], object]) -> Any:
    document = copy.deepcopy(ASYNC)
    change(document)
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("info"),
        lambda d: d["operations"]["sayStored"].update(action="publish"),
        lambda d: d["operations"]["publishState"]["bindings"]["mqtt"].update(qos=3),
        lambda d: d["components"]["messages"]["info"].update(bindings={"mqtt": {"messageExpiryInterval": 5}}),
        lambda d: d["channels"]["info"].update(adress="colibri"),
        lambda d: d["channels"]["info"].update(bindings={"kafka": {}}),
        lambda d: d["servers"]["public"].pop("host"),
        lambda d: d["channels"]["info"]["messages"].update(more={"payload": {"type": "text"}}),
    ],
)
def test_the_vendored_schema_still_refuses(change: Callable[[Any], object]) -> None:
    assert faults(spoiled(change), vendored("asyncapi-3.0.0.json"))


def test_every_reference_leads_somewhere() -> None:
    for document in (ASYNC, OPEN):
        for reference in references(document):
            assert at(document, reference) if reference.startswith("#/") else file_of(reference), reference


def test_channels_are_the_feed_s_topics() -> None:
    p, m, t, i = "{probe}", "{measurement}", "{target}", "{id}"
    state = feed.public_state("{country}", "{operator}", t)
    topics = [
        feed.availability(p), feed.info(p), feed.heartbeat(p), feed.finding(p, m), feed.state(p, m, t),
        feed.evidence(p, i), feed.stored(p), state.replace(feed.short_hash("{operator}"), "{operator}"),
        *(topic("opened").replace("opened", "{event}") for topic in (feed.public_incident, feed.public_case)),
    ]  # fmt: skip
    topics = [topic.replace(feed.short_hash(t), t) for topic in topics]
    assert sorted(channel["address"] for channel in ASYNC["channels"].values()) == sorted(topics)


def test_channels_name_their_parameters() -> None:
    for channel in ASYNC["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == channel["parameters"].keys()
    assert set(ASYNC["channels"]["publicIncident"]["parameters"]["event"]["enum"]) == set(get_args(feed.Event))


def operations(action: str) -> dict[str, dict[str, Any]]:
    """Address → the MQTT binding."""
    return {
        at(ASYNC, one["channel"]["$ref"])["address"]: one["bindings"]["mqtt"]
        for one in ASYNC["operations"].values()
        if one["action"] == action
    }


def test_the_collector_hears_what_the_document_says() -> None:
    assert {re.sub(r"{\w+}", "+", address) for address in operations("receive")} == set(TOPICS)


def test_public_messages_are_kept_as_the_document_says() -> None:
    sent = operations("send")
    state = public.state_post(sample_state(), "AS64503")
    binding = sent["colibri/v1/public/state/{country}/{operator}/{target}"]
    assert (binding["retain"], binding["messageExpiryInterval"]) == (state.retain, state.expiry)
    assert sent["colibri/v1/public/incident/{event}"]["retain"] is False


def sample_state() -> feed.PublicState:
    return msgspec.convert(examples(FEED)["colibri.public.state/1"], feed.PublicState)


def payload_schema(message: str) -> Any:
    payload = ASYNC["components"]["messages"][message]["payload"]
    return file_of(payload["schema"]["$ref"]) if "schemaFormat" in payload else payload


def test_every_json_message_has_a_schema_and_says_which() -> None:
    messages = ASYNC["components"]["messages"]
    assert messages.keys() == {*JSON_MESSAGES, "availability", "evidence"}
    for name in JSON_MESSAGES:
        (said,) = payload_schema(name)["properties"]["schema"].get("enum") or [
            payload_schema(name)["properties"]["schema"]["default"]
        ]
        assert messages[name]["headers"]["properties"]["schema"]["const"] == said


def message_of(schema_name: str) -> str:
    """The message that carries ``colibri.…/1``."""
    messages: dict[str, Any] = ASYNC["components"]["messages"]
    return next(
        name for name, one in messages.items()
        if one.get("headers", {}).get("properties", {}).get("schema", {}).get("const") == schema_name
    )  # fmt: skip


REAL = examples(FEED)


@pytest.mark.parametrize("name", REAL)
def test_payload_schemas_accept_the_real_messages(name: str) -> None:
    assert faults(REAL[name], payload_schema(message_of(name))) == []


def broken(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every message with one leaf of another type."""
    if isinstance(value, dict):
        for key, item in value.items():
            for where, one in broken(item, (*path, key)):
                yield where, {**value, key: one}
    elif isinstance(value, str):
        yield path, [value]
    elif isinstance(value, bool | int | float):
        yield path, str(value)


@pytest.mark.parametrize("name", REAL)
def test_payload_schemas_refuse_every_broken_field(name: str) -> None:
    by = payload_schema(message_of(name))
    spoilt = {where: one for where, one in broken(REAL[name]) if where[0] != "details"}
    assert len(spoilt) >= 1
    assert [where for where, one in spoilt.items() if is_valid(one, by)] == []
    required = by["required"]
    assert required
    for field in required:
        assert not is_valid({key: value for key, value in REAL[name].items() if key != field}, by)


def made_by_the_code() -> dict[str, bytes]:
    """Messages as the program makes them, by the name of their message."""
    finding = msgspec.convert(REAL["colibri.finding/1"], Finding)
    incident = msgspec.convert(REAL["colibri.public.event/1"]["incident"], feed.PublicIncident)
    stored = answers([Outcome("rejected", "sale", finding.id, answer=True, refused="bad_clock")])["sale"]
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool", 1 << 20)
        _, state = States("sale", spool).update(finding)
        spool.close()
    return {
        "finding": msgspec.json.encode(finding),
        "stored": msgspec.json.encode(stored),
        "state": state,
        "publicState": public.state_post(sample_state(), "AS64503").payload,
        "publicEvent": public.event_post("updated", incident, 1_795_314_694_951).payload,
    }


def test_payload_schemas_accept_what_the_code_makes() -> None:
    for message, payload in made_by_the_code().items():
        assert faults(json.loads(payload), payload_schema(message)) == [], message


@pytest.mark.parametrize(("word", "valid"), [(feed.AVAILABLE, True), (feed.GONE, True), (b"away", False)])
def test_availability_is_one_of_two_words(word: bytes, valid: bool) -> None:
    assert is_valid(word.decode(), payload_schema("availability")) is valid


def test_evidence_is_said_to_be_what_is_accepted() -> None:
    message = ASYNC["components"]["messages"]["evidence"]
    assert message["contentType"] == "application/gzip"
    assert "64 KiB" in message["description"]
    assert unpack(gzip.compress(b"\x0a\x0d\x0d\x0a")) == b"\x0a\x0d\x0d\x0a"


# OpenAPI


def test_the_api_s_document_is_openapi_3_1() -> None:
    assert faults(OPEN, vendored("openapi-3.1.json")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("openapi"),
        lambda d: d["paths"]["/api/v1/states"]["get"]["parameters"].append({"name": "x", "in": "body"}),
        lambda d: d["paths"].update({"api/v1/x": {}}),
        lambda d: d["components"]["responses"]["wrong"].pop("description"),
        lambda d: d["paths"]["/api/v1/states"].update(fetch={}),
    ],
)
def test_the_vendored_schema_of_openapi_still_refuses(change: Callable[[Any], object]) -> None:
    document = copy.deepcopy(OPEN)
    change(document)
    assert faults(document, vendored("openapi-3.1.json"))


def routes() -> dict[str, Route]:
    nothing: Any = None
    every = [*Rest(nothing, lambda: 0).routes, *CounterSite([], nothing, {}, lambda: 0).routes]
    return {route.path: route for route in every if isinstance(route, Route)}


def test_no_route_without_its_description_and_none_described_that_is_not() -> None:
    assert OPEN["paths"].keys() == routes().keys()
    for path, methods in OPEN["paths"].items():
        assert {method.upper() for method in methods} | {"HEAD"} == routes()[path].methods
        assert methods["get"]["operationId"] == routes()[path].name


def parameters(path: str) -> dict[str, Any]:
    described = OPEN["paths"][path]["get"]["parameters"]
    whole = [at(OPEN, one["$ref"]) if "$ref" in one else one for one in described]
    return {one["name"]: one for one in whole}


@pytest.mark.parametrize(
    ("path", "taken"), [("findings", OF_RESULTS), ("states", OF_RESULTS), ("incidents", OF_INCIDENTS),
                       ("cases", OF_CASES)],
)  # fmt: skip
def test_every_parameter_is_described_and_its_example_understood(path: str, taken: tuple[str, ...]) -> None:
    described = parameters(f"/api/v1/{path}")
    assert tuple(described) == taken
    for name, one in described.items():
        assert is_valid(one["example"], one["schema"])
        assert rest_query.parse([(name, str(one["example"]))], taken) != rest_query.Query(limit=100)


@pytest.mark.parametrize("name", ["verdict", "state", "format"])
def test_what_a_parameter_may_be_is_what_is_taken(name: str) -> None:
    for word in OPEN["components"]["parameters"][name]["schema"]["enum"]:
        rest_query.parse([(name, word)], (name, "format"))


def described_answers() -> list[tuple[str, Any, Any]]:
    """(where, schema, example) of all answers in JSON."""
    found = []
    for path, methods in OPEN["paths"].items():
        for code, response in methods["get"]["responses"].items():
            content = (at(OPEN, response["$ref"]) if "$ref" in response else response)["content"]["application/json"]
            found.append((f"{path} {code}", file_of(content["schema"]["$ref"]), content.get("example")))
    return found


@pytest.mark.parametrize(("where", "by", "example"), described_answers(), ids=lambda value: str(value)[:40])
def test_examples_of_answers_are_valid(where: str, by: Any, example: Any) -> None:
    if example is not None:
        assert faults(example, by) == [], where
        assert not is_valid({**example, next(iter(example)): 7}, by)


def test_every_list_has_an_example() -> None:
    assert {where for where, _, example in described_answers() if example} >= {
        "/api/v1/findings 200", "/api/v1/states 200", "/api/v1/incidents 200", "/api/v1/findings 400",
        "/api/v1/cases 200", "/api/v1/cases/{id} 200", "/api/counters 200",
    }  # fmt: skip
