"""The reflector's own certificate: made at its first start, kept in its state directory.

Nobody has to trust its issuer: probes learn its SHA-256 with their token, and compare.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from probe.model.errors import ConfigError

_YEARS = 5
_SPARE = dt.timedelta(days=30)


def ensure(state: Path, name: str, addresses: Sequence[str]) -> tuple[Path, Path]:
    """Files with certificate and key below ``state``, made if there are none or the certificate is about to expire.

    Raises ConfigError where they can't be written or read.
    """
    certificate, key = state / "certificate.pem", state / "key.pem"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o750)
        if not (certificate.is_file() and key.is_file() and _lasts(certificate)):
            made, secret = _make(name or "reflector", addresses)
            _write(key, secret)
            _write(certificate, made)
    except (OSError, ValueError) as error:
        raise ConfigError(str(state), f"no certificate can be kept there: {error}") from None
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate of a PEM file (its DER), hexadecimal. Raises ConfigError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(str(certificate), f"no certificate: {error}") from None
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def _lasts(certificate: Path) -> bool:
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    return leaf.not_valid_after_utc - _SPARE > dt.datetime.now(dt.UTC)


def _make(name: str, addresses: Sequence[str]) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    # Begins a day ago: a probe's clock may be a little behind.
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), secret


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else to read."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
