"""The certificate is made once, kept for its owner alone, and made anew when it is about to expire."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from pathlib import Path

import pytest

from probe.model.errors import ConfigError
from probe.reflector import certificate

ADDRESSES = ("203.0.113.190", "2001:db8:c0::90")


def test_is_made_once(tmp_path: Path) -> None:
    first = certificate.ensure(tmp_path / "state", "reflector.example", ADDRESSES)
    was = first[0].read_bytes()
    assert certificate.ensure(tmp_path / "state", "reflector.example", ADDRESSES) == first
    assert first[0].read_bytes() == was
    assert [file.stat().st_mode & 0o777 for file in first] == [0o600, 0o600]
    assert sorted(file.name for file in (tmp_path / "state").iterdir()) == ["certificate.pem", "key.pem"]


def test_serves_tls_and_names_what_it_is_for(tmp_path: Path) -> None:
    from cryptography import x509

    files = certificate.ensure(tmp_path, "reflector.example", ADDRESSES)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)
    leaf = x509.load_pem_x509_certificate(files[0].read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["reflector.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == list(ADDRESSES)


def test_its_fingerprint_is_that_of_its_der(tmp_path: Path) -> None:
    file, _ = certificate.ensure(tmp_path, "", ())
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    assert certificate.fingerprint(file) == hashlib.sha256(der).hexdigest()


def test_is_made_anew_before_it_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = certificate.ensure(tmp_path, "reflector.example", ())
    was = file.read_bytes()
    monkeypatch.setattr(certificate, "_SPARE", dt.timedelta(days=365 * 6))
    certificate.ensure(tmp_path, "reflector.example", ())
    assert file.read_bytes() != was


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_what_is_no_certificate_is_an_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "certificate.pem"
    file.write_text(content)
    (tmp_path / "key.pem").write_text(content)
    with pytest.raises(ConfigError, match="no certificate"):
        certificate.fingerprint(file)
    with pytest.raises(ConfigError):
        certificate.ensure(tmp_path, "", ())
    with pytest.raises(ConfigError):
        certificate.fingerprint(tmp_path / "absent.pem")


def test_a_directory_that_can_t_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        certificate.ensure(tmp_path / "file" / "state", "", ())
