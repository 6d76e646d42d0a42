"""One-time codes: 80 bits of chance in 16 letters and digits that a person can read out (Crockford's base 32).

A code is kept as its SHA-256. A slow hash would add nothing: there are 2^80 codes, and none is chosen by a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0"})
_LETTERS, _GROUP = 16, 4


def make(entropy: Callable[[int], bytes]) -> str:
    """A new code, such as ``K7QF-M2XD-9HTR-4WPC``."""
    number = int.from_bytes(entropy(10), "big")
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LETTERS, _GROUP))


def digest(code: str) -> bytes:
    """What is kept of a code, however it was typed. What can't be one has a digest, too: that of no code."""
    plain = "".join(code.upper().replace("-", " ").split()).translate(_MISREAD)
    return hashlib.sha256(b"colibri code " + plain.encode()).digest()
