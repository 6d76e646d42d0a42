"""Which key may sign for which probe: the configured ones, else the first one seen (trust on first use)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from probe.collector.verdicts import Rejected
from probe.model.errors import ConfigError

_KEY_BYTES = 32  # an Ed25519 public key (RFC 8032, section 5.1.5)


def canonical_key(text: str) -> str:
    """One spelling for one key. Raises ValueError unless ``text`` is base64 of 32 bytes."""
    raw = base64.b64decode(text, validate=True)
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"an Ed25519 key has {_KEY_BYTES} bytes, not {len(raw)}")
    return base64.b64encode(raw).decode()


class Keyring:
    """The keys that are believed.

    ``trusted``: probe id → key from the configuration; if there is any, only these probes are heard, and only signed.
    ``pinned``: probe id → the first key seen for it, as the store remembers it.
    """

    def __init__(self, trusted: Mapping[str, str], pinned: Mapping[str, str]) -> None:
        """Raises ConfigError for a trusted key that is none."""
        self._trusted: dict[str, str] = {}
        for probe, key in trusted.items():
            try:
                self._trusted[probe] = canonical_key(key)
            except ValueError as error:
                raise ConfigError(f"collector.trusted_keys.{probe}", f"not a public key in base64 ({error})") from error
        self._pinned = dict(pinned)

    def objection(self, probe: str, key: str) -> Rejected | None:
        """Why a finding of ``probe`` signed by ``key`` (empty: unsigned) is not believed; None if it is."""
        if self._trusted and probe not in self._trusted:
            return Rejected("unknown_probe", "the configuration trusts other probes only")
        expected = self._trusted.get(probe) or self._pinned.get(probe, "")
        if expected and not key:
            # Without this, whoever can publish as a probe would only have to leave the signature out.
            return Rejected("unsigned", "this probe has a known key and must sign")
        if expected and key != expected:
            return Rejected("other_key", f"signed by {key}, known for this probe is {expected}")
        return None

    def pin(self, probe: str, key: str) -> bool:
        """Remember the first key of a probe; True if it was new and belongs into the store."""
        if self._trusted or not key or probe in self._pinned:
            return False
        self._pinned[probe] = key
        return True
