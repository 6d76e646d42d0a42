"""Forged, stale, misdirected and harmful lists and requests: all refused, all logged, nothing measured.

Each variant is a message as a hostile broker, a collector, or (where the signature is right) a thief of keys sends it.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import SSlibKey

from probe.agent import lists
from probe.agent.findings import instant
from probe.agent.lists_repository import Repository, public_text
from probe.model.finding import Signature
from probe.model.packet import Packet, Udp
from probe.model.request import ALL, LISTS, MOST, Bundle
from probe.wire import dns
from tests.agent.forgery import (
    LIST,
    NAME,
    NOW,
    Device,
    Signers,
    altered,
    bundle_bytes,
    in_process,
    request,
    resigned,
    to,
)
from tests.measurements.simclients import Client
from tests.measurements.simhosts import Web
from tests.measurements.simnet import Internet, Network, reply

SIGNERS = Signers()
DAY = 86400.0
Forged = tuple[bytes, str]
"""A message and the topic that it comes on."""


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "state", SIGNERS)


def with_signature(payload: bytes, key: str, value: str) -> bytes:
    return altered(payload, signature={"key": key, "value": value})


def signature_of(payload: bytes) -> Signature:
    return msgspec.convert(json.loads(payload)["signature"], Signature)


def flipped(text: str, at: int) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def loose(text: str) -> str:
    """The same bytes in base64, spelled otherwise: bits behind the last byte are set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-3] + letters[letters.index(text[-3]) | 1] + "=="


RIGHT = request(SIGNERS)
OTHER = request(SIGNERS, sequence=1001, options={"target": "https://other.example/"})
SIGNED = signature_of(RIGHT)
PRESS: dict[str, Any] = {"target": "https://press.example/", "control_name": "good.example"}

BAD_SIGNATURES: dict[str, bytes] = {
    "none": altered(RIGHT, signature=None),
    "absent": json.dumps({k: v for k, v in json.loads(RIGHT).items() if k != "signature"}).encode(),
    "a stranger's": request(SIGNERS, SIGNERS.stranger),
    "a list signer's": request(SIGNERS, SIGNERS.one),
    "the online key's": request(SIGNERS, SIGNERS.online),
    "a stranger's under our key's name": with_signature(
        RIGHT, SIGNED.key, signature_of(request(SIGNERS, SIGNERS.stranger)).value
    ),
    "another request's": with_signature(RIGHT, SIGNED.key, signature_of(OTHER).value),
    "first bit": with_signature(RIGHT, SIGNED.key, flipped(SIGNED.value, 0)),
    "last bit": with_signature(RIGHT, SIGNED.key, flipped(SIGNED.value, 63)),
    "cut": with_signature(RIGHT, SIGNED.key, base64.b64encode(base64.b64decode(SIGNED.value)[:63]).decode()),
    "zeros": with_signature(RIGHT, SIGNED.key, base64.b64encode(bytes(64)).decode()),
    "spelled otherwise": with_signature(RIGHT, SIGNED.key, loose(SIGNED.value)),
    "not base64": with_signature(RIGHT, SIGNED.key, "*" * 88),
    "another target": altered(RIGHT, options={**PRESS, "target": "https://victim.example/"}),
    "another address": altered(RIGHT, options={**PRESS, "address": "8.8.8.8"}),
    "another sequence": altered(RIGHT, sequence=2000),
    "a later end": altered(RIGHT, not_after=instant(NOW + 1200)),
    "another probe": altered(RIGHT, probes=[NAME, "p-other"]),
    "another kind": altered(RIGHT, measurement="ttl_path"),
    "another id": altered(RIGHT, id="r-2"),
    "over the plain text": with_signature(
        RIGHT, SIGNED.key, base64.b64encode(SIGNERS.asker.sign(RIGHT)).decode()
    ),
    "the second of two targets in one object": RIGHT.replace(
        b'"options":{', b'"options":{"target":"x.example"},"options":{').replace(b"press", b"victim"),
}  # fmt: skip

