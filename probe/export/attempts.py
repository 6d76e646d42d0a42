"""How an attempt to connect went, in the words of OONI's df-007 (errors): no format has finer ones."""

from __future__ import annotations

from probe.export.details import Connection

RESET, TIMEOUT, REFUSED, UNREACHABLE, EOF = (
    "connection_reset", "generic_timeout_error", "connection_refused", "host_unreachable", "eof_error",
)  # fmt: skip
"""Failures as df-007 spells them."""
_HANDSHAKE = {"refused": REFUSED, "timeout": TIMEOUT, "unreachable": UNREACHABLE}


def dialled(one: Connection) -> str | None:
    """Why a TCP handshake failed; None if it did not."""
    if one.failure in ("", "lost_race"):
        return None
    return _HANDSHAKE.get(one.failure, f"unknown_failure: {one.failure}")


def went(one: Connection) -> str | None:
    """Why what was sent over an open connection got no answer; None if it got one. What came first decides."""
    if one.failure == "lost_race":
        return RESET
    reset = min((event.after_ms for event in one.resets), default=None)
    answer = min((event.after_ms for event in one.data), default=None)
    if answer is not None and (reset is None or answer <= reset):
        return None
    if reset is not None:
        return RESET
    return EOF if one.fins else TIMEOUT


def took(one: Connection) -> float:
    """Seconds from the SYN to what decided."""
    first = min((event.after_ms for event in (*one.resets, *one.data)), default=0.0)
    return seconds((one.handshake_ms or 0.0) + first)


def seconds(milliseconds: float) -> float:
    """To the microsecond."""
    return round(milliseconds / 1000, 6)
