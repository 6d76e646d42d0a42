"""Who vouches for a certificate, and in which words it is said that nobody does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.authorities import distrust

AT = 1_800_000_000
DAY = dt.timedelta(days=1)
NOW = dt.datetime.fromtimestamp(AT, dt.UTC)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public = self._key.public_key()
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self.certificate = (
            x509.CertificateBuilder(self._name, self._name, public, x509.random_serial_number(), NOW - DAY, NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def pem(self, folder: Path) -> str:
        """The file that names it."""
        path = folder / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def leaf(
        self, *names: str, until: dt.datetime = NOW + DAY, usage: x509.ObjectIdentifier | None = None
    ) -> bytes:
        """A server's certificate, DER."""
        return self.signed(*names, until=until, usage=usage)[0].public_bytes(serialization.Encoding.DER)

    def signed(
        self, *names: str, until: dt.datetime = NOW + DAY, usage: x509.ObjectIdentifier | None = None
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        number = x509.random_serial_number()
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), number, NOW - 9 * DAY, until)
        every = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(every, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self._key, hashes.SHA256()), key


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority("Ours")


def test_a_chain_of_a_known_authority_is_trusted(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    root = ours.certificate.public_bytes(serialization.Encoding.DER)
    assert distrust([ours.leaf("press.example")], "press.example", AT, file) == ""
    assert distrust([ours.leaf("*.example"), root], "press.example", AT, file) == ""


def test_without_a_name_the_chain_alone_is_judged(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    assert distrust([ours.leaf("press.example")], "", AT, file) == ""
    assert distrust([ours.leaf("*.press.example")], "", AT, file) == ""
    assert "no name" in distrust([ours.leaf()], "", AT, file)


def test_what_is_wrong_is_said(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    faults = {
        "another name": distrust([ours.leaf("press.example")], "other.example", AT, file),
        "another authority": distrust([Authority("Forged").leaf("press.example")], "press.example", AT, file),
        "too old": distrust([ours.leaf("press.example", until=NOW - DAY)], "press.example", AT, file),
        "the system's alone": distrust([ours.leaf("press.example")], "press.example", AT),
        "an address": distrust([ours.leaf("press.example")], "203.0.113.1", AT, file),
        "nothing": distrust([], "press.example", AT, file),
        "no file": distrust([ours.leaf("press.example")], "press.example", AT, str(tmp_path / "none")),
        "no name at all": distrust([ours.leaf("press.example")], "\udcff", AT, file),
        "no time": distrust([ours.leaf("press.example")], "press.example", 10**30, file),
    }
    assert all(faults.values()), faults


def test_who_is_no_authority_vouches_for_nobody(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    (leaf, key), forger = ours.signed("cheap.example"), Authority("x")
    forger._key, forger._name = key, leaf.subject
    chain = [forger.leaf("press.example"), leaf.public_bytes(serialization.Encoding.DER)]
    assert distrust(chain[1:], "cheap.example", AT, file) == ""
    assert "cA must be asserted" in distrust(chain, "press.example", AT, file)


def test_a_certificate_for_something_else_is_no_servers(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    mail = ours.leaf("press.example", usage=ExtendedKeyUsageOID.EMAIL_PROTECTION)
    assert "not a server's" in distrust([mail], "press.example", AT, file)
    web = ours.leaf("press.example", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    assert distrust([web], "press.example", AT, file) == ""


def test_a_file_that_changed_is_read_again(ours: Authority, tmp_path: Path) -> None:
    file = ours.pem(tmp_path)
    other = Authority("Other")
    leaf = other.leaf("press.example")
    assert distrust([leaf], "press.example", AT, file)
    other.pem(tmp_path)
    Path(file).touch()
    assert distrust([leaf], "press.example", AT, file) == ""


@given(st.lists(st.binary(max_size=200), max_size=4), st.text(max_size=40))
def test_whatever_was_sent_it_never_raises(chain: list[bytes], name: str) -> None:
    assert distrust(chain, name, AT)
