"""Signing keys: Ed25519 (RFC 8032) by libsodium where it is installed, else by OpenSSL.

libsodium is a small shared library that the system has, called through ctypes; the package that brings OpenSSL costs an
idle probe 6 MB. Both give the same signature, which the standard leaves no choice in (section 5.1.6). A key is kept as
PKCS #8 in PEM (RFC 8410, section 7), as every tool writes it.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import functools

SODIUM = ("libsodium.so.23", "libsodium.so.26", "libsodium.so")
"""Sonames of versions that have the functions used here (all since 0.7; Debian 11 to 13 have 23)."""

SEED = 32
"""Bytes of a private key (RFC 8032, section 5.1.5)."""
_PUBLIC, _SECRET, _SIGNATURE = 32, 64, 64
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")  # all of the DER before the seed: RFC 8410, section 7
_BEGIN, _END = b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----"


@functools.cache
def library(names: tuple[str, ...] = SODIUM) -> ctypes.CDLL | None:
    """libsodium, ready for use; None where there is none of these names."""
    for name in names:
        try:
            found = ctypes.CDLL(name)
            if found.sodium_init() >= 0:
                return found
        except (OSError, AttributeError):
            continue
    return None


class SigningKey:
    """A private key, by its seed. ``public``: the key that others check with, 32 bytes."""

    def __init__(self, seed: bytes, names: tuple[str, ...] = SODIUM) -> None:
        """``names``: those of :func:`library`. Raises ValueError where the seed has not 32 bytes."""
        if len(seed) != SEED:
            raise ValueError(f"a seed has {SEED} bytes, not {len(seed)}")
        self.seed = seed
        self._sodium = library(names)
        if self._sodium is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            self._openssl = Ed25519PrivateKey.from_private_bytes(seed)
            self.public = self._openssl.public_key().public_bytes_raw()
            return
        public, self._secret = ctypes.create_string_buffer(_PUBLIC), ctypes.create_string_buffer(_SECRET)
        self._sodium.crypto_sign_seed_keypair(public, self._secret, seed)
        self.public = public.raw

    def sign(self, text: bytes) -> bytes:
        """The signature over a text, 64 bytes."""
        if self._sodium is None:
            return self._openssl.sign(text)
        signature = ctypes.create_string_buffer(_SIGNATURE)
        self._sodium.crypto_sign_detached(signature, None, text, ctypes.c_ulonglong(len(text)), self._secret)
        return signature.raw


def to_pem(seed: bytes) -> bytes:
    """A key as PKCS #8 in PEM, as ``openssl genpkey -algorithm ed25519`` writes it."""
    return b"\n".join((_BEGIN, base64.b64encode(_PKCS8 + seed), _END, b""))


def from_pem(pem: bytes) -> bytes | None:
    """The seed of a key in exactly that form (any line breaks); None for all else, well formed or not."""
    head, begin, rest = pem.partition(_BEGIN)
    body, end, tail = rest.partition(_END)
    if not begin or not end or head.strip() or tail.strip():
        return None
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        return None
    return der[len(_PKCS8) :] if len(der) == len(_PKCS8) + SEED and der.startswith(_PKCS8) else None
