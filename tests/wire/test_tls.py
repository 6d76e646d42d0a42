from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.tls.handshake import TLSClientHello
from scapy.layers.tls.record import TLS

from probe.model.errors import MalformedPacket
from probe.wire import tls

RANDOM = bytes(range(32))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """OpenSSL's server side with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=36500))
                   .sign(key, hashes.SHA256()))
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def _answer(context: ssl.SSLContext, hello: bytes) -> tuple[bytes, ssl.SSLObject]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with pytest.raises(ssl.SSLError):  # it wants more, or refused
        server.do_handshake()
    return outgoing.read(), server


@pytest.mark.parametrize("name", ["www.example.com", ""])
def test_openssl_answers_with_a_server_hello(server: ssl.SSLContext, name: str) -> None:
    seen: list[str | None] = []
    server.sni_callback = lambda _, sni, __: seen.append(sni)
    data, _ = _answer(server, tls.client_hello(name, RANDOM))
    server.sni_callback = None
    found = tls.records(data)
    assert seen == [name or None]
    assert tls.handshake_types(found) == (tls.SERVER_HELLO,)
    assert tls.alert(found) is None
    assert found[-1].type == tls.APPLICATION_DATA  # no HelloRetryRequest: the key share served


def test_to_a_hello_of_tls_1_2_the_certificate_comes_in_the_clear(server: ssl.SSLContext) -> None:
    data, _ = _answer(server, tls.client_hello("www.example.com", RANDOM, newest="1.2"))
    assert tls.handshake_types(tls.records(data))[:2] == (tls.SERVER_HELLO, tls.CERTIFICATE)
    assert b"example.com" in data


def test_openssl_speaks_tls_1_2_with_it_too(server: ssl.SSLContext) -> None:
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    data, _ = _answer(server, tls.client_hello("x.example", RANDOM))
    server.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    found = tls.records(data)
    assert tls.handshake_types(found) == (tls.SERVER_HELLO, tls.CERTIFICATE, 12, 14)
    assert tls.handshake_types(tls.records(data[:200])) == (tls.SERVER_HELLO, tls.CERTIFICATE)


def test_an_unknown_name_is_refused_by_alert_112(server: ssl.SSLContext) -> None:
    server.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    data, _ = _answer(server, tls.client_hello("other.example", RANDOM))
    server.sni_callback = None
    alert = tls.alert(tls.records(data))
    assert alert == tls.Alert(tls.FATAL, 112)
    assert alert.name == "unrecognized_name"
    assert tls.Alert(2, 250).name == "alert 250"


def test_alpn_is_offered(server: ssl.SSLContext) -> None:
    server.set_alpn_protocols(["http/1.1"])
    _, chosen = _answer(server, tls.client_hello("x.example", RANDOM))
    assert chosen.selected_alpn_protocol() == "http/1.1"


def test_scapy_reads_the_hello() -> None:
    raw = tls.client_hello("www.example.com", RANDOM, b"s" * 32, b"k" * 32, alpn=("h2",))
    (hello,) = TLS(raw).msg
    assert isinstance(hello, TLSClientHello)
    assert (hello.version, hello.sid, len(hello.ciphers)) == (0x0303, b"s" * 32, 31)
    names = [e.name for e in hello.ext]
    assert len(names) == 12
    assert raw.count(b"k" * 32) == 1
    assert raw[11:43] == RANDOM


def test_one_byte_decides_the_hello() -> None:
    assert tls.client_hello("a.b", RANDOM) == tls.client_hello("a.b", RANDOM)
    assert tls.client_hello("a.b", RANDOM) != tls.client_hello("a.c", RANDOM)
    assert tls.client_hello("a.b.", RANDOM) == tls.client_hello("a.b", RANDOM)


@given(st.lists(st.text("abcXYZ09-", min_size=1, max_size=30), min_size=1, max_size=6), st.integers(0, 400))
def test_server_name_however_cut(labels: list[str], cut: int) -> None:
    name = ".".join(labels)
    raw = tls.client_hello(name, RANDOM)
    assert tls.server_name(raw) == name
    assert tls.server_name(raw[:cut]) in (None, name)
    hello = raw[5:]
    split = b"".join(bytes([22, 3, 1]) + len(p).to_bytes(2, "big") + p for p in (hello[:50], hello[50:]))
    assert tls.server_name(split) == name


def test_no_server_name(server: ssl.SSLContext) -> None:
    data, _ = _answer(server, tls.client_hello("x.example", RANDOM))
    for other in (b"", b"GET / HTTP/1.1\r\n", data, tls.client_hello("", RANDOM), b"\x16\x03\x01\x00\x00"):
        assert tls.server_name(other) is None


def test_records() -> None:
    data = bytes.fromhex("1503030002 0228 1703030004 abcd")
    assert tls.records(data) == (tls.Record(21, 0x0303, b"\2\x28"), tls.Record(23, 0x0303, b"\xab\xcd"))
    assert tls.records(data[:9]) == (tls.Record(21, 0x0303, b"\2\x28"),)
    assert tls.alert(tls.records(data)) == tls.Alert(2, 40)
    assert tls.alert(tls.records(data[7:] + b"xx" + data[:7])) is None
    for broken in (b"HTTP/1.1 400", b"\x16\x02\x01\x00\x01x", b"\x16\x03\x01\xff\xffx", data[:7] + b"<html"):
        with pytest.raises(MalformedPacket):
            tls.records(broken)


def test_impossible_hellos() -> None:
    for name, random, session, share in (("a..b", RANDOM, b"", b""), ("a", b"short", b"", b""),
                                         ("a", RANDOM, bytes(33), b""), ("a", RANDOM, b"", bytes(31))):
        with pytest.raises(MalformedPacket):
            tls.client_hello(name, random, session, share)
    with pytest.raises(MalformedPacket):
        tls.client_hello("a", RANDOM, alpn=("x" * 256,))