BAD_TIMES: dict[str, bytes] = {
    "a second ago": request(SIGNERS, not_after=instant(NOW - 1)),
    "a year ago": request(SIGNERS, issued_at=instant(NOW - 365 * DAY), not_after=instant(NOW - 365 * DAY + 60)),
    "for two hours": request(SIGNERS, not_after=instant(NOW + 7200)),
    "for a century": request(SIGNERS, not_after="2126-01-01T00:00:00.000Z"),
    "backwards": request(SIGNERS, issued_at=instant(NOW + 60), not_after=instant(NOW + 30)),
    "for no time": request(SIGNERS, issued_at=instant(NOW + 60), not_after=instant(NOW + 60)),
    "tomorrow's": request(SIGNERS, issued_at=instant(NOW + DAY), not_after=instant(NOW + DAY + 600)),
    "on 30 February": request(SIGNERS, not_after="2026-02-30T00:00:00.000Z"),
    "issued at 25 o'clock": request(SIGNERS, issued_at="2026-11-01T25:00:00.000Z"),
}

BAD_SHAPES: dict[str, bytes] = {
    "not JSON": b"measure everything",
    "cut": RIGHT[:-10],
    "not UTF-8": RIGHT.replace(b"press", b"pr\xffss"),
    "a list": b"[" + RIGHT + b"]",
    "a number": b"7",
    "deep": b'{"options":' * 5000,
    "oversized": request(SIGNERS, options={**PRESS, "group": "x" * MOST}),
    "a megabyte": b"x" * (1 << 20),
    "a field that there is not": altered(RIGHT, payload="GET / HTTP/1.1"),
    "bytes to send": request(SIGNERS, options={**PRESS, "payload": "deadbeef"}),
    "a template": request(SIGNERS, options={**PRESS, "template": "{{target}}"}),
    "a kind that there is not": request(SIGNERS, measurement="flood"),
    "a file": request(SIGNERS, measurement="../../etc/passwd"),
    "a private part": request(SIGNERS, measurement="_judge"),
    "no kind": request(SIGNERS, measurement=""),
    "an option of another type": request(SIGNERS, options={**PRESS, "port": "many"}),
    "too many trials": request(SIGNERS, options={**PRESS, "trials": 100000}),
    "a port that there is not": request(SIGNERS, options={**PRESS, "port": 70000}),
    "no target": request(SIGNERS, options={"control_name": "good.example"}),
    "options within options": altered(RIGHT, options={"target": {"a": 1}}),
    "too many options": altered(RIGHT, options={f"o{i}": 1 for i in range(41)}),
    "too many probes": altered(RIGHT, probes=[f"p-{i}" for i in range(201)]),
    "no probes": altered(RIGHT, probes=[]),
    "a negative sequence": altered(RIGHT, sequence=-1),
    "a sequence that JSON can't count": altered(RIGHT, sequence=2**53),
    "half a sequence": altered(RIGHT, sequence=1.5),
    "another schema": altered(RIGHT, schema="colibri.request/2"),
    "control characters": request(SIGNERS, options={**PRESS, "target": "https://press.example/\r\nHost: x"}),
    "a very long target": request(SIGNERS, options={**PRESS, "target": "https://" + "x" * 2000 + ".example/"}),
}

MISDIRECTED: dict[str, Forged] = {
    "for another probe": (request(SIGNERS, probes=["p-other"]), to()),
    "for another probe, on the topic of all": (request(SIGNERS, probes=["p-other"]), to(probe=ALL)),
    "for a probe of nearly this name": (request(SIGNERS, probes=[NAME[:-1], NAME + "k"]), to()),
    "a measurement on the stop's topic": (RIGHT, to("stop")),
    "a stop on the measurements' topic": (
        request(SIGNERS, command="stop", not_after=instant(NOW + 600)), to()),
    "a resume on the stop's topic": (request(SIGNERS, command="resume"), to("stop")),
    "a stranger's stop": (request(SIGNERS, SIGNERS.stranger, command="stop"), to("stop")),
    "a stop for another": (request(SIGNERS, command="stop", probes=["p-other"]), to("stop", ALL)),
    "a stop of two months": (request(SIGNERS, command="stop", not_after=instant(NOW + 60 * DAY)), to("stop")),
    "an expired stop": (
        request(SIGNERS, command="stop", issued_at=instant(NOW - 2 * DAY), not_after=instant(NOW - DAY)), to("stop")),
    "a stranger's resume": (request(SIGNERS, SIGNERS.stranger, command="resume"), to("resume", ALL)),
    "a resume of two days": (request(SIGNERS, command="resume", not_after=instant(NOW + 2 * DAY)), to("resume")),
}  # fmt: skip

