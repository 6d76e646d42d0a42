"""The collector's own certificate authority: one P-256 key in a folder of its own, made at its first use (RFC 5280).

It names clients by their common name alone, which is what the broker's rules hang on, and it is the only one who
chooses that name. Times are milliseconds since the epoch (:mod:`probe.collector.instants`).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from probe.collector.enrol.files import PUBLIC, SECRET, own_folder, write
from probe.collector.instants import DAY, HOUR, moment
from probe.model.errors import ConfigError, MalformedRecord

_LIFE = 20 * 365 * DAY  # of the authority: a change of it means to visit every probe
_BACKDATED = HOUR  # clocks of others run a little late
_CRL_LIFE = 10 * 365 * DAY  # the broker reads it from a file: an old list must not lock everybody out
_PEM = serialization.Encoding.PEM

Key = ec.EllipticCurvePublicKey


class Issued(msgspec.Struct, frozen=True):
    """A certificate in PEM. ``serial``: hexadecimal; ``begins``, ``ends``: milliseconds since the epoch."""

    pem: str
    serial: str
    begins: int
    ends: int


class Authority:
    """The authority of a folder: ``authority.key`` (its owner's alone), ``authority.pem`` and ``revoked.crl``.

    Raises ConfigError for a key or certificate that can't be read, OSError.
    """

    def __init__(self, folder: Path, now: int) -> None:
        self._folder = own_folder(folder)
        key, certificate = folder / "authority.key", folder / "authority.pem"
        if not key.exists():
            self._make(key, certificate, now)
        try:
            loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (ValueError, TypeError) as error:
            raise ConfigError(str(key), f"the authority can't be read: {error}") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.public_key() != self._certificate.public_key():
            raise ConfigError(str(key), "is not the key of authority.pem beside it")
        self._key = loaded
        if not self.crl.exists():
            self.revoke((), now)

    @property
    def crl(self) -> Path:
        """The list of the revoked."""
        return self._folder / "revoked.crl"

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self._certificate.public_bytes(_PEM).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate (DER), in hexadecimal: what a device pins."""
        return hashlib.sha256(self._certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def client(self, key: Key, name: str, now: int, days: float) -> Issued:
        """A certificate for a client of this name."""
        extension = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(key, name, now, round(days * DAY), [(extension, False)])

    def server(self, key: Key, names: Iterable[str], now: int, days: float) -> Issued:
        """A certificate for a server (the broker, this one) under names and addresses, the first its name."""
        listed = list(names)
        alternative = x509.SubjectAlternativeName([_subject(name) for name in listed])
        extension = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._issue(key, listed[0], now, round(days * DAY), [(extension, False), (alternative, False)])

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether a certificate is this authority's."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # noqa: BLE001 - InvalidSignature, and whatever odd keys raise
            return False
        return True

    def revoke(self, serials: Iterable[str], now: int) -> None:
        """Write the list of the revoked anew: these serials, and no others. Raises OSError."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(moment(now - _BACKDATED))
            .next_update(moment(now + _CRL_LIFE))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(now), critical=False)
        )
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(moment(now))
            builder = builder.add_revoked_certificate(one.build())
        write(self.crl, builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM), PUBLIC)

    def _issue(
        self, key: Key, name: str, now: int, life: int, extensions: list[tuple[x509.ExtensionType, bool]]
    ) -> Issued:
        serial, begins, ends = x509.random_serial_number(), now - _BACKDATED, now + life
        usage = _usage(digital_signature=True)
        builder = (
            _builder(_name(name), self._certificate.subject, key, serial, begins, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(usage, critical=True)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return Issued(signed.public_bytes(_PEM).decode(), f"{serial:x}", begins, ends)

    def _make(self, key_path: Path, certificate_path: Path, now: int) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Colibri authority")
        certificate = (
            _builder(name, name, key.public_key(), x509.random_serial_number(), now - _BACKDATED, now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        # The certificate first: a power cut in between leaves no key, and both are made anew.
        write(certificate_path, certificate.public_bytes(_PEM), PUBLIC)
        write(key_path, private_pem(key), SECRET)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key in PEM (PKCS #8), without a password: a file's mode is what keeps it."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def key_of(csr: str) -> Key:
    """The public key of a signing request (PKCS #10, PEM), proven by its own signature.

    Raises MalformedRecord unless it is one for a P-256 key.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key, proven = request.public_key(), request.is_signature_valid
    except Exception as error:  # noqa: BLE001 - cryptography has an exception of its own for each odd algorithm
        raise MalformedRecord("csr", f"can't be read: {error}") from None
    if not proven:
        raise MalformedRecord("csr", "its signature is not right")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedRecord("csr", "is not for a P-256 key")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, serial: int, begins: int, ends: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key, serial)
        .not_valid_before(moment(begins))
        .not_valid_after(moment(ends))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _subject(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
