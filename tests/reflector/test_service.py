"""The real service on loopback, spoken to as probes, people and their tools do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from probe.model.packet import Packet, Udp
from probe.model.reflector import (
    PORT,
    Answer,
    Arrivals,
    Arrived,
    Asked,
    Askers,
    Echo,
    Grant,
    Hello,
    Received,
    Refused,
    Report,
    Reports,
    Request,
    Transfer,
)
from probe.reflector import certificate, plan, service
from probe.wire import dns, http, quic, reflector, rtp, sip, stun, tls
from probe.wire.reflector import twin
from tests.reflector.conftest import Running, loopback, start, stop
from tests.reflector.worlds import messages, mutated

pytestmark = pytest.mark.loopback
PATIENCE = 20
"""Seconds: the machine may be busy with anything."""


class Probe:
    """A UDP socket with a token."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        grant: Answer | None = None
        for _ in range(10):  # after a storm, strangers wait
            with contextlib.suppress(TimeoutError):
                grant = reflector.answered(self.ask(reflector.hello(b"t" * 12, Hello())))
                break
        assert isinstance(grant, Grant)
        self.grant = grant
        self.socket.settimeout(PATIENCE)
        self.token = bytes.fromhex(grant.token)

    def ask(self, data: bytes, port: int = PORT) -> bytes:
        self.socket.sendto(data, (self.address, port))
        return self.socket.recv(65535)

    def request(self, message: Request, port: int = PORT) -> Answer:
        return reflector.answered(self.ask(reflector.control(self.token, message), port))

    def insist(self, message: Request) -> Answer:
        """The answer to a question asked again and again: who sends more than is allowed is not heard for a while."""
        self.socket.settimeout(0.5)
        try:
            for _ in range(2 * PATIENCE):
                with contextlib.suppress(TimeoutError):
                    return self.request(message)
        finally:
            self.socket.settimeout(PATIENCE)
        raise TimeoutError

    def silent(self, data: bytes, port: int = PORT) -> bool:
        """Whether nothing comes back: the next answer is that to a question asked afterwards."""
        self.socket.sendto(data, (self.address, port))
        return self.request(Echo()) is not None


@pytest.fixture
def probe(running: Running) -> Iterator[Probe]:
    found = Probe(running.address)
    with found.socket:
        yield found


def connect(address: str, port: int = 80) -> socket.socket:
    return socket.create_connection((address, port), PATIENCE)


def said(sock: socket.socket, data: bytes = b"") -> bytes:
    """All that is answered to some bytes, to the end."""
    sock.sendall(data)
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer


def over_http(address: str, message: Request, port: int = PORT) -> Answer:
    with connect(address, port) as sock:
        response = http.decode_response(said(sock, http.request(address, reflector.http_path(message))))
    return reflector.answered(response.body)


