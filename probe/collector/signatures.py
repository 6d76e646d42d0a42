"""Checking signatures: Ed25519 by libsodium where it is installed.

libsodium needs half the time of OpenSSL, and it is a shared library that the system has: it is called through ctypes,
which lets other threads run meanwhile. It refuses all that OpenSSL refuses (and keys of small order, which OpenSSL does
not mind), so its yes is taken, and its no is asked again of `probe.model.canonical`: the answer is always the same.
"""

from __future__ import annotations

import binascii
import ctypes
import functools
from collections.abc import Callable

import msgspec

from probe.model import canonical
from probe.model.ed25519 import SODIUM, library

_KEY, _SIGNATURE = 32, 64  # bytes (RFC 8032, section 5.1)


class Claim(msgspec.Struct, frozen=True):
    """That ``text`` was signed by ``key``; both the key and the ``signature`` in base64."""

    text: bytes
    key: str
    signature: str


def genuine(claim: Claim) -> bool:
    """Whether it is. Never raises."""
    check = _sodium()
    if check is not None:
        signature, key = _raw(claim.signature), _raw_key(claim.key)
        if len(key) == _KEY and len(signature) == _SIGNATURE and not check(signature, claim.text, len(claim.text), key):
            return True
    return canonical.verify_bytes(claim.text, claim.key, claim.signature)


def available() -> bool:
    """Whether libsodium is there."""
    return _sodium() is not None


def _raw(text: str) -> bytes:
    """What base64 holds in its one canonical spelling (RFC 4648, 3.5); empty for any other."""
    try:
        raw = binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        return b""
    return raw if binascii.b2a_base64(raw, newline=False) == text.encode() else b""


@functools.lru_cache(100_000)
def _raw_key(text: str) -> bytes:
    return _raw(text)


@functools.cache
def _sodium() -> Callable[[bytes, bytes, int, bytes], int] | None:
    sodium = library(SODIUM)
    if sodium is None:
        return None
    check = sodium.crypto_sign_verify_detached
    check.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p]
    check.restype = ctypes.c_int
    return check
