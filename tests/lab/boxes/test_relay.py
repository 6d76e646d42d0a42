"""In-path boxes and bad links."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, cast

import pytest

from probe.lab.boxes import Emit
from probe.lab.boxes import relay as module
from probe.lab.boxes.frames import Ends
from probe.lab.boxes.relay import Relay, _Direction
from probe.lab.kinds import BlockPage, DnsInjector, Drop, Impair, ResetInjector
from probe.lab.lab import Lab
from probe.lab.namespaces import Namespace
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import dns, http, ip
from tests.lab.conftest import quickest

Start = Callable[..., Any]
FRAMES = [bytes([number]) for number in range(200)]


def through(*impairments: Impair) -> list[bytes]:
    """Frames that come out of a link, one put in each millisecond."""
    direction = _Direction(impairments, Random(7))
    found = []
    for number, frame in enumerate(FRAMES):
        direction.put(frame, number / 1000)
        found += direction.due(number / 1000)
    return found + direction.due(1000)


def test_a_good_link_changes_nothing() -> None:
    assert through() == FRAMES
    assert through(Impair(at="x", delay=0.05)) == FRAMES


def test_jitter_keeps_the_order() -> None:
    assert through(Impair(at="x", jitter=0.05)) == FRAMES


def test_losses_are_about_as_many_as_asked() -> None:
    found = through(Impair(at="x", loss=0.2))
    assert 140 <= len(found) <= 180
    assert found == sorted(found)


def test_losses_come_in_bursts() -> None:
    direction = _Direction([Impair(at="x", loss=0.1, burst=8)], Random(3))
    for number in range(20_000):
        direction.put(number.to_bytes(4, "big"), 0.0)
    there = {int.from_bytes(frame, "big") for frame in direction.due(1)}
    lost = [number not in there for number in range(20_000)]
    bursts = sum(now and not before for before, now in pairwise(lost))
    assert 0.08 < sum(lost) / len(lost) < 0.12
    assert 7 < sum(lost) / bursts < 9


def test_duplicates_are_about_as_many_as_asked() -> None:
    found = through(Impair(at="x", duplicate=0.2))
    assert 220 <= len(found) <= 260
    assert sorted(set(found)) == FRAMES


def test_some_frames_are_overtaken() -> None:
    found = through(Impair(at="x", reorder=0.1))
    assert sorted(found) == FRAMES
    assert found != FRAMES


def test_delay_is_until_due() -> None:
    direction = _Direction([Impair(at="x", delay=0.5)], Random(1))
    direction.put(b"x", 10.0)
    assert (direction.next, direction.due(10.4), direction.due(10.5), direction.next) == (10.5, [], [b"x"], None)


def test_what_is_still_under_way_at_the_end_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late:
        """Emits a packet a moment after it has seen one."""

        in_path = True

        def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
            emit(packet, upstream=upstream, delay=0.01)
            return True

    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    ports = [ours for ours, _ in pairs]
    for port in ports:
        port.setblocking(False)
    monkeypatch.setattr(module, "open_port", lambda _namespace, _interface: ports.pop(0))
    frame = bytes(12) + b"\x08\0" + ip.encode(Packet(4, "192.0.2.1", "192.0.2.2", 9, 17, 0, 1, header=Udp(1, 2, 0)))
    faults: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        namespace = cast("Namespace", None)
        relay = Relay(namespace, ("a", "b"), Ends(bytes(6), bytes(6)), [Late()], [], Random(1))
        pairs[0][1].send(frame)
        await asyncio.sleep(0.005)
        relay.close()
        await asyncio.sleep(0.02)

    asyncio.run(play())
    assert pairs[1][1].recv(4096) == frame
    assert faults == []
    for _, theirs in pairs:
        theirs.close()


def get(lab: Lab, host: str, address: str = "203.0.113.10", timeout: float = 2) -> bytes:
    found = b""
    with lab.enter("chain"), socket.create_connection((address, 80), timeout=timeout) as connection:
        # Left to itself, the kernel would go on sending the word, and each time renew its punishment.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(http.request(host))
        while more := connection.recv(4096):
            found += more
    return found


@pytest.mark.lab
@pytest.mark.parametrize("address", ["203.0.113.10", "2001:db8:a0::10"])
def test_a_connection_works_through_relays_and_takes_its_time(chain: Start, address: str) -> None:
    lab = chain(Impair(at="chain.r2", delay=0.02), Impair(at="chain.r3"), rtt=0)

    def takes() -> float:
        begun = time.monotonic()
        assert http.decode_response(get(lab, "press.example", address)).complete
        return time.monotonic() - begun

    assert 0.08 <= quickest(1, takes) < 1  # handshake and request: two round trips of 40 ms


@pytest.mark.lab
def test_a_firewall_resets_the_sender_only(chain: Start, listen: Start) -> None:
    lab = chain(ResetInjector(at="chain.r2", words=("press",), in_path=True, ip_id=0))
    ear, far = listen(lab), listen(lab, "server")
    with pytest.raises(ConnectionResetError):
        get(lab, "press.example")
    resets = [p for p in ear.packets(0.2) if isinstance(p.header, Tcp) and p.header.flags & Flags.RST]
    assert [(p.ttl, p.ident) for p in resets] == [(63, 0)]
    arrived = [p for p in far.packets(0.2) if isinstance(p.header, Tcp)]
    assert [p for p in arrived if p.payload] == []
    assert b"Welcome" in get(lab, "control.example")


@pytest.mark.lab
def test_a_word_silences_the_port_for_a_while(chain: Start) -> None:
    lab = chain(Drop(at="chain.r2", words=("press",), residual=0.6, tuple_size=3))
    with pytest.raises(TimeoutError):
        get(lab, "press.example", timeout=0.3)
    with pytest.raises(TimeoutError):
        get(lab, "control.example", timeout=0.1)
    time.sleep(0.7)
    assert b"Welcome" in get(lab, "control.example")


@pytest.mark.lab
@pytest.mark.parametrize("in_path", [True, False])
def test_a_forged_page_replaces_the_real_one(chain: Start, in_path: bool) -> None:
    lab = chain(BlockPage(at="chain.r2", words=("press",), in_path=in_path))
    answer = http.decode_response(get(lab, "press.example"))
    assert answer.status == 403
    assert b"blocked by order" in answer.body
    assert http.decode_response(get(lab, "control.example")).status == 200


@pytest.mark.lab
def test_an_in_path_answer_is_the_only_one(chain: Start, listen: Start) -> None:
    lab = chain(DnsInjector(at="chain.r2", names=("press.example",), in_path=True))
    ear = listen(lab)
    with lab.enter("chain"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
        asker.sendto(dns.query("press.example", 9), ("203.0.113.10", 53))
        heard = ear.packets(0.2)
    assert [type(p.header) for p in heard] == [Udp]  # and no time exceeded: the query died in the box


@pytest.mark.lab
def test_two_boxes_share_a_link(chain: Start) -> None:
    lab = chain(Drop(at="chain.r2", words=("press",)), ResetInjector(at="chain.r2", words=("octenium",), in_path=True))
    with pytest.raises(ConnectionResetError):
        get(lab, "octenium.example")
    with pytest.raises(TimeoutError):
        get(lab, "press.example", timeout=0.2)
