"""What Home Assistant is told: by its own rules for discovery, and no more than it needs."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.agent import homeassistant
from probe.agent.homeassistant import Standing, Topics, discovery
from probe.model.finding import Finding, Interference, Target, Verdict
from tests.agent.conftest import PROBE, make_finding

TOPICS = Topics.of(PROBE, "homeassistant")
# As Home Assistant matches a topic once its prefix is off (homeassistant/components/mqtt/discovery.py).
MATCHER = re.compile(r"(?P<component>\w+)/(?:(?P<node_id>[a-zA-Z0-9_-]+)/)?(?P<object_id>[a-zA-Z0-9_-]+)/config")


def finding(verdict: Verdict, target: str = "a.example", **changes: Any) -> Finding:
    found = Interference("tcp_reset") if verdict == "interfered" else None
    made = make_finding(1, verdict)
    return msgspec.structs.replace(made, target=Target(target), interference=found, **changes)


def state(*findings: Finding) -> Any:
    standing = Standing()
    for one in findings:
        standing.note(one)
    return msgspec.json.decode(standing.state())


def test_the_topics_are_the_household_s() -> None:
    own = f"colibri/home/{PROBE}"
    assert TOPICS.discovery == f"homeassistant/device/colibri_{PROBE}/config"
    assert (TOPICS.availability, TOPICS.state) == (f"{own}/availability", f"{own}/state")
    assert Topics.of("p", "ha/own").discovery == "ha/own/device/colibri_p/config"


@given(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,63}", fullmatch=True))
def test_home_assistant_takes_any_probe_s_topic(probe: str) -> None:
    match = MATCHER.fullmatch(Topics.of(probe, "homeassistant").discovery.removeprefix("homeassistant/"))
    assert match
    assert match["component"] == "device"


def test_the_device_is_described_as_discovery_wants_it() -> None:
    payload = msgspec.json.decode(discovery(PROBE, "colibri 0.1.0", TOPICS))
    assert payload["device"] == {
        "identifiers": [f"colibri_{PROBE}"], "name": f"Colibri {PROBE}", "sw_version": "colibri 0.1.0",
    }  # fmt: skip
    assert payload["origin"] == {"name": "colibri", "sw_version": "0.1.0"}
    assert (payload["availability_topic"], payload["state_topic"]) == (TOPICS.availability, TOPICS.state)
    assert {one["platform"] for one in payload["components"].values()} == {"binary_sensor", "sensor"}
    ids = [one["unique_id"] for one in payload["components"].values()]
    assert len(set(ids)) == len(ids)
    assert len(discovery(PROBE, "colibri 0.1.0", TOPICS)) < 4096


def test_every_template_reads_what_the_state_holds() -> None:
    payload = msgspec.json.decode(discovery(PROBE, "colibri 0.1.0", TOPICS))
    for entity in payload["components"].values():
        used = re.findall(r"value_json\.(\w+)", entity["value_template"] + entity.get("json_attributes_template", ""))
        assert used
        assert set(used) <= state().keys()


def test_before_the_first_finding_nothing_is_known() -> None:
    assert state() == {"interfered": 0, "measured": 0, "targets": [], "last": None}


def test_the_last_word_on_each_target_counts() -> None:
    before = finding("interfered"), finding("clean", "b.example"), finding("interfered", "c.example")
    told = state(*before, finding("clean"))
    assert (told["interfered"], told["measured"], told["targets"]) == (1, 3, ["c.example: tcp_reset"])
    assert told["last"] == finding("clean").started_at


def test_an_inconclusive_one_changes_nothing_that_was_known() -> None:
    assert state(finding("interfered"), finding("inconclusive"))["interfered"] == 1
    assert state(finding("inconclusive"))["measured"] == 1


def test_many_are_counted_and_few_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homeassistant, "MOST", 40)
    told = state(*(finding("interfered", f"{number}.example") for number in range(50)))
    assert (told["interfered"], told["measured"], len(told["targets"])) == (40, 40, 20)
    assert told["targets"][-1] == "49.example: tcp_reset"