PRIVATE = [
    "10.0.0.1", "127.0.0.1", "127.255.255.254", "192.168.1.1", "172.16.0.1", "172.31.255.255", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "198.18.0.1", "192.0.2.1",
    "198.51.100.7", "203.0.113.1", "192.88.99.1", "240.0.0.1", "192.0.0.8",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "fec0::1", "100::1",
    "3fff::1",
    # IPv4 in IPv6: mapped, compatible, NAT64 (well-known and local), 6to4, Teredo, ISATAP on the link
    "::ffff:10.0.0.1", "::ffff:a00:1", "0:0:0:0:0:ffff:7f00:1", "::10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::c0a8:101", "64:ff9b:1::a00:1", "2002:a00:1::1", "2002:7f00:1::", "2001:0:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fe80::5efe:10.0.0.1",
    # as C libraries spell IPv4
    "2130706433", "0x7f000001", "0x7f.1", "127.1", "10.1", "0177.0.0.1", "0300.0250.0.1", "127.0.0.1.",
]  # fmt: skip
IN_URLS = [
    "http://10.0.0.1/", "https://192.168.1.1:8443/admin", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://127.1/",
    "http://2130706433/", "http://good.example@10.0.0.1/", "http://10.0.0.1@good.example/", "http://10.0.0.1\\@good.example/",
    "http://localhost/", "http://localhost./", "http://router/", "http://printer.local/", "http://nas.lan/",
    "http://box.home.arpa/", "http://wpad.localdomain/", "http://intranet.corp/", "http://hidden.onion/",
    "http://1.0.0.10.in-addr.arpa/", "http://10.0.0.1%2f.good.example/", "http:///", "https://-bad.example/",
    "https://[::1/", "ftp://192.168.0.1/",
]  # fmt: skip
IN_OPTIONS: list[dict[str, Any]] = [
    {"address": "192.168.1.1"}, {"address": "::ffff:192.168.1.1"}, {"resolver": "192.168.1.1"},
    {"resolver": "64:ff9b::c0a8:101"}, {"control_address": "10.1.2.3"}, {"control_name": "fritz.home.arpa"},
]  # fmt: skip
ELSEWHERE: dict[str, dict[str, Any]] = {
    "a network": {"measurement": "blackhole", "options": {"target": "10.0.0.0/24"}},
    "a network round a private one": {"measurement": "blackhole", "options": {"target": "8.0.0.0/6"}},
    "half of all": {"measurement": "blackhole", "options": {"target": "128.0.0.0/1"}},
    "a network in IPv6": {"measurement": "blackhole", "options": {"target": "fd00::/120"}},
    "siblings": {"measurement": "blackhole", "options": {"target": "9.9.9.9", "siblings": ["8.8.8.8", "10.0.0.1"]}},
    "siblings, a text": {"measurement": "blackhole", "options": {"target": "9.9.9.9", "siblings": "8.8.8.8,10.0.0.1"}},
    "more targets": {"measurement": "blackhole", "options": {"target": "9.9.9.9", "targets": ["127.0.0.1"]}},
    "names": {"measurement": "blackhole", "options": {"target": "9.9.9.9", "names": ["printer.local"]}},
    "a silent address": {"measurement": "dns_injection", "options": {"target": "x.example", "silent": "10.0.0.53"}},
    "a reflector": {"measurement": "voip", "options": {"target": "calls.example", "reflector": "172.20.0.1"}},
    "a relay": {"measurement": "voip", "options": {
        "target": "calls.example", "reflector": "9.9.9.9", "relays": ["stun:stun.example@192.168.1.1:3478"]}},
    "a relay's host": {"measurement": "voip", "options": {
        "target": "calls.example", "reflector": "9.9.9.9", "relays": ["turn:10.0.0.1@9.9.9.9:3478"]}},
    "a relay in IPv6": {"measurement": "voip", "options": {
        "target": "calls.example", "reflector": "9.9.9.9", "chat": ["tls:chat.example@[fd00::1]:443"]}},
    "a way": {"measurement": "ttl_path", "options": {"target": "192.168.1.1:80"}},
}  # fmt: skip