class TestDatagrams:
    def test_the_token_comes_with_what_is_served(self, running: Running, probe: Probe) -> None:
        grant = probe.grant
        assert {53, 443, 3478, 5060, PORT} <= set(grant.udp) & set(grant.tcp)
        assert len(grant.random) == 4
        assert set(grant.random) <= set(grant.udp)
        assert grant.silent == (running.silent,)
        assert grant.certificate == certificate.fingerprint(running.state / "certificate.pem")

    def test_headers_are_told_as_they_arrived(self, probe: Probe) -> None:
        probe.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        probe.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        received = probe.request(Echo(), 443)
        assert isinstance(received, Received)
        assert (received.ttl, received.tos, received.port) == (33, 0xB8, 443)
        assert received.source_port == probe.socket.getsockname()[1]

    def test_the_answer_s_tos_is_as_asked(self, probe: Probe) -> None:
        probe.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        probe.socket.sendto(reflector.control(probe.token, Echo(tos=0xB8)), (probe.address, PORT))
        _, extra, _, _ = probe.socket.recvmsg(65535, 64)
        assert [value[0] for _, kind, value in extra if kind == socket.IP_TOS] == [0xB8]

    @pytest.mark.parametrize("inverted", [False, True])
    @pytest.mark.parametrize("known", [False, True])
    def test_every_port_speaks_every_protocol_and_its_twin(self, probe: Probe, known: bool, inverted: bool) -> None:
        port = 443 if known else probe.grant.random[0]
        client = sip.Client("192.168.1.5")
        messages = [
            stun.binding_request(probe.token), stun.allocate_request(probe.token),
            sip.request("OPTIONS", "r.example", reflector.call_id(probe.token), client),
            rtp.encode(rtp.Packet(0, 1, 2, 3, probe.token + rtp.silence(148))),
            quic.client_initial("x.example", reflector.connection_id(probe.token), b"\1" * 8, b"\2" * 32),
            dns.query(f"{reflector.label(probe.token)}.whoami.r.example", 7, dns.TXT), probe.token + b"anything",
        ]  # fmt: skip
        for message in messages:
            answer = probe.ask(twin(message) if inverted else message, port)
            plain = probe.ask(message, port)
            assert len(answer) == len(plain)
            if b"Colibri" not in plain:
                continue
            assert b"Colibri" in (twin(answer) if inverted else answer)

    def test_a_call_is_answered_and_the_request_comes_back(self, probe: Probe) -> None:
        client = sip.Client("192.168.1.5")
        body = sip.session(client, 4000)
        invite = sip.request("INVITE", "r.example", reflector.call_id(probe.token), client, body=body)
        statuses = [sip.decode(probe.ask(invite, 5060)), *(sip.decode(probe.socket.recv(65535)) for _ in range(2))]
        assert [one.status for one in statuses] == [100, 180, 200]
        copy = reflector.read_received(statuses[1].body)
        assert copy.data == invite
        assert (copy.masked, copy.ttl) == (0, 64)
        assert b"m=audio 5060 RTP/AVP" in statuses[2].body

    def test_streams_are_reported(self, probe: Probe) -> None:
        for sequence in (1, 2, 4):
            probe.ask(rtp.encode(rtp.Packet(0, sequence, 160 * sequence, 99, probe.token + rtp.silence(148))), 5004)
        reports = probe.request(Report((99,)))
        assert isinstance(reports, Reports)
        assert (reports.streams[0].packets, reports.streams[0].lost, reports.streams[0].arrived) == (3, 1, b"\xd0")

    def test_who_resolved_is_told(self, probe: Probe) -> None:
        label = reflector.label(reflector.with_nonce(probe.token, 4711))
        probe.ask(dns.query(f"{label}.whoami.r.example", 7), 53)
        askers = probe.request(Asked((label,)))
        assert isinstance(askers, Askers)
        assert [one.network for one in askers.resolvers] == ["self"]

    def test_without_a_token_there_is_no_answer(self, probe: Probe) -> None:
        client = sip.Client("192.168.1.5")
        for message in (
            stun.binding_request(b"n" * 12), sip.request("OPTIONS", "r.example", "00" * 12, client), b"n" * 500,
            reflector.control(b"n" * 12, Echo()), dns.query("press.example", 7), dns.query("www.r.example.org", 7),
        ):  # fmt: skip
            assert probe.silent(message, 5060)

    def test_the_silent_address_is_silent(self, running: Running, probe: Probe) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.3)
            sock.connect((running.silent, 53))  # a refusal (ICMP) would be an error
            hello, question = reflector.hello(b"t" * 12, Hello()), dns.query("r.example", 1)
            for data in (hello, stun.binding_request(probe.token), question):
                sock.send(data)
                with pytest.raises(TimeoutError):
                    sock.recv(65535)
        with pytest.raises(TimeoutError), socket.create_connection((running.silent, 443), 0.3):
            pass


