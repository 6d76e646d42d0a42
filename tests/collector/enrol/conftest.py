"""An authority of the test's own, and devices' requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from probe.collector.enrol.authority import Authority
from probe.collector.enrol.desk import Desk
from probe.collector.enrol.register import Register
from probe.collector.instants import DAY
from probe.model.config import EnrolmentConfig
from probe.model.enrol import Enrolled

START = 1_790_000_000_000
"""A moment of 2026, milliseconds since the epoch."""


def csr(key: ec.EllipticCurvePrivateKey | None = None, name: str = "collector") -> str:
    """A signing request; its subject asks for a name that nobody may have."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    own = key or ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder(subject).sign(own, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def der(answer: Enrolled) -> bytes:
    """The certificate as a TLS handshake shows it."""
    return x509.load_pem_x509_certificate(answer.certificate.encode()).public_bytes(serialization.Encoding.DER)


class Office:
    """A desk with everything behind it."""

    def __init__(self, folder: Path, days: int = 30) -> None:
        self.config = EnrolmentConfig(folder=str(folder), names=["hub.example"], days=days, grace=180)
        self.authority, self.register = Authority(folder, START), Register(folder)
        self.desk = Desk(self.config, self.authority, self.register)

    def code(self, label: str = "Amina, Oran", at: int = START, life: int = 14 * DAY) -> str:
        return self.desk.hand_out(label, at, life)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    one = Office(tmp_path / "enrol")
    yield one
    one.register.close()