def at_private() -> dict[str, bytes]:
    """Requests whose signature is right, and whose destination is not one for anybody."""
    made: dict[str, bytes] = {}
    for text in PRIVATE:
        made[f"way to {text}"] = request(SIGNERS, measurement="ttl_path", options={"target": text})
    for text in IN_URLS:
        made[text] = request(SIGNERS, options={**PRESS, "target": text})
    for option in IN_OPTIONS:
        made[str(option)] = request(SIGNERS, options={**PRESS, **option})
    return made | {name: request(SIGNERS, **change) for name, change in ELSEWHERE.items()}


REQUESTS: dict[str, Forged] = {
    f"{group}: {name}": (payload, to())
    for group, variants in {
        "signature": BAD_SIGNATURES, "time": BAD_TIMES, "shape": BAD_SHAPES, "destination": at_private(),
    }.items()
    for name, payload in variants.items()
} | {f"address: {name}": forged for name, forged in MISDIRECTED.items()}  # fmt: skip


def refused(device: Device, payload: bytes, topic: str) -> str:
    """Let it come; it is refused and logged, and nothing else happens. The reason."""
    held = device.pause.on
    entries = device.hear(payload, topic)
    assert [entry.outcome for entry in entries] == ["refused"]
    assert entries[0].reason
    assert entries[0].size == len(payload)
    assert device.measured == []
    assert device.line.sent_to == set()
    assert device.pause.on == held
    assert device.reloads == 0
    return entries[0].reason


def test_there_are_a_hundred_and_all_are_different() -> None:
    assert len(set(REQUESTS.values())) == len(REQUESTS)
    assert len(REQUESTS) + len(BUNDLES) > 150


def test_the_right_one_is_carried_out(device: Device) -> None:
    """So that the refusals mean something: every variant is this one, but for what its name says."""
    entries = device.hear(RIGHT, to())
    assert [(entry.what, entry.outcome) for entry in entries] == [("request", "accepted"), ("request", "done")]
    assert len(device.measured) == 1
    assert "93.184.216.34" in device.line.sent_to
    ((topic, answer),) = device.said
    assert topic == f"colibri/v1/{NAME}/response/measure"
    assert (answer["request"], answer["status"]) == ("r-1", "done")


@pytest.mark.parametrize("name", REQUESTS)
def test_forged_requests_are_refused_and_logged(device: Device, name: str) -> None:
    refused(device, *REQUESTS[name])


@pytest.mark.parametrize("name", ["a stranger's resume", "a resume on the stop's topic", "a resume of two days"])
def test_nobody_else_takes_a_stop_back(device: Device, name: str) -> None:
    device.pause.hold("operator")
    refused(device, *MISDIRECTED[name])
    assert device.pause.on


def again(device: Device, payload: bytes, topic: str = "") -> str:
    """As :func:`refused`, after the right one was carried out."""
    device.hear(RIGHT, to())
    device.measured.clear()
    device.line.sent_to.clear()
    return refused(device, payload, topic or to())


def test_a_copy_is_refused(device: Device) -> None:
    assert "sequence 1000 was used" in again(device, RIGHT)


def test_a_copy_on_the_topic_of_all_is_refused(device: Device) -> None:
    payload = request(SIGNERS, probes=[ALL])
    device.hear(payload, to())
    device.measured.clear()
    device.line.sent_to.clear()
    assert "was used" in refused(device, payload, to(probe=ALL))


def test_an_older_one_that_was_held_back_is_refused(device: Device) -> None:
    assert "was used" in again(device, request(SIGNERS, sequence=999, id="r-0"))


def test_another_of_the_same_number_is_refused(device: Device) -> None:
    assert "was used" in again(device, request(SIGNERS, id="r-9", options={**PRESS, "target": "https://new.example/"}))


def test_a_copy_after_a_power_cut_is_refused(device: Device) -> None:
    device.hear(RIGHT, to())
    device.restart()
    assert "was used" in again(device, RIGHT)


def test_a_copy_after_the_memory_was_damaged_is_refused(device: Device) -> None:
    device.hear(RIGHT, to())
    (device.folder / "requests.json").write_bytes(b"{half")
    device.restart()
    device.measured.clear()
    device.line.sent_to.clear()
    assert "lost its memory" in refused(device, RIGHT, to())


def test_a_clock_that_is_not_set_carries_out_nothing_and_stops_all_the_same(device: Device) -> None:
    device.synchronised = False
    assert "clock is not synchronised" in refused(device, RIGHT, to())
    assert "clock is not synchronised" in refused(device, request(SIGNERS, command="resume"), to("resume"))
    assert [entry.outcome for entry in device.hear(request(SIGNERS, command="stop"), to("stop", ALL))] == ["done"]
    assert device.pause.on