class TestConnections:
    @pytest.mark.parametrize("port", [80, 5060, PORT])
    def test_a_page_holds_the_request_and_its_syn(self, running: Running, port: int) -> None:
        request = http.request("any.example", "/a/path", headers=[("X-Odd", "Case"), ("accept", "*/*")])
        with connect(running.address, port) as sock:
            response = http.decode_response(said(sock, request))
            source_port = sock.getsockname()[1]
        assert (response.status, response.complete) == (200, True)
        received = reflector.read_page(response.body)
        assert received.data == request
        assert (received.transport, received.port, received.source_port) == ("tcp", port, source_port)
        assert received.syn is not None
        assert (received.syn.ttl, received.syn.flags & 0x3F) == (64, 2)
        assert received.syn.options.startswith(b"\x02\x04")  # maximum segment size

    def test_its_twin_gets_the_twin_of_the_page(self, running: Running) -> None:
        with connect(running.address) as sock:
            response = http.decode_response(twin(said(sock, twin(http.request("any.example")))))
        assert reflector.read_page(response.body).data == http.request("any.example")

    def test_a_request_in_pieces_is_one(self, running: Running) -> None:
        request = http.request("any.example")
        with connect(running.address) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request[:-1]:
                sock.sendall(bytes((byte,)))
            response = http.decode_response(said(sock, request[-1:]))
        assert reflector.read_page(response.body).data == request

    def test_any_name_is_served_in_tls(self, running: Running) -> None:
        context = ssl.create_default_context(cafile=str(running.state / "certificate.pem"))
        context.check_hostname = False
        for name in ("press.example", "other.example"):
            with connect(running.address, 443) as sock, context.wrap_socket(sock, server_hostname=name) as inside:
                leaf = inside.getpeercert(binary_form=True)
                received = reflector.read_page(http.decode_response(said(inside, http.request(name))).body)
            assert received.transport == "tls"
            assert leaf is not None
            assert ssl.DER_cert_to_PEM_cert(leaf).strip() in (running.state / "certificate.pem").read_text()

    def test_calls_over_tcp_and_tls(self, running: Running) -> None:
        request = sip.request("REGISTER", "r.example", "00" * 12, sip.Client("192.168.1.5"), transport="TLS")
        context = ssl.create_default_context(cafile=str(running.state / "certificate.pem"))
        name = "reflector.example"
        with connect(running.address, 5061) as sock, context.wrap_socket(sock, server_hostname=name) as inside:
            inside.sendall(request)
            answer = sip.decode(inside.recv(65536))
        assert answer.status == 200
        assert reflector.read_received(answer.body).data == request
        with connect(running.address, 3478) as sock:
            sock.sendall(stun.binding_request(b"n" * 12) * 2)
            answers = sock.recv(100)
            while len(answers) < 2 * stun.size(answers):  # type: ignore[operator]
                answers += sock.recv(100)
            assert stun.mapped(stun.decode(answers[: len(answers) // 2]))[1] == sock.getsockname()[1]  # type: ignore[index]

    def test_control_goes_over_http_as_well(self, running: Running) -> None:
        for port in (80, PORT):
            assert isinstance(over_http(running.address, Hello(), port), Grant)
        assert isinstance(over_http(running.address, Report((1,))), Reports)
        assert isinstance(over_http(running.address, Arrivals(packets=b"x" * 8, peer="nobody")), Refused)

    def test_the_zone_over_tcp(self, running: Running) -> None:
        with connect(running.address, 53) as sock:
            sock.sendall(dns.framed(dns.query("x.present.r.example", 7)) + dns.framed(dns.query("press.example", 8)))
            data = sock.recv(65536)
            while len(dns.unframed(data)) < 2:
                data += sock.recv(65536)
        first, second = (dns.decode(one) for one in dns.unframed(data))
        assert [one.text for one in first.answers] == [running.address]
        assert second.rcode == dns.REFUSED

    def test_what_is_unknown_is_closed_without_a_reset(self, running: Running) -> None:
        with connect(running.address) as sock:
            assert said(sock, b"\xf3" * 100) == b""

    def test_a_connection_that_says_nothing_is_let_go(self, running: Running) -> None:
        with connect(running.address):
            pass
        assert isinstance(over_http(running.address, Hello()), Grant)


class TestTransfers:
    @pytest.mark.parametrize("inverted", [False, True])
    def test_a_client_hello_orders_bytes(self, probe: Probe, inverted: bool) -> None:
        session = reflector.session_id(probe.token, Transfer(kilobytes=300), b"r" * 12)
        hello = tls.client_hello("press.example", b"r" * 32, session)
        with connect(probe.address, 443) as sock:
            data = said(sock, twin(hello) if inverted else hello)
        assert len(data) == 300_000
        records = tls.records(twin(data) if inverted else data)
        assert {one.type for one in records} == {tls.APPLICATION_DATA}

    def test_the_pace_is_kept(self, probe: Probe) -> None:
        wanted = Transfer(kilobytes=1000, kbits=800, seconds=1)
        began = time.monotonic()
        with connect(probe.address) as sock:
            data = said(sock, http.request("any.example", reflector.http_path(wanted)))
        assert 20_000 < len(data) < 110_000
        assert time.monotonic() - began > 0.8

    def test_bytes_are_taken(self, probe: Probe) -> None:
        wanted = Transfer(direction="up", kilobytes=500)
        with connect(probe.address) as sock:
            sock.sendall(http.request("any.example", reflector.http_path(wanted)))
            assert said(sock, b"u" * 500_000).startswith(b"HTTP/1.1 200")

    def test_another_s_token_orders_nothing(self, probe: Probe) -> None:
        session = reflector.session_id(b"n" * 12, Transfer(kilobytes=300), b"r" * 12)
        with connect(probe.address, 443) as sock:
            sock.sendall(tls.client_hello("press.example", b"r" * 32, session))
            assert len(sock.recv(65536)) < 5000  # a handshake


def arrived(address: str, packets: bytes, peer: str = "") -> Arrived:
    answer = over_http(address, Arrivals(packets=packets, within=20, peer=peer))
    assert isinstance(answer, Arrived)
    return answer


def name_of(port: int, payload: bytes) -> bytes:
    packet = Packet(version=4, source="", destination="", ttl=0, protocol=17, length=0, header=Udp(1, port, 0))
    name = reflector.arrival_id(msgspec.structs.replace(packet, payload=payload))
    assert name is not None
    return name


def test_what_arrived_is_told_and_what_did_not_only_where_it_is_known(running: Running, probe: Probe) -> None:
    probe.socket.sendto(b"one of a kind", (running.address, 5004))
    names = name_of(5004, b"one of a kind") + name_of(5004, b"never sent")
    answer = probe.request(Arrivals(packets=names, within=0.5))
    assert isinstance(answer, Arrived)
    assert answer.counts[0] == 1
    assert answer.counts[1] == (0 if probe.grant.raw and not answer.why else -1)


def test_a_witness_tells_of_its_peer(tmp_path: Path) -> None:
    key, other = tmp_path / "peer.key", tmp_path / "other.key"
    key.write_text("a secret that two reflectors share")
    other.write_text("another secret that nobody shares")
    target, witness, stranger = loopback(11), loopback(12), loopback(13)
    running = [
        start(target, tmp_path / "a", "--peer-key", str(key)),
        start(witness, tmp_path / "b", "--peer-key", str(key), "--peer", f"host={target}",
              "--peer", f"gone={loopback(14)}"),
        start(stranger, tmp_path / "c", "--peer-key", str(other), "--peer", f"host={target}"),
    ]  # fmt: skip
    try:
        probe = Probe(witness)
        name = name_of(5004, b"to the target")
        with probe.socket:
            probe.socket.sendto(b"to the target", (target, 5004))
            answer = probe.request(Arrivals(packets=name, within=20, peer="host"))
        assert isinstance(answer, Arrived)
        assert (answer.counts, answer.yours) == ((1,), (1,))
        assert arrived(witness, name, "host").counts == (1,)
        gone = arrived(witness, name, "gone")
        assert (gone.counts, gone.why) == ((-1,), "the peer did not answer")
        refused = arrived(stranger, name, "host")
        assert (refused.counts, refused.why) == ((-1,), "not a peer")
    finally:
        for one in running:
            written = stop(one)
    assert "127." not in written.partition("serving")[2]


def test_a_port_that_is_taken_is_left_to_its_owner(tmp_path: Path) -> None:
    address = loopback(21)
    with socket.create_server((address, 80)):
        process = start(address, tmp_path)
        try:
            grant = over_http(address, Hello())
        finally:
            stop(process)
    assert isinstance(grant, Grant)
    assert 80 not in grant.tcp
    assert 80 in grant.udp


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_shakes_hands_with_any_name(running: Running) -> None:
    for port, name in ((443, "press.example"), (5061, "calls.example"), (853, "dns.example")):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{running.address}:{port}", "-servername", name],
            input=b"", capture_output=True, timeout=15, check=False,
        )  # fmt: skip
        assert b"CN = reflector.example" in done.stdout or b"CN=reflector.example" in done.stdout
        assert b"Cipher is TLS_" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("url", ["http://press.example/x", "https://press.example/x"])
def test_curl_gets_a_page_for_any_host(running: Running, url: str) -> None:
    resolve = [f"press.example:{port}:{running.address}" for port in (80, 443)]
    command = ["curl", "-sSk", "--resolve", resolve[0], "--resolve", resolve[1], url]
    done = subprocess.run(command, capture_output=True, timeout=15, check=True)
    assert b"GET /x HTTP/1.1\r\nHost: press.example\r\n" in reflector.read_page(done.stdout).data


def memory_of(process: subprocess.Popen[str]) -> int:
    """Resident bytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def storm(running: Running, probe: Probe, count: int, seed: int) -> None:
    """Mutated datagrams to every port; it serves all along, in bounded memory."""
    chance = Random(seed)
    before = memory_of(running.process)
    kinds = [*messages(probe.token).values(), *messages(b"n" * 12).values()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for i in range(count):
            data = mutated(chance.choice(kinds), chance)
            with contextlib.suppress(BlockingIOError):
                port = chance.choice(probe.grant.udp)
                sock.sendto(twin(data) if chance.random() < 0.3 else data, (running.address, port))
            if i % 500 == 499:  # it has taken all of them: none is lost in a full queue
                assert isinstance(probe.insist(Echo()), Received)
    assert memory_of(running.process) - before < 64_000_000


def test_two_thousand_mutations_over_the_network(running: Running, probe: Probe) -> None:
    storm(running, probe, 2_000, 1)


@pytest.mark.long
def test_fifty_thousand_mutations_over_the_network(running: Running, probe: Probe) -> None:
    storm(running, probe, 50_000, 2)


def test_mutated_connections_leave_it_serving(running: Running, probe: Probe) -> None:
    chance = Random(3)
    for _ in range(150):
        data = mutated(chance.choice([*messages(probe.token).values(), tls.client_hello("a", b"r" * 32)]), chance)
        with connect(running.address, 443) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert isinstance(over_http(running.address, Hello()), Grant)


def test_a_control_port_that_is_taken_ends_it_so_that_it_is_tried_again(tmp_path: Path) -> None:
    address = loopback(22)
    with socket.create_server((address, PORT)):
        done = subprocess.run(
            [sys.executable, "-m", "probe", "reflector", "run", "--listen", address, "--state", str(tmp_path)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"port {PORT} can't be had" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_the_unit_s_capabilities_are_enough(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[2] / "systemd/colibri-reflector.service").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert found is not None
    kept = ",".join("+" + one.removeprefix("CAP_").lower() for one in found[1].split())
    address, silent = loopback(31), loopback(32)
    process = start(address, tmp_path, "--silent", silent, through=["setpriv", "--bounding-set", f"-all,{kept}"])
    try:
        grant = over_http(address, Hello(), 80)
        with pytest.raises(TimeoutError), socket.create_connection((silent, 443), 0.5):
            pass
    finally:
        written = stop(process)
    assert isinstance(grant, Grant)
    assert grant.raw
    assert grant.silent == (silent,)
    assert "not served" not in written


def test_as_many_listeners_as_may_be_are_all_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_MOST_CONNECTIONS", 3)  # fewer than listeners
    address = loopback(33)

    async def main() -> list[int]:
        served = service.Service(plan.make(listen=address, state=str(tmp_path), random_ports=0))
        served.open()
        task = asyncio.ensure_future(served.serve())
        found = []
        try:
            for port in served.core.settings.tcp:
                reader, writer = await asyncio.open_connection(address, port)
                writer.write(http.request("any.example"))
                found.append(http.decode_response(await asyncio.wait_for(reader.read(-1), PATIENCE)).status)
                writer.close()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            served.close()
        return found

    statuses = asyncio.run(main())
    assert len(statuses) > 3
    assert set(statuses) == {200}
