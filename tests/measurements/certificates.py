"""Certificates for tests, made once."""

from __future__ import annotations

import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SINCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@functools.cache
def made(issuer: str, *names: str) -> bytes:
    """DER of a self-signed certificate for these DNS names (none: it bears no name)."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    builder = x509.CertificateBuilder(
        who, who, key.public_key(), x509.random_serial_number(), _SINCE, _SINCE + dt.timedelta(days=900)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