def test_a_clock_that_was_set_back_revives_nothing(device: Device) -> None:
    device.hear(RIGHT, to())
    device.measured.clear()
    device.line.sent_to.clear()
    device.wall = NOW - 10 * DAY
    old = request(SIGNERS, sequence=2000, issued_at=instant(NOW - 2 * DAY), not_after=instant(NOW - 2 * DAY + 600))
    assert "expired" in refused(device, old, to())


def test_so_many_an_hour_and_no_more(device: Device) -> None:
    device.config = msgspec.structs.replace(
        device.config, requests=msgspec.structs.replace(device.config.requests, per_hour=2)
    )
    device.restart()
    for number in (1, 2):
        assert device.hear(request(SIGNERS, sequence=number), to())[-1].outcome == "done"
    device.measured.clear()
    device.line.sent_to.clear()
    assert "2 requests were carried out within the hour" in refused(device, request(SIGNERS, sequence=3), to())
    device.restart()  # a power cut gives no others
    assert "within the hour" in refused(device, request(SIGNERS, sequence=4), to())


@dataclass(frozen=True)
class Rebinding:
    """A resolver that says of every name that it is inside the asker's home (DNS rebinding)."""

    address: str
    hops: int = 0

    def receive(self, net: Internet, flow: Client, packet: Packet, memory: dict[Any, Any]) -> None:  # noqa: ARG002
        assert isinstance(packet.header, Udp)
        asked = dns.decode(packet.payload)
        records = [dns.record(asked.questions[0].name, dns.A, self.address)]
        message = dns.encode(dns.answer(asked, records, dns.NOERROR))
        header = Udp(packet.header.destination_port, packet.header.source_port, 8 + len(message))
        net.inward(flow, reply(packet, 64, header, message, 1), net.back(flow), net.now, behind=net.distance(flow))


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
                                     "224.0.0.1", "198.18.0.1", "203.0.113.9", "255.255.255.255"])  # fmt: skip
def test_a_public_name_for_a_private_address_is_refused_once_it_is_known(tmp_path: Path, address: str) -> None:
    network = Network(hosts={"9.9.9.9": Rebinding(address)})
    device = Device(tmp_path / "state", SIGNERS, network=network)
    options = {"target": "https://rebound.example/", "control_name": "good.example", "resolver": "9.9.9.9"}
    entries = device.hear(request(SIGNERS, options=options), to())
    assert [entry.outcome for entry in entries] == ["accepted", "failed"]
    assert "is never measured" in entries[1].reason
    assert device.measured == []
    assert device.line.sent_to == {"9.9.9.9"}
    assert device.said[-1][1]["status"] == "failed"


