"""The lab's own authority and one certificate for all its names, made anew for each lab and kept in memory."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = dt.timedelta(days=30)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(names: Iterable[str]) -> tuple[ssl.SSLContext, str]:
    """A server context whose certificate bears the names and their ``www.``; and its authority, as PEM."""
    now = dt.datetime.now(dt.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        x509.CertificateBuilder(_name("Colibri lab"), _name("Colibri lab"), authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    every = [x509.DNSName(name) for bare in names for name in (bare, "www." + bare)]
    certificate = (
        x509.CertificateBuilder(_name("Colibri lab"), _name("lab server"), key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(every), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = os.memfd_create("certificate")  # the ssl module reads files only
    try:
        os.write(file, certificate.public_bytes(pem) + secret)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context, authority.public_bytes(pem).decode()
