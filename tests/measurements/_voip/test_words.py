"""Sentences of calls: whole ones, with their numbers."""

from __future__ import annotations

import msgspec
import pytest

from probe.measurements._voip import words
from probe.measurements._voip.alg import Gateway
from probe.measurements._voip.grid import Grid, Why
from probe.measurements._voip.place import Located
from probe.measurements._voip.seen import Finding, Seen
from tests.measurements._voip.test_verdict import GUILTY, PLACE, WHY


def test_a_share_has_its_interval() -> None:
    text = words.sentence(Finding(grid="sip", why=Why("payload", 2e-4, (6, 20), (0, 20), 0.3)))
    assert text.startswith("Call set-up (SIP over UDP): 6 of 20 (15% to 52%) real calls failed whatever the port;")
    assert "0 of 20" in text
    assert "on port 5060" in words.sentence(
        Finding(grid="sip", why=msgspec.structs.replace(WHY, cause="payload_on_port"))
    )
    port = words.sentence(Finding(grid="turn", why=msgspec.structs.replace(WHY, cause="port")))
    assert port.startswith("Port 3478: 10 of 10")
    assert "lost 30% more" in words.sentence(Finding(grid="rtp_long", why=Why("payload", 2e-4, (6, 20), (0, 20), 0.3)))


@pytest.mark.parametrize(
    ("located", "says"),
    [
        (None, "not looked for"),
        (msgspec.structs.replace(GUILTY, home=True), "in the home or right behind it"),
        (msgspec.structs.replace(GUILTY, ahead=False), "the reflector's own network"),
        (Located(place=None, arrives=9, shown_at=8), "the reflector's own network"),
        (Located(place=None, arrives=9, shown_at=3), "No router on the way"),
        (msgspec.structs.replace(GUILTY, proven=False), "rule out chance"),
    ],
)
def test_why_nobody_is_named(located: Located | None, says: str) -> None:
    assert says in words.why_not(located)


def test_gateways_are_told() -> None:
    gateway = Gateway(lines=("Via", "SDP c"), place=PLACE, home=False, ahead=True, same=6, changed=9)
    assert "Via, SDP c" in words.rewritten(gateway)[0]
    assert "between hop 3" in words.rewritten(gateway)[2]
    assert "SIP ALG" in words.rewritten(msgspec.structs.replace(gateway, home=True))[1]


def test_services_are_told() -> None:
    first, second, third = words.service("whatsapp", {"stun:a": False}, {"tls:b": True, "tls:c": False})
    assert first == (
        "Text works, calls fail: Of whatsapp, 0 of 1 endpoints that calls need answered, and 1 of 2 for chat."
    )
    assert "stun:a, tls:c" in second
    assert "other lines tell" in third


def test_the_rest_is_whole_sentences() -> None:
    seen = Seen("t", "203.0.113.190", "")
    texts = [
        words.no_reflector(seen), words.control_failed(seen), *words.no_udp(seen), words.silent(["sip", "stun"]),
        words.now_and_then("rtp_long", Grid("rtp")), *words.clean(seen, 3, 3), words.where(PLACE),
    ]  # fmt: skip
    assert all((text[0].isupper() or text[0].isdigit()) and text[-1] in ".?" for text in texts)
