"""Who this probe is: its id on the feed, and the Ed25519 key that its findings are signed with.

Both are made on the device at their first use and kept in the state folder. The key never leaves it.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from probe.agent.files import write_whole
from probe.model.canonical import Signed, sign
from probe.model.ed25519 import SEED, SigningKey, from_pem, to_pem
from probe.model.errors import ConfigError
from probe.model.finding import Token

TOKEN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
"""What may stand as an id: one topic level, without wildcards (the pattern of ``Token``)."""


class Identity:
    """The probe's id and key. ``configured`` is the id of the configuration, or empty.

    Raises ConfigError where the stored id or key can't be read as one, OSError where the folder can't be used.
    """

    def __init__(self, state_dir: Path, configured: str = "", entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._folder, self._entropy = state_dir, entropy
        self.id: Token = configured or _kept_id(state_dir / "probe-id", entropy)

    @cached_property
    def _key(self) -> SigningKey:
        path = self._folder / "device-key.pem"
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            seed = self._entropy(SEED)
            write_whole(path, to_pem(seed), mode=0o600)
            return SigningKey(seed)
        known = from_pem(stored) or _foreign(stored)
        if known is None:
            raise ConfigError(str(path), "is not an Ed25519 key; delete it to have a new one made")
        return SigningKey(known)

    @property
    def public_key(self) -> str:
        """The public key, in base64: what a collector may be told to trust."""
        return base64.b64encode(self._key.public).decode()

    def sign(self, finding: Signed) -> Signed:
        """The finding (or heartbeat), signed. Raises MalformedRecord where its details have no canonical form."""
        return sign(finding, self._key)


def _foreign(pem: bytes) -> bytes | None:
    """The seed of a key that somebody has written in another form; None if it is none of this kind."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        loaded = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        return None
    return loaded.private_bytes_raw() if isinstance(loaded, Ed25519PrivateKey) else None


def _kept_id(path: Path, entropy: Callable[[int], bytes]) -> Token:
    try:
        kept = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        kept = "p-" + base64.b32encode(entropy(10)).decode().lower()[:10]
        write_whole(path, f"{kept}\n".encode())
    except UnicodeError:
        kept = ""
    if not TOKEN.fullmatch(kept):
        raise ConfigError(str(path), "is not a probe's id; delete it to have a new one made")
    return kept
