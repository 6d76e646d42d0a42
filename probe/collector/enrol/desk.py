"""Decides who gets a certificate: a device with a fresh code, or one that has a certificate and is not revoked.

Asking twice is harmless. A code, or a certificate, that was used by a key gives the same certificate to the same key
again: on a bad line the answer is what gets lost, and a device must not be locked out by that.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from probe.collector.enrol import code as codes
from probe.collector.enrol.authority import Authority, Issued, Key, key_of
from probe.collector.enrol.register import Register
from probe.collector.instants import DAY, to_text
from probe.model.config import EnrolmentConfig
from probe.model.enrol import NAMES_OF_OTHERS, Broker, Enrolled, First, Refusal, Renewal
from probe.model.errors import MalformedRecord, UsageError

_log = logging.getLogger(__name__)

RENEW_AT = 2 / 3
"""Share of a certificate's life after which a device asks for the next."""
_EARLIEST = 1 / 2  # share of its life before which none is given: devices' clocks are not to be trusted
BROKER_PORT = 8883


class Desk:
    """The decisions. Its methods may be called from several threads; times are milliseconds since the epoch."""

    def __init__(
        self, config: EnrolmentConfig, authority: Authority, register: Register,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:  # fmt: skip
        self._config, self._authority, self._register, self._entropy = config, authority, register, entropy
        self._turn = threading.Lock()

    def hand_out(self, label: str, now: int, life: int) -> str:
        """A new code, good for ``life`` milliseconds. Raises StoreError, UsageError for a label that is too long."""
        if len(label) > 200:
            raise UsageError("a label has 200 letters at most")
        made = codes.make(self._entropy)
        with self._turn:
            self._register.add_code(codes.digest(made), label, now, now + life)
        return made

    def first(self, request: First, now: int) -> Enrolled | Refusal:
        """Answer a device with a code. Raises StoreError."""
        try:
            key = key_of(request.csr)
        except MalformedRecord:
            return Refusal("bad_request")
        digest, shown = codes.digest(request.code), _bytes(key)
        with self._turn, self._register.writing():
            known = self._register.code(digest)
            if known is None or known.expires < now:
                return Refusal("bad_code")
            if known.probe is not None:
                again = self._register.certificate(known.probe, shown) if known.key == shown else None
                row = self._register.probe(known.probe)
                if again is None or row is None or row.revoked is not None:
                    return Refusal("bad_code")
                return self._enrolled(known.probe, again, now)
            name = self._new_name()
            issued = self._authority.client(key, name, now, self._config.days)
            self._register.add_probe(name, known.label, now)
            self._register.use_code(digest, name, shown)
            self._register.add_certificate(name, shown, issued)
        _log.info("enrolled %s (%s)", name, known.label)
        return self._enrolled(name, issued, now)

    def renew(self, request: Renewal, peer: bytes, now: int) -> Enrolled | Refusal:
        """Answer a device with a certificate (DER, from its TLS handshake). Raises StoreError."""
        try:
            key, present = key_of(request.csr), x509.load_der_x509_certificate(peer)
        except (MalformedRecord, ValueError):
            return Refusal("bad_request")
        if not self._authority.issued(present):
            return Refusal("unknown")
        shown = _bytes(key)
        with self._turn, self._register.writing():
            found = self._register.by_serial(f"{present.serial_number:x}")
            row = self._register.probe(found[0]) if found else None
            if found is None or row is None:
                return Refusal("unknown")
            name, old = found
            if row.revoked is not None:
                return Refusal("revoked")
            if now > old.ends + self._config.grace * DAY:
                return Refusal("too_late")
            again = self._register.certificate(name, shown)
            if again is not None and again.serial != old.serial and again.ends > now:
                return self._enrolled(name, again, now)
            if self._register.followed(old.serial):
                # The device keeps its next key until it has the certificate: another key is another device's.
                _log.warning("%s asks with a certificate that it has renewed already: is there a copy of it?", name)
                return Refusal("superseded")
            if now < old.begins + (old.ends - old.begins) * _EARLIEST:
                return Refusal("too_early", (old.begins + (old.ends - old.begins) * RENEW_AT - now) / 1000)
            issued = self._authority.client(key, name, now, self._config.days)
            self._register.add_certificate(name, shown, issued, old.serial)
        _log.info("renewed %s", name)
        return self._enrolled(name, issued, now)

    def _new_name(self) -> str:
        while True:
            name = "p-" + base64.b32encode(self._entropy(10)).decode().lower()[:10]
            if name not in NAMES_OF_OTHERS and self._register.probe(name) is None:
                return name

    def _enrolled(self, name: str, issued: Issued, now: int) -> Enrolled:
        names = self._config.names
        return Enrolled(
            name=name,
            certificate=issued.pem,
            authority=self._authority.pem,
            broker=Broker(names[0], self._config.broker_port or BROKER_PORT) if names else None,
            now=to_text(now),
            renew_after=to_text(round(issued.begins + (issued.ends - issued.begins) * RENEW_AT)),
            expires=to_text(issued.ends),
        )


def _bytes(key: Key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