@pytest.mark.parametrize("location", ["http://192.168.1.1/", "http://127.0.0.1/", "http://[::ffff:10.0.0.1]/"])
def test_a_redirect_is_not_followed(tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    away = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    monkeypatch.setattr("tests.measurements.simhosts.PAGE", away)
    network = Network(hosts={"93.184.216.34": Web()})
    device = Device(tmp_path / "state", SIGNERS, network=network)
    options = {"target": "http://press.example/", "control_name": "good.example", "address": "93.184.216.34"}
    entries = device.hear(request(SIGNERS, options=options), to())
    assert entries[-1].outcome == "done"
    assert device.line.sent_to == {"93.184.216.34"}


Change = Callable[[dict[str, str]], Any]


class Bundles:
    """Bundles of one repository, made once: the first list, the second, and what can be made of them."""

    def __init__(self, folder: Path) -> None:
        repository = SIGNERS.repository(folder)
        self.first = SIGNERS.publish(repository).files
        self.root = repository.root
        self.second = SIGNERS.publish(repository, LIST.replace("press", "news")).files
        self.folder = folder

    def signing(self, text: str, at: float = NOW, fresh: float = 14) -> dict[str, str]:
        """A third list, by those who may, signed at that moment."""
        copy = self.folder.parent / f"copy-{len(list(self.folder.parent.iterdir()))}"
        shutil.copytree(self.folder, copy)
        return SIGNERS.publish(Repository(copy, at), text, 90, fresh).files


def name_of(files: dict[str, str], end: str) -> str:
    """The newest file of a role."""
    return max(name for name in files if name.endswith(end))


def by(end: str, keys: list[Ed25519PrivateKey], change: Callable[[Any], None] = lambda _: None) -> Callable[..., Any]:
    """Metadata of a role signed by these keys, after a change."""

    def make(bundles: Bundles) -> dict[str, str]:
        name = name_of(bundles.second, end)
        return bundles.second | {name: resigned(bundles.second[name], keys, change)}

    return make


def without(end: str) -> Callable[..., Any]:
    return lambda bundles: {k: v for k, v in bundles.second.items() if k != name_of(bundles.second, end)}


def longer(signed: Any) -> None:
    signed.version += 1


def listing(text: str) -> Callable[..., Any]:
    return lambda bundles: bundles.signing(text)


def entry(**changes: Any) -> str:
    """A list of one target."""
    fields = {"target": "https://press.example/", "measurements": ["tcp_reset"], **changes}
    return "[[targets]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def own_root(bundles: Bundles, keys: list[Ed25519PrivateKey]) -> dict[str, str]:
    """A second root that gives everything to a stranger, signed by these keys."""

    def give(signed: Any) -> None:
        signed.version = 2
        key = SSlibKey.from_crypto(SIGNERS.stranger.public_key())
        for role in ("root", "targets", "snapshot", "timestamp"):
            signed.add_key(key, role)
            signed.roles[role].threshold = 1

    return bundles.second | {"2.root.json": resigned(bundles.second["1.root.json"], keys, give)}


ONE, TWO, THREE, ONLINE, STRANGER = (
    SIGNERS.one, SIGNERS.two, SIGNERS.three, SIGNERS.online, SIGNERS.stranger,
)  # fmt: skip
BUNDLES: dict[str, Callable[[Bundles], dict[str, str] | bytes]] = {
    "not JSON": lambda _: b"targets",
    "not UTF-8": lambda _: b'{"schema": "colibri.lists/1", "files": {"a": "\xff"}}',
    "another schema": lambda b: json.dumps({"schema": "colibri.lists/2", "files": b.second}).encode(),
    "a field more": lambda b: json.dumps({"schema": "colibri.lists/1", "files": b.second, "run": "x"}).encode(),
    "oversized": lambda b: b.second | {"more": "x" * lists.MOST},
    "too many files": lambda b: b.second | {f"{i}.x": "" for i in range(300)},
    "nothing in it": lambda _: {},
    "without a timestamp": without("timestamp.json"),
    "without a snapshot": without("snapshot.json"),
    "without targets": without("targets.json"),
    "without the list": without(".toml"),
    "broken metadata": lambda b: b.second | {"timestamp.json": "{}"},
    "metadata that is a list": lambda b: b.second | {"timestamp.json": "[]"},
    "targets by one": by("targets.json", [ONE]),
    "targets by nobody": by("targets.json", []),
    "targets by strangers": by("targets.json", [STRANGER, ONLINE]),
    "targets by one and a stranger": by("targets.json", [ONE, STRANGER]),
    "targets by one and the online key": by("targets.json", [ONE, ONLINE]),
    "targets by one, twice": by("targets.json", [ONE, ONE]),
    "snapshot by a stranger": by("snapshot.json", [STRANGER]),
    "snapshot by those who sign lists": by("snapshot.json", [ONE, TWO]),
    "timestamp by a stranger": by("timestamp.json", [STRANGER]),
    "timestamp by nobody": by("timestamp.json", []),
    "targets of another version than the snapshot says": by("targets.json", [ONE, TWO], longer),
    "a list that was changed": lambda b: {k: v.replace("news", "evil") if k.endswith(".toml") else v
                                          for k, v in b.second.items()},
    "the list of before under the new name": lambda b: b.second | {
        name_of(b.second, ".toml"): b.first[name_of(b.first, ".toml")]},
    "the snapshot of before": lambda b: b.second | {
        "2.snapshot.json": b.first["1.snapshot.json"]},
    "a root by strangers": lambda b: own_root(b, [STRANGER]),
    "a root by one": lambda b: own_root(b, [ONE, STRANGER]),
    "a root that skips a version": lambda b: b.second | {"2.root.json": b.second["1.root.json"]},
    "expired": lambda b: b.signing(LIST, NOW - 91 * DAY, fresh=200),
    "expired news": lambda b: b.signing(LIST, NOW - 15 * DAY),
    "an oversized list": listing("# " + "x" * 300_000 + LIST),
    "not TOML": listing("targets = ["),
    "no targets": listing("version = 2\n"),
    "too many targets": listing(LIST * (lists.MOST_TARGETS + 1)),
    "a key that there is not": listing(entry(payload="GET")),
    "a kind that there is not": listing(entry(measurements=["flood"])),
    "an option that there is not": listing(entry(options={}) + 'options.bytes = "00"\n'),
    "every second": listing(entry(every=1)),
    "an empty target": listing(entry(target="")),
    "the router": listing(entry(target="http://192.168.1.1/")),
    "the router, as an address": listing(entry(address="192.168.1.1")),
    "this machine": listing(entry(target="http://localhost:631/")),
    "a printer": listing(entry(target="http://printer.local/")),
    "IPv4 in IPv6": listing(entry(address="::ffff:192.168.1.1")),
    "6to4": listing(entry(address="2002:c0a8:101::1")),
    "NAT64": listing(entry(target="http://[64:ff9b::c0a8:101]/")),
    "Teredo": listing(entry(address="2001:0:a00:1::1")),
    "a control in the home": listing(entry() + 'options.control_address = "10.0.0.1"\n'),
    "one of many": listing(LIST * 50 + entry(target="http://10.0.0.1/") + LIST * 50),
}  # fmt: skip


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("lists") / "offline")


