"""The lab's own authority and one certificate for all its names, made anew for each lab and kept in memory."""

from __future__ import annotations

import datetime as dt
import ipaddress
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


def _subject(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates. ``pem``: its own, for those who are to trust it."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        own = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = own.public_bytes(serialization.Encoding.PEM).decode()

    def context(self, subject: str, names: Iterable[str], *, chain: bool = False) -> ssl.SSLContext:
        """A server's context with a certificate for names and addresses; ``chain``: the authority's is sent as well."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(subject), self._name, key)
            .add_extension(x509.SubjectAlternativeName([_subject(name) for name in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = os.memfd_create("certificate")  # the ssl module reads files only
        try:
            os.write(file, certificate.public_bytes(pem) + (self.pem.encode() if chain else b"") + secret)
            context.load_cert_chain(f"/proc/self/fd/{file}")
        finally:
            os.close(file)
        return context


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
    )


def make(names: Iterable[str], addresses: Iterable[str] = ()) -> tuple[ssl.SSLContext, str]:
    """A server context whose certificate bears the names, their ``www.``, and addresses (as those of public resolvers
    do); and its authority, as PEM."""
    authority = Authority("Colibri lab")
    every = [*(name for bare in names for name in (bare, "www." + bare)), *addresses]
    return authority.context("lab server", every), authority.pem
