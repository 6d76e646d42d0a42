"""The enrolment server as a process: TLS, the certificate that a device shows, slow clients, a clean end."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from probe.collector.enrol import service
from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.enrol.desk import Desk
from probe.collector.instants import DAY, now
from probe.model.config import EnrolmentConfig
from probe.model.enrol import RENEW, Enrolled, First
from probe.model.errors import ConfigError
from tests.collector.enrol.conftest import csr
from tests.collector.enrol.server import Server

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("service"))
    yield one
    assert one.close() == 0


def ask(server: Server, path: str, body: bytes = b"", identity: Path | None = None) -> tuple[int, bytes]:
    context = ssl.create_default_context(cadata=server.authority.pem)
    if identity is not None:
        context.load_cert_chain(identity)
    plain = socket.create_connection(("localhost", server.port), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") as secure:
        secure.sendall(
            f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
        heard = b""
        while some := secure.recv(4096):
            heard += some
    head, _, text = heard.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, text  # 0: cut off without a word


def test_the_certificate_of_the_handshake_decides(server: Server, tmp_path: Path) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    desk = Desk(EnrolmentConfig(), server.authority, server.register)
    past = now() - 40 * DAY  # it has ended ten days ago: forgiven by this server, by no broker
    answer = desk.first(First(desk.hand_out("", past, DAY), csr(own)), past)
    assert isinstance(answer, Enrolled)
    file = tmp_path / "identity.pem"
    file.write_bytes(answer.certificate.encode() + private_pem(own))
    status, body = ask(server, RENEW, json.dumps({"csr": csr()}).encode(), file)
    assert (status, json.loads(body)["name"]) == (200, answer.name)
    status, body = ask(server, RENEW, json.dumps({"csr": csr()}).encode())
    assert (status, json.loads(body)["reason"]) == (403, "unknown")


def test_a_certificate_of_another_authority_is_not_even_heard(server: Server, tmp_path: Path) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    issued = Authority(tmp_path / "stranger", now()).client(own.public_key(), "p-one", now(), 30)
    file = tmp_path / "identity.pem"
    file.write_bytes(issued.pem.encode() + private_pem(own))
    try:
        status, _ = ask(server, RENEW, json.dumps({"csr": csr()}).encode(), file)
    except (ssl.SSLError, ConnectionError):
        status = 0
    assert status == 0


def test_who_says_nothing_does_not_stand_in_the_way(server: Server) -> None:
    with socket.create_connection(("localhost", server.port)), socket.create_connection(("localhost", server.port)):
        began = time.monotonic()
        assert ask(server, "/enrol/v1/authority")[0] == 200
        assert time.monotonic() - began < 15


def test_its_secrets_are_its_own(server: Server) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in server.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} >= {
        "authority.key", "server.key", "registry.sqlite3",
    }  # fmt: skip
    assert modes["revoked.crl"] == 0o644


def test_it_must_know_its_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"collector\.enrol\.names: is empty"):
        service.run(EnrolmentConfig(folder=str(tmp_path)), lambda _: None)
    with pytest.raises(ConfigError, match=r"collector\.enrol\.listen: 'x' is not"):
        service.run(EnrolmentConfig(folder=str(tmp_path), names=["x"], listen="x"), lambda _: None)
