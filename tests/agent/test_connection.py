"""One connection: TLS with certificates, refusals, what is on the way when it breaks, and how it is given up."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from probe.agent.connection import Connection, connect, properties_for, tls_context
from probe.agent.link import Acknowledged, Closed, Event, Kind, Message, Subscribed, Will
from probe.model.config import MqttConfig, TlsConfig
from tests.agent.conftest import Broker

pytestmark = pytest.mark.loopback


async def event(connection: Connection, kind: type[Event]) -> Any:
    """The next event of a kind."""
    while True:
        found = await asyncio.wait_for(connection.inbox.get(), 10)
        if isinstance(found, kind):
            return found


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


class Certificates:
    """An authority, and certificates that it signed; files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca {folder.name}")])
        self.ca = self._write("ca", self._certificate(self._name, self._key, authority=True))

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, authority: bool) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> str:
        path = self._folder / f"{name}.crt"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def issue(self, name: str) -> tuple[str, str]:
        """Files of a certificate with this common name, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        path = self._folder / f"{name}.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._write(name, self._certificate(subject, key, authority=False)), str(path)


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Broker, Certificates]:
    certificates = Certificates(tmp_path)
    certificate, key = certificates.issue("broker")
    (tmp_path / "acl").write_text("pattern readwrite colibri/v1/%u/#\n")
    listener = (
        f"cafile {certificates.ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n"
        f"use_identity_as_username true\nacl_file {tmp_path}/acl\n"
    )
    return Broker(tmp_path, listener=listener), certificates


def test_tls_with_our_certificate_carries_large_messages_both_ways(tls: tuple[Broker, Certificates]) -> None:
    broker, certificates = tls
    broker.start()
    certificate, key = certificates.issue("p-one")
    config = MqttConfig(
        host="127.0.0.1", port=broker.port, tls=TlsConfig(ca=certificates.ca, certificate=certificate, key=key)
    )

    async def scene() -> None:
        connection = await connect(config, "p-one", "p-one")
        connection.subscribe("colibri/v1/p-one/x")
        assert (await event(connection, Subscribed)).failure == ""
        payloads = [bytes([n]) * 70_000 for n in range(20)]
        mids = [connection.publish("colibri/v1/p-one/x", payload) for payload in payloads]
        assert connection.outstanding == set(mids)
        assert [(await event(connection, Message)).payload for _ in payloads] == payloads
        connection.publish("colibri/v1/p-two/x", b"forged")
        while "Not authorized" not in (await event(connection, Acknowledged)).failure:
            pass
        assert connection.outstanding == set()
        await connection.close()

    run(scene)
    broker.stop()


def test_what_tls_has_already_decrypted_is_read_at_once(tmp_path: Path) -> None:
    """A broker may put several packets into one TLS record; the socket is readable only for the first."""
    certificates = Certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.issue("broker"))
    message = b"\x30\x06\x00\x01t\x00hi"  # QoS 0: topic "t", no properties, "hi"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"\x20\x03\x00\x00\x00" + 3 * message)
        await reader.read()
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            connection = await connect(
                MqttConfig(host="127.0.0.1", port=port, tls=TlsConfig(ca=certificates.ca)), "a", "a"
            )
            assert [await event(connection, Message) for _ in range(3)] == [Message("t", b"hi", retained=False)] * 3
            await connection.close()

    run(scene)


def test_a_broker_of_another_authority_is_not_believed(tls: tuple[Broker, Certificates], tmp_path: Path) -> None:
    broker, certificates = tls
    broker.start()
    (tmp_path / "other").mkdir()
    other = Certificates(tmp_path / "other")
    certificate, key = certificates.issue("p-one")

    async def scene() -> None:
        config = TlsConfig(ca=other.ca, certificate=certificate, key=key)
        with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
            await connect(MqttConfig(host="127.0.0.1", port=broker.port, tls=config), "p-one", "p-one")
        with pytest.raises(OSError, match=r"SSL|closed|reset|certificate"):
            await connect(MqttConfig(host="127.0.0.1", port=broker.port, tls=TlsConfig(ca=certificates.ca)), "x", "x")

    run(scene)
    broker.stop()


def test_a_tls_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.crt") as caught:
        tls_context(TlsConfig(ca=str(tmp_path / "nothing.crt")))
    assert caught.value.filename == str(tmp_path / "nothing.crt")


def test_a_password_is_read_from_its_file_and_a_wrong_one_refused(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("p-one:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "passwd"], check=True)
    broker = Broker(tmp_path, listener=f"allow_anonymous false\npassword_file {tmp_path}/passwd\n")
    broker.start()
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("secret\nmore\n")
    wrong.write_text("guess\n")

    async def scene() -> None:
        config = MqttConfig(host="127.0.0.1", port=broker.port, password_file=str(right))
        await (await connect(config, "p-one", "p-one")).close()
        for file in (str(wrong), ""):
            bad = msgspec.structs.replace(config, password_file=file)
            with pytest.raises(ConnectionError, match="Not authorized"):
                await connect(bad, "p-one", "p-one")

    run(scene)
    broker.stop()


def test_nobody_there_is_an_os_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def scene() -> None:
        with pytest.raises(ConnectionRefusedError):
            await connect(MqttConfig(host="127.0.0.1", port=port), "x", "x")

    run(scene)


def test_a_server_that_is_no_broker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.agent.connection._HANDSHAKE_LIMIT", 0.2)

    async def scene() -> None:
        mute = socket.create_server(("127.0.0.1", 0))
        with mute, pytest.raises(ConnectionError, match="no answer to CONNECT"):
            await connect(MqttConfig(host="127.0.0.1", port=mute.getsockname()[1]), "x", "x")

    run(scene)


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.002, 0.004, 0.008, 0.05])
def test_a_dial_that_is_cancelled_leaves_nothing_behind(moment: float) -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            dialling = asyncio.create_task(connect(MqttConfig(host="127.0.0.1", port=mute.getsockname()[1]), "x", "x"))
            other, _ = await asyncio.to_thread(mute.accept)
            await asyncio.sleep(moment)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            with other:
                other.settimeout(5)
                while await asyncio.to_thread(other.recv, 4096):
                    pass  # it ends: the socket was closed

    run(scene)


def test_the_will_is_sent_when_we_vanish_and_not_when_we_leave(broker: Broker) -> None:
    async def scene() -> None:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        listener = await connect(config, "", "")
        listener.subscribe("t/#")
        await event(listener, Subscribed)
        leaving = await connect(config, "a", "a", Will("t/left", b"gone"))
        await leaving.close()
        vanishing = await connect(config, "b", "b", Will("t/vanished", b"gone"))
        vanishing.abort()
        assert (await event(listener, Message)).topic == "t/vanished"
        await listener.close()

    run(scene)


def test_a_broker_that_ends_closes_the_connection_with_a_reason(broker: Broker) -> None:
    async def scene() -> None:
        connection = await connect(MqttConfig(host="127.0.0.1", port=broker.port), "a", "a")
        await asyncio.to_thread(broker.stop)
        assert (await event(connection, Closed)).reason
        connection.publish("t", b"into the void")
        connection.abort()
        await connection.close()

    run(scene)


def test_silence_of_the_broker_is_noticed_by_the_keepalive() -> None:
    async def scene() -> None:
        closed: list[str] = []

        async def accept_and_fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(4096)
            writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK, and never a word more
            await reader.read()
            writer.close()

        async with await asyncio.start_server(accept_and_fall_silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = await connect(MqttConfig(host="127.0.0.1", port=port, keepalive=1), "a", "a")
            closed.append((await event(connection, Closed)).reason)
            connection.abort()
        assert closed[0]

    run(scene)


def test_properties_name_type_schema_and_expiry() -> None:
    properties = properties_for(Kind("application/json", "colibri.finding/1", 60))
    told = properties.json()  # type: ignore[no-untyped-call]
    assert told["ContentType"] == "application/json"
    assert told["UserProperty"] == [("schema", "colibri.finding/1")]
    assert told["MessageExpiryInterval"] == 60
    assert "MessageExpiryInterval" not in properties_for(Kind("a/b", "s")).json()  # type: ignore[no-untyped-call]
