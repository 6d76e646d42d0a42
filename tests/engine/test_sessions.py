"""TLS sessions with real packets: what was shown, who vouches for it, and how they fail."""

from __future__ import annotations

import socket
import struct

import pytest

from probe.lab.lab import Lab
from probe.model.exchange import Exchange, TlsStep
from probe.model.packet import Flags, Tcp
from probe.wire import http, tls
from tests.engine.conftest import Line
from tests.engine.farend import tcp_server

pytestmark = pytest.mark.lab

SERVER, SERVER6 = "203.0.113.10", "2001:db8:a0::10"
BOTH = pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
GET = http.request("press.example")


def hello(exchange: Exchange) -> bytes:
    """The ClientHello as it left."""
    return next(one.packet.payload for one in exchange.heard if one.outgoing and one.packet.payload)


@BOTH
def test_a_session_tells_its_chain_and_its_data(line: Line, server: str) -> None:
    step = TlsStep(address=server, port=443, server_name="press.example", payload=GET, alpn=("http/1.1",))
    ((exchange,),) = line.perform([step])
    session = exchange.session
    assert session is not None
    assert (exchange.failure, session.alert) == ("", "")
    assert session.version in ("TLSv1.2", "TLSv1.3")
    assert session.chain[0][:1] == b"\x30"
    assert session.data.startswith(b"HTTP/1.1")
    assert session.at > 1_700_000_000
    assert tls.server_name(hello(exchange)) == "press.example"
    assert exchange.synack is not None
    assert exchange.answers
    assert isinstance(exchange.heard[-1].packet.header, Tcp)
    assert exchange.heard[-1].packet.header.flags & Flags.RST


def test_the_labs_authority_vouches_for_its_names_alone(line: Line) -> None:
    names = ("press.example", "another.example", "")
    (exchanges,) = line.perform([TlsStep(address=SERVER, port=443, server_name=name) for name in names])
    sessions = [exchange.session for exchange in exchanges]
    assert all(session is not None and session.chain for session in sessions)
    reasons = [session.distrust if session else "" for session in sessions]
    assert [bool(reason) for reason in reasons] == [False, True, False], reasons
    assert tls.server_name(hello(exchanges[2])) is None


def serve(line: Line, chain: Lab, port: int, answer: bytes, *, reset: bool = False) -> Exchange:
    """A step towards a server that says ``answer`` to a ClientHello."""

    def say(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif not answer:
            connection.recv(1)  # says nothing, and waits

    with tcp_server(chain, port, say):
        ((exchange,),) = line.perform([
            TlsStep(address=SERVER, port=port, server_name="press.example", connect_wait=0.5, wait=0.5)
        ])  # fmt: skip
    return exchange


@pytest.mark.parametrize(
    ("answer", "reset", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x70", False, "TLSV1_UNRECOGNIZED_NAME"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "WRONG_VERSION_NUMBER"),
        (b"", True, "ECONNRESET"),
        (b"", False, "no answer"),
    ],
)
def test_a_handshake_that_fails_is_told_in_the_librarys_words(
    line: Line, chain: Lab, answer: bytes, reset: bool, words: str
) -> None:
    exchange = serve(line, chain, 8100, answer, reset=reset)
    assert exchange.failure == ""
    assert exchange.session is not None
    assert exchange.session.alert == words
    assert (exchange.session.version, exchange.session.chain, exchange.session.distrust) == ("", (), "")


def test_without_a_connection_there_is_no_session(line: Line) -> None:
    ((exchange,),) = line.perform([TlsStep(address=SERVER, port=81, server_name="press.example")])
    assert (exchange.failure, exchange.session) == ("refused", None)


def test_a_name_that_can_not_be_sent_is_this_machines_fault(line: Line) -> None:
    ((exchange,),) = line.perform([TlsStep(address=SERVER, port=443, server_name="a" * 64 + ".example")])
    assert exchange.failure == "error"
    assert exchange.note


def test_the_homes_address_inside_a_session_is_masked(line: Line) -> None:
    masked = line  # any line: what a session says passes the scrubber
    ((exchange,),) = masked.perform([TlsStep(address=SERVER, port=443, server_name="press.example", payload=GET)])
    assert exchange.session is not None
    assert b"198.18.1.100" not in exchange.session.data