@pytest.fixture
def listener(tmp_path: Path, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A probe with the first list in force."""
    monkeypatch.setattr(lists, "_verified", in_process)  # one process for all of them; test_lists has the real one
    device = Device(tmp_path / "state", SIGNERS, bundles.root)
    assert [entry.outcome for entry in device.hear(payload_of(bundles.first), LISTS)] == ["accepted"]
    device.reloads = 0
    return device


def payload_of(made: dict[str, str] | bytes) -> bytes:
    return made if isinstance(made, bytes) else bundle_bytes(Bundle("colibri.lists/1", made))


def test_the_right_bundle_is_accepted(listener: Device, bundles: Bundles) -> None:
    entries = listener.hear(payload_of(bundles.second), LISTS)
    assert [(entry.outcome, entry.subject) for entry in entries] == [("accepted", "version 2")]
    assert listener.reloads == 1
    assert listener.hear(payload_of(bundles.second), LISTS) == []  # the broker's copy, at every connection


@pytest.mark.parametrize("name", BUNDLES)
def test_forged_lists_are_refused_and_logged(listener: Device, bundles: Bundles, name: str) -> None:
    refused(listener, payload_of(BUNDLES[name](bundles)), LISTS)
    (kept,) = lists.in_force(listener.config, NOW)
    assert kept.target == "https://press.example/"


def test_an_older_list_is_refused(listener: Device, bundles: Bundles) -> None:
    listener.hear(payload_of(bundles.second), LISTS)
    listener.reloads = 0
    assert "BadVersionNumberError" in refused(listener, payload_of(bundles.first), LISTS)
    listener.restart()
    assert "BadVersionNumberError" in refused(listener, payload_of(bundles.first), LISTS)


def test_a_list_that_is_withheld_expires_even_where_the_clock_stands_still(listener: Device, bundles: Bundles) -> None:
    listener.wall = NOW + 30 * DAY
    listener.hear(request(SIGNERS, issued_at=instant(NOW + 30 * DAY), not_after=instant(NOW + 30 * DAY + 60)), to())
    listener.measured.clear()
    listener.line.sent_to.clear()
    listener.wall = 0.0  # 1970, after a power cut
    assert "ExpiredMetadataError" in refused(listener, payload_of(bundles.second), LISTS)


def test_who_names_no_key_hears_nobody(tmp_path: Path) -> None:
    device = Device(tmp_path / "state", Signers())
    device.config = msgspec.structs.replace(
        device.config, requests=msgspec.structs.replace(device.config.requests, signed_by=[])
    )
    device.restart()
    assert list(device.desk.topics) == []
    refused(device, RIGHT, to())


def test_the_log_names_the_thief_s_key(device: Device) -> None:
    (entry,) = device.hear(request(SIGNERS, options={**PRESS, "address": "10.0.0.1"}), to())
    assert entry.by == public_text(SIGNERS.asker)
    (entry,) = device.hear(request(SIGNERS, SIGNERS.stranger), to())
    assert entry.by == ""
