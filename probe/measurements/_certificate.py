"""What a certificate says of itself, whatever the clock: the names that it bears, and who issued it."""

from __future__ import annotations

import hashlib
import ipaddress
import warnings

_MOST = 200  # characters of an issuer that are told


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, lower-case hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def bears(der: bytes, name: str) -> bool | None:
    """Whether a certificate (DER) is for a name or address (RFC 6125: a wildcard stands for one label); None if it
    can't be read."""
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    except (ValueError, TypeError, x509.InvalidVersion):
        return None
    wanted = name.lower().rstrip(".")
    try:
        return ipaddress.ip_address(wanted) in found.get_values_for_type(x509.IPAddress)
    except ValueError:
        names = {one.lower().rstrip(".") for one in found.get_values_for_type(x509.DNSName)}
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


def issuer(der: bytes) -> str:
    """Who issued a certificate (DER), in the form of RFC 4514; "" if it can't be read."""
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.load_der_x509_certificate(der).issuer.rfc4514_string()[:_MOST]
    except (ValueError, TypeError, x509.InvalidVersion):
        return ""
