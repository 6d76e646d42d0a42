"""The reflector at the far end of real lines: through NAT, over both families, beside a target that is cut off."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest

from probe.engine import run
from probe.lab.kinds.filtering import RouteAway
from probe.lab.kinds.serving import Installed
from probe.lab.lab import Lab
from probe.lab.scenario import Scenario
from probe.measurements import Context, Measurement, Steps, _far
from probe.model.exchange import EchoStep, Step, StreamStep, SynStep, TcpStep, UdpStep
from probe.model.finding import Judgement, Target
from probe.model.reflector import PORT, Grant, Hello
from probe.wire import dns, http, reflector, rtp, sip, stun
from probe.wire.address import address_bytes

pytestmark = pytest.mark.lab

FAR = {4: "203.0.113.190", 6: "2001:db8:c0::90"}
THERE, BACK = "198.51.100.10", "198.51.100.11"
"""Two addresses of a hosting company: towards one the way is cut, from the other the way back."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask, and which target that may be cut off."""

    target: str
    reflector: Annotated[str, msgspec.Meta(min_length=1)]


def measure(options: Options, context: Context) -> Steps:
    """What the far end tells of a stream, of headers, and of packets to the target."""
    details: dict[str, object] = {}
    far = yield from _far.hello(options.reflector, context)
    if far is None:
        return Judgement(verdict="inconclusive", rule="far/none", target=Target(options.target))
    payload = rtp.encode(rtp.Packet(0, 65530, 0, 7, far.token(context) + rtp.silence(148)))
    yield [StreamStep(address=far.address, port=far.grant.random[0], payload=payload, count=20,
                      counters=((2, 2, 1), (4, 4, 160)))]  # fmt: skip
    reports = yield from _far.report(far, [7], context)
    details["packets"] = [one.packets for one in (reports or {}).get(7, ())]
    received = yield from _far.echo(far, [443], context, tos=0xB8)
    details["ttls"] = [one.ttl for one in received if one is not None]
    details["toses"] = [one.tos for one in received if one is not None]
    steps: list[Step] = [SynStep(address=options.target, port=80), EchoStep(address=options.target),
                         UdpStep(address=options.target, port=47474, payload=context.random.randbytes(16),
                                wait=0.5)]  # fmt: skip
    exchanges = yield steps
    details["answered"] = [bool(exchange.answers) for exchange in exchanges]
    sent = [exchange.heard[0].packet for exchange in exchanges]
    client, label = sip.Client("192.168.1.5"), reflector.label(far.token(context))
    invite = sip.request("INVITE", "r.example", reflector.call_id(far.token(context)), client)
    yield [
        UdpStep(address=far.address, port=3478, payload=stun.binding_request(far.token(context))),
        UdpStep(address=far.address, port=5060, payload=invite),
        TcpStep(address=far.address, port=80, payload=http.request("press.example")),
        UdpStep(address=far.address, port=53, payload=dns.query(f"{label}.whoami.r.example", 7)),
    ]
    arrived = yield from _far.arrivals(far, sent, context, within=20, peer="octenium")
    details["arrived"] = list(arrived.counts) if arrived else None
    details["yours"] = list(arrived.yours) if arrived else None
    details["why"] = arrived.why if arrived else ""
    return Judgement(verdict="clean", rule="far/told", target=Target(options.target), details=details)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    boxes = (
        Installed(at="octenium"), RouteAway(at="oran.core", prefixes=(f"{THERE}/32",)),
        RouteAway(at="oran.core", prefixes=(f"{BACK}/32",), direction="down"),
    )  # fmt: skip
    with Lab.up(Scenario(name="test", description="A test.", boxes=boxes)) as up:
        yield up


def details_of(
    lab: Lab, operator: str, target: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    kind = Measurement("far", "1", Options, measure, "")
    monkeypatch.setattr(run, "load", lambda _: kind)
    with lab.enter(operator):
        outcome = run.run_once(lab.config(operator), "far", {"target": target, "reflector": FAR[version]})
    assert outcome.judgement.rule == "far/told"
    return outcome.judgement.details


@pytest.mark.parametrize("version", [4, 6])
def test_streams_headers_and_arrivals_are_told(lab: Lab, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    details = details_of(lab, "atlas", THERE, version, monkeypatch)
    assert details["packets"] == [20]
    assert details["toses"] == [0xB8]
    assert 50 < details["ttls"][0] < 64  # type: ignore[index]
    assert details["answered"][:2] == [True, True]  # type: ignore[index]
    assert (details["arrived"], details["yours"]) == ([1, 1, 1], [1, 1, 1] if version == 4 else [0, 0, 0])


@pytest.mark.parametrize(("target", "came"), [(THERE, 0), (BACK, 1)])
def test_the_witness_tells_the_way_there_from_the_way_back(
    lab: Lab, target: str, came: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    details = details_of(lab, "oran", target, 4, monkeypatch)
    assert details["answered"] == [False, False, False]
    if came:
        assert details["arrived"] == [1, 1, 1]
    else:  # the lab has just begun: either it knows that nothing came, or that it can't tell
        assert details["arrived"] == [0, 0, 0] if not details["why"] else [-1, -1, -1]


def public_address(reflector_address: str) -> str:
    """This home's public address, as a STUN server sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(reflector.hello(b"t" * 12, Hello()), (reflector_address, PORT))
        grant = reflector.answered(sock.recv(65535))
        assert isinstance(grant, Grant)
        sock.sendto(stun.binding_request(bytes.fromhex(grant.token)), (reflector_address, PORT))
        mapped = stun.mapped(stun.decode(sock.recv(65535)))
    assert mapped is not None
    return mapped[0]


def test_the_home_s_address_is_nowhere_in_what_was_recorded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load", lambda _: Measurement("far", "1", Options, measure, ""))
    with lab.enter("sale"):
        address = public_address(FAR[4])
        outcome = run.run_once(lab.config("sale"), "far", {"target": THERE, "reflector": FAR[4]})
    raw = address_bytes(address)
    masked = bytes(a ^ b for a, b in zip(raw, stun.COOKIE.to_bytes(4, "big"), strict=True))
    assert reflector.MAGIC in outcome.pcapng
    for form in (address.encode(), raw, masked):
        assert form not in outcome.pcapng
