"""Taking a name back: register and list. (With a real broker: tests/deploy/test_broker.py.)"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from probe.collector.enrol.authority import Authority, private_pem
from probe.collector.enrol.revoke import revoke
from probe.collector.instants import now
from probe.model.enrol import Enrolled, First
from probe.model.errors import ColibriError
from tests.collector.enrol.conftest import START, Office, csr


def test_without_a_broker_register_and_list_are_written(office: Office) -> None:
    answer = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(answer, Enrolled)
    done = revoke(office.config, office.authority, office.register, answer.name, None)
    assert (done.name, done.certificates, done.refused_after, done.cut_after) == (answer.name, 1, None, None)
    revoked = x509.load_pem_x509_crl(office.authority.crl.read_bytes())
    serial = x509.load_pem_x509_certificate(answer.certificate.encode()).serial_number
    assert revoked.get_revoked_certificate_by_serial_number(serial) is not None
    row = office.register.probe(answer.name)
    assert row is not None
    assert row.revoked is not None


@contextlib.contextmanager
def broker_that_thinks(authority: Authority, folder: Path) -> Iterator[int]:
    """Takes connections over TLS and never says a word of MQTT; yields its port."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = folder / "broker.pem"
    pem.write_text(authority.server(key.public_key(), ["localhost"], now(), 1).pem + private_pem(key).decode())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    held: list[ssl.SSLSocket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                held.append(context.wrap_socket(listener.accept()[0], server_side=True))

    with socket.create_server(("localhost", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in held:
                one.close()


@pytest.mark.loopback
def test_a_broker_that_says_nothing_has_refused_nobody(
    tmp_path: Path, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.collector.enrol.revoke.WITHIN", 0.5)
    monkeypatch.setattr("probe.collector.enrol.revoke._ANSWER", 0.2)
    answer = office.desk.first(First(office.code(), csr()), START)
    assert isinstance(answer, Enrolled)
    authority = Authority(tmp_path / "authority", now())
    with broker_that_thinks(authority, tmp_path) as port, pytest.raises(ColibriError, match="has not read it"):
        revoke(office.config, authority, office.register, answer.name, ("localhost", port))
