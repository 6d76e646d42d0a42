"""The metrics, read by a strict parser of the text format 0.0.4 and held against the conventions for names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.metrics import COUNTED, Gauges, exposition

GAUGES = Gauges(
    version="0.1.0", healthy=True, viewers=3, viewers_dropped=1, online=2, offline=5, last_seen=1_772_366_400_123,
    incidents_open=4, public_waiting=6,
)  # fmt: skip
COUNTERS = {"received": 9, "stored": 5, "change": 7, "rejected.bad_json": 2, "rejected.unsigned": 1}

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (-?[0-9.e+]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"')
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(text: str) -> dict[str, tuple[str, dict[tuple[tuple[str, str], ...], float]]]:
    """Name → (type, labels → value). Every line must be what the format allows, in its order."""
    assert text.endswith("\n")
    found: dict[str, tuple[str, dict[tuple[tuple[str, str], ...], float]]] = {}
    lines = iter(text.split("\n")[:-1])
    name, kind = "", ""
    for line in lines:
        if line.startswith("# HELP "):
            name, words = line.removeprefix("# HELP ").split(" ", 1)
            assert words
            assert name not in found, f"{name} twice"
            hash_, type_, again, kind = next(lines).split(" ")
            assert (hash_, type_, again) == ("#", "TYPE", name)
            found[name] = (kind, {})
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] == name
        labels = tuple(
            (key, re.sub(r'\\[\\"n]', lambda m: UNESCAPED[m[0]], value)) for key, value in LABEL.findall(match[2] or "")
        )
        assert labels not in found[name][1]
        found[name][1][labels] = float(match[3])
    return found


def test_what_is_counted_is_told() -> None:
    found = parse(exposition(COUNTERS, GAUGES))
    values = {name: samples.get(()) for name, (_, samples) in found.items()}
    assert values["colibri_messages_received_total"] == 9
    assert values["colibri_findings_stored_total"] == 5
    assert values["colibri_findings_duplicate_total"] == 0
    assert values["colibri_healthy"] == 1
    assert values["colibri_monitor_viewers"] == 3
    assert values["colibri_monitor_viewers_dropped_total"] == 1
    assert values["colibri_incidents_open"] == 4
    assert values["colibri_public_waiting"] == 6
    assert values["colibri_last_message_timestamp_seconds"] == 1_772_366_400.123
    assert found["colibri_messages_rejected_total"][1] == {(("reason", "bad_json"),): 2, (("reason", "unsigned"),): 1}
    assert found["colibri_probes"][1] == {(("state", "online"),): 2, (("state", "offline"),): 5}
    assert found["colibri_build_info"][1] == {(("version", "0.1.0"),): 1}


def test_the_names_follow_the_conventions() -> None:
    for name, (kind, _) in parse(exposition(COUNTERS, GAUGES)).items():
        assert re.fullmatch(r"colibri_[a-z]+(_[a-z]+)*", name)
        assert kind in ("counter", "gauge")
        assert (kind == "counter") == name.endswith("_total")


def test_trouble_is_a_zero() -> None:
    ill = Gauges(
        version="", healthy=False, viewers=0, viewers_dropped=0, online=0, offline=0, last_seen=0, incidents_open=0,
        public_waiting=0,
    )  # fmt: skip
    found = parse(exposition({}, ill))
    assert found["colibri_healthy"][1] == {(): 0}
    assert found["colibri_messages_rejected_total"][1] == {}


@given(st.text(), st.integers(0, 2**53))
def test_no_reason_can_leave_its_quotes(reason: str, value: int) -> None:
    text = exposition({f"rejected.{reason}": value}, GAUGES)
    ((labels, told),) = parse(text)["colibri_messages_rejected_total"][1].items()
    assert labels == (("reason", reason),)
    assert told == pytest.approx(value, rel=1e-14)


def test_each_of_them_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    table = re.findall(r"^\| `(colibri_\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert table == [(name, kind) for name, (kind, _) in parse(exposition(COUNTERS, GAUGES)).items()]


def test_every_counter_has_words() -> None:
    assert all(words.endswith(".") for _, words in COUNTED.values())
