"""The contract of a heartbeat: its fields, what is refused, and that its signature covers it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from probe.model import canonical
from probe.model.heartbeat import Heartbeat

SAMPLE: dict[str, Any] = {
    "schema": "colibri.heartbeat/1",
    "id": "01a2011d-ad0e-7954-82f7-750293c0149f",
    "probe": "sale",
    "software": "colibri 0.1.0",
    "run": "0123456789abcdef",
    "sequence": 7,
    "at": "2026-11-22T02:37:31.790Z",
    "clock": "synchronised",
    "uptime_s": 2100,
    "measured": 3,
    "failed": 0,
    "spool_depth": 2,
    "link": "up",
    "connected": False,
    "signature": None,
}


def test_it_survives_the_wire() -> None:
    assert msgspec.to_builtins(msgspec.convert(SAMPLE, Heartbeat)) == SAMPLE


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "colibri.finding/1"}, {"id": "7"}, {"probe": "../x"}, {"run": "x"}, {"sequence": -1}, {"at": "now"},
        {"clock": "fine"}, {"uptime_s": -1}, {"link": "wifi"}, {"connected": "yes"}, {"measured": None},
    ],
)  # fmt: skip
def test_what_it_may_not_hold(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(SAMPLE | change, Heartbeat)


@pytest.mark.parametrize("field", [name for name in SAMPLE if name not in ("signature", "schema")])
def test_every_field_is_needed_and_signed(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({key: value for key, value in SAMPLE.items() if key != field}, Heartbeat)
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    signed = msgspec.to_builtins(canonical.sign(msgspec.convert(SAMPLE, Heartbeat), key))
    assert canonical.verify(signed)
    assert not canonical.verify({**signed, field: "other"})
