"""What comes from afar: topics, and types that hold no bytes to be sent."""

from __future__ import annotations

import msgspec
import pytest

from probe.model.enrol import NAMES_OF_OTHERS
from probe.model.request import ALL, LISTS, Request, answers, topic


def test_topics() -> None:
    assert topic("p-x", "measure") == "colibri/v1/p-x/request/measure"
    assert topic(ALL, "stop") == "colibri/v1/all/request/stop"
    assert answers("p-x", "stop") == "colibri/v1/p-x/response/stop"
    assert LISTS == "colibri/v1/all/lists"
    assert ALL in NAMES_OF_OTHERS


@pytest.mark.parametrize("field", ["payload", "bytes", "template", "packet", "command_line"])
def test_there_is_no_field_for_what_to_send(field: str) -> None:
    raw = {"id": "r", "probes": ["p"], "sequence": 1, "issued_at": "2026-01-01T00:00:00.000Z",
           "not_after": "2026-01-01T00:01:00.000Z", "command": "measure", "schema": "colibri.request/1"}  # fmt: skip
    msgspec.convert(raw, Request)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**raw, field: "x"}, Request)
