"""The exchange log: what a replay reads, years later."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.model.exchange import PauseStep
from probe.model.outcome import LOG_SCHEMA, Entry, ExchangeLog, Outcome

FIELDS = {
    "schema", "software", "measurement", "version", "options", "seed", "batches", "verdict", "technique", "rule",
}  # fmt: skip
LOG: dict[str, Any] = {
    "schema": "colibri.exchanges/1", "software": "colibri 0.1.0", "measurement": "dns_injection", "version": "1",
    "options": {"target": "a.example"}, "seed": 7,
    "batches": [[{"step": {"type": "pause", "seconds": 1.0}, "began": 5, "ended": 6}], []],
    "verdict": "clean", "technique": "", "rule": "dns_injection/clean",
}  # fmt: skip


def test_a_log_of_today_stays_readable() -> None:
    log = msgspec.convert(LOG, ExchangeLog)
    assert log.batches == [[Entry(step=PauseStep(seconds=1.0), began=5, ended=6)], []]
    assert msgspec.to_builtins(log) == LOG | {"baseline": {}}  # added since
    assert msgspec.json.decode(msgspec.json.encode(log), type=ExchangeLog) == log


def test_the_names_are_for_good() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(ExchangeLog)} >= FIELDS
    names = [field.encode_name for field in msgspec.structs.fields(Entry)]
    assert names == ["step", "port", "began", "ended", "failure", "note", "session", "samples", "account", "digest"]
    assert msgspec.convert(LOG, ExchangeLog).schema == LOG_SCHEMA == "colibri.exchanges/1"


@pytest.mark.parametrize(
    "change",
    [{"schema": "colibri.exchanges/2"}, {"seed": "x"}, {"batches": [[{}]]}, {"batches": [[{"step": {"type": "x"}}]]}],
)
def test_another_thing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(LOG | change, ExchangeLog)


def test_an_outcome_carries_its_evidence() -> None:
    names = {field.name for field in msgspec.structs.fields(Outcome)}
    assert names == {
        "measurement", "version", "judgement", "started", "duration", "clock", "evidence", "pcapng",
    }  # fmt: skip
