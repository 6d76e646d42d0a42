"""Signatures of findings: Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all the rest of the finding.

Shared by the probe, which signs, and by whoever checks (collector, dossier, a third party with the feed alone).
The cryptography is imported when it is used: most commands never sign.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

from probe.model.errors import MalformedRecord
from probe.model.finding import Finding, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def canonical(value: dict[str, Any]) -> bytes:
    """Canonical JSON of a decoded JSON object.

    Raises MalformedRecord for what RFC 8785 has no form for (an integer beyond ±2^53, a lone surrogate).
    """
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise MalformedRecord("canonical JSON", str(error) or type(error).__name__) from None


def signing_bytes(finding: dict[str, Any]) -> bytes:
    """What the signature of a decoded finding is made over: its canonical JSON without ``signature``.

    Raises MalformedRecord as :func:`canonical` does.
    """
    return canonical({key: value for key, value in finding.items() if key != "signature"})


def sign(finding: Finding, key: Ed25519PrivateKey) -> Finding:
    """The finding with its signature (an earlier one is replaced).

    Raises MalformedRecord where ``details`` holds what has no canonical form.
    """
    # Through JSON and back: what is signed is what a receiver will decode, whatever Python types details held.
    try:
        decoded = msgspec.json.decode(msgspec.json.encode(finding))
    except (TypeError, ValueError) as error:
        raise MalformedRecord("finding", str(error)) from None
    value = key.sign(signing_bytes(decoded))
    public = key.public_key().public_bytes_raw()
    return msgspec.structs.replace(
        finding, signature=Signature(base64.b64encode(public).decode(), base64.b64encode(value).decode())
    )


def verify(finding: dict[str, Any], key: str = "") -> bool:
    """Whether the signature of a decoded finding is right, and made by ``key`` (base64) if one is given.

    False for an absent or mangled signature too; never raises.
    """
    signature = finding.get("signature")
    if not isinstance(signature, dict):
        return False
    named, value = signature.get("key"), signature.get("value")
    if not isinstance(named, str) or not isinstance(value, str) or (key and named != key):
        return False
    try:
        return verify_bytes(signing_bytes(finding), named, value)
    except MalformedRecord:
        return False


def verify_bytes(data: bytes, key: str, signature: str) -> bool:
    """Whether ``signature`` over ``data`` was made by ``key``; both in base64, in its one canonical spelling (RFC 4648,
    3.5: else one signed text could be spelled in several ways). Never raises on what they hold."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public, signed = base64.b64decode(key, validate=True), base64.b64decode(signature, validate=True)
        if (base64.b64encode(public).decode(), base64.b64encode(signed).decode()) != (key, signature):
            return False
        Ed25519PublicKey.from_public_bytes(public).verify(signed, data)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
