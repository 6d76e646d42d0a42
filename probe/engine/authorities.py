"""Whether this machine's certificate authorities vouch for a chain and a name (RFC 5280, RFC 6125).

Judged apart from the handshake, which refuses nothing: an interceptor's certificate is what one wants to see.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, DNSName, ExtendedKeyUsage, IPAddress, KeyUsage
    from cryptography.x509.verification import PolicyBuilder, Store

_MOST = 16  # certificates of a chain that are looked at


def distrust(chain: Sequence[bytes], name: str, at: int, extra: str = "") -> str:
    """Why the chain (DER, leaf first) is not vouched for; "" if it is.

    ``name``: server name or address; "": the chain alone is judged, by the first name of its own leaf. ``at``: seconds
    since the epoch. ``extra``: file (PEM) with further authorities. Never raises.
    """
    from cryptography.x509.verification import VerificationError

    if not chain:
        return "no certificate was sent"
    try:
        certificates = [_certificate(der) for der in chain[:_MOST]]
        builder = _policy().store(_store(extra)).time(dt.datetime.fromtimestamp(at, dt.UTC))
        builder.build_server_verifier(_subject(name, certificates[0])).verify(certificates[0], certificates[1:])
    except VerificationError as error:
        return str(error)
    except (ValueError, TypeError, OSError, OverflowError) as error:
        return f"can't be judged: {error}"
    return ""


def _policy() -> PolicyBuilder:
    """What is asked of a chain: what OpenSSL and browsers ask, so that an honest server with an odd certificate is
    trusted here as there. (The library's own policy, where it knows no other, refuses a leaf that does not name its
    issuer's key.)"""
    from cryptography import x509
    from cryptography.x509 import verification

    builder = verification.PolicyBuilder()
    if not hasattr(verification, "ExtensionPolicy"):  # cryptography 44 and older
        return builder
    either = verification.Criticality.AGNOSTIC
    issuers = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either, None)  # what it must say the library holds by itself
        .may_be_present(x509.KeyUsage, either, _may_sign)
    )
    leaf = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.SubjectAlternativeName, either, None)
        .may_be_present(x509.ExtendedKeyUsage, either, _may_serve)
    )
    return builder.extension_policies(ca_policy=issuers, ee_policy=leaf)


def _may_sign(_policy: object, _certificate: Certificate, extension: KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("an authority that may not sign certificates has signed one")


def _may_serve(_policy: object, _certificate: Certificate, extension: ExtendedKeyUsage | None) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if extension is not None and not any(usage in allowed for usage in extension):
        raise ValueError("the certificate is not a server's")


def _subject(name: str, leaf: Certificate) -> DNSName | IPAddress:
    """What the certificate must be for."""
    from cryptography import x509

    if not name:
        try:
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            raise ValueError("the certificate bears no name") from None
        for one in names:
            if isinstance(one, x509.DNSName):
                name = one.value.replace("*", "any", 1)
                break
            if isinstance(one, x509.IPAddress):
                name = str(one.value)
                break
        else:
            raise ValueError("the certificate bears no name")
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificate(der: bytes) -> Certificate:
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an odd certificate is guilty of is said by the verdict on it
        try:
            return x509.load_der_x509_certificate(der)
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from None


def _store(extra: str) -> Store:
    """The system's authorities and those of a file. Raises OSError where a file that was asked for can't be read,
    ValueError where there is none at all."""
    system = ssl.get_default_verify_paths().cafile or ""
    return _read(system, extra, *(Path(path).stat().st_mtime_ns if path else 0 for path in (system, extra)))


@functools.lru_cache(maxsize=2)  # a Pi takes half a second for 140 of them; the times of change tell what is stale
def _read(system: str, extra: str, *_changed: int) -> Store:
    from cryptography import x509
    from cryptography.x509.verification import Store

    found: list[Certificate] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in filter(None, (system, extra)):
            found += x509.load_pem_x509_certificates(Path(path).read_bytes())
    return Store(found)
