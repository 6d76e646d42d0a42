"""Certificates as RFC 5280 wants them, read by another implementation; and whose they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.enrol.authority import Authority, Issued, key_of, private_pem
from probe.collector.instants import DAY
from probe.model.errors import ConfigError, MalformedRecord
from tests.collector.enrol.conftest import START, csr


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca", START)


def key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def openssl(folder: Path, issued: Issued, *options: str) -> str:
    """What OpenSSL's own verification, as strict as it gets, has to say; empty: nothing."""
    (folder / "leaf.pem").write_text(issued.pem)
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", str(START // 1000), "-CAfile", folder / "ca/authority.pem",
         *options, folder / "leaf.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr


def test_openssl_takes_its_certificates_for_what_they_are_for(authority: Authority, tmp_path: Path) -> None:
    client = authority.client(key(), "p-one", START, 30)
    server = authority.server(key(), ["hub.example", "192.0.2.7"], START, 90)
    assert openssl(tmp_path, client, "-purpose", "sslclient") == ""
    assert "purpose" in openssl(tmp_path, client, "-purpose", "sslserver")
    assert openssl(tmp_path, server, "-purpose", "sslserver", "-verify_hostname", "hub.example") == ""
    assert openssl(tmp_path, server, "-purpose", "sslserver", "-verify_ip", "192.0.2.7") == ""
    assert "mismatch" in openssl(tmp_path, server, "-verify_hostname", "other.example")
    assert "purpose" in openssl(tmp_path, server, "-purpose", "sslclient")


def test_the_revoked_are_on_the_list_and_nobody_else(authority: Authority, tmp_path: Path) -> None:
    bad, good = (authority.client(key(), name, START, 30) for name in ("p-bad", "p-good"))
    options = ("-crl_check", "-CRLfile", str(tmp_path / "ca/revoked.crl"))
    assert openssl(tmp_path, bad, *options) == ""
    authority.revoke([bad.serial], START)
    assert "revoked" in openssl(tmp_path, bad, *options)
    assert openssl(tmp_path, good, *options) == ""
    later = ("-no_check_time", *options)
    assert openssl(tmp_path, good, *later) == ""


def test_dates_and_name_are_the_authority_s(authority: Authority) -> None:
    issued = authority.client(key(), "p-one", START, 30)
    certificate = x509.load_pem_x509_certificate(issued.pem.encode())
    assert certificate.subject.rfc4514_string() == "CN=p-one"
    assert round(certificate.not_valid_after_utc.timestamp() * 1000) == issued.ends == START + 30 * DAY
    assert round(certificate.not_valid_before_utc.timestamp() * 1000) == issued.begins < START
    assert f"{certificate.serial_number:x}" == issued.serial


def test_it_is_the_same_after_a_restart_and_its_key_is_its_owner_s_alone(authority: Authority, tmp_path: Path) -> None:
    again = Authority(tmp_path / "ca", START + DAY)
    assert (again.fingerprint, again.pem) == (authority.fingerprint, authority.pem)
    assert (tmp_path / "ca/authority.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca/authority.pem").stat().st_mode & 0o777 == 0o644
    assert again.issued(x509.load_pem_x509_certificate(authority.client(key(), "x", START, 1).pem.encode()))


def test_another_s_certificate_is_not_its_own(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", START)  # of the same name
    assert not authority.issued(x509.load_pem_x509_certificate(other.client(key(), "p-one", START, 30).pem.encode()))


@pytest.mark.parametrize("damage", ["key", "certificate", "another key"])
def test_a_damaged_authority_is_named(authority: Authority, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "ca" / ("authority.pem" if damage == "certificate" else "authority.key")
    content = private_pem(ec.generate_private_key(ec.SECP256R1())) if damage == "another key" else b"nonsense"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"authority\.key: "):
        Authority(tmp_path / "ca", START)


def foreign(kind: str) -> str:
    made = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    algorithm = hashes.SHA256() if kind == "rsa" else None
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(made, algorithm)
    return request.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "p384", "signature", "text", "certificate"])
def test_requests_that_are_none_for_a_p256_key(kind: str, authority: Authority) -> None:
    if kind == "p384":
        request = csr(ec.generate_private_key(ec.SECP384R1()))
    elif kind == "signature":
        raw = bytearray(x509.load_pem_x509_csr(csr().encode()).public_bytes(serialization.Encoding.DER))
        raw[-1] ^= 1
        request = x509.load_der_x509_csr(bytes(raw)).public_bytes(serialization.Encoding.PEM).decode()
    else:
        request = {"text": "-----BEGIN X-----\n", "certificate": authority.pem}.get(kind) or foreign(kind)
    with pytest.raises(MalformedRecord, match="csr: "):
        key_of(request)


@given(st.text(max_size=200))
def test_no_request_is_too_odd(text: str) -> None:
    with pytest.raises(MalformedRecord):
        key_of(text)
