"""What a probe and its collector say to each other at enrolment (docs/enrolment.md): JSON over HTTPS.

``POST /enrol/v1/first`` with a one-time code, ``POST /enrol/v1/renew`` with the present certificate (mutual TLS); both
answer an :class:`Enrolled` or a :class:`Refusal`. ``GET /enrol/v1/authority`` is the authority's certificate (PEM).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from probe.model.finding import Instant, Port, Token

FIRST, RENEW, AUTHORITY = "/enrol/v1/first", "/enrol/v1/renew", "/enrol/v1/authority"
"""Paths below the server's address."""

Pem = Annotated[str, msgspec.Meta(max_length=8192, pattern=r"^-----BEGIN [A-Z ]+-----\n")]
Reason = Literal[
    "bad_request",   # can't be read, or is no signing request for a P-256 key
    "bad_code",      # no such code, used by another device, or expired: all look the same from outside
    "too_many",      # attempts; ask again after `after` seconds
    "too_early",     # two thirds of the certificate's life are not over
    "unknown",       # not a certificate of this authority, or one that was never registered
    "revoked",
    "superseded",    # this certificate was renewed already, by another key: there is a copy of the device
    "too_late",      # expired for longer than the server forgives: a new code is needed
]  # fmt: skip
NAMES_OF_OTHERS = frozenset({"all", "bridge", "broker", "collector", "operator", "public"})
"""Never a probe's name: topics and rights hang on them."""


class First(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A device with a code. ``csr``: PKCS #10 (RFC 2986), PEM; its subject is ignored: the server chooses the name."""

    code: Annotated[str, msgspec.Meta(max_length=64)]
    csr: Pem


class Renewal(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A device that has a certificate, shown in the TLS handshake, and wants the next; ``csr`` is for a new key."""

    csr: Pem


class Broker(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where to publish."""

    host: str
    port: Port = 0


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate. ``now``: the server's clock, for devices that have none. Fields are added, never changed."""

    schema: Literal["colibri.enrolled/1"] = "colibri.enrolled/1"
    name: Token
    certificate: Pem
    authority: Pem
    broker: Broker | None = None
    now: Instant
    renew_after: Instant
    expires: Instant


class Refusal(msgspec.Struct, frozen=True):
    """Why not. ``after``: seconds to wait before it is worth asking again; 0: it is not."""

    reason: Reason
    after: float = 0.0
